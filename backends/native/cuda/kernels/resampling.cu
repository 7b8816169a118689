// Images (batch, up to three axes, channels) resampled to other sizes, and the gradient, which each element of the result gathers from
// where it went to. Axes that are not there have one cell. Stands on units.cu.
//
// n: cells of the smaller problem's input x; m: cells of its result y; step: n / m.

// Where the centre of cell i of y lies among those of x, which are n.
template <class W> __device__ __forceinline__ W centre(int i, W step, int n) {
    W at = ((W)i + W(0.5)) * step - W(0.5);
    return at < W(0) ? W(0) : at > W(n - 1) ? W(n - 1) : at;
}

// The cell of x that the centre of cell i of y lies in. The product is rounded as NumPy's is.
__device__ __forceinline__ int nearest(int i, float step, int n) {
    int cell = (int)(((float)i + 0.5f) * step);
    return cell < n - 1 ? cell : n - 1;
}

// From first to end: the cells of y that may have taken something of cell p of x.
template <class W> __device__ __forceinline__ void takers(int p, W step, int m, int& first, int& end) {
    W low = W(p - 1) / step - W(2), high = W(p + 2) / step + W(2);
    first = low < W(0) ? 0 : low > W(m) ? m : (int)low, end = high > W(m) ? m : (int)high;
}

template <class U, class N>
__device__ void resample_nearest(const U* x, U* y, long long all, long long channels, int n0, int m0, float step0, int n1, int m1,
                                 float step1, int n2, int m2, float step2) {
    N step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < (N)all; i += step) {
        N rest = i / (N)channels, c = i - rest * (N)channels, above = rest / (N)m2;
        int p2 = nearest((int)(rest - above * (N)m2), step2, n2);
        N b = above / (N)m1;
        int p1 = nearest((int)(above - b * (N)m1), step1, n1);
        N image = b / (N)m0;
        int p0 = nearest((int)(b - image * (N)m0), step0, n0);
        y[i] = x[(((image * (N)n0 + p0) * (N)n1 + p1) * (N)n2 + p2) * (N)channels + c];
    }
}

template <class T, class W, class N>
__device__ void resample_linear(const T* x, T* y, long long all, long long channels, int n0, int m0, W step0, int n1, int m1, W step1, int n2,
                                int m2, W step2) {
    N step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < (N)all; i += step) {
        N rest = i / (N)channels, c = i - rest * (N)channels, above = rest / (N)m2, b = above / (N)m1, image = b / (N)m0;
        W at0 = centre((int)(b - image * (N)m0), step0, n0), at1 = centre((int)(above - b * (N)m1), step1, n1);
        W at2 = centre((int)(rest - above * (N)m2), step2, n2);
        int p0 = (int)at0, p1 = (int)at1, p2 = (int)at2;
        W f0 = at0 - p0, f1 = at1 - p1, f2 = at2 - p2, sum = 0;
        for (int k0 = 0; k0 < 2; ++k0)
            for (int k1 = 0; k1 < 2; ++k1)
                for (int k2 = 0; k2 < 2; ++k2) {
                    W w = (k0 ? f0 : W(1) - f0) * (k1 ? f1 : W(1) - f1) * (k2 ? f2 : W(1) - f2);
                    if (w == W(0)) continue;  // there may be no such neighbour
                    sum += w * (W)load(x[(((image * (N)n0 + p0 + k0) * (N)n1 + p1 + k1) * (N)n2 + p2 + k2) * (N)channels + c]);
                }
        store(y[i], sum);
    }
}

// How much of cell p of x is in cell i of y.
template <bool LINEAR, class W> __device__ __forceinline__ W share(int i, int p, W step, int n) {
    if (!LINEAR) return nearest(i, (float)step, n) == p ? W(1) : W(0);
    W away = absolute(centre(i, step, n) - W(p));
    return away < W(1) ? W(1) - away : W(0);
}

// g: the gradient of y; y's sizes are m, those of dx n.
template <bool LINEAR, class T, class W, class N>
__device__ void resample_gradient(const T* g, T* dx, long long all, long long channels, int n0, int m0, W step0, int n1, int m1, W step1,
                                  int n2, int m2, W step2) {
    N step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < (N)all; i += step) {
        N rest = i / (N)channels, c = i - rest * (N)channels, above = rest / (N)n2, b = above / (N)n1, image = b / (N)n0;
        int p0 = (int)(b - image * (N)n0), p1 = (int)(above - b * (N)n1), p2 = (int)(rest - above * (N)n2);
        int first0, end0, first1, end1, first2, end2;
        takers(p0, step0, m0, first0, end0), takers(p1, step1, m1, first1, end1), takers(p2, step2, m2, first2, end2);
        W sum = 0;
        for (int i0 = first0; i0 < end0; ++i0) {
            W w0 = share<LINEAR>(i0, p0, step0, n0);
            if (w0 == W(0)) continue;
            for (int i1 = first1; i1 < end1; ++i1) {
                W w1 = w0 * share<LINEAR>(i1, p1, step1, n1);
                if (w1 == W(0)) continue;
                for (int i2 = first2; i2 < end2; ++i2) {
                    W w2 = w1 * share<LINEAR>(i2, p2, step2, n2);
                    if (w2 != W(0)) sum += w2 * (W)load(g[(((image * (N)m0 + i0) * (N)m1 + i1) * (N)m2 + i2) * (N)channels + c]);
                }
            }
        }
        store(dx[i], sum);
    }
}

// Pooling over windows of one to three axes, channels last. Fewer axes have sizes of 1 in front. Stands on nothing else.

// An axis: its size n, the number m of windows, cells k of a window, the step s between windows, the margin a before the first element.
struct Axis {
    int n, m, k, s, a;
    // The windows that have a cell at p are those from first(p) to below end(p).
    __device__ __forceinline__ int first(int p) const { return p + a < k ? 0 : (p + a - k) / s + 1; }
    __device__ __forceinline__ int end(int p) const { return (p + a) / s + 1 < m ? (p + a) / s + 1 : m; }
    // Cells of window o that are no margin
    __device__ __forceinline__ int cells(int o) const {
        int from = o * s - a, to = from + k;
        return (to < n ? to : n) - (from > 0 ? from : 0);
    }
};

// Where an element lies: channel c, positions p, image b.
template <class N> struct Position {
    int p[3];
    N b, c;
    __device__ __forceinline__ Position(N i, N channels, int size0, int size1, int size2) {
        N rest = i / channels;
        c = i - rest * channels;
        p[2] = (int)(rest % (N)size2), rest /= (N)size2;
        p[1] = (int)(rest % (N)size1), rest /= (N)size1;
        p[0] = (int)(rest % (N)size0), b = rest / (N)size0;
    }
};

template <class N> __device__ __forceinline__ N place(N b, int p0, int p1, int p2, int size0, int size1, int size2, N channels, N c) {
    return (((b * (N)size0 + (N)p0) * (N)size1 + (N)p1) * (N)size2 + (N)p2) * channels + c;
}

// lowest: what margins hold
template <class T, class W, class N>
__device__ void max_pool(const T* x, T* y, W lowest, long long all, long long channels, int n0, int m0, int k0, int s0, int a0, int n1,
                         int m1, int k1, int s1, int a1, int n2, int m2, int k2, int s2, int a2) {
    N step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < (N)all; i += step) {
        Position<N> at(i, (N)channels, m0, m1, m2);
        W most = lowest;
        for (int t0 = 0; t0 < k0; ++t0)
            for (int t1 = 0; t1 < k1; ++t1)
                for (int t2 = 0; t2 < k2; ++t2) {
                    int p0 = at.p[0] * s0 - a0 + t0, p1 = at.p[1] * s1 - a1 + t1, p2 = at.p[2] * s2 - a2 + t2;
                    if (p0 < 0 || p0 >= n0 || p1 < 0 || p1 >= n1 || p2 < 0 || p2 >= n2) continue;
                    most = larger(most, (W)load(x[place(at.b, p0, p1, p2, n0, n1, n2, (N)channels, at.c)]));
                }
        store(y[i], most);
    }
}

// The gradient of a window goes to the first of its cells that holds the maximum, to the last cell if none does (the maximum is NaN).
template <class T, class W, class N>
__device__ void max_pool_gradient(const T* x, const T* y, const T* g, T* dx, W lowest, long long all, long long channels, int n0, int m0,
                                  int k0, int s0, int a0, int n1, int m1, int k1, int s1, int a1, int n2, int m2, int k2, int s2, int a2) {
    Axis A = {n0, m0, k0, s0, a0}, B = {n1, m1, k1, s1, a1}, C = {n2, m2, k2, s2, a2};
    N step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < (N)all; i += step) {
        Position<N> at(i, (N)channels, n0, n1, n2);
        W own = load(x[i]), sum = 0;
        for (int o0 = A.first(at.p[0]); o0 < A.end(at.p[0]); ++o0)
            for (int o1 = B.first(at.p[1]); o1 < B.end(at.p[1]); ++o1)
                for (int o2 = C.first(at.p[2]); o2 < C.end(at.p[2]); ++o2) {
                    N window = place(at.b, o0, o1, o2, m0, m1, m2, (N)channels, at.c);
                    W most = load(y[window]);
                    int t0 = at.p[0] + a0 - o0 * s0, t1 = at.p[1] + a1 - o1 * s1, t2 = at.p[2] + a2 - o2 * s2;
                    int number = (t0 * k1 + t1) * k2 + t2;
                    if (!(own == most) && number != k0 * k1 * k2 - 1) continue;
                    bool is_first = true;
                    for (int t = 0; t < number && is_first; ++t) {
                        int p0 = o0 * s0 - a0 + t / (k1 * k2), p1 = o1 * s1 - a1 + t / k2 % k1, p2 = o2 * s2 - a2 + t % k2;
                        bool is_margin = p0 < 0 || p0 >= n0 || p1 < 0 || p1 >= n1 || p2 < 0 || p2 >= n2;
                        W v = is_margin ? lowest : (W)load(x[place(at.b, p0, p1, p2, n0, n1, n2, (N)channels, at.c)]);
                        is_first = !(v == most);
                    }
                    if (is_first) sum += (W)load(g[window]);
                }
        store(dx[i], sum);
    }
}

// The mean of the cells that are no margin.
template <class T, class W, class N>
__device__ void avg_pool(const T* x, T* y, long long all, long long channels, int n0, int m0, int k0, int s0, int a0, int n1, int m1, int k1,
                         int s1, int a1, int n2, int m2, int k2, int s2, int a2) {
    Axis A = {n0, m0, k0, s0, a0}, B = {n1, m1, k1, s1, a1}, C = {n2, m2, k2, s2, a2};
    N step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < (N)all; i += step) {
        Position<N> at(i, (N)channels, m0, m1, m2);
        W sum = 0;
        for (int t0 = 0; t0 < k0; ++t0)
            for (int t1 = 0; t1 < k1; ++t1)
                for (int t2 = 0; t2 < k2; ++t2) {
                    int p0 = at.p[0] * s0 - a0 + t0, p1 = at.p[1] * s1 - a1 + t1, p2 = at.p[2] * s2 - a2 + t2;
                    if (p0 < 0 || p0 >= n0 || p1 < 0 || p1 >= n1 || p2 < 0 || p2 >= n2) continue;
                    sum += (W)load(x[place(at.b, p0, p1, p2, n0, n1, n2, (N)channels, at.c)]);
                }
        int count = A.cells(at.p[0]) * B.cells(at.p[1]) * C.cells(at.p[2]);
        store(y[i], sum / W(count > 1 ? count : 1));
    }
}

template <class T, class W, class N>
__device__ void avg_pool_gradient(const T* g, T* dx, long long all, long long channels, int n0, int m0, int k0, int s0, int a0, int n1,
                                  int m1, int k1, int s1, int a1, int n2, int m2, int k2, int s2, int a2) {
    Axis A = {n0, m0, k0, s0, a0}, B = {n1, m1, k1, s1, a1}, C = {n2, m2, k2, s2, a2};
    N step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < (N)all; i += step) {
        Position<N> at(i, (N)channels, n0, n1, n2);
        W sum = 0;
        for (int o0 = A.first(at.p[0]); o0 < A.end(at.p[0]); ++o0)
            for (int o1 = B.first(at.p[1]); o1 < B.end(at.p[1]); ++o1)
                for (int o2 = C.first(at.p[2]); o2 < C.end(at.p[2]); ++o2)
                    sum += (W)load(g[place(at.b, o0, o1, o2, m0, m1, m2, (N)channels, at.c)]) / W(A.cells(o0) * B.cells(o1) * C.cells(o2));
        store(dx[i], sum);
    }
}

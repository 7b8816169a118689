// Elements moved to other places, each once, in one launch. Stands on units.cu. U: a unit of memory; N: the type that numbers units.

// A dense copy of what lies in steps of s0 … s4 units along axes of which the last four have sizes n1 … n4.
template <class U, class N>
__device__ void strided_copy(const U* x, U* y, long long all, long long n1, long long n2, long long n3, long long n4, long long s0,
                             long long s1, long long s2, long long s3, long long s4) {
    N step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < (N)all; i += step) {
        N a3 = i / (N)n4, a2 = a3 / (N)n3, a1 = a2 / (N)n2, a0 = a1 / (N)n1;
        y[i] = x[(long long)a0 * s0 + (long long)(a1 - a0 * (N)n1) * s1 + (long long)(a2 - a1 * (N)n2) * s2 +
                 (long long)(a3 - a2 * (N)n3) * s3 + (long long)(i - a3 * (N)n4) * s4];
    }
}

// The same where neighbours along an axis of size `down` are neighbours in x, and those along another, of size `across`, in y: by tiles of
// 32 x 32, so that memory is read and written in whole lines. n0 … n2: the other axes, with steps s in x and t in y; step_across: in x;
// step_down: in y.
template <class U>
__device__ void turned_copy(const U* x, U* y, long long down, long long across, long long step_across, long long step_down, long long n0,
                            long long n1, long long n2, long long s0, long long s1, long long s2, long long t0, long long t1, long long t2) {
    __shared__ U tile[32 * 33];
    long long tiles_down = (down + 31) / 32, tiles_across = (across + 31) / 32, all = n0 * n1 * n2 * tiles_down * tiles_across;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (long long b = blockIdx.x; b < all; b += gridDim.x) {
        long long rest = b / tiles_across, c0 = (b - rest * tiles_across) * 32, a = rest / tiles_down, r0 = (rest - a * tiles_down) * 32;
        long long a1 = a / n2, a0 = a1 / n1, i2 = a - a1 * n2, i1 = a1 - a0 * n1;
        const U* from = x + a0 * s0 + i1 * s1 + i2 * s2;
        U* to = y + a0 * t0 + i1 * t1 + i2 * t2;
        __syncthreads();  // the tile before may still be read
        for (int k = warp; k < 32; k += 8)
            if (r0 + lane < down && c0 + k < across) tile[k * 33 + lane] = from[(c0 + k) * step_across + r0 + lane];
        __syncthreads();
        for (int k = warp; k < 32; k += 8)
            if (r0 + k < down && c0 + lane < across) to[(r0 + k) * step_down + c0 + lane] = tile[lane * 33 + k];
    }
}

// Up to eight tensors side by side in columns of y, whose rows are `pitch` units apart; x_k has w_k units in each row.
template <class U, class N>
__device__ void concat(U* y, long long rows, long long pitch, const U* x0, const U* x1, const U* x2, const U* x3, const U* x4, const U* x5,
                       const U* x6, const U* x7, long long w0, long long w1, long long w2, long long w3, long long w4, long long w5,
                       long long w6, long long w7) {
    const U* xs[8] = {x0, x1, x2, x3, x4, x5, x6, x7};
    const long long ws[8] = {w0, w1, w2, w3, w4, w5, w6, w7};
    N width = (N)(w0 + w1 + w2 + w3 + w4 + w5 + w6 + w7), all = (N)rows * width, step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < all; i += step) {
        N row = i / width, column = i - row * width, begin = 0, end = 0;
        const U* from = x0;
        N at = 0, own = 1;
#pragma unroll
        for (int k = 0; k < 8; ++k) {
            end = begin + (N)ws[k];
            if (column >= begin && column < end) from = xs[k], at = column - begin, own = (N)ws[k];
            begin = end;
        }
        y[(long long)row * pitch + column] = from[(long long)row * own + at];
    }
}

template <class U> __device__ __forceinline__ U unit_of(unsigned long long low, unsigned long long) { return (U)low; }
template <> __device__ __forceinline__ sixteen_bytes unit_of(unsigned long long low, unsigned long long high) { return {{low, high}}; }

// The place in x of coordinate c of y along an axis of n elements `step` apart; -1 between and beside them.
template <class N> __device__ __forceinline__ long long place_in(N c, long long n, long long low, long long step) {
    long long p = (long long)c - low;
    if (p < 0) return -1;
    if (step != 1) {
        long long q = p / step;
        if (q * step != p) return -1;
        p = q;
    }
    return p < n ? p : -1;
}

// x among units of one value, given by its bits: along axis k of size m_k of y lie n_k units of x from `l_k` on, d_k apart.
template <class U, class N>
__device__ void pad(const U* x, U* y, unsigned long long low_bits, unsigned long long high_bits, long long all, long long m1, long long m2,
                    long long m3, long long m4, long long n0, long long n1, long long n2, long long n3, long long n4, long long l0,
                    long long l1, long long l2, long long l3, long long l4, long long d0, long long d1, long long d2, long long d3, long long d4) {
    U beside = unit_of<U>(low_bits, high_bits);
    N step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < (N)all; i += step) {
        N a3 = i / (N)m4, a2 = a3 / (N)m3, a1 = a2 / (N)m2, a0 = a1 / (N)m1;
        long long p0 = place_in(a0, n0, l0, d0), p1 = place_in(a1 - a0 * (N)m1, n1, l1, d1), p2 = place_in(a2 - a1 * (N)m2, n2, l2, d2);
        long long p3 = place_in(a3 - a2 * (N)m3, n3, l3, d3), p4 = place_in(i - a3 * (N)m4, n4, l4, d4);
        bool is_inside = p0 >= 0 && p1 >= 0 && p2 >= 0 && p3 >= 0 && p4 >= 0;
        y[i] = is_inside ? x[(((p0 * n1 + p1) * n2 + p2) * n3 + p3) * n4 + p4] : beside;
    }
}

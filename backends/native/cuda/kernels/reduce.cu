// Sums, products, largest and smallest elements, where these are, and running sums, along the middle axis of (outer, size, inner). Stands on
// block.cu.
//
// Long axes are cut into parts, and the block that comes last reduces what they have found, always the same way: two runs give the same bits.

__device__ __forceinline__ float lowest(float) { return -infinity(0.0f); }
__device__ __forceinline__ double lowest(double) { return -infinity(0.0); }
__device__ __forceinline__ int lowest(int) { return -2147483647 - 1; }
__device__ __forceinline__ long long lowest(long long) { return -9223372036854775807ll - 1; }
__device__ __forceinline__ unsigned lowest(unsigned) { return 0u; }
__device__ __forceinline__ unsigned long long lowest(unsigned long long) { return 0ull; }
__device__ __forceinline__ float highest(float) { return infinity(0.0f); }
__device__ __forceinline__ double highest(double) { return infinity(0.0); }
__device__ __forceinline__ int highest(int) { return 2147483647; }
__device__ __forceinline__ long long highest(long long) { return 9223372036854775807ll; }
__device__ __forceinline__ unsigned highest(unsigned) { return 0xffffffffu; }
__device__ __forceinline__ unsigned long long highest(unsigned long long) { return 0xffffffffffffffffull; }

struct Product {
    template <class W> static __device__ __forceinline__ W start() { return W(1); }
    template <class W> static __device__ __forceinline__ W of(W a, W b) { return a * b; }
};
struct Most {
    template <class W> static __device__ __forceinline__ W start() { return lowest(W(0)); }
    template <class W> static __device__ __forceinline__ W of(W a, W b) { return larger(a, b); }
};
struct Least {
    template <class W> static __device__ __forceinline__ W start() { return highest(W(0)); }
    template <class W> static __device__ __forceinline__ W of(W a, W b) { return smaller(a, b); }
};

template <class R, class W> __device__ __forceinline__ void put(R& y, W value) { y = (R)value; }
template <class W> __device__ __forceinline__ void put(half_bits& y, W value) { store(y, (float)value); }
template <class W> __device__ __forceinline__ void put(bfloat_bits& y, W value) { store(y, (float)value); }

// A thread has a result: where there are many of them, or little to reduce.
template <class How, class T, class R, class W>
__device__ void reduce_each(const T* x, R* y, long long outer, long long size, long long inner) {
    long long all = outer * inner, step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < all; i += step) {
        const T* from = x + i / inner * size * inner + i % inner;
        W found = How::template start<W>();
#pragma unroll 4
        for (long long k = 0; k < size; ++k) found = How::of(found, (W)load(from[k * inner]));
        put(y[i], found);
    }
}

// A block has a part of a row; inner is 1. found: of each part, where there are several.
template <class How, class T, class R, class W>
__device__ void reduce_rows(const T* x, W* found, unsigned* counters, R* y, long long outer, long long size, long long length, long long parts) {
    for (long long r = blockIdx.x; r < outer * parts; r += gridDim.x) {
        long long row = r / parts, first = r % parts * length, end = first + length < size ? first + length : size;
        const T* from = x + row * size;
        W own = How::template start<W>();
#pragma unroll 4
        for (long long i = first + threadIdx.x; i < end; i += blockDim.x) own = How::of(own, (W)load(from[i]));
        own = of_block<How>(own);
        if (parts > 1) {
            if (threadIdx.x == 0) found[r] = own;
            if (!comes_last(counters + row, (unsigned)parts)) continue;
            own = How::template start<W>();
            for (long long p = threadIdx.x; p < parts; p += blockDim.x) own = How::of(own, found[row * parts + p]);
            own = of_block<How>(own);
        }
        if (threadIdx.x == 0) put(y[row], own);
    }
}

// What the 8 warps of a block have found of 32 neighbours, taken together; the first warp gets the result.
template <class How, class W> __device__ __forceinline__ W of_column(W own, W* of_warps) {
    __syncthreads();  // an earlier result may still be read
    of_warps[threadIdx.x] = own;
    __syncthreads();
    if (threadIdx.x < 32)
        for (int w = 1; w < 8; ++w) own = How::of(own, of_warps[32 * w + threadIdx.x]);
    return own;
}

// A block has 32 neighbours and a part of the axis: 8 warps take turns. found: (outer, parts, inner)
template <class How, class T, class R, class W>
__device__ void reduce_columns(const T* x, W* found, unsigned* counters, R* y, long long outer, long long size, long long inner, long long length,
                               long long parts) {
    __shared__ W of_warps[256];
    long long tiles = (inner + 31) / 32, all = outer * parts * tiles;
    for (long long b = blockIdx.x; b < all; b += gridDim.x) {
        long long tile = b % tiles, column = tile * 32 + threadIdx.x % 32, row = b / tiles / parts, part = b / tiles % parts;
        long long first = part * length, end = first + length < size ? first + length : size;
        bool is_inside = column < inner;
        W own = How::template start<W>();
        if (is_inside) {
            const T* from = x + row * size * inner + column;
#pragma unroll 4
            for (long long k = first + threadIdx.x / 32; k < end; k += 8) own = How::of(own, (W)load(from[k * inner]));
        }
        own = of_column<How>(own, of_warps);
        if (parts > 1) {
            W* of_parts = found + row * parts * inner + column;
            if (threadIdx.x < 32 && is_inside) of_parts[part * inner] = own;
            if (!comes_last(counters + row * tiles + tile, (unsigned)parts)) continue;
            own = How::template start<W>();
            if (is_inside)
                for (long long p = threadIdx.x / 32; p < parts; p += 8) own = How::of(own, of_parts[p * inner]);
            own = of_column<How>(own, of_warps);
        }
        if (threadIdx.x < 32 && is_inside) put(y[row * inner + column], own);
    }
}

// Running sums (or products) of parts of rows or columns; `found` has what each part comes to, by the launch before, where there are several.

// Of the values of all threads so far, in their order; `all` becomes that of all 256.
template <class How, class W> __device__ W running(W value, W& all) {
    __shared__ W of_warps[8];
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int by = 1; by < 32; by *= 2) {
        W before = __shfl_up_sync(~0u, value, by);
        if (lane >= by) value = How::of(before, value);
    }
    __syncthreads();  // an earlier result may still be read
    if (lane == 31) of_warps[warp] = value;
    __syncthreads();
    W before = How::template start<W>();
    all = before;
    for (unsigned w = 0; w < 8; ++w) {
        if (w == warp) before = all;
        all = How::of(all, of_warps[w]);
    }
    return How::of(before, value);
}

template <class How, class T, class W>
__device__ void parts_of_rows(const T* x, W* found, long long outer, long long size, long long length, long long parts) {
    for (long long r = blockIdx.x; r < outer * parts; r += gridDim.x) {
        long long first = r % parts * length, end = first + length < size ? first + length : size;
        const T* from = x + r / parts * size;
        W own = How::template start<W>();
        for (long long i = first + threadIdx.x; i < end; i += 256) own = How::of(own, (W)load(from[i]));
        own = of_block<How>(own);
        if (threadIdx.x == 0) found[r] = own;
    }
}

template <class How, class T, class R, class W>
__device__ void scan_rows(const T* x, const W* found, R* y, long long outer, long long size, long long length, long long parts) {
    for (long long r = blockIdx.x; r < outer * parts; r += gridDim.x) {
        long long row = r / parts, part = r % parts, first = part * length, end = first + length < size ? first + length : size;
        W before = How::template start<W>();
        for (long long p = threadIdx.x; p < part; p += 256) before = How::of(before, found[row * parts + p]);
        before = of_block<How>(before);
        for (long long k = first; k < end; k += 256) {
            long long i = k + threadIdx.x;
            W all, value = running<How>(i < end ? (W)load(x[row * size + i]) : How::template start<W>(), all);
            if (i < end) put(y[row * size + i], How::of(before, value));
            before = How::of(before, all);
        }
    }
}

template <class How, class T, class W>
__device__ void parts_of_columns(const T* x, W* found, long long outer, long long size, long long inner, long long length, long long parts) {
    long long all = outer * parts * inner, step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < all; i += step) {
        long long row = i / inner / parts, part = i / inner % parts, first = part * length;
        long long end = first + length < size ? first + length : size;
        const T* from = x + row * size * inner + i % inner;
        W own = How::template start<W>();
#pragma unroll 4
        for (long long k = first; k < end; ++k) own = How::of(own, (W)load(from[k * inner]));
        found[i] = own;
    }
}

template <class How, class T, class R, class W>
__device__ void scan_columns(const T* x, const W* found, R* y, long long outer, long long size, long long inner, long long length, long long parts) {
    long long all = outer * parts * inner, step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < all; i += step) {
        long long row = i / inner / parts, part = i / inner % parts, column = i % inner, first = part * length;
        long long end = first + length < size ? first + length : size;
        W own = How::template start<W>();
        for (long long p = 0; p < part; ++p) own = How::of(own, found[(row * parts + p) * inner + column]);
        long long at = row * size * inner + column;
#pragma unroll 4
        for (long long k = first; k < end; ++k) put(y[at + k * inner], own = How::of(own, (W)load(x[at + k * inner])));
    }
}

// Where the largest (or smallest) element is, the first of equal ones; NaN is before all others.
template <bool LARGEST, class W> __device__ __forceinline__ bool comes_first(W a, long long i, W b, long long j) {
    if (is_nan(a) || is_nan(b)) return is_nan(a) && (!is_nan(b) || i < j);
    return a == b ? i < j : LARGEST ? a > b : a < b;
}

template <bool LARGEST, class T, class W> __device__ void place_in_rows(const T* x, int* y, long long outer, long long size) {
    __shared__ W values[256];
    __shared__ long long places[256];
    for (long long r = blockIdx.x; r < outer; r += gridDim.x) {
        long long at = threadIdx.x < size ? threadIdx.x : size - 1;
        W best = load(x[r * size + at]);
        for (long long i = threadIdx.x + blockDim.x; i < size; i += blockDim.x) {
            W v = load(x[r * size + i]);
            if (comes_first<LARGEST>(v, i, best, at)) best = v, at = i;
        }
        __syncthreads();
        values[threadIdx.x] = best, places[threadIdx.x] = at;
        __syncthreads();
        for (unsigned by = 128; by; by /= 2) {
            if (threadIdx.x < by && threadIdx.x + by < blockDim.x) {
                W other = values[threadIdx.x + by];
                long long j = places[threadIdx.x + by];
                if (comes_first<LARGEST>(other, j, values[threadIdx.x], places[threadIdx.x])) values[threadIdx.x] = other, places[threadIdx.x] = j;
            }
            __syncthreads();
        }
        if (threadIdx.x == 0) y[r] = (int)places[0];
    }
}

template <bool LARGEST, class T, class W> __device__ void place_of_each(const T* x, int* y, long long outer, long long size, long long inner) {
    long long all = outer * inner, step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < all; i += step) {
        const T* from = x + i / inner * size * inner + i % inner;
        long long at = 0;
        W best = load(from[0]);
        for (long long k = 1; k < size; ++k) {
            W v = load(from[k * inner]);
            if (comes_first<LARGEST>(v, k, best, at)) best = v, at = k;
        }
        y[i] = (int)at;
    }
}

// Elements taken by indices, and rows added to others by indices. `fine` becomes false where an index is out of range. Stands on units.cu.

// An index, which is to be from 0 to below n.
template <class I> __device__ __forceinline__ long long place_of(I index, long long n, bool* fine) {
    long long i = (long long)index;  // below 0 too where an unsigned one is above all others
    if (i >= 0 && i < n) return i;
    *fine = false;
    return 0;
}

// y[a, j, b] = x[a, index[j], b] for `outer` a, `count` j and `inner` b; N is the type that numbers elements.
template <class U, class I, class N>
__device__ void take(const U* x, const I* index, U* y, bool* fine, long long outer, long long n, long long count, long long inner) {
    N all = (N)(outer * count * inner), step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < all; i += step) {
        N row = i / (N)inner, a = row / (N)count;
        long long from = place_of(index[row - a * (N)count], n, fine);
        y[i] = x[((long long)a * n + from) * inner + (i - row * (N)inner)];
    }
}

// y[a, j, b] = x[a, index[a, j, b], b]
template <class U, class I, class N>
__device__ void take_along_axis(const U* x, const I* index, U* y, bool* fine, long long outer, long long n, long long count, long long inner) {
    N all = (N)(outer * count * inner), step = (N)gridDim.x * blockDim.x;
    for (N i = blockIdx.x * (N)blockDim.x + threadIdx.x; i < all; i += step) {
        N row = i / (N)inner, a = row / (N)count;
        y[i] = x[((long long)a * n + place_of(index[i], n, fine)) * inner + (i - row * (N)inner)];
    }
}

// The number of the row at coordinates in axes of sizes n0, n1 …; -1 for none.
template <class I>
__device__ void rows_at(const I* index, long long* row, bool* fine0, bool* fine1, bool* fine2, bool* fine3, long long count, int axes,
                        long long n0, long long n1, long long n2, long long n3) {
    const long long sizes[4] = {n0, n1, n2, n3};
    bool* fine[4] = {fine0, fine1, fine2, fine3};
    long long step = (long long)gridDim.x * blockDim.x;
    for (long long j = blockIdx.x * (long long)blockDim.x + threadIdx.x; j < count; j += step) {
        long long found = 0;
#pragma unroll
        for (int a = 0; a < 4; ++a)
            if (a < axes) {
                long long i = (long long)index[j * axes + a];
                bool is_in = i >= 0 && i < sizes[a];
                if (!is_in) *fine[a] = false;
                found = is_in && found >= 0 ? found * sizes[a] + i : -1;
            }
        row[j] = found;
    }
}

// How updates are combined with a row: what a share of them begins with where the row has `before`, and what comes of two.
struct Added {
    template <class W> static __device__ __forceinline__ W start(W) { return W(0); }
    template <class W> static __device__ __forceinline__ W of(W a, W b) { return a + b; }
};
struct Multiplied {
    template <class W> static __device__ __forceinline__ W start(W) { return W(1); }
    template <class W> static __device__ __forceinline__ W of(W a, W b) { return a * b; }
};
struct LargerOf {
    template <class W> static __device__ __forceinline__ W start(W before) { return before; }
    template <class W> static __device__ __forceinline__ W of(W a, W b) { return larger(a, b); }
};
struct SmallerOf {
    template <class W> static __device__ __forceinline__ W start(W before) { return before; }
    template <class W> static __device__ __forceinline__ W of(W a, W b) { return smaller(a, b); }
};

// Take up the updates of one row among those kept from `e` to before `end`: the columns c, c + 32 … of eight.
template <class How, class T, class W>
__device__ __forceinline__ void take_up(const unsigned* kept, unsigned e, unsigned end, unsigned row, const T* updates, long long width, long long c, W* found) {
#pragma unroll 2
    for (; e < end; ++e) {
        if ((kept[e] & 7u) != row) continue;
        const T* update = updates + (long long)(kept[e] >> 3) * width;
#pragma unroll
        for (int k = 0; k < 8; ++k)
            if (c + 32 * k < width) found[k] = How::of(found[k], (W)load(update[c + 32 * k]));
    }
}

// y[r] = start[r] and the updates whose index is r, one after the other; without `start` they are added to 0.
//
// A warp has a row, a block eight. It looks through all indices for those of its rows, and keeps them in their order; the warps then go
// through what was kept. A row that has very many (that of a padding token, say) all warps share: each has a part of what was kept, and
// these are taken together in turn. So nothing is sorted, nothing is written at once by two, and two runs give the same bits.
template <class How, class T, class W, class I>
__device__ void combine_rows(const T* start, const I* index, const T* updates, T* y, bool* fine, long long size, long long count, long long width) {
    const int most = 4096, at_once = 1024;
    const unsigned many = 64;        // updates of a row that all warps share
    __shared__ unsigned kept[most];  // 8 times the number of an update, and which row
    __shared__ unsigned of_warps[8], of_rows[8];
    __shared__ W shared[8 * 256];
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    long long first = blockIdx.x * 8ll, own = first + warp;
    unsigned n = 0;
    bool is_first = true;
    for (long long from = 0; from < count; from += at_once) {
        unsigned hits[4], before = 0;
        int places[4];
        for (int k = 0; k < 4; ++k) {
            long long j = from + warp * 128 + k * 32 + lane, r = j < count ? (long long)index[j] : first;
            if (fine && blockIdx.x == 0 && (r < 0 || r >= size)) *fine = false;
            places[k] = j < count && r >= first && r < first + 8 && r < size ? (int)(r - first) : -1;
            hits[k] = __ballot_sync(~0u, places[k] >= 0);
            before += bits_in(hits[k]);
        }
        if (lane == 0) of_warps[warp] = before;
        __syncthreads();
        unsigned at = n;
        for (unsigned w = 0; w < 8; ++w) {
            if (w < warp) at += of_warps[w];
            n += of_warps[w];
        }
        for (int k = 0; k < 4; ++k) {
            if (places[k] >= 0)
                kept[at + bits_in(hits[k] & (1u << lane) - 1)] = (unsigned)(from + warp * 128 + k * 32 + lane) << 3 | (unsigned)places[k];
            at += bits_in(hits[k]);
        }
        __syncthreads();
        bool is_last = from + at_once >= count;
        if (!is_last && n + at_once <= most) continue;
        unsigned own_count = 0;
        for (unsigned e = 0; e < n; e += 32) own_count += bits_in(__ballot_sync(~0u, e + lane < n && (kept[e + lane] & 7u) == warp));
        if (lane == 0) of_rows[warp] = own_count;
        __syncthreads();
        for (long long c0 = 0; own < size && own_count <= many && c0 < width; c0 += 256) {
            W found[8];
#pragma unroll
            for (int k = 0; k < 8; ++k) {
                long long c = c0 + 32 * k + lane, i = own * width + c;
                found[k] = c >= width ? W(0) : !is_first ? (W)load(y[i]) : start ? (W)load(start[i]) : W(0);
            }
            take_up<How, T, W>(kept, 0, n, warp, updates, width, c0 + lane, found);
#pragma unroll
            for (int k = 0; k < 8; ++k) {
                long long c = c0 + 32 * k + lane;
                if (c < width) store(y[own * width + c], found[k]);
            }
        }
        for (unsigned q = 0; q < 8; ++q) {
            if (of_rows[q] <= many || first + q >= size) continue;
            for (long long c0 = 0; c0 < width; c0 += 256) {
                const T* before = !is_first ? y : start;
                W found[8];
#pragma unroll
                for (int k = 0; k < 8; ++k) {
                    long long c = c0 + 32 * k + lane;
                    found[k] = How::start(c < width && before ? (W)load(before[(first + q) * width + c]) : W(0));
                }
                take_up<How, T, W>(kept, n * warp / 8, n * (warp + 1) / 8, q, updates, width, c0 + lane, found);
#pragma unroll
                for (int k = 0; k < 8; ++k) shared[256 * warp + 32 * k + lane] = found[k];
                __syncthreads();
                long long c = c0 + threadIdx.x, i = (first + q) * width + c;
                if (c < width) {
                    W sum = !is_first ? (W)load(y[i]) : start ? (W)load(start[i]) : W(0);
                    for (int w = 0; w < 8; ++w) sum = How::of(sum, shared[256 * w + threadIdx.x]);
                    store(y[i], sum);
                }
                __syncthreads();
            }
        }
        __syncthreads();
        n = 0, is_first = false;
    }
}

// y[r] = the last of the updates whose index is r, else start[r], in units of memory. A block looks through all indices for those of its
// eight rows; a warp then copies one.
template <class U, class I>
__device__ void set_rows(const U* start, const I* index, const U* updates, U* y, long long size, long long count, long long width) {
    __shared__ long long of_threads[8][32];
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    long long first = blockIdx.x * 8ll, own = first + warp, last[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    for (long long j = threadIdx.x; j < count; j += blockDim.x) {
        long long r = (long long)index[j] - first;
#pragma unroll
        for (int k = 0; k < 8; ++k)
            if (r == k) last[k] = j;
    }
#pragma unroll
    for (int k = 0; k < 8; ++k) {
        long long found = last[k];
        for (int by = 16; by; by /= 2) {
            long long other = __shfl_xor_sync(~0u, found, by);
            if (other > found) found = other;
        }
        if (lane == 0) of_threads[k][warp] = found;
    }
    __syncthreads();
    if (own >= size) return;
    long long found = -1;
    for (int w = 0; w < 8; ++w)
        if (of_threads[warp][w] > found) found = of_threads[warp][w];
    const U* from = found < 0 ? start + own * width : updates + found * width;
    for (long long c = lane; c < width; c += 32) y[own * width + c] = from[c];
}

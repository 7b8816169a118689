// Batch normalization and its gradient. Stands on block.cu, rows.cu and column_sums.cu.

// found: for each part a row of means and one of sums of squares; factor: what the distance to the mean is multiplied by
template <class T, class W>
__device__ void moments(const T* x, W* found, unsigned* counters, const W* scale, W* mean, W* variance, W* factor, long long rows,
                        long long columns, long long length, W epsilon) {
    Tile at(rows, columns, length);
    bool is_inside = at.column < columns;
    Moments<W> own = {W(0), W(0), W(0)};
    long long first = at.first + threadIdx.x / 32;
    if (is_inside && first < at.end) {
        W shift = load(x[first * columns + at.column]), sum = 0, squares = 0;  // about a value of the column, little is lost
#pragma unroll 4
        for (long long r = first; r < at.end; r += 8) {
            W v = (W)load(x[r * columns + at.column]) - shift;
            sum += v, squares += v * v;
        }
        own.count = W((at.end - first + 7) / 8);
        W middle = sum / own.count;
        own.mean = shift + middle, own.squares = larger(squares - sum * middle, W(0));
    }
    own = of_warps(own);
    if (threadIdx.x < 32 && is_inside) {
        found[2 * at.part * columns + at.column] = own.mean;
        found[(2 * at.part + 1) * columns + at.column] = own.squares;
    }
    if (!comes_last(counters + at.tile, at.parts)) return;
    own = {W(0), W(0), W(0)};
    if (is_inside)
        for (long long p = threadIdx.x / 32; p < at.parts; p += 8) {
            W count = W(p == at.parts - 1 ? rows - p * length : length);
            own.merge(Moments<W>{count, found[2 * p * columns + at.column], found[(2 * p + 1) * columns + at.column]});
        }
    own = of_warps(own);
    if (threadIdx.x >= 32 || !is_inside) return;
    W spread = own.squares / W(rows), inverse = W(1) / square_root(spread + epsilon);
    mean[at.column] = own.mean, variance[at.column] = spread;
    factor[at.column] = scale ? inverse * scale[at.column] : inverse;
}

// Elements i ... i + 7 of n.
template <class T, class W> __device__ __forceinline__ void get(const T* x, long long i, long long n, bool wide, W* v) {
    if (wide && i + 8 <= n) return load_eight(x + i, v);
    for (int k = 0; k < 8; ++k) v[k] = i + k < n ? (W)load(x[i + k]) : W(0);
}
template <class T, class W> __device__ __forceinline__ void put(T* y, long long i, long long n, bool wide, const W* v) {
    if (wide && i + 8 <= n) return store_eight(y + i, v);
    for (int k = 0; k < 8; ++k)
        if (i + k < n) store(y[i + k], v[k]);
}

// Of a vector over the columns what eight elements from the i-th on of a matrix need.
template <class W> __device__ __forceinline__ void of_columns(const W* vector, long long i, long long columns, W* v) {
    long long c = i % columns;
#pragma unroll
    for (int k = 0; k < 8; ++k) {
        v[k] = vector ? vector[c] : W(0);
        if (++c == columns) c = 0;
    }
}

// A thread that takes eight elements more than once takes those of the same columns: all blocks together have whole rows.
//
// other: what is added before relu, or null. mask: where a result is above 0, eight in a byte; without one negative results stay.
template <class T, class W>
__device__ void batch_norm(const T* x, const W* mean, const W* factor, const W* offset, const T* other, T* y, unsigned char* mask, long long n,
                           long long columns, bool wide) {
    long long i = 8 * (blockIdx.x * (long long)blockDim.x + threadIdx.x), step = 8ll * gridDim.x * blockDim.x;
    W center[8], by[8], plus[8];
    of_columns(mean, i, columns, center), of_columns(factor, i, columns, by), of_columns(offset, i, columns, plus);
    for (; i < n; i += step) {
        W v[8];
        get(x, i, n, wide, v);
        for (int k = 0; k < 8; ++k) v[k] = (v[k] - center[k]) * by[k] + plus[k];
        if (other) {
            W more[8];
            get(other, i, n, wide, more);
            for (int k = 0; k < 8; ++k) {  // rounded as where it is a call of its own: a sum that is 0 there is 0 here
                T rounded;
                store(rounded, v[k]);
                v[k] = (W)load(rounded) + more[k];
            }
        }
        unsigned bits = 0;
        for (int k = 0; k < 8; ++k) {
            bits |= (i + k < n && v[k] > W(0) ? 1u : 0u) << k;
            if (mask) v[k] = larger(v[k], W(0));
        }
        put(y, i, n, wide, v);
        if (mask) mask[i / 8] = (unsigned char)bits;
    }
}

// factors: for each column, what g is multiplied by, what x is, and what is taken off both
template <class T, class W>
__device__ void batch_norm_sums(const T* g, const T* x, const W* mean, const W* variance, const unsigned char* mask, W* found,
                                unsigned* counters, const W* scale, W* d_scale, W* d_offset, W* factors, long long rows, long long columns,
                                long long length, W epsilon) {
    Tile at(rows, columns, length);
    Sums<W> own;
    W center = 0, inverse = 0;
    if (at.column < columns) center = mean[at.column], inverse = W(1) / square_root(variance[at.column] + epsilon);
    auto of = [=](long long, W& own_center, W& own_inverse) { own_center = center, own_inverse = inverse; };
    if (!gradient_sums(at, g, x, mask, found, counters, columns, own, of)) return;
    long long column = at.column;
    d_scale[column] = own.of_products, d_offset[column] = own.plain;
    W factor = scale ? inverse * scale[column] : inverse, of_x = factor * inverse * own.of_products / W(rows);
    factors[column] = factor;
    factors[columns + column] = of_x;
    factors[2 * columns + column] = factor * own.plain / W(rows) - center * of_x;
}

// passed: g where the mask is set, for what was added before relu, or null.
template <class T, class W>
__device__ void batch_norm_gradient(const T* g, const T* x, const W* factors, const unsigned char* mask, T* dx, T* passed, long long n,
                                    long long columns, bool wide) {
    long long i = 8 * (blockIdx.x * (long long)blockDim.x + threadIdx.x), step = 8ll * gridDim.x * blockDim.x;
    W by[8], of_x[8], off[8];
    of_columns(factors, i, columns, by), of_columns(factors + columns, i, columns, of_x), of_columns(factors + 2 * columns, i, columns, off);
    for (; i < n; i += step) {
        W slope[8], v[8];
        get(g, i, n, wide, slope);
        get(x, i, n, wide, v);
        unsigned bits = mask ? mask[i / 8] : 255u;
        for (int k = 0; k < 8; ++k) slope[k] = bits >> k & 1 ? slope[k] : W(0);
        if (passed) put(passed, i, n, wide, slope);
        for (int k = 0; k < 8; ++k) v[k] = slope[k] * by[k] - v[k] * of_x[k] - off[k];
        put(dx, i, n, wide, v);
    }
}

// Batch, layer and root mean square normalization and their gradients. Stands on block.cu.
//
// Sums of columns are taken in two stages, each in a fixed order, by one launch. In the first a block has 32 columns and one part of the
// rows: a warp reads 32 neighbours, the 8 warps take turns. The block that comes last has the second: 32 columns of what all parts have found.

// Count, mean and sum of squares about the mean: Chan, Golub and LeVeque, "Updating formulae", 1979.
template <class W> struct Moments {
    W count, mean, squares;
    __device__ __forceinline__ void merge(const Moments& other) {
        if (other.count == W(0)) return;
        W all = count + other.count, by = other.mean - mean, weight = other.count / all;
        mean += by * weight;
        squares += other.squares + by * by * count * weight;
        count = all;
    }
};
template <class W> struct Sums {
    W plain, of_products;
    __device__ __forceinline__ void merge(const Sums& other) { plain += other.plain, of_products += other.of_products; }
};

// What the warps of a block have found of 32 columns, taken together; the first warp gets the result.
template <class A> __device__ A of_warps(A own) {
    __shared__ A all[256];
    all[threadIdx.x] = own;
    __syncthreads();
    if (threadIdx.x < 32)
        for (int k = 1; k < 8; ++k) own.merge(all[32 * k + threadIdx.x]);
    return own;
}

// Where a block works: its column and its part of the rows, of `length` rows each.
struct Tile {
    long long column, part, first, end;
    unsigned tile, parts;
    __device__ __forceinline__ Tile(long long rows, long long columns, long long length) {
        unsigned tiles = (unsigned)((columns + 31) / 32);
        tile = blockIdx.x % tiles, parts = (unsigned)((rows + length - 1) / length);
        column = tile * 32ll + threadIdx.x % 32, part = blockIdx.x / tiles;
        first = part * length, end = first + length < rows ? first + length : rows;
    }
};

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

// Elements 8 k … 8 k + 7 of n, at once where memory begins at a multiple of 16 bytes.
template <class T, class W> __device__ __forceinline__ void load_eight(const T* x, long long i, long long n, bool wide, W* to) {
    if (wide && i + 8 <= n) {
        Four<T> low = *(const Four<T>*)(x + i), high = *(const Four<T>*)(x + i + 4);
        for (int k = 0; k < 4; ++k) to[k] = load(low.v[k]), to[k + 4] = load(high.v[k]);
    } else
        for (int k = 0; k < 8; ++k) to[k] = i + k < n ? (W)load(x[i + k]) : W(0);
}
template <class T, class W> __device__ __forceinline__ void store_eight(T* y, long long i, long long n, bool wide, const W* from) {
    if (wide && i + 8 <= n) {
        Four<T> low, high;
        for (int k = 0; k < 4; ++k) store(low.v[k], from[k]), store(high.v[k], from[k + 4]);
        *(Four<T>*)(y + i) = low, *(Four<T>*)(y + i + 4) = high;
    } else
        for (int k = 0; k < 8; ++k)
            if (i + k < n) store(y[i + k], from[k]);
}

// other: what is added before relu, or null. mask: where a result is above 0, eight in a byte; without one negative results stay.
template <class T, class W>
__device__ void batch_norm(const T* x, const W* mean, const W* factor, const W* offset, const T* other, T* y, unsigned char* mask, long long n,
                           long long columns, bool wide) {
    long long step = 8ll * gridDim.x * blockDim.x;
    for (long long i = 8 * (blockIdx.x * (long long)blockDim.x + threadIdx.x); i < n; i += step) {
        W v[8];
        load_eight(x, i, n, wide, v);
        long long c = i % columns;
        unsigned bits = 0;
        for (int k = 0; k < 8; ++k) {
            v[k] = (v[k] - mean[c]) * factor[c] + (offset ? offset[c] : W(0));
            if (++c == columns) c = 0;
        }
        if (other) {
            W more[8];
            load_eight(other, i, n, wide, more);
            for (int k = 0; k < 8; ++k) {  // rounded as where it is a call of its own: a sum that is 0 there is 0 here
                T rounded;
                store(rounded, v[k]);
                v[k] = (W)load(rounded) + more[k];
            }
        }
        for (int k = 0; k < 8; ++k) {
            bits |= (i + k < n && v[k] > W(0) ? 1u : 0u) << k;
            if (mask) v[k] = larger(v[k], W(0));
        }
        store_eight(y, i, n, wide, v);
        if (mask) mask[i / 8] = (unsigned char)bits;
    }
}

// Sums of g and of g times the normalized x, of the block's columns. mean, variance: of each row or of each column; mask: which g count.
// True for the threads that have the sums of a column.
template <bool OF_ROWS, class T, class W>
__device__ __forceinline__ bool gradient_sums(const Tile& at, const T* g, const T* x, const W* mean, const W* variance, const unsigned char* mask,
                                              W* found, unsigned* counters, long long columns, W epsilon, Sums<W>& own) {
    bool is_inside = at.column < columns;
    own = {W(0), W(0)};
    if (is_inside) {
        W center = OF_ROWS ? W(0) : mean[at.column];
        W inverse = OF_ROWS ? W(0) : W(1) / square_root(variance[at.column] + epsilon);
#pragma unroll 4
        for (long long r = at.first + threadIdx.x / 32; r < at.end; r += 8) {
            long long i = r * columns + at.column;
            W slope = load(g[i]), v = load(x[i]);
            if (mask && !(mask[i / 8] >> i % 8 & 1)) slope = 0;
            if (OF_ROWS) center = mean ? mean[r] : W(0), inverse = W(1) / square_root(variance[r] + epsilon);
            own.plain += slope, own.of_products += slope * ((v - center) * inverse);
        }
    }
    own = of_warps(own);
    if (threadIdx.x < 32 && is_inside) {
        found[2 * at.part * columns + at.column] = own.plain;
        found[(2 * at.part + 1) * columns + at.column] = own.of_products;
    }
    if (!comes_last(counters + at.tile, at.parts)) return false;
    own = {W(0), W(0)};
    if (is_inside)
        for (long long p = threadIdx.x / 32; p < at.parts; p += 8)
            own.merge(Sums<W>{found[2 * p * columns + at.column], found[(2 * p + 1) * columns + at.column]});
    own = of_warps(own);
    return threadIdx.x < 32 && is_inside;
}

// mean, d_offset: null for root mean square normalization.
template <class T, class W>
__device__ void layer_norm_sums(const T* g, const T* x, const W* mean, const W* variance, W* found, unsigned* counters, W* d_scale, W* d_offset,
                                long long rows, long long columns, long long length, W epsilon) {
    Tile at(rows, columns, length);
    Sums<W> own;
    if (gradient_sums<true>(at, g, x, mean, variance, nullptr, found, counters, columns, epsilon, own)) {
        d_scale[at.column] = own.of_products;
        if (d_offset) d_offset[at.column] = own.plain;
    }
}

// factors: for each column, what g is multiplied by, what the distance to the mean is, and what is taken off
template <class T, class W>
__device__ void batch_norm_sums(const T* g, const T* x, const W* mean, const W* variance, const unsigned char* mask, W* found,
                                unsigned* counters, const W* scale, W* d_scale, W* d_offset, W* factors, long long rows, long long columns,
                                long long length, W epsilon) {
    Tile at(rows, columns, length);
    Sums<W> own;
    if (!gradient_sums<false>(at, g, x, mean, variance, mask, found, counters, columns, epsilon, own)) return;
    long long column = at.column;
    d_scale[column] = own.of_products, d_offset[column] = own.plain;
    W inverse = W(1) / square_root(variance[column] + epsilon), factor = scale ? inverse * scale[column] : inverse;
    factors[column] = factor;
    factors[columns + column] = factor * inverse * own.of_products / W(rows);
    factors[2 * columns + column] = factor * own.plain / W(rows);
}

// passed: g where the mask is set, for what was added before relu, or null.
template <class T, class W>
__device__ void batch_norm_gradient(const T* g, const T* x, const W* mean, const W* factors, const unsigned char* mask, T* dx, T* passed,
                                    long long n, long long columns, bool wide) {
    long long step = 8ll * gridDim.x * blockDim.x;
    for (long long i = 8 * (blockIdx.x * (long long)blockDim.x + threadIdx.x); i < n; i += step) {
        W slope[8], v[8];
        load_eight(g, i, n, wide, slope);
        load_eight(x, i, n, wide, v);
        unsigned bits = mask ? mask[i / 8] : 255u;
        for (int k = 0; k < 8; ++k) slope[k] = bits >> k & 1 ? slope[k] : W(0);
        if (passed) store_eight(passed, i, n, wide, slope);
        long long c = i % columns;
        for (int k = 0; k < 8; ++k) {
            v[k] = slope[k] * factors[c] - (v[k] - mean[c]) * factors[columns + c] - factors[2 * columns + c];
            if (++c == columns) c = 0;
        }
        store_eight(dx, i, n, wide, v);
    }
}

// A block a row. Without its mean and the distance to it, where CENTERED is false: root mean square normalization.
template <class T, class W, bool CENTERED>
__device__ void layer_norm(const T* x, const W* scale, const W* offset, T* y, W* mean, W* variance, long long rows, long long size, W epsilon) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        const T* row = x + r * size;
        W sum = 0, squares = 0, center = 0;
        if (CENTERED) {
            for (long long i = threadIdx.x; i < size; i += blockDim.x) sum += (W)load(row[i]);
            center = of_block<Sum>(sum) / W(size);
        }
        for (long long i = threadIdx.x; i < size; i += blockDim.x) {
            W v = (W)load(row[i]) - center;
            squares += v * v;
        }
        W spread = of_block<Sum>(squares) / W(size), inverse = W(1) / square_root(spread + epsilon);
        for (long long i = threadIdx.x; i < size; i += blockDim.x) {
            W v = ((W)load(row[i]) - center) * inverse;
            if (scale) v *= scale[i];
            if (offset) v += offset[i];
            store(y[r * size + i], v);
        }
        if (threadIdx.x == 0) {
            if (CENTERED) mean[r] = center;
            variance[r] = spread;
        }
    }
}

template <class T, class W, bool CENTERED>
__device__ void layer_norm_gradient(const T* g, const T* x, const W* scale, const W* mean, const W* variance, T* dx, long long rows,
                                    long long size, W epsilon) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        const T *slopes = g + r * size, *row = x + r * size;
        W center = CENTERED ? mean[r] : W(0), inverse = W(1) / square_root(variance[r] + epsilon), sum = 0, product = 0;
        for (long long i = threadIdx.x; i < size; i += blockDim.x) {
            W h = load(slopes[i]);
            if (scale) h *= scale[i];
            if (CENTERED) sum += h;
            product += h * (((W)load(row[i]) - center) * inverse);
        }
        if (CENTERED) sum = of_block<Sum>(sum) / W(size);
        product = of_block<Sum>(product) / W(size);
        for (long long i = threadIdx.x; i < size; i += blockDim.x) {
            W h = load(slopes[i]);
            if (scale) h *= scale[i];
            store(dx[r * size + i], (h - sum - ((W)load(row[i]) - center) * inverse * product) * inverse);
        }
    }
}

// Sums over the rows of a matrix, for each of its columns: in two stages, each in a fixed order, by one launch. Stands on block.cu.
//
// In the first stage a block has 32 columns and one part of the rows: a warp reads 32 neighbours, the 8 warps take turns. The block that
// comes last has the second: 32 columns of what all parts have found.

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

// Sums of g and of g times the normalized x, of the block's columns. mask: which g count; of(row, center, inverse) says what x is normalized
// by. True for the threads that have the sums of a column.
template <class T, class W, class Of>
__device__ __forceinline__ bool gradient_sums(const Tile& at, const T* g, const T* x, const unsigned char* mask, W* found, unsigned* counters,
                                              long long columns, Sums<W>& own, Of of) {
    bool is_inside = at.column < columns;
    own = {W(0), W(0)};
    if (is_inside) {
#pragma unroll 4
        for (long long r = at.first + threadIdx.x / 32; r < at.end; r += 8) {
            long long i = r * columns + at.column;
            W slope = load(g[i]), v = load(x[i]), center, inverse;
            if (mask && !(mask[i / 8] >> i % 8 & 1)) slope = 0;
            of(r, center, inverse);
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

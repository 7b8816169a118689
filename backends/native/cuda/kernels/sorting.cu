// Orders along the middle axis of (outer, size, inner), stable, NaN behind (or, descending, before) all others: places of 1024 elements are
// ordered by a block, then pairs of runs are merged, until a row is one run. K. E. Batcher, "Sorting networks and their applications",
// AFIPS Spring Joint Computing Conference 32 (1968).
//
// Elements are compared as unsigned numbers in the same order; equal ones by where they were. Of runs no more than `kept` elements are
// needed, so the k largest of many take little more than the first pass.

__device__ __forceinline__ unsigned ordered(float x) {
    if (is_nan(x)) return ~0u;
    unsigned u = bits_of(x == 0.0f ? 0.0f : x);
    return u >> 31 ? ~u : u | 0x80000000u;
}
__device__ __forceinline__ unsigned long long ordered(double x) {
    if (is_nan(x)) return ~0ull;
    unsigned long long u = bits_of(x == 0.0 ? 0.0 : x);
    return u >> 63 ? ~u : u | 0x8000000000000000ull;
}
__device__ __forceinline__ unsigned ordered(bool x) { return x; }
__device__ __forceinline__ unsigned ordered(int x) { return (unsigned)x ^ 0x80000000u; }
__device__ __forceinline__ unsigned ordered(signed char x) { return ordered((int)x); }
__device__ __forceinline__ unsigned ordered(short x) { return ordered((int)x); }
__device__ __forceinline__ unsigned ordered(unsigned x) { return x; }
__device__ __forceinline__ unsigned ordered(unsigned char x) { return x; }
__device__ __forceinline__ unsigned ordered(unsigned short x) { return x; }
__device__ __forceinline__ unsigned long long ordered(long long x) { return (unsigned long long)x ^ 0x8000000000000000ull; }
__device__ __forceinline__ unsigned long long ordered(unsigned long long x) { return x; }

// Complex numbers: by their real parts, then by the others; those with a NaN behind, first those whose real part is a number. That takes what
// is above infinity in the upper half of a key.
struct alignas(8) complex_of_floats { float real, imaginary; };
struct alignas(16) complex_of_doubles { double real, imaginary; };
struct alignas(16) wide_key {
    unsigned long long high, low;
    wide_key() = default;
    __device__ __forceinline__ explicit wide_key(int n) : high(0), low(n) {}
    __device__ __forceinline__ wide_key(unsigned long long high, unsigned long long low) : high(high), low(low) {}
    __device__ __forceinline__ wide_key operator~() const { return {~high, ~low}; }
    __device__ __forceinline__ bool operator==(const wide_key& b) const { return high == b.high && low == b.low; }
    __device__ __forceinline__ bool operator<(const wide_key& b) const { return high < b.high || (high == b.high && low < b.low); }
};
template <class U, class C> __device__ __forceinline__ void ordered_parts(C x, U& high, U& low) {
    bool a = is_nan(x.real), b = is_nan(x.imaginary);
    high = a ? ~U(b ? 0 : 1) : b ? ~U(2) : ordered(x.real);
    low = a && b ? U(0) : b ? ordered(x.real) : ordered(x.imaginary);
}
__device__ __forceinline__ unsigned long long ordered(complex_of_floats x) {
    unsigned high, low;
    ordered_parts(x, high, low);
    return (unsigned long long)high << 32 | low;
}
__device__ __forceinline__ wide_key ordered(complex_of_doubles x) {
    wide_key key;
    ordered_parts(x, key.high, key.low);
    return key;
}

// Where each value belongs in an ascending line: before equal elements or `after` them.
template <class T> __device__ void search_sorted(const T* line, const T* values, int* y, long long size, long long n, bool after) {
    long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += step) {
        auto key = ordered(load(values[i]));
        long long low = 0, high = size;
        while (low < high) {
            long long middle = (low + high) / 2;
            auto other = ordered(load(line[middle]));
            if (other < key || (after && other == key)) low = middle + 1;
            else high = middle;
        }
        y[i] = (int)low;
    }
}

// What is wanted of the element that comes as number `rank`: its value, or where it was. y: (outer, kept, inner)
template <bool VALUES, class T, class R>
__device__ __forceinline__ void put_ordered(const T* x, R* y, long long row, long long rank, int place, long long size, long long inner, long long kept) {
    long long a = row / inner, b = row - a * inner, to = (a * kept + rank) * inner + b;
    if constexpr (VALUES) y[to] = x[(a * size + place) * inner + b];
    else y[to] = place;
}

// Each row has `runs` runs of `width` elements, a power of two; a block orders 1024 / width of them at once. Rows of one run are done then.
// Of others keys and places are written, `kept` at most for each run.
template <bool DESCENDING, bool VALUES, class T, class K, class R>
__device__ void order_runs(const T* x, R* y, K* keys, int* places, long long rows, long long size, long long inner, long long kept, int width, long long runs) {
    __shared__ K key[1024];
    __shared__ int place[1024];
    int stored = kept < width ? (int)kept : width;
    long long all = rows * runs, at_once = 1024 / width;
    for (long long first = blockIdx.x * at_once; first < all; first += gridDim.x * at_once) {
        __syncthreads();  // those before may still be read
        for (int i = threadIdx.x; i < 1024; i += blockDim.x) {
            long long run = first + i / width, row = run / runs, at = (run - row * runs) * width + i % width, a = row / inner;
            bool is_there = run < all && at < size;
            K k = is_there ? ordered(load(x[(a * size + at) * inner + row - a * inner])) : ~K(0);
            key[i] = is_there && DESCENDING ? (K)~k : k;
            place[i] = is_there ? (int)at : 0x7fffffff;
        }
        for (int span = 2; span <= width; span *= 2)
            for (int by = span / 2; by; by /= 2) {
                __syncthreads();
                for (int j = threadIdx.x; j < 512; j += blockDim.x) {
                    int i = 2 * j - (j & by - 1), o = i + by;  // a pair; the bit `by` of i is 0
                    bool is_up = !(i % width & span), is_less = key[o] < key[i] || (key[o] == key[i] && place[o] < place[i]);
                    if (is_less != is_up) continue;
                    K k = key[i];
                    int p = place[i];
                    key[i] = key[o], place[i] = place[o], key[o] = k, place[o] = p;
                }
            }
        __syncthreads();
        for (int i = threadIdx.x; i < 1024; i += blockDim.x) {
            long long run = first + i / width, row = run / runs;
            int rank = i % width;
            if (run >= all || rank >= stored || place[i] == 0x7fffffff) continue;
            if (runs == 1) {
                put_ordered<VALUES>(x, y, row, rank, place[i], size, inner, kept);
            } else {
                keys[run * stored + rank] = key[i];
                places[run * stored + rank] = place[i];
            }
        }
    }
}

// Merge neighbouring runs of `span` elements, of which `kept` at most are there. Each element finds its place by how many of the other run
// come before it. The last pass writes what is wanted.
template <bool VALUES, class T, class K, class R>
__device__ void merge_runs(const T* x, R* y, const K* keys, const int* places, K* new_keys, int* new_places, long long rows, long long size,
                           long long inner, long long kept, long long span, long long runs) {
    long long stored = kept < span ? kept : span, wide = kept < 2 * span ? kept : 2 * span, merged = (runs + 1) / 2;
    long long all = rows * runs * stored, step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < all; i += step) {
        long long run = i / stored, rank = i - run * stored, row = run / runs, number = run - row * runs;
        long long left = size - number * span;  // elements from here on
        if (rank >= left) continue;
        bool is_second = number & 1;
        long long other = is_second ? number - 1 : number + 1, others = size - other * span;
        others = others < 0 ? 0 : others < stored ? others : stored;
        const K* from = keys + (row * runs + other) * stored;
        K key = keys[i];
        long long low = 0, high = others;  // how many of the other run come before
        while (low < high) {
            long long middle = (low + high) / 2;
            if (from[middle] < key || (is_second && from[middle] == key)) low = middle + 1;
            else high = middle;
        }
        rank += low;
        if (rank >= wide) continue;
        if (runs <= 2) {
            put_ordered<VALUES>(x, y, row, rank, places[i], size, inner, kept);
        } else {
            long long to = (row * merged + number / 2) * wide + rank;
            new_keys[to] = key;
            new_places[to] = places[i];
        }
    }
}

// Rows of a matrix, each the work of LANES threads: a power of two; up to 32 of them are part of a warp, more are a block. Stands on block.cu.
//
// A thread takes eight elements at a time: neighbours where memory allows to move them at once (`wide`), else LANES apart, so that
// neighbouring threads read neighbours. A row of up to 8 LANES elements is read once and stays in registers.

template <class T> struct alignas(16) Eight { T v[8]; };

template <class T, class W> __device__ __forceinline__ void load_eight(const T* x, W* to) {
    Eight<T> all = *(const Eight<T>*)x;
#pragma unroll
    for (int k = 0; k < 8; ++k) to[k] = load(all.v[k]);
}
template <class T, class W> __device__ __forceinline__ void store_eight(T* y, const W* from) {
    Eight<T> all;
#pragma unroll
    for (int k = 0; k < 8; ++k) store(all.v[k], from[k]);
    *(Eight<T>*)y = all;
}

// A value of each thread of a row, taken together; all of them get the result.
template <class How, unsigned LANES, class W> __device__ __forceinline__ W of_row(W value) {
    if (LANES > 32) return of_block<How>(value);
#pragma unroll
    for (unsigned by = LANES / 2; by; by /= 2) value = How::of(value, __shfl_xor_sync(~0u, value, by));
    return value;
}

// What a thread has of a row of `size` elements, which is 0 where there is no such row. With IN_RUNS they lie in runs of `run` neighbours,
// each `apart` behind the one before; a run is a number of eights where memory is wide.
template <unsigned LANES, bool IN_RUNS = false> struct Share {
    static constexpr unsigned step = 8 * LANES;
    unsigned size;
    bool wide;
    unsigned run, apart;

    __device__ __forceinline__ unsigned lane() const { return threadIdx.x % LANES; }
    // Whether its first eight elements are all that it has.
    __device__ __forceinline__ bool is_short() const { return size <= step; }
    // Whether it writes what there is one of for a row.
    __device__ __forceinline__ bool leads() const { return size && !lane(); }
    // The number within the row of the k-th of its eight elements from `at` on.
    __device__ __forceinline__ unsigned place(unsigned at, int k) const { return at + (wide ? 8 * lane() + k : k * LANES + lane()); }
    __device__ __forceinline__ unsigned column(unsigned i) const { return IN_RUNS ? i % run : i; }
    __device__ __forceinline__ long long offset(unsigned i) const { return IN_RUNS ? i / run * (long long)apart + i % run : i; }

    // Elements that are not there are `missing`.
    template <class T, class W> __device__ __forceinline__ void get(const T* row, unsigned at, W* v, W missing = W(0)) const {
        if (wide && place(at, 0) < size) {
            load_eight(row + offset(place(at, 0)), v);
            return;
        }
#pragma unroll
        for (int k = 0; k < 8; ++k) v[k] = place(at, k) < size ? (W)load(row[offset(place(at, k))]) : missing;
    }
    template <class T, class W> __device__ __forceinline__ void put(T* row, unsigned at, const W* v) const {
        if (wide && place(at, 0) < size) {
            store_eight(row + offset(place(at, 0)), v);
            return;
        }
#pragma unroll
        for (int k = 0; k < 8; ++k)
            if (place(at, k) < size) store(row[offset(place(at, k))], v[k]);
    }
    // The same of a vector that has an element for each column.
    template <class W> __device__ __forceinline__ void get_columns(const W* vector, unsigned at, W* v) const {
        if (wide && place(at, 0) < size) {
            load_eight(vector + column(place(at, 0)), v);
            return;
        }
#pragma unroll
        for (int k = 0; k < 8; ++k) v[k] = place(at, k) < size ? vector[column(place(at, k))] : W(0);
    }
};

// f(number of a row) for those that the thread has a share of. All threads of a block call it equally often, so numbers behind the last row
// occur.
template <unsigned LANES, class F> __device__ __forceinline__ void each_row(long long rows, F f) {
    unsigned together = blockDim.x / LANES;
    for (long long first = blockIdx.x * (long long)together; first < rows; first += gridDim.x * (long long)together)
        f(first + threadIdx.x / LANES);
}

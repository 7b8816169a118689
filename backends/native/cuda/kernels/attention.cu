// Attention between its products: where the matrices of samples and heads lie, probabilities of scores, gradients of scores. Stands on block.cu
// and rows.cu.

struct places {
    unsigned long long base[10];
    long long of_sample[10], of_head[10];
};

// table: for each of `count` tensors the addresses of the matrices of its samples and heads
__device__ void addresses(places at, unsigned long long* table, int count, long long samples, long long heads) {
    long long all = samples * heads, i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= all) return;
    for (int k = 0; k < count; ++k) table[k * all + i] = at.base[k] + i / heads * at.of_sample[k] + i % heads * at.of_head[k];
}

// Which pairs count: a mask with its steps (0 where it is repeated), and perhaps that no query sees later keys.
struct pairs {
    const bool* mask;
    long long of_sample, of_head, of_query, of_key;
    bool causal;
    __device__ __forceinline__ bool count(long long sample, long long head, long long query, long long key) const {
        if (causal && key > query) return false;
        return !mask || mask[sample * of_sample + head * of_head + query * of_query + key * of_key];
    }
};

// Of a row of scores the pairs that count.
struct row_of_pairs {
    pairs which;
    unsigned sample, head, query;
    __device__ __forceinline__ row_of_pairs(const pairs& which, unsigned r, unsigned heads, unsigned queries)
        : which(which), sample(r / queries / heads), head(r / queries % heads), query(r % queries) {}
    __device__ __forceinline__ bool count(unsigned key) const { return which.count(sample, head, query, key); }
};

// Scores that do not count are a number far below any other, so that a row without pairs is no NaN.
template <class T, class W, unsigned LANES>
__device__ void probabilities(const W* scores, T* y, const bool* mask, long long of_sample, long long of_head, long long of_query,
                              long long of_key, bool causal, unsigned rows, unsigned heads, unsigned queries, unsigned keys, W scale, bool wide) {
    const W masked = W(-0.7) * W(3.4028234663852886e38);
    each_row<LANES>(rows, [&](long long r) {
        Share<LANES> own{r < rows ? keys : 0, wide};
        row_of_pairs which({mask, of_sample, of_head, of_query, of_key, causal}, (unsigned)r, heads, queries);
        W v[8], peak = Largest::start<W>(), total = 0;
        auto get = [&](unsigned i) {
            own.get(scores + r * keys, i, v, Largest::start<W>());
            for (int k = 0; k < 8; ++k)
                if (own.place(i, k) < own.size) v[k] = which.count(own.place(i, k)) ? v[k] * scale : masked;
        };
        for (unsigned i = 0; i < own.size; i += own.step) {
            get(i);
            for (int k = 0; k < 8; ++k) peak = larger(peak, v[k]);
        }
        peak = of_row<Largest, LANES>(peak);
        for (unsigned i = 0; i < own.size; i += own.step) {
            if (!own.is_short()) get(i);
            for (int k = 0; k < 8; ++k) {
                v[k] = exponential(v[k] - peak);
                total += own.place(i, k) < own.size ? v[k] : W(0);
            }
        }
        total = of_row<Sum, LANES>(total);
        for (unsigned i = 0; i < own.size; i += own.step) {
            if (!own.is_short()) {
                get(i);
                for (int k = 0; k < 8; ++k) v[k] = exponential(v[k] - peak);
            }
            for (int k = 0; k < 8; ++k) v[k] /= total;
            own.put(y + r * keys, i, v);
        }
    });
}

// slopes: of the probabilities; written over these are those of the scores before they were scaled.
template <class T, class W, unsigned LANES>
__device__ void score_gradient(const W* slopes, T* p, const bool* mask, long long of_sample, long long of_head, long long of_query,
                               long long of_key, bool causal, unsigned rows, unsigned heads, unsigned queries, unsigned keys, W scale, bool wide) {
    each_row<LANES>(rows, [&](long long r) {
        Share<LANES> own{r < rows ? keys : 0, wide};
        row_of_pairs which({mask, of_sample, of_head, of_query, of_key, causal}, (unsigned)r, heads, queries);
        W slope[8], share[8], total = 0;
        for (unsigned i = 0; i < own.size; i += own.step) {
            own.get(slopes + r * keys, i, slope), own.get(p + r * keys, i, share);
            for (int k = 0; k < 8; ++k) total += slope[k] * share[k];
        }
        total = of_row<Sum, LANES>(total);
        for (unsigned i = 0; i < own.size; i += own.step) {
            if (!own.is_short()) own.get(slopes + r * keys, i, slope), own.get(p + r * keys, i, share);
            for (int k = 0; k < 8; ++k) {
                bool counts = own.place(i, k) < own.size && which.count(own.place(i, k));
                slope[k] = counts ? (slope[k] - total) * share[k] * scale : W(0);
            }
            own.put(p + r * keys, i, slope);
        }
    });
}

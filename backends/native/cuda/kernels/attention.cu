// Attention between its products: where the matrices of samples and heads lie, probabilities of scores, gradients of scores. Stands on block.cu.

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

// A block has a row. Scores that do not count are a number far below any other, so that a row without pairs is no NaN.
template <class T, class W>
__device__ void probabilities(const W* scores, T* y, const bool* mask, long long of_sample, long long of_head, long long of_query,
                              long long of_key, bool causal, long long samples, long long heads, long long queries, long long keys, W scale) {
    pairs which = {mask, of_sample, of_head, of_query, of_key, causal};
    const W masked = W(-0.7) * W(3.4028234663852886e38);
    for (long long r = blockIdx.x; r < samples * heads * queries; r += gridDim.x) {
        long long query = r % queries, head = r / queries % heads, sample = r / queries / heads;
        W peak = Largest::start<W>(), total = 0;
        for (long long i = threadIdx.x; i < keys; i += blockDim.x)
            peak = larger(peak, which.count(sample, head, query, i) ? scores[r * keys + i] * scale : masked);
        peak = of_block<Largest>(peak);
        for (long long i = threadIdx.x; i < keys; i += blockDim.x)
            total += exponential((which.count(sample, head, query, i) ? scores[r * keys + i] * scale : masked) - peak);
        total = of_block<Sum>(total);
        for (long long i = threadIdx.x; i < keys; i += blockDim.x) {
            W s = which.count(sample, head, query, i) ? scores[r * keys + i] * scale : masked;
            store(y[r * keys + i], exponential(s - peak) / total);
        }
    }
}

// slopes: of the probabilities; written over these are those of the scores before they were scaled.
template <class T, class W>
__device__ void score_gradient(const W* slopes, T* p, const bool* mask, long long of_sample, long long of_head, long long of_query,
                               long long of_key, bool causal, long long samples, long long heads, long long queries, long long keys, W scale) {
    pairs which = {mask, of_sample, of_head, of_query, of_key, causal};
    for (long long r = blockIdx.x; r < samples * heads * queries; r += gridDim.x) {
        long long query = r % queries, head = r / queries % heads, sample = r / queries / heads;
        W total = 0;
        for (long long i = threadIdx.x; i < keys; i += blockDim.x) total += slopes[r * keys + i] * (W)load(p[r * keys + i]);
        total = of_block<Sum>(total);
        for (long long i = threadIdx.x; i < keys; i += blockDim.x) {
            W slope = (slopes[r * keys + i] - total) * (W)load(p[r * keys + i]) * scale;
            store(p[r * keys + i], which.count(sample, head, query, i) ? slope : W(0));
        }
    }
}

// Softmax, its logarithm and cross-entropy of the rows of a matrix, and their gradients. Stands on block.cu and rows.cu.

// The largest element of a row and the sum of exp(x - peak). v: where a thread has its eight elements at a time.
template <unsigned LANES, class T, class W> __device__ __forceinline__ void row_extent(const Share<LANES>& own, const T* x, W* v, W& peak, W& total) {
    peak = Largest::start<W>(), total = 0;
    for (unsigned i = 0; i < own.size; i += own.step) {
        own.get(x, i, v, Largest::start<W>());
        for (int k = 0; k < 8; ++k) peak = larger(peak, v[k]);
    }
    peak = of_row<Largest, LANES>(peak);
    for (unsigned i = 0; i < own.size; i += own.step) {
        if (!own.is_short()) own.get(x, i, v);
        for (int k = 0; k < 8; ++k) total += own.place(i, k) < own.size ? exponential(v[k] - peak) : W(0);
    }
    total = of_row<Sum, LANES>(total);
}

template <class T, class W, unsigned LANES, bool LOGARITHMIC>
__device__ void softmax(const T* x, T* y, long long rows, unsigned size, bool wide) {
    each_row<LANES>(rows, [&](long long r) {
        Share<LANES> own{r < rows ? size : 0, wide};
        W v[8], peak, total;
        row_extent(own, x + r * size, v, peak, total);
        W log_total = LOGARITHMIC ? logarithm(total) : W(0);
        for (unsigned i = 0; i < own.size; i += own.step) {
            if (!own.is_short()) own.get(x + r * size, i, v);
            for (int k = 0; k < 8; ++k) v[k] = LOGARITHMIC ? v[k] - peak - log_total : exponential(v[k] - peak) / total;
            own.put(y + r * size, i, v);
        }
    });
}

// g: gradient of the result y
template <class T, class W, unsigned LANES, bool LOGARITHMIC>
__device__ void softmax_gradient(const T* g, const T* y, T* dx, long long rows, unsigned size, bool wide) {
    each_row<LANES>(rows, [&](long long r) {
        Share<LANES> own{r < rows ? size : 0, wide};
        W slope[8], out[8], total = 0;
        for (unsigned i = 0; i < own.size; i += own.step) {
            own.get(g + r * size, i, slope), own.get(y + r * size, i, out);
            for (int k = 0; k < 8; ++k) total += LOGARITHMIC ? slope[k] : slope[k] * out[k];
        }
        total = of_row<Sum, LANES>(total);
        for (unsigned i = 0; i < own.size; i += own.step) {
            if (!own.is_short()) own.get(g + r * size, i, slope), own.get(y + r * size, i, out);
            for (int k = 0; k < 8; ++k) slope[k] = LOGARITHMIC ? slope[k] - exponential(out[k]) * total : slope[k] * out[k] - out[k] * total;
            own.put(dx + r * size, i, slope);
        }
    });
}

// The class of each row is a number; numbers that are no class have no part in the loss. total: the logarithm of the sum of exp(x).
template <class T, class W, class I, unsigned LANES>
__device__ void cross_entropy(const T* x, const I* target, T* loss, T* total, long long rows, unsigned size, bool wide) {
    each_row<LANES>(rows, [&](long long r) {
        Share<LANES> own{r < rows ? size : 0, wide};
        W v[8], peak, sum;
        row_extent(own, x + r * size, v, peak, sum);
        if (own.leads()) {
            long long c = (long long)target[r];
            bool is_class = c >= 0 && c < size;
            store(loss[r], is_class ? logarithm(sum) - ((W)load(x[r * size + c]) - peak) : W(0));
            store(total[r], logarithm(sum) + peak);
        }
    });
}

template <class T, class W, class I, unsigned LANES>
__device__ void cross_entropy_gradient(const T* g, const T* x, const I* target, const T* total, T* dx, long long rows, unsigned size, bool wide) {
    each_row<LANES>(rows, [&](long long r) {
        if (r >= rows) return;
        Share<LANES> own{size, wide};
        long long c = (long long)target[r];
        W weight = c >= 0 && c < size ? (W)load(g[r]) : W(0), all = load(total[r]), v[8];
        for (unsigned i = 0; i < size; i += own.step) {
            own.get(x + r * size, i, v);
            for (int k = 0; k < 8; ++k) v[k] = weight * (exponential(v[k] - all) - W(own.place(i, k) == c));
            own.put(dx + r * size, i, v);
        }
    });
}

// The target of each row is a row of weights.
template <class T, class W, unsigned LANES>
__device__ void cross_entropy_of_weights(const T* x, const T* target, T* loss, T* total, long long rows, unsigned size, bool wide) {
    each_row<LANES>(rows, [&](long long r) {
        Share<LANES> own{r < rows ? size : 0, wide};
        W v[8], weights[8], peak, sum, weight = 0, dot = 0;
        row_extent(own, x + r * size, v, peak, sum);
        for (unsigned i = 0; i < own.size; i += own.step) {
            if (!own.is_short()) own.get(x + r * size, i, v);
            own.get(target + r * size, i, weights);
            for (int k = 0; k < 8; ++k)
                if (own.place(i, k) < own.size) weight += weights[k], dot += weights[k] * (v[k] - peak);
        }
        weight = of_row<Sum, LANES>(weight), dot = of_row<Sum, LANES>(dot);
        if (own.leads()) {
            store(loss[r], weight * logarithm(sum) - dot);
            store(total[r], logarithm(sum) + peak);
        }
    });
}

template <class T, class W, unsigned LANES>
__device__ void cross_entropy_of_weights_gradient(const T* g, const T* x, const T* target, const T* total, T* dx, long long rows, unsigned size,
                                                  bool wide) {
    each_row<LANES>(rows, [&](long long r) {
        Share<LANES> own{r < rows ? size : 0, wide};
        W v[8], weights[8], weight = 0, all = own.size ? (W)load(total[r]) : W(0), slope = own.size ? (W)load(g[r]) : W(0);
        for (unsigned i = 0; i < own.size; i += own.step) {
            own.get(target + r * size, i, weights);
            for (int k = 0; k < 8; ++k) weight += weights[k];
        }
        weight = of_row<Sum, LANES>(weight);
        for (unsigned i = 0; i < own.size; i += own.step) {
            own.get(x + r * size, i, v);
            if (!own.is_short()) own.get(target + r * size, i, weights);
            for (int k = 0; k < 8; ++k) v[k] = slope * (exponential(v[k] - all) * weight - weights[k]);
            own.put(dx + r * size, i, v);
        }
    });
}

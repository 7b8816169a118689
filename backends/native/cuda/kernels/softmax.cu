// Softmax, its logarithm and cross-entropy of the rows of a matrix, a block a row, and their gradients. Stands on block.cu.

template <class T, class W> __device__ void row_extent(const T* x, long long size, W& peak, W& total) {
    peak = Largest::start<W>();
    for (long long i = threadIdx.x; i < size; i += blockDim.x) peak = larger(peak, (W)load(x[i]));
    peak = of_block<Largest>(peak);
    total = 0;
    for (long long i = threadIdx.x; i < size; i += blockDim.x) total += exponential((W)load(x[i]) - peak);
    total = of_block<Sum>(total);
}

template <class T, class W> __device__ void softmax(const T* x, T* y, long long rows, long long size, bool logarithmic) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        W peak, total;
        row_extent<T, W>(x + r * size, size, peak, total);
        W log_total = logarithmic ? logarithm(total) : W(0);
        for (long long i = r * size + threadIdx.x; i < (r + 1) * size; i += blockDim.x) {
            W z = (W)load(x[i]) - peak;
            store(y[i], logarithmic ? z - log_total : exponential(z) / total);
        }
    }
}

// g: gradient of the result y
template <class T, class W> __device__ void softmax_gradient(const T* g, const T* y, T* dx, long long rows, long long size, bool logarithmic) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        W total = 0;
        for (long long i = r * size + threadIdx.x; i < (r + 1) * size; i += blockDim.x)
            total += logarithmic ? (W)load(g[i]) : (W)load(g[i]) * (W)load(y[i]);
        total = of_block<Sum>(total);
        for (long long i = r * size + threadIdx.x; i < (r + 1) * size; i += blockDim.x) {
            W own = load(g[i]), out = load(y[i]);
            store(dx[i], logarithmic ? own - exponential(out) * total : own * out - out * total);
        }
    }
}

// The class of each row is a number; numbers that are no class have no part in the loss. total: the logarithm of the sum of exp(x).
template <class T, class W, class I>
__device__ void cross_entropy(const T* x, const I* target, T* loss, T* total, long long rows, long long size) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        W peak, sum;
        row_extent<T, W>(x + r * size, size, peak, sum);
        if (threadIdx.x == 0) {
            long long c = (long long)target[r];
            bool is_class = c >= 0 && c < size;
            store(loss[r], is_class ? logarithm(sum) - ((W)load(x[r * size + c]) - peak) : W(0));
            store(total[r], logarithm(sum) + peak);
        }
    }
}

template <class T, class W, class I>
__device__ void cross_entropy_gradient(const T* g, const T* x, const I* target, const T* total, T* dx, long long rows, long long size) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        long long c = (long long)target[r];
        W weight = c >= 0 && c < size ? (W)load(g[r]) : W(0), all = load(total[r]);
        for (long long i = threadIdx.x; i < size; i += blockDim.x)
            store(dx[r * size + i], weight * (exponential((W)load(x[r * size + i]) - all) - W(i == c)));
    }
}

// The target of each row is a row of weights.
template <class T, class W> __device__ void cross_entropy_of_weights(const T* x, const T* target, T* loss, T* total, long long rows, long long size) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        W peak, sum, weight = 0, dot = 0;
        row_extent<T, W>(x + r * size, size, peak, sum);
        for (long long i = r * size + threadIdx.x; i < (r + 1) * size; i += blockDim.x)
            weight += (W)load(target[i]), dot += (W)load(target[i]) * ((W)load(x[i]) - peak);
        weight = of_block<Sum>(weight), dot = of_block<Sum>(dot);
        if (threadIdx.x == 0) {
            store(loss[r], weight * logarithm(sum) - dot);
            store(total[r], logarithm(sum) + peak);
        }
    }
}

template <class T, class W>
__device__ void cross_entropy_of_weights_gradient(const T* g, const T* x, const T* target, const T* total, T* dx, long long rows, long long size) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        W weight = 0, all = load(total[r]);
        for (long long i = r * size + threadIdx.x; i < (r + 1) * size; i += blockDim.x) weight += (W)load(target[i]);
        weight = of_block<Sum>(weight);
        W slope = load(g[r]);
        for (long long i = r * size + threadIdx.x; i < (r + 1) * size; i += blockDim.x)
            store(dx[i], slope * (exponential((W)load(x[i]) - all) * weight - (W)load(target[i])));
    }
}

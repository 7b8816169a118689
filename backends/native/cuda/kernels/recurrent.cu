// What a step of a recurrent net does element by element, in one launch; its product is the library's. See backends/native/recurrent.py,
// whose `Cells` says what each array is.

// stride: from one sample of hs to the next
template <class W> __device__ void lstm_cell(const W* z, W* step, W* c, W* hs, long long units, long long batch, long long stride) {
    long long n = units * batch, i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= n) return;
    long long u = i / batch, b = i - u * batch;
    W in = logistic(step[i] + z[i]), forget = logistic(step[n + i] + z[n + i]), candidate = tangent(step[2 * n + i] + z[2 * n + i]);
    W out = logistic(step[3 * n + i] + z[3 * n + i]), before = c[i], now = forget * before + in * candidate, th = tangent(now), h = out * th;
    step[i] = in, step[n + i] = forget, step[2 * n + i] = candidate, step[3 * n + i] = out;
    step[4 * n + i] = th, step[5 * n + i] = before, step[6 * n + i] = h;
    c[i] = now, hs[b * stride + u] = h;
}

// gate_stride, unit_stride: of dz, whose samples are neighbours
template <class W>
__device__ void lstm_cell_gradient(const W* step, const W* ghs, const W* dh, W* dc, W* now, W* dz, long long units, long long batch,
                                   long long stride, long long gate_stride, long long unit_stride) {
    long long n = units * batch, i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= n) return;
    long long u = i / batch, b = i - u * batch;
    W in = step[i], forget = step[n + i], candidate = step[2 * n + i], out = step[3 * n + i], th = step[4 * n + i], before = step[5 * n + i];
    W slope = dh[i] + (ghs ? ghs[b * stride + u] : W(0)), of_c = dc[i] + slope * out * (W(1) - th * th);
    const W found[4] = {of_c * candidate * (in - in * in), of_c * before * (forget - forget * forget),
                        of_c * in * (W(1) - candidate * candidate), slope * th * (out - out * out)};
#pragma unroll
    for (int k = 0; k < 4; ++k) now[k * n + i] = found[k], dz[k * gate_stride + u * unit_stride + b] = found[k];
    dc[i] = of_c * forget;
}

template <class W> __device__ void gru_cell(const W* z, const W* product, const W* bias, const W* h, W* step, W* hs, long long units, long long batch) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= units * batch) return;
    long long b = i / units, u = i - b * units, at = b * 3 * units + u;
    W s0 = product[at], s1 = product[at + units], inner = product[at + 2 * units];
    if (bias) s0 += bias[u], s1 += bias[units + u], inner += bias[2 * units + u];
    W update = logistic(z[at] + s0), reset = logistic(z[at + units] + s1), candidate = tangent(reset * inner + z[at + 2 * units]);
    W now = (h[i] - candidate) * update + candidate;
    W* kept = step + b * 5 * units + u;
    kept[0] = update, kept[units] = reset, kept[2 * units] = candidate, kept[3 * units] = inner, kept[4 * units] = now;
    hs[i] = now;
}

template <class W>
__device__ void gru_cell_gradient(const W* step, const W* before, const W* ghs, const W* product, W* dh, W* dx, W* ds, long long units,
                                  long long batch, long long stride) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= units * batch) return;
    long long b = i / units, u = i - b * units, at = b * 3 * units + u;
    const W* kept = step + b * 5 * units + u;
    W update = kept[0], reset = kept[units], candidate = kept[2 * units], inner = kept[3 * units];
    W slope = dh[i] + product[i] + (ghs ? ghs[b * stride + u] : W(0));
    W of_candidate = (W(1) - update) * slope * (W(1) - candidate * candidate);
    W of_update = (before[i] - candidate) * slope * (update - update * update), of_reset = of_candidate * inner * (reset - reset * reset);
    dx[at] = of_update, dx[at + units] = of_reset, dx[at + 2 * units] = of_candidate;
    ds[at] = of_update, ds[at + units] = of_reset, ds[at + 2 * units] = of_candidate * reset;
    dh[i] = slope * update;
}

// Of nets that reset before the product: both gates, and what of the state the candidate's product is of.
template <class W> __device__ void gru_gates(const W* z, const W* product, const W* h, W* step, W* chosen, long long units, long long batch) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= units * batch) return;
    long long b = i / units, u = i - b * units;
    const W *sums = z + b * 3 * units + u, *of_state = product + b * 2 * units + u;
    W update = logistic(sums[0] + of_state[0]), reset = logistic(sums[units] + of_state[units]), before = h[i];
    W* kept = step + b * 5 * units + u;
    kept[0] = update, kept[units] = reset, kept[3 * units] = before;
    chosen[i] = reset * before;
}

template <class W>
__device__ void gru_candidate(const W* z, const W* product, const W* h, W* step, W* hs, long long units, long long batch) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= units * batch) return;
    long long b = i / units, u = i - b * units;
    W* kept = step + b * 5 * units + u;
    W candidate = tangent(z[b * 3 * units + u + 2 * units] + product[i]), now = (h[i] - candidate) * kept[0] + candidate;
    kept[2 * units] = candidate, kept[4 * units] = now;
    hs[i] = now;
}

template <class W>
__device__ void gru_candidate_gradient(const W* step, const W* before, const W* ghs, const W* product, W* dh, W* dx, W* dc, long long units,
                                       long long batch, long long stride) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= units * batch) return;
    long long b = i / units, u = i - b * units, at = b * 3 * units + u;
    const W* kept = step + b * 5 * units + u;
    W update = kept[0], candidate = kept[2 * units], slope = dh[i] + product[i] + (ghs ? ghs[b * stride + u] : W(0));
    W of_candidate = (W(1) - update) * slope * (W(1) - candidate * candidate);
    dx[at] = (before[i] - candidate) * slope * (update - update * update), dx[at + 2 * units] = of_candidate;
    dc[i] = of_candidate, dh[i] = slope;
}

template <class W>
__device__ void gru_gates_gradient(const W* step, const W* d_chosen, W* dh, W* dx, W* ds, long long units, long long batch) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= units * batch) return;
    long long b = i / units, u = i - b * units, at = b * 3 * units + u;
    const W* kept = step + b * 5 * units + u;
    W update = kept[0], reset = kept[units], slope = d_chosen[i], of_reset = slope * kept[3 * units] * (reset - reset * reset);
    W* of_state = ds + b * 2 * units + u;
    of_state[0] = dx[at], of_state[units] = of_reset;
    dx[at + units] = of_reset;
    dh[i] = dh[i] * update + slope * reset;
}

// The activations of simple nets, and their slopes as functions of the result.
struct Tanh {
    template <class W> static __device__ __forceinline__ W of(W x) { return tangent(x); }
    template <class W> static __device__ __forceinline__ W slope(W y) { return W(1) - y * y; }
};
struct Sigmoid {
    template <class W> static __device__ __forceinline__ W of(W x) { return logistic(x); }
    template <class W> static __device__ __forceinline__ W slope(W y) { return y - y * y; }
};
struct Relu {
    template <class W> static __device__ __forceinline__ W of(W x) { return larger(x, W(0)); }
    template <class W> static __device__ __forceinline__ W slope(W y) { return y > W(0) ? W(1) : W(0); }
};

template <class Act, class W> __device__ void rnn_cell(const W* product, W* hs, long long units, long long batch) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < units * batch) hs[i] = Act::of(hs[i] + product[i]);
}

template <class Act, class W>
__device__ void rnn_cell_gradient(const W* hs, const W* ghs, const W* dh, W* dz, long long units, long long batch, long long stride) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= units * batch) return;
    long long b = i / units, u = i - b * units;
    W slope = Act::slope(hs[i]);
    dz[i] = slope == W(0) ? W(0) : (dh[i] + (ghs ? ghs[b * stride + u] : W(0))) * slope;
}

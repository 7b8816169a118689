// What the threads of a block find out together, always in the same order: two runs give the same bits.

struct Sum {
    template <class W> static __device__ __forceinline__ W start() { return W(0); }
    template <class W> static __device__ __forceinline__ W of(W a, W b) { return a + b; }
};
struct Largest {
    template <class W> static __device__ __forceinline__ W start() { return -infinity(W(0)); }
    template <class W> static __device__ __forceinline__ W of(W a, W b) { return larger(a, b); }
};

// A value of each thread, taken together; all threads get the result.
template <class How, class W> __device__ W of_block(W value) {
    __shared__ W of_warps[32];
    for (int by = 16; by; by /= 2) value = How::of(value, __shfl_xor_sync(~0u, value, by));
    __syncthreads();  // an earlier result may still be read
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warps[0];
    for (unsigned w = 1; w < blockDim.x / 32; ++w) value = How::of(value, of_warps[w]);
    return value;
}

// Whether this block is the last of `parts` that come here with the same counter, which is 0 before and after: it can read what the others
// have written. All threads of a block ask. So the parts of a sum are added by the launch that has found them, in their order, whichever
// block is the last.
__device__ bool comes_last(unsigned* counter, unsigned parts) {
    __shared__ bool is_last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) is_last = parts == 1 || atomicInc(counter, parts - 1) == parts - 1;
    __syncthreads();
    __threadfence();
    return is_last;
}

__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }
__device__ __forceinline__ float square_root(float x) { return sqrtf(x); }
__device__ __forceinline__ double square_root(double x) { return sqrt(x); }

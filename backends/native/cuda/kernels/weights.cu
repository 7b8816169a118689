// The weights of a recurrent net between our arrays and the block that cuDNN wants them in: all of them by one launch.

// Where in the block, in elements, the matrix and the bias of each gate begin: those of the inputs, then those of the state.
struct weight_places { long long matrices[8], biases[8]; };

// Our matrices are (inputs, gates * units), those in the block (units, inputs) for each gate: a block of threads turns tiles of 32 by 32.
// Without a bias of ours zeros are written.
template <class T, bool INTO_BLOCK>
__device__ void recurrent_weights(T* block, T* kernel, T* recurrent, T* bias, const weight_places& at, int gates, int features, int units, int biases) {
    __shared__ T tile[32][33];
    int across = (units + 31) / 32, of_inputs = (features + 31) / 32, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int tiles = (of_inputs + across) * gates * across;
    for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
        int u0 = t % across * 32, gate = t / across % gates, line = t / across / gates;
        bool is_of_state = line >= of_inputs;
        int inputs = is_of_state ? units : features, i0 = (is_of_state ? line - of_inputs : line) * 32;
        long long width = (long long)gates * units;
        T* ours = (is_of_state ? recurrent : kernel) + (long long)gate * units;
        T* theirs = block + at.matrices[is_of_state ? gates + gate : gate];
        __syncthreads();  // the tile before may still be read
        for (int k = warp; k < 32; k += 8) {
            if (INTO_BLOCK && i0 + k < inputs && u0 + lane < units) tile[k][lane] = ours[(i0 + k) * width + u0 + lane];
            if (!INTO_BLOCK && u0 + k < units && i0 + lane < inputs) tile[lane][k] = theirs[(long long)(u0 + k) * inputs + i0 + lane];
        }
        __syncthreads();
        for (int k = warp; k < 32; k += 8) {
            if (INTO_BLOCK && u0 + k < units && i0 + lane < inputs) theirs[(long long)(u0 + k) * inputs + i0 + lane] = tile[lane][k];
            if (!INTO_BLOCK && i0 + k < inputs && u0 + lane < units) ours[(i0 + k) * width + u0 + lane] = tile[k][lane];
        }
    }
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < biases * gates * units; i += gridDim.x * blockDim.x) {
        T& theirs = block[at.biases[i / units] + i % units];
        if (INTO_BLOCK) theirs = bias ? bias[i] : T(0);
        else bias[i] = theirs;
    }
}

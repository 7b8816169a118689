// Philox4x64-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The bits are those of the CPU.

typedef unsigned long long word;

// The four words of a block, which are numbered from 0 on.
__device__ __forceinline__ void philox(const unsigned* key, word block, word* out) {
    word k0 = key[0] | (word)key[1] << 32, k1 = 0, c0 = block + 1, c1 = 0, c2 = 0, c3 = 0;
    for (int turn = 0; turn < 10; ++turn) {
        if (turn) k0 += 0x9E3779B97F4A7C15ull, k1 += 0xBB67AE8584CAA73Bull;
        word h0 = upper_of_product(c0, 0xD2E7470EE14C6C93ull), h1 = upper_of_product(c2, 0xCA5A826395121157ull);
        word l0 = c0 * 0xD2E7470EE14C6C93ull, l1 = c2 * 0xCA5A826395121157ull;
        c0 = h1 ^ c1 ^ k0, c1 = l1, c2 = h0 ^ c3 ^ k1, c3 = l0;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

// n whole words, and the first `bytes` of one more.
__device__ void random_words(const unsigned* key, unsigned char* out, long long bytes) {
    long long blocks = (bytes + 31) / 32, step = (long long)gridDim.x * blockDim.x;
    for (long long b = blockIdx.x * (long long)blockDim.x + threadIdx.x; b < blocks; b += step) {
        word w[4];
        philox(key, b, w);
        for (int i = 0; i < 32 && 32 * b + i < bytes; ++i) out[32 * b + i] = (unsigned char)(w[i / 8] >> 8 * (i % 8));
    }
}

// Numbers in [low, high) of the upper bits of words (of 32 bits for float, of 64 for double), as NumPy's generator makes them.
__device__ void random_floats(const unsigned* key, float* out, long long n, double low, double high) {
    long long blocks = (n + 7) / 8, step = (long long)gridDim.x * blockDim.x;
    float start = (float)low, width = (float)(high - low);
    bool plain = low == 0.0 && high == 1.0;
    for (long long b = blockIdx.x * (long long)blockDim.x + threadIdx.x; b < blocks; b += step) {
        word w[4];
        philox(key, b, w);
        for (int i = 0; i < 8 && 8 * b + i < n; ++i) {
            float u = (float)((unsigned)(w[i / 2] >> 32 * (i % 2)) >> 8) * float_of(0x33800000u);  // 2 to the power -24
            out[8 * b + i] = plain ? u : u * width + start;
        }
    }
}

__device__ void random_floats(const unsigned* key, double* out, long long n, double low, double high) {
    long long blocks = (n + 3) / 4, step = (long long)gridDim.x * blockDim.x;
    bool plain = low == 0.0 && high == 1.0;
    for (long long b = blockIdx.x * (long long)blockDim.x + threadIdx.x; b < blocks; b += step) {
        word w[4];
        philox(key, b, w);
        for (int i = 0; i < 4 && 4 * b + i < n; ++i) {
            double u = (double)(w[i] >> 11) * double_of(0x3ca0000000000000ull);  // 2 to the power -53
            out[4 * b + i] = plain ? u : u * (high - low) + low;
        }
    }
}

__device__ __forceinline__ unsigned byte_at(const unsigned* key, long long place) {
    word w[4];
    philox(key, place / 32, w);
    return (unsigned)(w[place % 32 / 8] >> 8 * (place % 8)) & 255u;
}

// True and false in rows of `width` bytes, the two after which say which threshold the row has; see primitives/bernoulli.py. A warp draws
// 32 neighbours, which are bytes of two blocks at most.
__device__ void bernoulli(const unsigned* key, bool* out, long long n, long long width, unsigned whole, unsigned part) {
    long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += step) {
        long long start = i / width * (width + 2);
        unsigned last = byte_at(key, start + width) | byte_at(key, start + width + 1) << 8;
        out[i] = byte_at(key, start + i % width) < whole + (last < part ? 1u : 0u);
    }
}

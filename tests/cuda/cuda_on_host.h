// CUDA C on the host, for tests: the text that NVRTC compiles for a GPU is compiled by a C++ compiler, with this before it.
//
// The threads of a block are fibers: each runs until it meets a barrier, then the next one does. Barriers of blocks and of warps are
// those of the text; the order of the threads is an argument, so that a barrier that is missing shows as a result that depends on it.
// One block runs after another, in an order of the same kind.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#define MLKIT_HOST
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static
#define __restrict__ __restrict

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace host {

enum State { RUNS, AT_BLOCK, AT_WARP, ENDED };

struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(128 * 1024);
    State state;
    dim3 index;
    unsigned number;
};

static dim3 grid, block, block_index;
static std::vector<Fiber*> fibers;
static Fiber* current;
static ucontext_t scheduler;
static std::function<void()> body;
static uint64_t exchanged[32][32];  // a value of each lane of each warp

static void enter() {
    body();
    current->state = ENDED;
    swapcontext(&current->context, &scheduler);
}

static void stop_at(State state) {
    current->state = state;
    swapcontext(&current->context, &scheduler);
}

// The k-th thread to run of n: in their order, backwards, or scattered.
static unsigned turn(unsigned k, unsigned n, int order) {
    if (order == 0) return k;
    if (order == 1) return n - 1 - k;
    unsigned stride = 2 * order + 1;
    while (std::__gcd(stride, n) != 1) ++stride;
    return (unsigned)((uint64_t)k * stride % n);
}

// Set free the threads from one number on that all wait at a barrier. False where some of them have ended and others wait.
static bool release(unsigned from, unsigned to, State barrier) {
    unsigned waiting = 0, ended = 0;
    for (unsigned i = from; i < to; ++i) waiting += fibers[i]->state == barrier, ended += fibers[i]->state == ENDED;
    if (waiting == 0 || waiting + ended < to - from) return true;
    for (unsigned i = from; i < to; ++i)
        if (fibers[i]->state == barrier) fibers[i]->state = RUNS;
    return ended == 0;
}

// Run a kernel. Returns what is wrong with its barriers, or null.
static const char* launch(dim3 blocks, dim3 threads, int order, std::function<void()> kernel) {
    grid = blocks, block = threads, body = kernel;
    unsigned n = threads.x * threads.y * threads.z;
    if (n > 1024) return "more than 1024 threads in a block";
    while (fibers.size() < n) fibers.push_back(new Fiber);
    for (unsigned k = 0, all = blocks.x * blocks.y * blocks.z; k < all; ++k) {
        unsigned b = turn(k, all, order);
        block_index = dim3(b % blocks.x, b / blocks.x % blocks.y, b / (blocks.x * blocks.y));
        for (unsigned i = 0; i < n; ++i) {
            Fiber& f = *fibers[i];
            f.state = RUNS, f.number = i;
            f.index = dim3(i % threads.x, i / threads.x % threads.y, i / (threads.x * threads.y));
            getcontext(&f.context);
            f.context.uc_stack.ss_sp = f.stack.data(), f.context.uc_stack.ss_size = f.stack.size(), f.context.uc_link = &scheduler;
            makecontext(&f.context, enter, 0);
        }
        for (;;) {
            bool ran = false, all_ended = true;
            for (unsigned k = 0; k < n; ++k) {
                Fiber& f = *fibers[turn(k, n, order)];
                if (f.state == RUNS) current = &f, ran = true, swapcontext(&scheduler, &f.context);
            }
            for (unsigned w = 0; w < n; w += 32)
                if (!release(w, w + 32 < n ? w + 32 : n, AT_WARP)) return "part of a warp has ended, the rest waits for it";
            bool free = false;
            for (unsigned i = 0; i < n; ++i) free |= fibers[i]->state == RUNS, all_ended &= fibers[i]->state == ENDED;
            if (all_ended) break;
            if (!free && !release(0, n, AT_BLOCK)) return "part of a block has ended, the rest waits for it";
            if (!ran) return "threads wait at different barriers";
        }
    }
    return nullptr;
}

template <class T> T shuffle(T value, unsigned lane) {
    unsigned own = current->number % 32, warp = current->number / 32;
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    exchanged[warp][own] = bits;
    stop_at(AT_WARP);
    bits = exchanged[warp][lane < 32 ? lane : own];
    stop_at(AT_WARP);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace host

#define threadIdx (host::current->index)
#define blockIdx (host::block_index)
#define blockDim (host::block)
#define gridDim (host::grid)
static void __syncthreads() { host::stop_at(host::AT_BLOCK); }
static void __threadfence() {}
static unsigned atomicInc(unsigned* at, unsigned most) { unsigned old = *at; *at = old >= most ? 0 : old + 1; return old; }
static void __syncwarp(unsigned = ~0u) { host::stop_at(host::AT_WARP); }
template <class T> T __shfl_xor_sync(unsigned, T value, int mask, int = 32) { return host::shuffle(value, (host::current->number % 32) ^ mask); }
template <class T> T __shfl_down_sync(unsigned, T value, unsigned by, int = 32) { return host::shuffle(value, host::current->number % 32 + by); }
template <class T> T __shfl_up_sync(unsigned, T value, unsigned by, int = 32) {
    unsigned lane = host::current->number % 32;
    return host::shuffle(value, lane < by ? lane : lane - by);
}
template <class T> T __shfl_sync(unsigned, T value, int lane, int = 32) { return host::shuffle(value, lane); }

static unsigned __ballot_sync(unsigned, bool yes) {
    unsigned found = 0;
    for (unsigned lane = 0; lane < 32; ++lane) found |= (unsigned)host::shuffle((int)yes, lane) << lane;
    return found;
}
static unsigned bits_in(unsigned x) { return __builtin_popcount(x); }

static float float_of(unsigned bits) { float x; std::memcpy(&x, &bits, 4); return x; }
static unsigned bits_of(float x) { unsigned bits; std::memcpy(&bits, &x, 4); return bits; }
static unsigned long long bits_of(double x) { unsigned long long bits; std::memcpy(&bits, &x, 8); return bits; }
static double double_of(unsigned long long bits) { double x; std::memcpy(&x, &bits, 8); return x; }
static unsigned long long upper_of_product(unsigned long long a, unsigned long long b) { return (unsigned __int128)a * b >> 64; }
static float half_to_float(unsigned short h) { _Float16 x; std::memcpy(&x, &h, 2); return (float)x; }
static unsigned short float_to_half(float f) { _Float16 x = (_Float16)f; unsigned short h; std::memcpy(&h, &x, 2); return h; }

// The part of a card that attention's kernels use, on a CPU: the words of CUDA in their
// source, the threads of a CTA, barriers and shared memory. CTAs run one after the other.
//
// Every thread of a CTA is a fiber with its own stack. It runs until it has to wait for
// others. A warp runs ahead of the others as far as it can, so that a missing barrier shows.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#define __device__
#define __global__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
// The linker names the ends of a section, so that all shared memory is known.
#define __shared__ static __attribute__((section("shared_memory")))
extern "C" unsigned char __start_shared_memory[], __stop_shared_memory[];

struct Index {
    unsigned x;
};
struct float2 {
    float x, y;
};
struct uint4 {
    unsigned x, y, z, w;
};

static Index threadIdx, blockIdx;
using std::min;

static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}

static inline float __uint_as_float(unsigned bits) {
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

namespace card {

constexpr unsigned WARP = 32;
constexpr size_t STACK_BYTES = 128 * 1024;

[[noreturn]] inline void fail(const char* what) {
    printf("FAILED: block %u, thread %u: %s\n", blockIdx.x, threadIdx.x, what);
    fflush(stdout);
    _Exit(1);  // exit would free the stack of the thread that calls it
}

// Threads wait until all `expected` have arrived; `passed` counts how often that was.
struct Barrier {
    unsigned expected, arrived, passed;
};

struct Warp {
    Barrier barrier;
    alignas(8) unsigned char slots[2][WARP][32];  // what the lanes give to each other
};

// A copy into shared memory that is on its way.
struct Copy {
    unsigned char* destination;
    unsigned char data[16];
    unsigned bytes;
};

struct Thread {
    std::vector<char> stack;
    ucontext_t start;
    jmp_buf state;
    bool begun, done;
    const Barrier* awaited;  // waits while its `passed` is that of the arrival
    unsigned passed;
    unsigned exchanges;
    std::vector<Copy> copies;
};

static std::vector<Thread> threads;
static std::vector<Warp> warps;
static Barrier cta;
static unsigned current;  // the thread that runs
static jmp_buf scheduler;
static std::function<void()> kernel;

// swapcontext would call the system twice for every wait; these jumps do not.
inline void pause() {
    if (!_setjmp(threads[current].state)) _longjmp(scheduler, 1);
}

inline void wait_at(Barrier& barrier) {
    if (++barrier.arrived == barrier.expected) {
        barrier.arrived = 0;
        ++barrier.passed;
        return;
    }
    threads[current].awaited = &barrier;
    threads[current].passed = barrier.passed;
    pause();
}

inline bool can_run(const Thread& thread) {
    return !thread.done && !(thread.awaited && thread.awaited->passed == thread.passed);
}

// Where a thread begins.
inline void begin() {
    kernel();
    threads[current].done = true;
    _longjmp(scheduler, 1);
}

// Runs a thread until it waits or ends.
inline void resume(unsigned index) {
    current = index;
    threadIdx.x = index;
    Thread& thread = threads[index];
    if (_setjmp(scheduler)) return;
    if (thread.begun) _longjmp(thread.state, 1);
    thread.begun = true;
    setcontext(&thread.start);
}

// Runs a warp as far as it can; returns whether any of its threads could run.
inline bool run_warp(unsigned warp) {
    bool any = false, again = true;
    while (again) {
        again = false;
        for (unsigned index = warp * WARP; index < (warp + 1) * WARP; ++index) {
            if (!can_run(threads[index])) continue;
            resume(index);
            any = again = true;
        }
    }
    return any;
}

inline void prepare(Thread& thread) {
    thread.stack.resize(STACK_BYTES);
    getcontext(&thread.start);
    thread.start.uc_stack.ss_sp = thread.stack.data();
    thread.start.uc_stack.ss_size = STACK_BYTES;
    thread.start.uc_link = nullptr;
    makecontext(&thread.start, begin, 0);
    thread.begun = thread.done = false;
    thread.awaited = nullptr;
    thread.exchanges = 0;
    thread.copies.clear();
}

inline void run_cta(unsigned block) {
    blockIdx.x = block;
    cta = {(unsigned)threads.size(), 0, 0};
    for (Warp& warp : warps) warp.barrier = {WARP, 0, 0};
    for (Thread& thread : threads) prepare(thread);
    // NaN as floats and as bf16: what is read before it was written shows.
    memset(__start_shared_memory, 0xff, __stop_shared_memory - __start_shared_memory);

    bool any = true;
    while (any) {
        any = false;
        for (unsigned warp = 0; warp < warps.size(); ++warp) any |= run_warp(warp);
    }
    for (const Thread& thread : threads)
        if (!thread.done) fail("some threads wait for others, which do not come");
}

inline void launch(size_t blocks, size_t threads_of_block, std::function<void()> call) {
    kernel = std::move(call);
    threads.resize(threads_of_block);
    warps.resize(threads_of_block / WARP);
    for (size_t block = 0; block < blocks; ++block) run_cta(block);
}

}  // namespace card

static inline void __syncthreads() { card::wait_at(card::cta); }

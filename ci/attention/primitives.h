// The functions of the kernels' primitives.cu, for the emulated card. Which lane holds which
// element of a matrix is as the manual of PTX shows it for ldmatrix (m8n8, b16) and for mma
// (m16n8k16, bf16).
#pragma once

#include "card.h"

#define NEGATIVE_INFINITY (-INFINITY)

namespace card {

// Whether a copy lands when it is waited for, or at once. The first shows a missing wait,
// the second a copy over what other threads still read.
static bool copies_land_late;
// Pairs of rows of a loaded 8x8 matrix that lie in the same banks.
static unsigned long bank_conflicts;

// An address of shared memory is the distance from its start.
inline unsigned char* shared(unsigned address, unsigned bytes) {
    unsigned size = __stop_shared_memory - __start_shared_memory;
    if (address > size || size - address < bytes) fail("an address outside of shared memory");
    if (address % bytes) fail("an address that is not a multiple of its size");
    return __start_shared_memory + address;
}

// Gives a value to all lanes of the warp and returns theirs, in order. There are two sets of
// slots, in turn: a lane is at most one exchange ahead of the others.
template <class T>
const T* exchange(const T& value) {
    static_assert(sizeof(T) <= sizeof(Warp::slots[0][0]), "too large to exchange");
    Warp& warp = warps[current / WARP];
    unsigned char* set = warp.slots[threads[current].exchanges++ % 2][0];
    memcpy(set + current % WARP * sizeof(T), &value, sizeof(T));
    wait_at(warp.barrier);
    return reinterpret_cast<const T*>(set);
}

inline void copy_async(unsigned destination, const void* source, bool inside, unsigned bytes) {
    if ((uintptr_t)source % bytes) fail("a source that is not a multiple of its size");
    Copy copy = {shared(destination, bytes), {}, bytes};
    if (inside) memcpy(copy.data, source, bytes);
    if (copies_land_late)
        threads[current].copies.push_back(copy);
    else
        memcpy(copy.destination, copy.data, bytes);
}

inline unsigned element(const unsigned char* row, unsigned column) {
    return row[2 * column] | row[2 * column + 1] << 8;
}

// `rows` are the addresses of a matrix's eight rows, of 16 bytes each.
inline unsigned long conflicts(const unsigned* rows) {
    unsigned long pairs = 0;
    for (int i = 0; i < 8; ++i)
        for (int j = 0; j < i; ++j) pairs += rows[i] / 16 % 8 == rows[j] / 16 % 8;
    return pairs;
}

// Four 8x8 matrices. Lane 8 m + r has the address of row r of matrix m; a lane receives two
// neighbours of a row, or of a column if transposed.
inline void load(unsigned (&b)[4], unsigned address, bool transposed) {
    const unsigned* addresses = exchange(address);
    unsigned lane = current % WARP, major = lane / 4, minor = lane % 4 * 2;
    for (int m = 0; m < 4; ++m) {
        const unsigned* rows = addresses + 8 * m;
        if (lane == 0) bank_conflicts += conflicts(rows);
        if (transposed)
            b[m] = element(shared(rows[minor], 16), major) |
                   element(shared(rows[minor + 1], 16), major) << 16;
        else
            b[m] = element(shared(rows[major], 16), minor) |
                   element(shared(rows[major], 16), minor + 1) << 16;
    }
}

// The number of a pair whose index is even (the lower half) or odd.
inline float half_of(unsigned pair, unsigned index) {
    return __uint_as_float(index % 2 ? pair & 0xffff0000u : pair << 16);
}

struct Operands {
    unsigned a[4], b[2];

    // Elements of A (16 rows, 16 columns) and B (16 rows, 8 columns) of a warp.
    static float of_a(const Operands* lanes, unsigned row, unsigned column) {
        unsigned pair = lanes[row % 8 * 4 + column % 8 / 2].a[row / 8 + column / 8 * 2];
        return half_of(pair, column);
    }
    static float of_b(const Operands* lanes, unsigned row, unsigned column) {
        return half_of(lanes[column * 4 + row % 8 / 2].b[row / 8], row);
    }
};

// To the nearest, ties to even, as cvt.rn.
inline unsigned round_bf16(float number) {
    unsigned bits;
    memcpy(&bits, &number, sizeof bits);
    return std::isnan(number) ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

}  // namespace card

static inline unsigned shared_address(const void* pointer) {
    return (const unsigned char*)pointer - __start_shared_memory;
}

static inline void copy_async_16(unsigned destination, const void* source, bool inside) {
    card::copy_async(destination, source, inside, 16);
}

static inline void copy_async_4(unsigned destination, const void* source, bool inside) {
    card::copy_async(destination, source, inside, 4);
}

static inline void copy_async_wait_all() {
    std::vector<card::Copy>& copies = card::threads[card::current].copies;
    for (const card::Copy& copy : copies) memcpy(copy.destination, copy.data, copy.bytes);
    copies.clear();
}

static inline void load_matrices(unsigned (&b)[4], unsigned address) {
    card::load(b, address, false);
}

static inline void load_matrices_transposed(unsigned (&b)[4], unsigned address) {
    card::load(b, address, true);
}

// c += A B, where c has 16 rows and 8 columns.
static inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    using card::Operands;
    const Operands* lanes = card::exchange(Operands{{a[0], a[1], a[2], a[3]}, {b0, b1}});
    unsigned lane = card::current % card::WARP;
    for (unsigned i = 0; i < 4; ++i) {
        unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        for (unsigned k = 0; k < 16; ++k)
            c[i] += Operands::of_a(lanes, row, k) * Operands::of_b(lanes, k, column);
    }
}

static inline unsigned pack_bf16(float low, float high) {
    return card::round_bf16(low) | card::round_bf16(high) << 16;
}

static inline float exp2_fast(float x) { return exp2f(x); }
static inline float log2_fast(float x) { return log2f(x); }

static inline float shuffle_xor(float value, int mask) {
    return card::exchange(value)[card::current % card::WARP ^ mask];
}

static inline unsigned shuffle_xor_bits(unsigned value, int mask) {
    return card::exchange(value)[card::current % card::WARP ^ mask];
}

static inline bool any_lane(bool value) {
    const bool* lanes = card::exchange(value);
    return std::any_of(lanes, lanes + card::WARP, [](bool lane) { return lane; });
}

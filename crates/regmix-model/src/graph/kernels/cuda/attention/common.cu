// Causal self-attention with grouped queries, forward and backward, for bf16 tensors.
//
// qkv     bf16 [batch*tokens, (heads + 2*kv_heads)*HEAD_DIM]: all query heads, all key heads,
//         all value heads; query head h reads key/value head h / (heads/kv_heads)
// out     bf16 [batch*tokens, heads*HEAD_DIM]        lse    f32 [batch, heads, tokens]
// dout    as out                                     delta  f32 [batch, heads, tokens]
// dqkv    as qkv; every element is written by exactly one of the two backward kernels
//
// `scale` must be positive: the running maximum is kept in unscaled scores.
// A warp owns 16 * (row tiles) rows of the stationary operand, held in registers; the other
// operand streams through two shared-memory stages. The accumulator layout of two adjacent
// 8-column tiles is the A-operand layout of one 16-deep step, so probabilities go from the
// first product to the second one without leaving registers.

// HEAD_DIM is given by the program: 32, 64 or 128.

// *_ROW_TILES: 16-row tiles of a warp. *_STEP: streamed rows whose scores are in registers at
// once. STREAM_BLOCK: streamed rows of one shared-memory stage (a multiple of every *_STEP).
// *_MIN_CTAS: CTAs an SM should hold at least, which caps the registers of a thread. They
// compile without spills; those of 32 were the fastest of several on an H200.
#if HEAD_DIM == 32
#define FORWARD_ROW_TILES 1
#define FORWARD_STEP 64
#define FORWARD_MIN_CTAS 4
#define DKDV_ROW_TILES 2
#define DKDV_STEP 16
#define DKDV_MIN_CTAS 3
#define DQ_ROW_TILES 2
#define DQ_STEP 32
#define DQ_MIN_CTAS 3
#define STREAM_BLOCK 64
#elif HEAD_DIM == 64
#define FORWARD_ROW_TILES 1
#define FORWARD_STEP 64
#define FORWARD_MIN_CTAS 3
#define DKDV_ROW_TILES 1
#define DKDV_STEP 16
#define DKDV_MIN_CTAS 3
#define DQ_ROW_TILES 1
#define DQ_STEP 32
#define DQ_MIN_CTAS 4
#define STREAM_BLOCK 64
#else
#define FORWARD_ROW_TILES 1
#define FORWARD_STEP 32
#define FORWARD_MIN_CTAS 2
#define DKDV_ROW_TILES 1
#define DKDV_STEP 16
#define DKDV_MIN_CTAS 2
#define DQ_ROW_TILES 1
#define DQ_STEP 32
#define DQ_MIN_CTAS 2
#define STREAM_BLOCK 32
#endif

#define WARPS 4
#define THREADS (WARPS * 32)
#define FORWARD_QUERIES (WARPS * 16 * FORWARD_ROW_TILES)
#define DKDV_KEYS (WARPS * 16 * DKDV_ROW_TILES)
#define DQ_QUERIES (WARPS * 16 * DQ_ROW_TILES)

#define CHUNKS (HEAD_DIM / 8)      // 16-byte chunks of a row
#define TILE_BYTES (STREAM_BLOCK * HEAD_DIM * 2)
#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f

static_assert(HEAD_DIM == 32 || HEAD_DIM == 64 || HEAD_DIM == 128, "unsupported head dimension");
static_assert(STREAM_BLOCK % FORWARD_STEP == 0 && STREAM_BLOCK % DKDV_STEP == 0 && STREAM_BLOCK % DQ_STEP == 0 &&
              FORWARD_STEP % 16 == 0 && DKDV_STEP % 16 == 0 && DQ_STEP % 16 == 0, "steps must divide the block");
static_assert(FORWARD_QUERIES % STREAM_BLOCK == 0 && DKDV_KEYS % STREAM_BLOCK == 0 && DQ_QUERIES % STREAM_BLOCK == 0,
              "blocks must be aligned to the diagonal");
static_assert(STREAM_BLOCK * CHUNKS % THREADS == 0 && 2 * STREAM_BLOCK <= THREADS, "copies must fill the CTA");

typedef unsigned short bf16_bits;  // the bit pattern of one bf16 number

__device__ __forceinline__ float low_half(unsigned pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_half(unsigned pair) { return __uint_as_float(pair & 0xffff0000u); }

// Byte offset of a 16-byte chunk in a tile. The xor spreads the eight rows that one 8x8 matrix
// load touches over all banks (a 64-byte row covers half of them, so two rows share a pattern).
__device__ __forceinline__ unsigned tile_offset(unsigned row, unsigned chunk) {
    unsigned pattern = HEAD_DIM == 32 ? (row >> 1) & 3 : row & 7;
    return row * (HEAD_DIM * 2) + ((chunk ^ pattern) << 4);
}

// Starts the copy of STREAM_BLOCK rows; rows at or after `rows` become zero.
__device__ __forceinline__ void stream_tile(unsigned destination, const bf16_bits* source, unsigned stride,
                                            unsigned first_row, unsigned rows) {
#pragma unroll
    for (int i = 0; i < STREAM_BLOCK * CHUNKS / THREADS; ++i) {
        unsigned index = threadIdx.x + i * THREADS;
        unsigned row = index / CHUNKS, chunk = index % CHUNKS;
        bool inside = first_row + row < rows;
        unsigned source_row = inside ? first_row + row : 0;
        copy_async_16(destination + tile_offset(row, chunk),
                      source + (size_t)source_row * stride + chunk * 8, inside);
    }
}

// A-operand fragments of 16 rows, straight from global memory (they are read only once).
__device__ __forceinline__ void load_fragments(unsigned (&fragments)[HEAD_DIM / 16][4], const bf16_bits* source,
                                               unsigned stride, unsigned first_row, unsigned rows) {
    unsigned lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        unsigned row = first_row + lane / 4 + half * 8;
        const bf16_bits* line = source + (size_t)row * stride + (lane % 4) * 2;
#pragma unroll
        for (int k = 0; k < HEAD_DIM / 16; ++k) {
            fragments[k][half] = row < rows ? *(const unsigned*)(line + k * 16) : 0;
            fragments[k][half + 2] = row < rows ? *(const unsigned*)(line + k * 16 + 8) : 0;
        }
    }
}

// scores = A * tile^T over HEAD_DIM, for COLUMNS rows of the tile.
template <int ROW_TILES, int COLUMNS>
__device__ __forceinline__ void multiply_transposed(float (&scores)[ROW_TILES][COLUMNS / 8][4],
                                                    const unsigned (&a)[ROW_TILES][HEAD_DIM / 16][4],
                                                    unsigned tile) {
    unsigned lane = threadIdx.x % 32;
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; ++n) {
#pragma unroll
        for (int r = 0; r < ROW_TILES; ++r)
#pragma unroll
            for (int i = 0; i < 4; ++i) scores[r][n][i] = 0.0f;
#pragma unroll
        for (int k = 0; k < HEAD_DIM / 32; ++k) {
            unsigned b[4];
            load_matrices(b, tile + tile_offset(n * 8 + lane % 8, k * 4 + lane / 8));
#pragma unroll
            for (int r = 0; r < ROW_TILES; ++r) {
                mma_bf16(scores[r][n], a[r][2 * k], b[0], b[1]);
                mma_bf16(scores[r][n], a[r][2 * k + 1], b[2], b[3]);
            }
        }
    }
}

// sums += P * tile, where P has one column for each of the DEPTH rows of the tile.
template <int ROW_TILES, int DEPTH>
__device__ __forceinline__ void multiply_add(float (&sums)[ROW_TILES][HEAD_DIM / 8][4],
                                             const unsigned (&p)[ROW_TILES][DEPTH / 16][4], unsigned tile) {
    unsigned lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < DEPTH / 16; ++k)
#pragma unroll
        for (int d = 0; d < HEAD_DIM / 16; ++d) {
            unsigned b[4];
            load_matrices_transposed(b, tile + tile_offset(k * 16 + lane % 16, d * 2 + lane / 16));
#pragma unroll
            for (int r = 0; r < ROW_TILES; ++r) {
                mma_bf16(sums[r][2 * d], p[r][k], b[0], b[1]);
                mma_bf16(sums[r][2 * d + 1], p[r][k], b[2], b[3]);
            }
        }
}

template <int ROW_TILES>
__device__ __forceinline__ void clear(float (&sums)[ROW_TILES][HEAD_DIM / 8][4]) {
#pragma unroll
    for (int r = 0; r < ROW_TILES; ++r)
#pragma unroll
        for (int n = 0; n < HEAD_DIM / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) sums[r][n][i] = 0.0f;
}

// Writes 16 accumulated rows as bf16. The four lanes of a row exchange their pairs first, so
// that each of them stores 16 contiguous bytes.
__device__ __forceinline__ void store_rows(bf16_bits* destination, unsigned stride, unsigned first_row, unsigned rows,
                                           const float (&sums)[HEAD_DIM / 8][4], float upper_factor,
                                           float lower_factor) {
    unsigned lane = threadIdx.x % 32, quad = lane % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        unsigned row = first_row + lane / 4 + half * 8;
        float factor = half ? lower_factor : upper_factor;
#pragma unroll
        for (int part = 0; part < HEAD_DIM / 32; ++part) {
            unsigned v[4];
#pragma unroll
            for (int n = 0; n < 4; ++n)
                v[n] = pack_bf16(sums[part * 4 + n][2 * half] * factor, sums[part * 4 + n][2 * half + 1] * factor);
#pragma unroll
            for (int bit = 1; bit <= 2; bit *= 2) {
#pragma unroll
                for (int n = 0; n < 4; ++n) {
                    if (n & bit) continue;
                    bool upper = quad & bit;
                    unsigned received = shuffle_xor_bits(upper ? v[n] : v[n | bit], bit);
                    v[n] = upper ? received : v[n];
                    v[n | bit] = upper ? v[n | bit] : received;
                }
            }
            if (row < rows)
                *(uint4*)(destination + (size_t)row * stride + part * 32 + quad * 8) =
                    make_uint4(v[0], v[1], v[2], v[3]);
        }
    }
}

// Scores of future tokens become minus infinity. Queries are the rows of the scores, or,
// where these are transposed, the columns.
template <bool ROWS_ARE_QUERIES, int ROW_TILES, int COLUMNS>
__device__ __forceinline__ void mask_future(float (&scores)[ROW_TILES][COLUMNS / 8][4], unsigned first_row,
                                            unsigned first_column, unsigned lane) {
#pragma unroll
    for (int r = 0; r < ROW_TILES; ++r)
#pragma unroll
        for (int n = 0; n < COLUMNS / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                unsigned row = first_row + r * 16 + lane / 4 + i / 2 * 8;
                unsigned column = first_column + n * 8 + lane % 4 * 2 + i % 2;
                bool future = ROWS_ARE_QUERIES ? column > row : row > column;
                if (future) scores[r][n][i] = NEGATIVE_INFINITY;
            }
}

// The queries that a CTA owns, and the keys and values before them.
struct QueryBlock {
    unsigned sequence, head, sequence_head;
    unsigned warp_query;  // the first query of this warp
    unsigned key_blocks;
    unsigned stride;
    const bf16_bits* rows;  // of the sequence
    const bf16_bits* keys;
    const bf16_bits* values;
};

// The query blocks of a head are neighbours (they share keys and values in the L2 cache),
// and the last block comes first because it is the longest.
template <int QUERIES, int ROW_TILES>
__device__ __forceinline__ QueryBlock query_block(const bf16_bits* qkv, unsigned tokens, unsigned heads,
                                                  unsigned kv_heads) {
    QueryBlock q;
    unsigned blocks = (tokens + QUERIES - 1) / QUERIES;
    unsigned first_query = (blocks - 1 - blockIdx.x % blocks) * QUERIES;
    q.sequence_head = blockIdx.x / blocks;
    q.sequence = q.sequence_head / heads;
    q.head = q.sequence_head % heads;
    q.stride = (heads + 2 * kv_heads) * HEAD_DIM;
    q.rows = qkv + (size_t)q.sequence * tokens * q.stride;
    q.keys = q.rows + (heads + q.head / (heads / kv_heads)) * HEAD_DIM;
    q.values = q.keys + kv_heads * HEAD_DIM;
    q.warp_query = first_query + threadIdx.x / 32 * (16 * ROW_TILES);
    unsigned last_query = min(first_query + QUERIES, tokens) - 1;
    q.key_blocks = last_query / STREAM_BLOCK + 1;
    return q;
}

// Starts the copy of a block of keys and values to its stage.
__device__ __forceinline__ void stream_keys_and_values(unsigned stages, const QueryBlock& q, unsigned block,
                                                       unsigned tokens) {
    unsigned stage = stages + (block & 1) * (2 * TILE_BYTES);
    stream_tile(stage, q.keys, q.stride, block * STREAM_BLOCK, tokens);
    stream_tile(stage + TILE_BYTES, q.values, q.stride, block * STREAM_BLOCK, tokens);
}

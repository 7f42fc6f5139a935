// Output and logarithms of the sums.
// grid   ceil(tokens / FORWARD_QUERIES) * batch * heads (FORWARD_QUERIES = 64)
// block  128     dynamic shared memory  0 (static: 4 * TILE_BYTES)
extern "C" __global__ void __launch_bounds__(THREADS, FORWARD_MIN_CTAS)
attention_forward(const bf16_bits* __restrict__ qkv, bf16_bits* __restrict__ out, float* __restrict__ lse,
                  unsigned int batch, unsigned int tokens, unsigned int heads, unsigned int kv_heads, float scale) {
    __shared__ __align__(128) unsigned char stages[2][2][TILE_BYTES];
    const int ROW_TILES = FORWARD_ROW_TILES, STEP = FORWARD_STEP;

    QueryBlock own = query_block<FORWARD_QUERIES, ROW_TILES>(qkv, tokens, heads, kv_heads);
    unsigned lane = threadIdx.x % 32, warp_query = own.warp_query;
    unsigned shared = shared_address(stages);
    stream_keys_and_values(shared, own, 0, tokens);

    unsigned q[ROW_TILES][HEAD_DIM / 16][4];
#pragma unroll
    for (int r = 0; r < ROW_TILES; ++r)
        load_fragments(q[r], own.rows + own.head * HEAD_DIM, own.stride, warp_query + r * 16, tokens);

    float sums[ROW_TILES][HEAD_DIM / 8][4];
    float top[ROW_TILES][2], total[ROW_TILES][2];
    clear(sums);
#pragma unroll
    for (int r = 0; r < ROW_TILES; ++r)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            top[r][half] = NEGATIVE_INFINITY;
            total[r][half] = 0.0f;
        }

    float scale_log2 = scale * LOG2_E;
    // The reference maximum moves only when a row grew by more than 2^8: smaller growth is
    // harmless in f32, and most rescaling passes disappear.
    float slack = 8.0f / scale_log2;

    for (unsigned block = 0; block < own.key_blocks; ++block) {
        copy_async_wait_all();
        __syncthreads();  // this stage has arrived, and nobody reads the other one any more
        if (block + 1 < own.key_blocks) stream_keys_and_values(shared, own, block + 1, tokens);
#pragma unroll 1
        for (unsigned step = 0; step < STREAM_BLOCK / STEP; ++step) {
            unsigned first_key = block * STREAM_BLOCK + step * STEP;
            if (first_key > warp_query + 16 * ROW_TILES - 1) break;
            unsigned key_tile = shared + (block & 1) * (2 * TILE_BYTES) + step * (STEP * HEAD_DIM * 2);

            float scores[ROW_TILES][STEP / 8][4];
            multiply_transposed<ROW_TILES, STEP>(scores, q, key_tile);

            if (first_key + STEP - 1 > warp_query)
                mask_future<true, ROW_TILES, STEP>(scores, warp_query, first_key, lane);

            // Key 0 is visible to every query, so the maximum is finite after the first step.
            float new_top[ROW_TILES][2];
            bool moved = false;
#pragma unroll
            for (int r = 0; r < ROW_TILES; ++r)
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    float highest = scores[r][0][2 * half];
#pragma unroll
                    for (int n = 0; n < STEP / 8; ++n)
                        highest = fmaxf(highest, fmaxf(scores[r][n][2 * half], scores[r][n][2 * half + 1]));
                    highest = fmaxf(highest, shuffle_xor(highest, 1));
                    highest = fmaxf(highest, shuffle_xor(highest, 2));
                    bool grown = highest > top[r][half] + slack;
                    new_top[r][half] = grown ? highest : top[r][half];
                    moved = moved || grown;
                }
            if (any_lane(moved)) {
#pragma unroll
                for (int r = 0; r < ROW_TILES; ++r)
#pragma unroll
                    for (int half = 0; half < 2; ++half) {
                        float shrink = exp2_fast((top[r][half] - new_top[r][half]) * scale_log2);
                        top[r][half] = new_top[r][half];
                        total[r][half] *= shrink;
#pragma unroll
                        for (int n = 0; n < HEAD_DIM / 8; ++n) {
                            sums[r][n][2 * half] *= shrink;
                            sums[r][n][2 * half + 1] *= shrink;
                        }
                    }
            }

            unsigned p[ROW_TILES][STEP / 16][4];
#pragma unroll
            for (int r = 0; r < ROW_TILES; ++r)
#pragma unroll
                for (int n = 0; n < STEP / 8; ++n)
#pragma unroll
                    for (int half = 0; half < 2; ++half) {
                        float offset = -top[r][half] * scale_log2;
                        float even = fmaf(scores[r][n][2 * half], scale_log2, offset);
                        float odd = fmaf(scores[r][n][2 * half + 1], scale_log2, offset);
                        even = exp2_fast(even);
                        odd = exp2_fast(odd);
                        total[r][half] += even + odd;
                        p[r][n / 2][n % 2 * 2 + half] = pack_bf16(even, odd);
                    }
            multiply_add<ROW_TILES, STEP>(sums, p, key_tile + TILE_BYTES);
        }
    }

    bf16_bits* out_rows = out + (size_t)own.sequence * tokens * heads * HEAD_DIM + own.head * HEAD_DIM;
    float* lse_row = lse + (size_t)own.sequence_head * tokens;
#pragma unroll
    for (int r = 0; r < ROW_TILES; ++r) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            total[r][half] += shuffle_xor(total[r][half], 1);
            total[r][half] += shuffle_xor(total[r][half], 2);
            unsigned query = warp_query + r * 16 + lane / 4 + half * 8;
            if (lane % 4 == 0 && query < tokens)
                lse_row[query] = (top[r][half] * scale_log2 + log2_fast(total[r][half])) * LN_2;
        }
        store_rows(out_rows, heads * HEAD_DIM, warp_query + r * 16, tokens, sums[r], 1.0f / total[r][0],
                   1.0f / total[r][1]);
    }
}

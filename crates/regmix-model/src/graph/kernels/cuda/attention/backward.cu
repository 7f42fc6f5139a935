// delta = sum over the head dimension of dout * out, the row term of the softmax gradient.
// grid   ceil(batch * tokens * heads * (HEAD_DIM / 8) / 256)
// block  256     dynamic shared memory  0
extern "C" __global__ void __launch_bounds__(256)
attention_delta(const bf16_bits* __restrict__ dout, const bf16_bits* __restrict__ out, float* __restrict__ delta,
                unsigned int batch, unsigned int tokens, unsigned int heads) {
    size_t index = (size_t)blockIdx.x * 256 + threadIdx.x;
    size_t unit = index / CHUNKS;  // one head of one token
    bool inside = unit < (size_t)batch * tokens * heads;
    float sum = 0.0f;
    if (inside) {
        uint4 x = *(const uint4*)(dout + index * 8);
        uint4 y = *(const uint4*)(out + index * 8);
        sum = low_half(x.x) * low_half(y.x) + high_half(x.x) * high_half(y.x) + low_half(x.y) * low_half(y.y) +
              high_half(x.y) * high_half(y.y) + low_half(x.z) * low_half(y.z) + high_half(x.z) * high_half(y.z) +
              low_half(x.w) * low_half(y.w) + high_half(x.w) * high_half(y.w);
    }
#pragma unroll
    for (int mask = 1; mask < CHUNKS; mask *= 2) sum += shuffle_xor(sum, mask);
    if (inside && index % CHUNKS == 0) {
        size_t row = unit / heads;
        unsigned head = unit % heads, token = row % tokens;
        delta[((row / tokens) * heads + head) * tokens + token] = sum;
    }
}

// Gradients of keys and values. Scores are computed transposed (keys are the rows), so the
// probabilities and their gradients are A operands as they stand.
// grid   ceil(tokens / DKDV_KEYS) * batch * kv_heads (DKDV_KEYS = 128 for HEAD_DIM 32, else 64)
// block  128     dynamic shared memory  0 (static: 4 * TILE_BYTES + 16 * STREAM_BLOCK)
extern "C" __global__ void __launch_bounds__(THREADS, DKDV_MIN_CTAS)
attention_backward_dkdv(const bf16_bits* __restrict__ qkv, const bf16_bits* __restrict__ dout,
                        const float* __restrict__ lse, const float* __restrict__ delta,
                        bf16_bits* __restrict__ dqkv, unsigned int batch, unsigned int tokens, unsigned int heads,
                        unsigned int kv_heads, float scale) {
    __shared__ __align__(128) unsigned char stages[2][2][TILE_BYTES];
    __shared__ __align__(16) float row_terms[2][2][STREAM_BLOCK];  // [stage][lse or delta][query]
    const int ROW_TILES = DKDV_ROW_TILES, STEP = DKDV_STEP;

    unsigned blocks = (tokens + DKDV_KEYS - 1) / DKDV_KEYS;
    unsigned sequence_head = blockIdx.x / blocks;
    unsigned first_key = blockIdx.x % blocks * DKDV_KEYS;  // the first key block is the longest
    unsigned sequence = sequence_head / kv_heads, kv_head = sequence_head % kv_heads;
    unsigned group = heads / kv_heads;
    unsigned stride = (heads + 2 * kv_heads) * HEAD_DIM, out_stride = heads * HEAD_DIM;
    const bf16_bits* rows = qkv + (size_t)sequence * tokens * stride;
    const bf16_bits* dout_rows = dout + (size_t)sequence * tokens * out_stride;
    unsigned key_column = (heads + kv_head) * HEAD_DIM, value_column = key_column + kv_heads * HEAD_DIM;

    unsigned lane = threadIdx.x % 32;
    unsigned warp_key = first_key + threadIdx.x / 32 * (16 * ROW_TILES);
    unsigned shared = shared_address(stages), shared_terms = shared_address(row_terms);

    // Every query head of the group, and for each of them the query blocks from the diagonal on.
    unsigned query_blocks = (tokens + STREAM_BLOCK - 1) / STREAM_BLOCK;
    unsigned first_query_block = first_key / STREAM_BLOCK;
    unsigned iterations = (query_blocks - first_query_block) * group;
    unsigned next_head = kv_head * group, next_block = first_query_block;

    auto stream_next = [&](unsigned stage) {
        unsigned tile = shared + stage * (2 * TILE_BYTES);
        unsigned first_query = next_block * STREAM_BLOCK;
        stream_tile(tile, rows + next_head * HEAD_DIM, stride, first_query, tokens);
        stream_tile(tile + TILE_BYTES, dout_rows + next_head * HEAD_DIM, out_stride, first_query, tokens);
        size_t line = ((size_t)sequence * heads + next_head) * tokens;
        if (threadIdx.x < 2 * STREAM_BLOCK) {
            unsigned kind = threadIdx.x / STREAM_BLOCK, query = first_query + threadIdx.x % STREAM_BLOCK;
            bool inside = query < tokens;
            copy_async_4(shared_terms + (stage * 2 * STREAM_BLOCK + threadIdx.x) * 4,
                         (kind ? delta : lse) + line + (inside ? query : 0), inside);
        }
        if (++next_block == query_blocks) {
            next_block = first_query_block;
            ++next_head;
        }
    };

    stream_next(0);

    unsigned k[ROW_TILES][HEAD_DIM / 16][4], v[ROW_TILES][HEAD_DIM / 16][4];
#pragma unroll
    for (int r = 0; r < ROW_TILES; ++r) {
        load_fragments(k[r], rows + key_column, stride, warp_key + r * 16, tokens);
        load_fragments(v[r], rows + value_column, stride, warp_key + r * 16, tokens);
    }
    float dk[ROW_TILES][HEAD_DIM / 8][4], dv[ROW_TILES][HEAD_DIM / 8][4];
    clear(dk);
    clear(dv);
    float scale_log2 = scale * LOG2_E;

    unsigned block = first_query_block;
    for (unsigned iteration = 0; iteration < iterations; ++iteration) {
        unsigned stage = iteration & 1;
        copy_async_wait_all();
        __syncthreads();  // this stage has arrived, and nobody reads the other one any more
        if (iteration + 1 < iterations) stream_next(stage ^ 1);
#pragma unroll 1
        for (unsigned step = 0; step < STREAM_BLOCK / STEP; ++step) {
            unsigned first_query = block * STREAM_BLOCK + step * STEP;
            if (first_query + STEP - 1 < warp_key) continue;
            unsigned query_tile = shared + stage * (2 * TILE_BYTES) + step * (STEP * HEAD_DIM * 2);
            unsigned dout_tile = query_tile + TILE_BYTES;

            float scores[ROW_TILES][STEP / 8][4], dp[ROW_TILES][STEP / 8][4];
            multiply_transposed<ROW_TILES, STEP>(scores, k, query_tile);
            multiply_transposed<ROW_TILES, STEP>(dp, v, dout_tile);

            if (first_query < warp_key + 16 * ROW_TILES - 1)
                mask_future<false, ROW_TILES, STEP>(scores, warp_key, first_query, lane);

            // Queries past the end have zero q, dout, lse and delta: they add nothing.
            unsigned p[ROW_TILES][STEP / 16][4], ds[ROW_TILES][STEP / 16][4];
#pragma unroll
            for (int n = 0; n < STEP / 8; ++n) {
                unsigned column = step * STEP + n * 8 + lane % 4 * 2;
                float2 lse_pair = *(const float2*)&row_terms[stage][0][column];
                float2 delta_pair = *(const float2*)&row_terms[stage][1][column];
                float even_offset = -lse_pair.x * LOG2_E, odd_offset = -lse_pair.y * LOG2_E;
#pragma unroll
                for (int r = 0; r < ROW_TILES; ++r)
#pragma unroll
                    for (int half = 0; half < 2; ++half) {
                        float even = exp2_fast(fmaf(scores[r][n][2 * half], scale_log2, even_offset));
                        float odd = exp2_fast(fmaf(scores[r][n][2 * half + 1], scale_log2, odd_offset));
                        p[r][n / 2][n % 2 * 2 + half] = pack_bf16(even, odd);
                        ds[r][n / 2][n % 2 * 2 + half] = pack_bf16(even * (dp[r][n][2 * half] - delta_pair.x),
                                                                   odd * (dp[r][n][2 * half + 1] - delta_pair.y));
                    }
            }
            multiply_add<ROW_TILES, STEP>(dv, p, dout_tile);
            multiply_add<ROW_TILES, STEP>(dk, ds, query_tile);
        }
        if (++block == query_blocks) block = first_query_block;
    }

    bf16_bits* gradients = dqkv + (size_t)sequence * tokens * stride;
#pragma unroll
    for (int r = 0; r < ROW_TILES; ++r) {
        store_rows(gradients + key_column, stride, warp_key + r * 16, tokens, dk[r], scale, scale);
        store_rows(gradients + value_column, stride, warp_key + r * 16, tokens, dv[r], 1.0f, 1.0f);
    }
}

// Gradient of queries.
// grid   ceil(tokens / DQ_QUERIES) * batch * heads (DQ_QUERIES = 128 for HEAD_DIM 32, else 64)
// block  128     dynamic shared memory  0 (static: 4 * TILE_BYTES)
extern "C" __global__ void __launch_bounds__(THREADS, DQ_MIN_CTAS)
attention_backward_dq(const bf16_bits* __restrict__ qkv, const bf16_bits* __restrict__ dout,
                      const float* __restrict__ lse, const float* __restrict__ delta, bf16_bits* __restrict__ dqkv,
                      unsigned int batch, unsigned int tokens, unsigned int heads, unsigned int kv_heads,
                      float scale) {
    __shared__ __align__(128) unsigned char stages[2][2][TILE_BYTES];
    const int ROW_TILES = DQ_ROW_TILES, STEP = DQ_STEP;

    QueryBlock own = query_block<DQ_QUERIES, ROW_TILES>(qkv, tokens, heads, kv_heads);
    unsigned lane = threadIdx.x % 32, warp_query = own.warp_query;
    unsigned out_stride = heads * HEAD_DIM;
    const bf16_bits* dout_rows = dout + (size_t)own.sequence * tokens * out_stride;
    unsigned shared = shared_address(stages);
    stream_keys_and_values(shared, own, 0, tokens);

    unsigned q[ROW_TILES][HEAD_DIM / 16][4], go[ROW_TILES][HEAD_DIM / 16][4];
    float offset[ROW_TILES][2], row_delta[ROW_TILES][2];
#pragma unroll
    for (int r = 0; r < ROW_TILES; ++r) {
        load_fragments(q[r], own.rows + own.head * HEAD_DIM, own.stride, warp_query + r * 16, tokens);
        load_fragments(go[r], dout_rows + own.head * HEAD_DIM, out_stride, warp_query + r * 16, tokens);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            unsigned query = warp_query + r * 16 + lane / 4 + half * 8;
            size_t position = (size_t)own.sequence_head * tokens + query;
            offset[r][half] = query < tokens ? -lse[position] * LOG2_E : 0.0f;
            row_delta[r][half] = query < tokens ? delta[position] : 0.0f;
        }
    }
    float dq[ROW_TILES][HEAD_DIM / 8][4];
    clear(dq);
    float scale_log2 = scale * LOG2_E;

    for (unsigned block = 0; block < own.key_blocks; ++block) {
        copy_async_wait_all();
        __syncthreads();  // this stage has arrived, and nobody reads the other one any more
        if (block + 1 < own.key_blocks) stream_keys_and_values(shared, own, block + 1, tokens);
#pragma unroll 1
        for (unsigned step = 0; step < STREAM_BLOCK / STEP; ++step) {
            unsigned first_key = block * STREAM_BLOCK + step * STEP;
            if (first_key > warp_query + 16 * ROW_TILES - 1) break;
            unsigned key_tile = shared + (block & 1) * (2 * TILE_BYTES) + step * (STEP * HEAD_DIM * 2);

            float scores[ROW_TILES][STEP / 8][4], dp[ROW_TILES][STEP / 8][4];
            multiply_transposed<ROW_TILES, STEP>(scores, q, key_tile);
            multiply_transposed<ROW_TILES, STEP>(dp, go, key_tile + TILE_BYTES);

            if (first_key + STEP - 1 > warp_query)
                mask_future<true, ROW_TILES, STEP>(scores, warp_query, first_key, lane);

            unsigned ds[ROW_TILES][STEP / 16][4];
#pragma unroll
            for (int r = 0; r < ROW_TILES; ++r)
#pragma unroll
                for (int n = 0; n < STEP / 8; ++n)
#pragma unroll
                    for (int half = 0; half < 2; ++half) {
                        float even = exp2_fast(fmaf(scores[r][n][2 * half], scale_log2, offset[r][half]));
                        float odd = exp2_fast(fmaf(scores[r][n][2 * half + 1], scale_log2, offset[r][half]));
                        ds[r][n / 2][n % 2 * 2 + half] =
                            pack_bf16(even * (dp[r][n][2 * half] - row_delta[r][half]),
                                      odd * (dp[r][n][2 * half + 1] - row_delta[r][half]));
                    }
            multiply_add<ROW_TILES, STEP>(dq, ds, key_tile);
        }
    }

    bf16_bits* gradients = dqkv + (size_t)own.sequence * tokens * own.stride + own.head * HEAD_DIM;
#pragma unroll
    for (int r = 0; r < ROW_TILES; ++r)
        store_rows(gradients, own.stride, warp_query + r * 16, tokens, dq[r], scale, scale);
}

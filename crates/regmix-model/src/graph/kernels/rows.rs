//! Causal attention of short sequences that does not hold the scores, as in
//! FlashAttention-2 (Dao 2023, arXiv 2307.08691), with a thread per row.
//!
//! A thread keeps the numbers of its query, or of its key and value, and goes through
//! the keys, or the queries, which a workgroup loads together. One kernel does what
//! takes about ten in blocks; with few numbers per head and short sequences a step is
//! mostly the time in which kernels are started. Long sequences are left to matrix
//! products, for which devices have units of their own.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::super::arguments::Sizes;
use super::norm::sum_of;
use super::{empty, grid, scale, vector_size, workgroups};

/// Threads of a workgroup: rows that it computes.
const ROWS: usize = 64;
/// Rows that a workgroup loads at once for all its threads.
const LOADED: usize = 32;
/// Of these, scores that a thread holds at once.
const HELD: usize = 8;
/// Numbers per head that a thread can hold several rows of.
const MOST_NUMBERS: usize = 64;

/// The score of a token that is not seen: its exponential is zero.
const UNSEEN: f32 = -1e30;

/// Whether these kernels serve heads of so many numbers.
pub(super) fn has_attention(dim: usize) -> bool {
    dim <= MOST_NUMBERS
}

/// Where a workgroup's rows lie: the first row of the sequence, the head, and the first
/// token.
#[cube]
fn place(heads: usize, tokens: usize) -> (usize, usize, usize) {
    let tiles = tokens.div_ceil(ROWS);
    let tile = CUBE_POS % tiles;
    let head = (CUBE_POS / tiles) % heads;
    let sequence = CUBE_POS / tiles / heads;
    (sequence * tokens, head, tile * ROWS)
}

/// A row of a head.
#[cube]
fn row<E: Float, N: Size>(
    t: &Tensor<Vector<E, N>>,
    from: usize,
    #[comptime] parts: usize,
) -> Array<Vector<f32, N>> {
    let mut row = Array::<Vector<f32, N>>::new(parts);
    #[unroll]
    for i in 0..parts {
        row[i] = Vector::cast_from(t[from + i]);
    }
    row
}

#[cube]
fn zeros<N: Size>(#[comptime] parts: usize) -> Array<Vector<f32, N>> {
    let mut row = Array::<Vector<f32, N>>::new(parts);
    #[unroll]
    for i in 0..parts {
        row[i] = Vector::new(0.0);
    }
    row
}

#[cube]
fn multiply<N: Size>(row: &mut Array<Vector<f32, N>>, by: f32, #[comptime] parts: usize) {
    #[unroll]
    for i in 0..parts {
        row[i] *= Vector::new(by);
    }
}

#[cube]
fn write<E: Float, N: Size>(
    t: &mut Tensor<Vector<E, N>>,
    from: usize,
    row: &Array<Vector<f32, N>>,
    #[comptime] parts: usize,
) {
    #[unroll]
    for i in 0..parts {
        t[from + i] = Vector::cast_from(row[i]);
    }
}

/// Loads rows of a head from a token on, for all threads of a workgroup; `head_at` is
/// where the head of the sequence's first token begins. After the last token it is
/// repeated.
#[cube]
fn load<E: Float, N: Size>(
    t: &Tensor<Vector<E, N>>,
    rows: &mut Shared<[Vector<f32, N>]>,
    head_at: usize,
    from: usize,
    tokens: usize,
    width: usize,
    #[comptime] parts: usize,
) {
    let mut at = UNIT_POS as usize;
    while at < LOADED * parts {
        let token = min(from + at / parts, tokens - 1);
        rows[at] = Vector::cast_from(t[head_at + token * width + at % parts]);
        at += ROWS;
    }
}

/// Where the keys and the values of a query head begin, at the sequence's first token.
#[cube]
fn keys_and_values(
    first: usize,
    head: usize,
    heads: usize,
    kv_heads: usize,
    #[comptime] parts: usize,
) -> (usize, usize) {
    let width = (heads + 2 * kv_heads) * parts;
    let kv_head = head / (heads / kv_heads);
    let key_at = first * width + (heads + kv_head) * parts;
    (key_at, key_at + kv_heads * parts)
}

/// The scalar product with a row that a workgroup has loaded.
#[cube]
fn along<N: Size>(
    row: &Array<Vector<f32, N>>,
    loaded: &Shared<[Vector<f32, N>]>,
    from: usize,
    #[comptime] parts: usize,
) -> f32 {
    let mut products = row[0] * loaded[from];
    #[unroll]
    for i in 1..parts {
        products += row[i] * loaded[from + i];
    }
    sum_of(products)
}

/// `sum += factor row`, of a row that a workgroup has loaded.
#[cube]
fn add<N: Size>(
    sum: &mut Array<Vector<f32, N>>,
    factor: f32,
    loaded: &Shared<[Vector<f32, N>]>,
    from: usize,
    #[comptime] parts: usize,
) {
    #[unroll]
    for i in 0..parts {
        sum[i] += Vector::new(factor) * loaded[from + i];
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn output<E: Float, N: Size>(
    qkv: &Tensor<Vector<E, N>>,
    out: &mut Tensor<Vector<E, N>>,
    lse: &mut Tensor<f32>,
    workgroups: usize,
    tokens: usize,
    heads: usize,
    kv_heads: usize,
    scale: f32,
    #[comptime] parts: usize,
    #[define(E)] _dtype: ElemType,
) {
    if CUBE_POS >= workgroups {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let (first, head, tile) = place(heads, tokens);
    let token = tile + unit;
    let width = (heads + 2 * kv_heads) * parts;
    let (key_at, value_at) = keys_and_values(first, head, heads, kv_heads, parts);
    let own = first + min(token, tokens - 1);
    let mut query = row(qkv, own * width + head * parts, parts);
    multiply(&mut query, scale, parts);
    let mut sum_of_values = zeros::<N>(parts);
    let mut top = f32::new(UNSEEN);
    let mut sum = f32::new(0.0);
    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(LOADED * parts);
    let mut values = Shared::<[Vector<f32, N>]>::new_slice(LOADED * parts);
    let end = min(tile + ROWS, tokens);
    let mut from = 0usize;
    while from < end {
        sync_cube();
        load(qkv, &mut keys, key_at, from, tokens, width, parts);
        load(qkv, &mut values, value_at, from, tokens, width, parts);
        sync_cube();
        for some in 0..LOADED / HELD {
            let mut scores = Array::<f32>::new(HELD);
            let mut greatest = top;
            #[unroll]
            for j in 0..HELD {
                let key = some * HELD + j;
                let mut score = along(&query, &keys, key * parts, parts);
                if from + key > token {
                    score = f32::new(UNSEEN);
                }
                scores[j] = score;
                greatest = max(greatest, score);
            }
            let shrink = (top - greatest).exp();
            sum *= shrink;
            multiply(&mut sum_of_values, shrink, parts);
            #[unroll]
            for j in 0..HELD {
                let p = (scores[j] - greatest).exp();
                sum += p;
                add(
                    &mut sum_of_values,
                    p,
                    &values,
                    (some * HELD + j) * parts,
                    parts,
                );
            }
            top = greatest;
        }
        from += LOADED;
    }
    if token < tokens {
        multiply(&mut sum_of_values, 1.0 / sum, parts);
        let to = own * heads * parts + head * parts;
        write(out, to, &sum_of_values, parts);
        lse[first * heads + head * tokens + token] = top + sum.ln();
    }
}

/// The gradient of queries, and the rows' products of output and its gradient.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn queries_back<E: Float, N: Size>(
    qkv: &Tensor<Vector<E, N>>,
    dout: &Tensor<Vector<E, N>>,
    out: &Tensor<Vector<E, N>>,
    lse: &Tensor<f32>,
    dqkv: &mut Tensor<Vector<E, N>>,
    delta: &mut Tensor<f32>,
    workgroups: usize,
    tokens: usize,
    heads: usize,
    kv_heads: usize,
    scale: f32,
    #[comptime] parts: usize,
    #[define(E)] _dtype: ElemType,
) {
    if CUBE_POS >= workgroups {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let (first, head, tile) = place(heads, tokens);
    let token = tile + unit;
    let width = (heads + 2 * kv_heads) * parts;
    let (key_at, value_at) = keys_and_values(first, head, heads, kv_heads, parts);
    let own = first + min(token, tokens - 1);
    let query = row(qkv, own * width + head * parts, parts);
    let of_output = own * heads * parts + head * parts;
    let dout_row = row(dout, of_output, parts);
    let number = first * heads + head * tokens + min(token, tokens - 1);
    let log_sum = lse[number];
    let mut sum = zeros::<N>(parts);
    let mut products = Vector::<f32, N>::new(0.0);
    #[unroll]
    for i in 0..parts {
        products += dout_row[i] * Vector::cast_from(out[of_output + i]);
    }
    let mean = sum_of(products);
    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(LOADED * parts);
    let mut values = Shared::<[Vector<f32, N>]>::new_slice(LOADED * parts);
    let end = min(tile + ROWS, tokens);
    let mut from = 0usize;
    while from < end {
        sync_cube();
        load(qkv, &mut keys, key_at, from, tokens, width, parts);
        load(qkv, &mut values, value_at, from, tokens, width, parts);
        sync_cube();
        for key in 0..LOADED {
            let score = along(&query, &keys, key * parts, parts) * scale;
            let dp = along(&dout_row, &values, key * parts, parts);
            let mut ds = (score - log_sum).exp() * (dp - mean);
            if from + key > token {
                ds = f32::new(0.0);
            }
            add(&mut sum, ds, &keys, key * parts, parts);
        }
        from += LOADED;
    }
    if token < tokens {
        multiply(&mut sum, scale, parts);
        write(dqkv, own * width + head * parts, &sum, parts);
        delta[number] = mean;
    }
}

/// The gradients of keys and values: those of all query heads of a group.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn keys_back<E: Float, N: Size>(
    qkv: &Tensor<Vector<E, N>>,
    dout: &Tensor<Vector<E, N>>,
    lse: &Tensor<f32>,
    delta: &Tensor<f32>,
    dqkv: &mut Tensor<Vector<E, N>>,
    workgroups: usize,
    tokens: usize,
    heads: usize,
    kv_heads: usize,
    scale: f32,
    #[comptime] parts: usize,
    #[define(E)] _dtype: ElemType,
) {
    if CUBE_POS >= workgroups {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let (first, kv_head, tile) = place(kv_heads, tokens);
    let token = tile + unit;
    let width = (heads + 2 * kv_heads) * parts;
    let group = heads / kv_heads;
    let own = (first + min(token, tokens - 1)) * width + (heads + kv_head) * parts;
    let key = row(qkv, own, parts);
    let value = row(qkv, own + kv_heads * parts, parts);
    let mut of_key = zeros::<N>(parts);
    let mut of_value = zeros::<N>(parts);
    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(LOADED * parts);
    let mut douts = Shared::<[Vector<f32, N>]>::new_slice(LOADED * parts);
    let mut log_sums = Shared::<[f32]>::new_slice(LOADED);
    let mut means = Shared::<[f32]>::new_slice(LOADED);
    for one in 0..group {
        let head = kv_head * group + one;
        let number = first * heads + head * tokens;
        // A workgroup's first token is that of a tile of loaded rows, too.
        let mut from = tile;
        while from < tokens {
            sync_cube();
            let query_at = first * width + head * parts;
            load(qkv, &mut queries, query_at, from, tokens, width, parts);
            let out_width = heads * parts;
            let out_at = first * out_width + head * parts;
            load(dout, &mut douts, out_at, from, tokens, out_width, parts);
            if unit < LOADED {
                let from = number + min(from + unit, tokens - 1);
                log_sums[unit] = lse[from];
                means[unit] = delta[from];
            }
            sync_cube();
            for query in 0..LOADED {
                let score = along(&key, &queries, query * parts, parts) * scale;
                let dp = along(&value, &douts, query * parts, parts);
                let mut p = (score - log_sums[query]).exp();
                if from + query < token || from + query >= tokens {
                    p = f32::new(0.0);
                }
                let ds = p * (dp - means[query]) * scale;
                add(&mut of_value, p, &douts, query * parts, parts);
                add(&mut of_key, ds, &queries, query * parts, parts);
            }
            from += LOADED;
        }
    }
    if token < tokens {
        write(dqkv, own, &of_key, parts);
        write(dqkv, own + kv_heads * parts, &of_value, parts);
    }
}

/// Numbers of a head that are read at once. The kernels compute in f32.
fn size_of_part(t: &CubeTensor, sizes: Sizes) -> usize {
    vector_size(t, sizes.dim).min(4)
}

pub(super) fn forward(qkv: CubeTensor, sizes: Sizes) -> (CubeTensor, CubeTensor) {
    let qkv = into_contiguous(qkv);
    let rows = sizes.batch * sizes.tokens;
    let shape = Shape::new([rows, sizes.heads * sizes.dim]);
    let out = empty(&qkv, shape, qkv.dtype);
    let lse = empty(&qkv, Shape::new([rows * sizes.heads]), DType::F32);
    let dtype = dtype_to_storage_type(qkv.dtype);
    let size = size_of_part(&qkv, sizes);
    let workgroups = workgroups(sizes, sizes.heads, ROWS);
    output::launch(
        &qkv.client.clone(),
        grid(workgroups),
        CubeDim::new_1d(ROWS as u32),
        size,
        qkv.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        lse.clone().into_tensor_arg(),
        workgroups,
        sizes.tokens,
        sizes.heads,
        sizes.kv_heads,
        scale(sizes),
        sizes.dim / size,
        dtype,
    );
    (out, lse)
}

pub(super) fn backward([qkv, dout, out, lse]: [CubeTensor; 4], sizes: Sizes) -> CubeTensor {
    let [qkv, dout, out, lse] = [qkv, dout, out, lse].map(into_contiguous);
    let dqkv = empty(&qkv, qkv.meta.shape().clone(), qkv.dtype);
    let delta = empty(&lse, lse.meta.shape().clone(), DType::F32);
    let client = qkv.client.clone();
    let dtype = dtype_to_storage_type(qkv.dtype);
    let size = size_of_part(&qkv, sizes);
    let dim = CubeDim::new_1d(ROWS as u32);
    let [of_queries, of_keys] = [sizes.heads, sizes.kv_heads].map(|h| workgroups(sizes, h, ROWS));
    queries_back::launch(
        &client,
        grid(of_queries),
        dim,
        size,
        qkv.clone().into_tensor_arg(),
        dout.clone().into_tensor_arg(),
        out.into_tensor_arg(),
        lse.clone().into_tensor_arg(),
        dqkv.clone().into_tensor_arg(),
        delta.clone().into_tensor_arg(),
        of_queries,
        sizes.tokens,
        sizes.heads,
        sizes.kv_heads,
        scale(sizes),
        sizes.dim / size,
        dtype,
    );
    // Reads what the first has written, and does not run where that failed.
    keys_back::launch(
        &client,
        grid(of_keys),
        dim,
        size,
        qkv.into_tensor_arg(),
        dout.into_tensor_arg(),
        lse.into_tensor_arg(),
        delta.into_tensor_arg(),
        dqkv.clone().into_tensor_arg(),
        of_keys,
        sizes.tokens,
        sizes.heads,
        sizes.kv_heads,
        scale(sizes),
        sizes.dim / size,
        dtype,
    );
    dqkv
}

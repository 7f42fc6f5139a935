//! Causal softmax of a block of attention scores.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::DType;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{empty, grid, owned, rows_and_columns, threads};

/// Combines the greatest number and the sum of exponentials less it of all threads:
/// returns the logarithm of the whole sum.
#[cube]
pub(super) fn combine(top: f32, sum: f32, #[comptime] threads: usize) -> f32 {
    let unit = UNIT_POS as usize;
    let mut tops = Shared::new_slice(threads);
    let mut sums = Shared::new_slice(threads);
    tops[unit] = top;
    sums[unit] = sum;
    sync_cube();
    let mut half = CUBE_DIM_X as usize / 2;
    while half > 0 {
        if unit < half {
            let a = tops[unit];
            let b = tops[unit + half];
            let greatest = max(a, b);
            sums[unit] =
                sums[unit] * (a - greatest).exp() + sums[unit + half] * (b - greatest).exp();
            tops[unit] = greatest;
        }
        sync_cube();
        half /= 2;
    }
    tops[0] + sums[0].ln()
}

#[cube(launch)]
fn forward<E: Float>(
    scores: &mut Tensor<E>,
    lse: &mut Tensor<f32>,
    rows: usize,
    keys: usize,
    from: usize,
    block: usize,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let first = row * keys;
    // The row's own token and those before it.
    let seen = from + row % block + 1;
    let mut top = f32::new(-1e30);
    let mut sum = f32::new(0.0);
    let mut key = UNIT_POS as usize;
    while key < seen {
        let x = f32::cast_from(scores[first + key]);
        if x > top {
            sum = sum * (top - x).exp() + 1.0;
            top = x;
        } else {
            sum += (x - top).exp();
        }
        key += threads;
    }
    let total = combine(top, sum, threads);
    if unit == 0 {
        lse[row] = total;
    }
    let mut key = UNIT_POS as usize;
    while key < keys {
        let mut p = f32::new(0.0);
        if key < seen {
            p = (f32::cast_from(scores[first + key]) - total).exp();
        }
        scores[first + key] = E::cast_from(p);
        key += threads;
    }
}

#[cube(launch)]
fn backward<E: Float>(
    scores: &mut Tensor<E>,
    dp: &mut Tensor<E>,
    lse: &Tensor<f32>,
    along: &Tensor<f32>,
    rows: usize,
    keys: usize,
    from: usize,
    block: usize,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let first = row * keys;
    let seen = from + row % block + 1;
    let total = lse[row];
    let mean = along[row];
    let mut key = UNIT_POS as usize;
    while key < keys {
        let mut p = f32::new(0.0);
        let mut ds = f32::new(0.0);
        if key < seen {
            p = (f32::cast_from(scores[first + key]) - total).exp();
            ds = p * (f32::cast_from(dp[first + key]) - mean);
        }
        scores[first + key] = E::cast_from(p);
        dp[first + key] = E::cast_from(ds);
        key += threads;
    }
}

pub(super) fn launch(scores: CubeTensor, from: usize, block: usize) -> (CubeTensor, CubeTensor) {
    let scores = owned(scores);
    let (rows, keys) = rows_and_columns(&scores);
    let mut shape = scores.meta.shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = 1;
    let lse = empty(&scores, shape, DType::F32);
    let threads = threads(keys);
    forward::launch(
        &scores.client.clone(),
        grid(rows),
        CubeDim::new_1d(threads as u32),
        scores.clone().into_tensor_arg(),
        lse.clone().into_tensor_arg(),
        rows,
        keys,
        from,
        block,
        threads,
        dtype_to_storage_type(scores.dtype),
    );
    (scores, lse)
}

pub(super) fn launch_back(
    [scores, dp, lse, along]: [CubeTensor; 4],
    from: usize,
    block: usize,
) -> (CubeTensor, CubeTensor) {
    let [scores, dp] = [scores, dp].map(owned);
    let [lse, along] = [lse, along].map(into_contiguous);
    let (rows, keys) = rows_and_columns(&scores);
    let threads = threads(keys);
    backward::launch(
        &scores.client.clone(),
        grid(rows),
        CubeDim::new_1d(threads as u32),
        scores.clone().into_tensor_arg(),
        dp.clone().into_tensor_arg(),
        lse.into_tensor_arg(),
        along.into_tensor_arg(),
        rows,
        keys,
        from,
        block,
        threads,
        dtype_to_storage_type(scores.dtype),
    );
    (scores, dp)
}

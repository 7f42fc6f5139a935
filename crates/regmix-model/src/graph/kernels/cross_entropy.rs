//! Cross-entropy of rows of logits with its gradient.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::softmax::combine;
use super::{empty, grid, owned, rows_and_columns, threads};
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::kernel::into_contiguous;

/// Reads a row twice: once for the greatest logit and the sum of exponentials
/// (Milakov and Gimelshein 2018, arXiv 1805.02867), once to replace it by
/// `weight (softmax - onehot)`.
#[cube(launch)]
fn kernel<E: Float, I: Int>(
    logits: &mut Tensor<E>,
    targets: &Tensor<I>,
    losses: &mut Tensor<f32>,
    rows: usize,
    columns: usize,
    weight: f32,
    #[comptime] threads: usize,
    #[define(E, I)] _dtypes: [ElemType; 2],
) {
    let row = CUBE_POS as usize;
    if row >= rows {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let first = row * columns;
    let mut top = f32::new(-1e30);
    let mut sum = f32::new(0.0);
    let mut column = UNIT_POS as usize;
    while column < columns {
        let x = f32::cast_from(logits[first + column]);
        if x > top {
            sum = sum * (top - x).exp() + 1.0;
            top = x;
        } else {
            // Also where x is not a number: the sum is then none, either.
            sum += (x - top).exp();
        }
        column += threads;
    }
    let lse = combine(top, sum, threads);
    let target = usize::cast_from(targets[row]);
    if unit == 0 {
        losses[row] = lse - f32::cast_from(logits[first + target]);
    }
    // The target's logit is read before it is replaced.
    sync_cube();
    let mut column = UNIT_POS as usize;
    while column < columns {
        let x = f32::cast_from(logits[first + column]);
        let mut gradient = weight * (x - lse).exp();
        if column == target {
            gradient -= weight;
        }
        logits[first + column] = E::cast_from(gradient);
        column += threads;
    }
}

pub(super) fn launch(
    logits: CubeTensor,
    targets: CubeTensor,
    weight: f32,
) -> (CubeTensor, CubeTensor) {
    let logits = owned(logits);
    let targets = into_contiguous(targets);
    let (rows, columns) = rows_and_columns(&logits);
    let losses = empty(&logits, Shape::new([rows]), DType::F32);
    let threads = threads(columns);
    let types = [logits.dtype, targets.dtype].map(dtype_to_storage_type);
    kernel::launch(
        &logits.client.clone(),
        grid(rows),
        CubeDim::new_1d(threads as u32),
        logits.clone().into_tensor_arg(),
        targets.into_tensor_arg(),
        losses.clone().into_tensor_arg(),
        rows,
        columns,
        weight,
        threads,
        types,
    );
    (losses, logits)
}

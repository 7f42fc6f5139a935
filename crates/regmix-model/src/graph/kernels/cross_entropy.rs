//! Cross-entropy of rows of logits with its gradient.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::softmax::combine;
use super::{empty, grid, owned, rows_and_columns, vector_size};

/// The greatest number so far, and the sum of exponentials less it, with a vector more.
#[cube]
fn observe<N: Size>(top: f32, sum: f32, x: Vector<f32, N>) -> (f32, f32) {
    let mut greatest = top;
    #[unroll]
    for i in 0..x.vector_size() {
        greatest = max(greatest, x.extract(i));
    }
    // Also where a number is NaN: the sum is then NaN, too.
    let mut total = sum * (top - greatest).exp();
    #[unroll]
    for i in 0..x.vector_size() {
        total += (x.extract(i) - greatest).exp();
    }
    (greatest, total)
}

/// `weight (softmax - onehot)` of a vector whose first number is that of column `first`.
#[cube]
fn gradient<N: Size>(
    x: Vector<f32, N>,
    lse: f32,
    weight: f32,
    first: usize,
    target: usize,
) -> Vector<f32, N> {
    let mut gradient = Vector::<f32, N>::empty();
    #[unroll]
    for i in 0..x.vector_size() {
        let mut g = weight * (x.extract(i) - lse).exp();
        if first + i == target {
            g -= weight;
        }
        gradient.insert(i, g);
    }
    gradient
}

/// Reads a row twice: once for the greatest logit and the sum of exponentials (Milakov and
/// Gimelshein 2018, arXiv 1805.02867), once to replace it by `weight (softmax - onehot)`.
/// `columns` counts vectors.
#[cube(launch)]
fn kernel<E: Float, I: Int, N: Size>(
    logits: &mut Tensor<Vector<E, N>>,
    targets: &Tensor<I>,
    losses: &mut Tensor<f32>,
    rows: usize,
    columns: usize,
    weight: f32,
    #[comptime] threads: usize,
    #[define(E, I)] _dtypes: [ElemType; 2],
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let first = row * columns;
    let size = logits.vector_size();
    let target = usize::cast_from(targets[row]);
    let mut of_target = f32::new(0.0);
    if unit == 0 {
        // Before it is replaced.
        let x = Vector::<f32, N>::cast_from(logits[first + target / size]);
        #[unroll]
        for i in 0..size {
            if target % size == i {
                of_target = x.extract(i);
            }
        }
    }
    let mut top = f32::new(-1e30);
    let mut sum = f32::new(0.0);
    let mut column = UNIT_POS as usize;
    while column < columns {
        let x = Vector::<f32, N>::cast_from(logits[first + column]);
        let (t, s) = observe(top, sum, x);
        top = t;
        sum = s;
        column += threads;
    }
    let lse = combine(top, sum, threads);
    if unit == 0 {
        losses[row] = lse - of_target;
    }
    let mut column = UNIT_POS as usize;
    while column < columns {
        let x = Vector::<f32, N>::cast_from(logits[first + column]);
        let g = gradient(x, lse, weight, column * size, target);
        logits[first + column] = Vector::cast_from(g);
        column += threads;
    }
}

/// Threads of a row of so many vectors. With many, few rows are worked on at once, and the
/// second reading of a row finds more of it in the cache: 512 were faster than 256 and
/// 1,024 on an H200.
fn threads(logits: &CubeTensor, columns: usize) -> usize {
    let most = logits.client.properties().hardware.max_units_per_cube as usize;
    columns
        .next_power_of_two()
        .clamp(32, 512)
        .min(1 << most.max(32).ilog2())
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
    let size = vector_size(&logits, columns);
    let columns = columns / size;
    let threads = threads(&logits, columns);
    let types = [logits.dtype, targets.dtype].map(dtype_to_storage_type);
    kernel::launch(
        &logits.client.clone(),
        grid(rows),
        CubeDim::new_1d(threads as u32),
        size,
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

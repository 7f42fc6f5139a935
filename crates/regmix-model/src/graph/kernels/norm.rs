//! RMSNorm of rows.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{empty, grid, owned, rows_and_columns, threads, vector_size};

/// Rows whose products a workgroup adds up for the gradient of the weight.
const BLOCK: usize = 64;

/// The sum over all threads of a workgroup.
#[cube]
pub(super) fn sum_of_threads(value: f32, #[comptime] threads: usize) -> f32 {
    let unit = UNIT_POS as usize;
    let mut sums = Shared::new_slice(threads);
    sums[unit] = value;
    sync_cube();
    let mut half = CUBE_DIM_X as usize / 2;
    while half > 0 {
        if unit < half {
            sums[unit] += sums[unit + half];
        }
        sync_cube();
        half /= 2;
    }
    sums[0]
}

/// The sum of a vector's numbers.
#[cube]
pub(super) fn sum_of<N: Size>(v: Vector<f32, N>) -> f32 {
    let mut sum = f32::new(0.0);
    #[unroll]
    for i in 0..v.vector_size() {
        sum += v.extract(i);
    }
    sum
}

/// `columns` counts vectors, of which each has `numbers_of_row / columns` numbers. Every
/// `rows_of_model` rows have a weight.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn forward<E: Float, N: Size>(
    x: &Tensor<Vector<f32, N>>,
    weight: &Tensor<Vector<f32, N>>,
    y: &mut Tensor<Vector<E, N>>,
    root: &mut Tensor<f32>,
    rows: usize,
    rows_of_model: usize,
    columns: usize,
    numbers_of_row: usize,
    eps: f32,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let first = row * columns;
    let of_model = row / rows_of_model * columns;
    let mut squares = f32::new(0.0);
    let mut column = UNIT_POS as usize;
    while column < columns {
        let v = x[first + column];
        squares += sum_of(v * v);
        column += threads;
    }
    let mean = sum_of_threads(squares, threads) / f32::cast_from(numbers_of_row);
    let r = 1.0 / (mean + eps).sqrt();
    if unit == 0 {
        root[row] = r;
    }
    let mut column = UNIT_POS as usize;
    while column < columns {
        let v = x[first + column] * Vector::new(r) * weight[of_model + column];
        y[first + column] = Vector::cast_from(v);
        column += threads;
    }
}

/// Adds the gradient with respect to `x` to `dx`.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn backward<E: Float, N: Size>(
    x: &Tensor<Vector<f32, N>>,
    weight: &Tensor<Vector<f32, N>>,
    root: &Tensor<f32>,
    dy: &Tensor<Vector<E, N>>,
    dx: &mut Tensor<Vector<f32, N>>,
    rows: usize,
    rows_of_model: usize,
    columns: usize,
    numbers_of_row: usize,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let first = row * columns;
    let of_model = row / rows_of_model * columns;
    let mut products = f32::new(0.0);
    let mut column = UNIT_POS as usize;
    while column < columns {
        let at = first + column;
        products += sum_of(weight[of_model + column] * Vector::cast_from(dy[at]) * x[at]);
        column += threads;
    }
    let r = root[row];
    let along = sum_of_threads(products, threads) * r * r * r / f32::cast_from(numbers_of_row);
    let mut column = UNIT_POS as usize;
    while column < columns {
        let at = first + column;
        let by_unit = Vector::new(r) * weight[of_model + column] * Vector::cast_from(dy[at]);
        dx[at] = dx[at] + by_unit - Vector::new(along) * x[at];
        column += threads;
    }
}

/// The gradient of the weight, summed over blocks of rows, of which each is of one model.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn weight_back<E: Float>(
    x: &Tensor<f32>,
    root: &Tensor<f32>,
    dy: &Tensor<E>,
    sums: &mut Tensor<f32>,
    rows_of_model: usize,
    columns: usize,
    blocks: usize,
    blocks_of_model: usize,
    #[comptime] rows_of_block: usize,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let block = CUBE_POS;
    if block >= blocks {
        terminate!();
    }
    let mut column = UNIT_POS as usize;
    while column < columns {
        let mut sum = f32::new(0.0);
        let model = block / blocks_of_model * rows_of_model;
        let mut row = model + block % blocks_of_model * rows_of_block;
        let end = min(row + rows_of_block, model + rows_of_model);
        while row < end {
            let at = row * columns + column;
            sum += f32::cast_from(dy[at]) * x[at] * root[row];
            row += 1;
        }
        sums[block * columns + column] = sum;
        column += threads;
    }
}

pub(super) fn launch(
    x: CubeTensor,
    weight: CubeTensor,
    eps: f32,
    dtype: DType,
) -> (CubeTensor, CubeTensor) {
    let [x, weight] = [x, weight].map(into_contiguous);
    let (rows, columns) = rows_and_columns(&x);
    let (models, _) = rows_and_columns(&weight);
    let y = empty(&x, Shape::new([rows, columns]), dtype);
    let root = empty(&x, Shape::new([rows, 1]), DType::F32);
    let size = vector_size(&x, columns);
    let threads = threads(columns / size);
    forward::launch(
        &x.client.clone(),
        grid(rows),
        CubeDim::new_1d(threads as u32),
        size,
        x.into_tensor_arg(),
        weight.into_tensor_arg(),
        y.clone().into_tensor_arg(),
        root.clone().into_tensor_arg(),
        rows,
        rows / models,
        columns / size,
        columns,
        eps,
        threads,
        dtype_to_storage_type(dtype),
    );
    (y, root)
}

pub(super) fn launch_back(
    [x, weight, root, dy]: [CubeTensor; 4],
    dx: CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let [x, weight, root, dy] = [x, weight, root, dy].map(into_contiguous);
    let dx = owned(dx);
    let (rows, columns) = rows_and_columns(&x);
    let (models, _) = rows_and_columns(&weight);
    let rows_of_model = rows / models;
    let blocks_of_model = rows_of_model.div_ceil(BLOCK);
    let blocks = models * blocks_of_model;
    let sums = empty(
        &x,
        Shape::new([models, blocks_of_model, columns]),
        DType::F32,
    );
    let threads = threads(columns);
    let client = x.client.clone();
    let dtype = dtype_to_storage_type(dy.dtype);
    let dim = CubeDim::new_1d(threads as u32);
    weight_back::launch(
        &client,
        grid(blocks),
        dim,
        x.clone().into_tensor_arg(),
        root.clone().into_tensor_arg(),
        dy.clone().into_tensor_arg(),
        sums.clone().into_tensor_arg(),
        rows_of_model,
        columns,
        blocks,
        blocks_of_model,
        BLOCK,
        threads,
        dtype,
    );
    let size = vector_size(&x, columns);
    let threads = super::threads(columns / size);
    backward::launch(
        &client,
        grid(rows),
        CubeDim::new_1d(threads as u32),
        size,
        x.into_tensor_arg(),
        weight.into_tensor_arg(),
        root.into_tensor_arg(),
        dy.into_tensor_arg(),
        dx.clone().into_tensor_arg(),
        rows,
        rows_of_model,
        columns / size,
        columns,
        threads,
        dtype,
    );
    (dx, sums)
}

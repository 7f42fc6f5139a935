//! SwiGLU of gate and up projection, side by side.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{empty, grid, owned, rows_and_columns, threads};

#[cube]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cube(launch)]
fn forward<E: Float>(
    gate_up: &Tensor<E>,
    y: &mut Tensor<E>,
    rows: usize,
    columns: usize,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let row = CUBE_POS as usize;
    if row >= rows {
        terminate!();
    }
    let first = 2 * row * columns;
    let mut column = UNIT_POS as usize;
    while column < columns {
        let gate = f32::cast_from(gate_up[first + column]);
        let up = f32::cast_from(gate_up[first + columns + column]);
        y[row * columns + column] = E::cast_from(gate * sigmoid(gate) * up);
        column += threads;
    }
}

#[cube(launch)]
fn backward<E: Float>(
    gate_up: &mut Tensor<E>,
    dy: &Tensor<E>,
    y: &mut Tensor<E>,
    rows: usize,
    columns: usize,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let row = CUBE_POS as usize;
    if row >= rows {
        terminate!();
    }
    let first = 2 * row * columns;
    let mut column = UNIT_POS as usize;
    while column < columns {
        let at = row * columns + column;
        let gate = f32::cast_from(gate_up[first + column]);
        let up = f32::cast_from(gate_up[first + columns + column]);
        let dy = f32::cast_from(dy[at]);
        let s = sigmoid(gate);
        y[at] = E::cast_from(gate * s * up);
        gate_up[first + column] = E::cast_from(dy * up * s * (1.0 + gate * (1.0 - s)));
        gate_up[first + columns + column] = E::cast_from(dy * gate * s);
        column += threads;
    }
}

pub(super) fn launch(gate_up: CubeTensor) -> CubeTensor {
    let gate_up = into_contiguous(gate_up);
    let (rows, both) = rows_and_columns(&gate_up);
    let (columns, dtype) = (both / 2, gate_up.dtype);
    let y = empty(&gate_up, Shape::new([rows, columns]), dtype);
    let threads = threads(columns);
    forward::launch(
        &y.client.clone(),
        grid(rows),
        CubeDim::new_1d(threads as u32),
        gate_up.into_tensor_arg(),
        y.clone().into_tensor_arg(),
        rows,
        columns,
        threads,
        dtype_to_storage_type(dtype),
    );
    y
}

pub(super) fn launch_back(gate_up: CubeTensor, dy: CubeTensor) -> (CubeTensor, CubeTensor) {
    let gate_up = owned(gate_up);
    let dy = into_contiguous(dy);
    let (rows, columns) = rows_and_columns(&dy);
    let y = empty(&gate_up, Shape::new([rows, columns]), gate_up.dtype);
    let threads = threads(columns);
    backward::launch(
        &y.client.clone(),
        grid(rows),
        CubeDim::new_1d(threads as u32),
        gate_up.clone().into_tensor_arg(),
        dy.into_tensor_arg(),
        y.clone().into_tensor_arg(),
        rows,
        columns,
        threads,
        dtype_to_storage_type(gate_up.dtype),
    );
    (y, gate_up)
}

//! SwiGLU of gate and up projection, side by side.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{empty, grid, owned, rows_and_columns, threads, vector_size};

#[cube]
fn sigmoid<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    Vector::new(1.0) / (Vector::new(1.0) + (-x).exp())
}

/// `columns` counts vectors.
#[cube(launch)]
fn forward<E: Float, N: Size>(
    gate_up: &Tensor<Vector<E, N>>,
    y: &mut Tensor<Vector<E, N>>,
    rows: usize,
    columns: usize,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let first = 2 * row * columns;
    let mut column = UNIT_POS as usize;
    while column < columns {
        let gate = Vector::<f32, N>::cast_from(gate_up[first + column]);
        let up = Vector::<f32, N>::cast_from(gate_up[first + columns + column]);
        y[row * columns + column] = Vector::cast_from(gate * sigmoid(gate) * up);
        column += threads;
    }
}

/// `columns` counts vectors.
#[cube(launch)]
fn backward<E: Float, N: Size>(
    gate_up: &mut Tensor<Vector<E, N>>,
    dy: &Tensor<Vector<E, N>>,
    y: &mut Tensor<Vector<E, N>>,
    rows: usize,
    columns: usize,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let first = 2 * row * columns;
    let mut column = UNIT_POS as usize;
    while column < columns {
        let at = row * columns + column;
        let gate = Vector::<f32, N>::cast_from(gate_up[first + column]);
        let up = Vector::<f32, N>::cast_from(gate_up[first + columns + column]);
        let dy = Vector::<f32, N>::cast_from(dy[at]);
        let s = sigmoid(gate);
        let one = Vector::<f32, N>::new(1.0);
        y[at] = Vector::cast_from(gate * s * up);
        let dgate = dy * up * s * (one + gate * (one - s));
        gate_up[first + column] = Vector::cast_from(dgate);
        gate_up[first + columns + column] = Vector::cast_from(dy * gate * s);
        column += threads;
    }
}

pub(super) fn launch(gate_up: CubeTensor) -> CubeTensor {
    let gate_up = into_contiguous(gate_up);
    let (rows, both) = rows_and_columns(&gate_up);
    let (columns, dtype) = (both / 2, gate_up.dtype);
    let y = empty(&gate_up, Shape::new([rows, columns]), dtype);
    let size = vector_size(&y, columns);
    let columns = columns / size;
    let threads = threads(columns);
    forward::launch(
        &y.client.clone(),
        grid(rows),
        CubeDim::new_1d(threads as u32),
        size,
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
    let size = vector_size(&y, columns);
    let columns = columns / size;
    let threads = threads(columns);
    backward::launch(
        &y.client.clone(),
        grid(rows),
        CubeDim::new_1d(threads as u32),
        size,
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

//! Rotary positions of queries and keys, in place.

use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::super::arguments::{Rotation, Turn};
use super::{grid, owned, rows_and_columns, vector_size};

const THREADS: usize = 256;

/// A thread turns some entries of a head's first half, with those of its second half.
/// `half` and `columns` count vectors.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn kernel<E: Float, N: Size>(
    x: &mut Tensor<Vector<E, N>>,
    cos: &Tensor<Vector<f32, N>>,
    sin: &Tensor<Vector<f32, N>>,
    count: usize,
    heads: usize,
    half: usize,
    columns: usize,
    tokens: usize,
    sign: f32,
    #[comptime] threads: usize,
    #[define(E)] _dtype: ElemType,
) {
    let at = CUBE_POS * threads + UNIT_POS as usize;
    if at >= count {
        terminate!();
    }
    let i = at % half;
    let head = (at / half) % heads;
    let row = at / half / heads;
    let low = row * columns + head * 2 * half + i;
    let angle = (row % tokens) * 2 * half + i;
    let a = Vector::<f32, N>::cast_from(x[low]);
    let b = Vector::<f32, N>::cast_from(x[low + half]);
    let c = cos[angle];
    let s = sin[angle] * Vector::new(sign);
    x[low] = Vector::cast_from(a * c - b * s);
    x[low + half] = Vector::cast_from(b * c + a * s);
}

pub(super) fn launch(
    x: CubeTensor,
    cos: CubeTensor,
    sin: CubeTensor,
    Rotation {
        heads,
        tokens,
        turn,
    }: Rotation,
) -> CubeTensor {
    let x = owned(x);
    let [cos, sin] = [cos, sin].map(into_contiguous);
    let (rows, columns) = rows_and_columns(&x);
    let (_, dim) = rows_and_columns(&cos);
    let size = vector_size(&x, dim / 2).min(vector_size(&cos, dim / 2));
    let count = rows * heads * dim / 2 / size;
    let dtype = dtype_to_storage_type(x.dtype);
    kernel::launch(
        &x.client.clone(),
        grid(count.div_ceil(THREADS)),
        CubeDim::new_1d(THREADS as u32),
        size,
        x.clone().into_tensor_arg(),
        cos.into_tensor_arg(),
        sin.into_tensor_arg(),
        count,
        heads,
        dim / 2 / size,
        columns / size,
        tokens,
        if turn == Turn::Forward { 1.0 } else { -1.0 },
        THREADS,
        dtype,
    );
    x
}

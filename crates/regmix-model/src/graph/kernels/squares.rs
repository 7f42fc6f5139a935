//! Sums of squares of the numbers of every model, in two passes: a workgroup adds up a
//! piece, and then one adds up the pieces of a model. The order is fixed.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::norm::sum_of_threads;
use super::{empty, grid};

const THREADS: usize = 256;

/// `pieces` are beginning, end and model of every piece.
#[cube(launch)]
fn of_pieces(
    g: &Tensor<f32>,
    pieces: &Tensor<i32>,
    sums: &mut Tensor<f32>,
    count: usize,
    #[comptime] threads: usize,
) {
    let piece = CUBE_POS;
    if piece >= count {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let end = pieces[3 * piece + 1] as usize;
    let mut at = pieces[3 * piece] as usize + unit;
    let mut squares = f32::new(0.0);
    while at < end {
        squares += g[at] * g[at];
        at += threads;
    }
    let sum = sum_of_threads(squares, threads);
    if unit == 0 {
        sums[piece] = sum;
    }
}

#[cube(launch)]
fn of_models(
    sums: &Tensor<f32>,
    pieces: &Tensor<i32>,
    all: &mut Tensor<f32>,
    count: usize,
    #[comptime] threads: usize,
) {
    let model = CUBE_POS;
    let unit = UNIT_POS as usize;
    let mut piece = UNIT_POS as usize;
    let mut sum = f32::new(0.0);
    while piece < count {
        if pieces[3 * piece + 2] as usize == model {
            sum += sums[piece];
        }
        piece += threads;
    }
    let sum = sum_of_threads(sum, threads);
    if unit == 0 {
        all[model] = sum;
    }
}

pub(super) fn launch(g: CubeTensor, pieces: CubeTensor, models: usize) -> CubeTensor {
    let [g, pieces] = [g, pieces].map(into_contiguous);
    let count = pieces.meta.shape().num_elements() / 3;
    let sums = empty(&g, Shape::new([count]), DType::F32);
    let all = empty(&g, Shape::new([models]), DType::F32);
    let client = g.client.clone();
    of_pieces::launch(
        &client,
        grid(count),
        CubeDim::new_1d(THREADS as u32),
        g.into_tensor_arg(),
        pieces.clone().into_tensor_arg(),
        sums.clone().into_tensor_arg(),
        count,
        THREADS,
    );
    of_models::launch(
        &client,
        CubeCount::Static(models as u32, 1, 1),
        CubeDim::new_1d(THREADS as u32),
        sums.into_tensor_arg(),
        pieces.into_tensor_arg(),
        all.clone().into_tensor_arg(),
        count,
        THREADS,
    );
    all
}

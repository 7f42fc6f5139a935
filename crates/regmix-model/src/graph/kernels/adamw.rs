//! AdamW in one pass, for all models.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::super::arguments::NUMBERS;
use super::{grid, owned};

const THREADS: usize = 256;

/// `pieces` are beginning, end and model of every piece; `numbers` are those of every
/// model's update, the first of which is 0 where there is none.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn kernel(
    w: &mut Tensor<f32>,
    g: &Tensor<f32>,
    m: &mut Tensor<f32>,
    v: &mut Tensor<f32>,
    pieces: &Tensor<i32>,
    numbers: &Tensor<f32>,
    count: usize,
    #[comptime] of_update: usize,
    #[comptime] threads: usize,
) {
    let piece = CUBE_POS;
    if piece >= count {
        terminate!();
    }
    let first = pieces[3 * piece + 2] as usize * of_update;
    if numbers[first] == 0.0 {
        terminate!();
    }
    let clip = numbers[first + 1];
    let beta1 = numbers[first + 2];
    let rest1 = numbers[first + 3];
    let beta2 = numbers[first + 4];
    let rest2 = numbers[first + 5];
    let inverse_root2 = numbers[first + 6];
    let eps = numbers[first + 7];
    let decay = numbers[first + 8];
    let rate = numbers[first + 9];
    let end = pieces[3 * piece + 1] as usize;
    let mut at = pieces[3 * piece] as usize + UNIT_POS as usize;
    while at < end {
        let g = g[at] * clip;
        let mean = m[at] * beta1 + g * rest1;
        let square = v[at] * beta2 + g * g * rest2;
        m[at] = mean;
        v[at] = square;
        w[at] = w[at] * decay - rate * mean / (square.sqrt() * inverse_root2 + eps);
        at += threads;
    }
}

pub(super) fn launch(
    [w, g, m, v]: [CubeTensor; 4],
    pieces: CubeTensor,
    numbers: CubeTensor,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [w, m, v] = [w, m, v].map(owned);
    let [g, pieces, numbers] = [g, pieces, numbers].map(into_contiguous);
    let count = pieces.meta.shape().num_elements() / 3;
    kernel::launch(
        &w.client.clone(),
        grid(count),
        CubeDim::new_1d(THREADS as u32),
        w.clone().into_tensor_arg(),
        g.into_tensor_arg(),
        m.clone().into_tensor_arg(),
        v.clone().into_tensor_arg(),
        pieces.into_tensor_arg(),
        numbers.into_tensor_arg(),
        count,
        NUMBERS,
        THREADS,
    );
    (w, m, v)
}

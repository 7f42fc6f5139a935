//! Tensors added to parts of a larger one.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::super::arguments::Part;
use super::{grid, owned};

const THREADS: usize = 256;

/// Adds a part's number to the sum, or puts it in its place.
#[cube]
fn add_number(sum: &mut Tensor<f32>, part: &Tensor<f32>, at: usize, start: usize, keep: u32) {
    let mut number = part[at];
    if keep == 1u32 {
        number += sum[start + at];
    }
    sum[start + at] = number;
}

/// The parts lie one after the other in the numbering of threads; `end_a` is where `a`
/// ends there.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn kernel(
    sum: &mut Tensor<f32>,
    a: &Tensor<f32>,
    b: &Tensor<f32>,
    c: &Tensor<f32>,
    d: &Tensor<f32>,
    end_a: usize,
    end_b: usize,
    end_c: usize,
    end_d: usize,
    start_a: usize,
    start_b: usize,
    start_c: usize,
    start_d: usize,
    keep_a: u32,
    keep_b: u32,
    keep_c: u32,
    keep_d: u32,
    #[comptime] threads: usize,
) {
    let at = CUBE_POS * threads + UNIT_POS as usize;
    if at < end_a {
        add_number(sum, a, at, start_a, keep_a);
    } else if at < end_b {
        add_number(sum, b, at - end_a, start_b, keep_b);
    } else if at < end_c {
        add_number(sum, c, at - end_b, start_c, keep_c);
    } else if at < end_d {
        add_number(sum, d, at - end_c, start_d, keep_d);
    }
}

/// All in f32 and of one dimension.
pub(super) fn launch(sum: CubeTensor, parts: [(CubeTensor, Part); 4]) -> CubeTensor {
    let sum = owned(sum);
    let mut end = 0;
    let ends = parts.each_ref().map(|(_, part)| {
        end += part.count;
        end
    });
    let starts = parts.each_ref().map(|(_, part)| part.start);
    let keeps = parts.each_ref().map(|(_, part)| u32::from(part.keep));
    let [a, b, c, d] = parts.map(|(t, _)| into_contiguous(t));
    kernel::launch(
        &sum.client.clone(),
        grid(end.div_ceil(THREADS)),
        CubeDim::new_1d(THREADS as u32),
        sum.clone().into_tensor_arg(),
        a.into_tensor_arg(),
        b.into_tensor_arg(),
        c.into_tensor_arg(),
        d.into_tensor_arg(),
        ends[0],
        ends[1],
        ends[2],
        ends[3],
        starts[0],
        starts[1],
        starts[2],
        starts[3],
        keeps[0],
        keeps[1],
        keeps[2],
        keeps[3],
        THREADS,
    );
    sum
}

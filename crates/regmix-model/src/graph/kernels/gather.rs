//! Rows added up by the token that they belong to, in two passes: a workgroup adds up
//! some rows of one token, and then one adds up these sums. The order is fixed.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::super::arguments::Groups;
use super::{empty, grid, rows_and_columns, threads};

/// Sums of the rows whose numbers stand at `plan[starts..]`, from one start to the next.
#[cube(launch)]
fn sum_pieces(
    x: &Tensor<f32>,
    plan: &Tensor<i32>,
    sums: &mut Tensor<f32>,
    pieces: usize,
    starts: usize,
    columns: usize,
    #[comptime] threads: usize,
) {
    let piece = CUBE_POS;
    if piece >= pieces {
        terminate!();
    }
    let from = plan[starts + piece] as usize;
    let to = plan[starts + piece + 1] as usize;
    let mut column = UNIT_POS as usize;
    while column < columns {
        let mut sum = f32::new(0.0);
        for at in from..to {
            sum += x[plan[at] as usize * columns + column];
        }
        sums[piece * columns + column] = sum;
        column += threads;
    }
}

/// Sums of neighbouring rows, from one start to the next; zero where there are none.
#[cube(launch)]
fn sum_neighbours(
    x: &Tensor<f32>,
    plan: &Tensor<i32>,
    sums: &mut Tensor<f32>,
    groups: usize,
    starts: usize,
    columns: usize,
    #[comptime] threads: usize,
) {
    let group = CUBE_POS;
    if group >= groups {
        terminate!();
    }
    let from = plan[starts + group] as usize;
    let to = plan[starts + group + 1] as usize;
    let mut column = UNIT_POS as usize;
    while column < columns {
        let mut sum = f32::new(0.0);
        for at in from..to {
            sum += x[at * columns + column];
        }
        sums[group * columns + column] = sum;
        column += threads;
    }
}

pub(super) fn launch(x: CubeTensor, plan: CubeTensor, groups: Groups) -> CubeTensor {
    let [x, plan] = [x, plan].map(into_contiguous);
    let (_, columns) = rows_and_columns(&x);
    let Groups {
        rows,
        pieces,
        tokens,
    } = groups;
    let of_pieces = empty(&x, Shape::new([pieces, columns]), DType::F32);
    let of_tokens = empty(&x, Shape::new([tokens, columns]), DType::F32);
    let client = x.client.clone();
    let threads = threads(columns);
    let dim = CubeDim::new_1d(threads as u32);
    sum_pieces::launch(
        &client,
        grid(pieces),
        dim,
        x.into_tensor_arg(),
        plan.clone().into_tensor_arg(),
        of_pieces.clone().into_tensor_arg(),
        pieces,
        rows,
        columns,
        threads,
    );
    sum_neighbours::launch(
        &client,
        grid(tokens),
        dim,
        of_pieces.into_tensor_arg(),
        plan.into_tensor_arg(),
        of_tokens.clone().into_tensor_arg(),
        tokens,
        rows + pieces + 1,
        columns,
        threads,
    );
    of_tokens
}

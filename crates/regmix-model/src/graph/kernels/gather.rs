//! Rows added up by the token that they belong to, in two passes: a workgroup adds up
//! some rows of one token, and then one adds up these sums. The order is fixed.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::super::arguments::Groups;
use super::{empty, grid, rows_and_columns, threads};

/// Sums of rows from one start to the next, zero where there are none. The starts stand
/// at `plan[starts..]`; they are places of rows, or of their numbers in the plan where
/// rows are `listed` there.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn sum_groups(
    x: &Tensor<f32>,
    plan: &Tensor<i32>,
    sums: &mut Tensor<f32>,
    groups: usize,
    starts: usize,
    columns: usize,
    #[comptime] listed: bool,
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
            let mut row = at;
            if listed {
                row = plan[at] as usize;
            }
            sum += x[row * columns + column];
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
    let threads = threads(columns);
    let sum = |x: CubeTensor, groups: usize, starts: usize, listed: bool| {
        let sums = empty(&x, Shape::new([groups, columns]), DType::F32);
        sum_groups::launch(
            &x.client.clone(),
            grid(groups),
            CubeDim::new_1d(threads as u32),
            x.into_tensor_arg(),
            plan.clone().into_tensor_arg(),
            sums.clone().into_tensor_arg(),
            groups,
            starts,
            columns,
            listed,
            threads,
        );
        sums
    };
    let of_pieces = sum(x, pieces, rows, true);
    sum(of_pieces, tokens, rows + pieces + 1, false)
}

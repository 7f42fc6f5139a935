//! Products of bf16 on processors that have instructions for it: both operands are
//! rounded to bfloat16 while they are packed, and added up in f32.
//!
//! Both operands are packed in tiles of 16 lines of 32 numbers. A line of the left
//! matrix holds 32 terms of one row; a line of the right one holds two terms, one
//! after the other, of each of 16 columns. This is what AMX multiplies
//! (`tdpbf16ps`), and what a vector instruction of AVX-512 takes (`vdpbf16ps`).

use super::tiles::{Line, Side, TILE, Tiles, pack};
use super::{Right, in_block, steps};
use crate::host::matrix::{Strided, Write, sized};

/// Terms that are added up before the result is stored.
const KC: usize = 512;
/// Columns of the right matrix that are packed at a time: with [`KC`], a megabyte.
const NC: usize = 1024;
/// Rows of the left matrix that are packed at a time: with [`KC`], two megabytes.
const MC: usize = 2048;
/// Rows and columns of the result that are computed at once.
const BLOCK: usize = 2 * TILE;

/// Packed tiles, reused between products.
#[derive(Debug, Default)]
pub(super) struct Packed {
    left: Vec<Line>,
    right: Vec<Line>,
}

/// Computes `a b` for several `b`, into destinations in rows.
pub(super) fn shared(tiles: Tiles, packed: &mut Packed, a: Strided<'_>, each: &mut [Right<'_>]) {
    let working = tiles.begin();
    for (top, rows) in steps(a.rows, MC) {
        for (depth, terms) in steps(a.cols, KC) {
            let left = sized(&mut packed.left, lines(rows, terms));
            let a = a.block((top, rows), (depth, terms));
            pack(tiles, Side::Left, a, left);
            for (out, write, b) in each.iter_mut() {
                let b = b.strided();
                let add = *write == Write::Add || depth > 0;
                for (first, width) in steps(b.cols, NC) {
                    let right = sized(&mut packed.right, lines(width, terms));
                    let b = b.block((depth, terms), (first, width));
                    pack(tiles, Side::Right, b, right);
                    let to = &mut out.data[top * out.stride + first..];
                    multiply(tiles, [left, right], to, out.stride, (rows, width), add);
                }
            }
        }
    }
    drop(working);
}

/// Multiplies packed matrices of `rows` rows and `width` columns.
fn multiply(
    tiles: Tiles,
    [left, right]: [&[Line]; 2],
    out: &mut [f32],
    stride: usize,
    (rows, width): (usize, usize),
    add: bool,
) {
    let lefts = left.chunks_exact(left.len() / rows.div_ceil(BLOCK));
    let rights = right.chunks_exact(right.len() / width.div_ceil(BLOCK));
    for (left, (row, rows)) in lefts.zip(steps(rows, BLOCK)) {
        for (right, (at, columns)) in rights.clone().zip(steps(width, BLOCK)) {
            let to = &mut out[row * stride + at..];
            tiles.prefetch(to.get(BLOCK..).unwrap_or_default(), stride);
            in_block::<BLOCK, BLOCK>(to, stride, (rows, columns), |to, stride| {
                tiles.block(left, right, to, stride, add);
            });
        }
    }
}

/// Lines of the tiles of that many rows or columns, in pairs, and terms.
fn lines(lines: usize, terms: usize) -> usize {
    lines.div_ceil(BLOCK) * 2 * terms.div_ceil(2 * TILE) * TILE
}

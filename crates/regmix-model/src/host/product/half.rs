//! Products of bf16 on processors that have instructions for it: both operands are
//! rounded to bfloat16 while they are packed, and added up in f32.
//!
//! Both operands are packed in tiles of 16 lines of 32 numbers. A line of the left
//! matrix holds 32 terms of one row; a line of the right one holds two terms, one
//! after the other, of each of 16 columns. This is what AMX multiplies
//! (`tdpbf16ps`), and what a vector instruction of AVX-512 takes (`vdpbf16ps`).

use super::tiles::{Line, Side, TILE, Tiles, pack};
use crate::host::matrix::Strided;

use super::Right;
use crate::host::matrix::Write;

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

/// Computes `a b` for several `b`.
pub(super) fn shared(tiles: Tiles, packed: &mut Packed, a: Strided<'_>, each: &mut [Right<'_>]) {
    let working = tiles.begin();
    for (top, rows) in super::steps(a.rows, MC) {
        for (depth, terms) in super::steps(a.cols, KC) {
            let left = room(&mut packed.left, rows, terms);
            pack(
                tiles,
                Side::Left,
                a.block((top, rows), (depth, terms)),
                left,
            );
            for (out, write, b) in each.iter_mut() {
                let b = b.strided();
                let add = *write == Write::Add || depth > 0;
                for (first, width) in super::steps(b.cols, NC) {
                    let right = room(&mut packed.right, width, terms);
                    pack(
                        tiles,
                        Side::Right,
                        b.block((depth, terms), (first, width)),
                        right,
                    );
                    let lines = terms.div_ceil(2 * TILE) * TILE;
                    let to = &mut out.data[top * out.stride + first..];
                    let (left, right) =
                        (left.chunks_exact(2 * lines), right.chunks_exact(2 * lines));
                    for (left, (row, rows)) in left.zip(super::steps(rows, BLOCK)) {
                        for (right, (at, columns)) in right.clone().zip(super::steps(width, BLOCK))
                        {
                            let to = &mut to[row * out.stride + at..];
                            tiles.prefetch(to.get(BLOCK..).unwrap_or_default(), out.stride);
                            block(tiles, left, right, to, out.stride, (rows, columns), add);
                        }
                    }
                }
            }
        }
    }
    drop(working);
}

/// Room for the tiles of that many rows or columns, in pairs, and terms.
fn room(buffer: &mut Vec<Line>, lines: usize, terms: usize) -> &mut [Line] {
    let n = lines.div_ceil(BLOCK) * 2 * terms.div_ceil(2 * TILE) * TILE;
    if buffer.len() < n {
        buffer.resize(n, Line::default());
    }
    &mut buffer[..n]
}

/// Computes a block into its place, or, where less than a whole block remains, the
/// first `(rows, columns)` of it.
fn block(
    tiles: Tiles,
    left: &[Line],
    right: &[Line],
    out: &mut [f32],
    stride: usize,
    (rows, columns): (usize, usize),
    add: bool,
) {
    if (rows, columns) == (BLOCK, BLOCK) {
        return tiles.block(left, right, out, stride, add);
    }
    let mut whole = [0.0; BLOCK * BLOCK];
    for (whole, out) in whole
        .chunks_exact_mut(BLOCK)
        .zip(out.chunks(stride))
        .take(rows)
    {
        whole[..columns].copy_from_slice(&out[..columns]);
    }
    tiles.block(left, right, &mut whole, BLOCK, add);
    for (whole, out) in whole
        .chunks_exact(BLOCK)
        .zip(out.chunks_mut(stride))
        .take(rows)
    {
        out[..columns].copy_from_slice(&whole[..columns]);
    }
}

//! Products in f32.
//!
//! The right matrix is packed in panels of a few registers' width, the left one is
//! read where it lies if its rows are contiguous, and packed otherwise. A block of
//! the result is kept in registers while `k` is walked (Goto and van de Geijn 2008,
//! "Anatomy of high-performance matrix multiplication"). The inner loop is plain
//! code over arrays of constant length, which the compiler turns into vector
//! instructions; `cargo bench` shows whether it still does.
//!
//! Every number of the result is a sum in the order of `k`, in blocks of [`KC`], so
//! that it is the same for vectors of every width.

use super::kernel::{Instructions, Kernel, Left, Tile};
use super::{in_block, steps};
use crate::host::matrix::{Strided, sized};

/// Terms that are added up in registers; with the widest panel, 32 KiB of the
/// right matrix.
const KC: usize = 256;
/// Columns of the right matrix that are packed at a time: half a megabyte.
const NC: usize = 512;
/// Rows of the left matrix that are used with one packed block: 288 KiB. A multiple
/// of the rows of every kernel.
const MC: usize = 288;
/// Rows that are packed at a time.
const ROWS: usize = 16;

/// Packed panels, reused between products.
#[derive(Debug, Default)]
pub(super) struct Packed {
    left: Vec<f32>,
    right: Vec<f32>,
}

/// Computes `a b`, `[m, k] [k, n]`, into the rows of `out`, `stride` apart, or adds
/// it to them.
pub(super) struct Product<'a> {
    pub(super) a: Strided<'a>,
    pub(super) b: Strided<'a>,
    pub(super) out: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) add: bool,
    /// Whether operands are rounded to bf16.
    pub(super) round: bool,
    pub(super) packed: &'a mut Packed,
}

impl Product<'_> {
    pub(super) fn run(self, instructions: Instructions) {
        match instructions {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512(kernel) => drive(&kernel, self),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(kernel) => drive(&kernel, self),
            Instructions::Plain(kernel) => drive(&kernel, self),
        }
    }
}

fn drive<const M: usize, const N: usize>(kernel: &impl Kernel<M, N>, product: Product<'_>) {
    let Product {
        a,
        b,
        out,
        stride,
        add,
        round,
        packed,
    } = product;
    let (m, k, n) = (a.rows, a.cols, b.cols);
    for (first, width) in steps(n, NC) {
        for (depth, terms) in steps(k, KC) {
            let b = b.block((depth, terms), (first, width));
            let right = sized(&mut packed.right, width.next_multiple_of(N) * terms);
            pack_right(kernel, b, right);
            if round {
                round_all(right);
            }
            let add = add || depth > 0;
            for (top, rows) in steps(m, MC) {
                let a = a.block((top, rows), (depth, terms));
                let whole = if a.by_column || round {
                    0
                } else {
                    rows / M * M
                };
                let rest = a.block((whole, rows - whole), (0, terms));
                let left = sized(&mut packed.left, rest.rows.next_multiple_of(M) * terms);
                pack_left::<M>(rest, left);
                if round {
                    round_all(left);
                }
                for (panel, (at, columns)) in right.chunks_exact(N * terms).zip(steps(width, N)) {
                    let (panel, _) = panel.as_chunks::<N>();
                    let out = &mut out[top * stride + first + at..];
                    let in_place = (0..whole).step_by(M).map(|row| {
                        let left = Left {
                            data: a.line(row),
                            between_rows: a.stride,
                            between_terms: 1,
                        };
                        (row, M, left)
                    });
                    let lefts = left.chunks_exact(M * terms).zip(steps(rest.rows, M));
                    let packed = lefts.map(|(data, (row, rows))| {
                        let left = Left {
                            data,
                            between_rows: 1,
                            between_terms: M,
                        };
                        (whole + row, rows, left)
                    });
                    for (row, rows, left) in in_place.chain(packed) {
                        let to = &mut out[row * stride..];
                        in_block::<M, N>(to, stride, (rows, columns), |out, stride| {
                            kernel.block(left, panel, Tile { out, stride, add });
                        });
                    }
                }
            }
        }
    }
}

/// Packs `[k, n]` in panels `[k, N]`, the last filled with zeros.
fn pack_right<const M: usize, const N: usize>(
    kernel: &impl Kernel<M, N>,
    b: Strided<'_>,
    out: &mut [f32],
) {
    if b.by_column {
        for (panel, (at, columns)) in out.chunks_exact_mut(N * b.rows).zip(steps(b.cols, N)) {
            let (panel, _) = panel.as_chunks_mut::<N>();
            if columns < N {
                panel.as_flattened_mut().fill(0.0);
            }
            kernel.turn(b.block((0, b.rows), (at, columns)), panel);
        }
        return;
    }
    pack_rows::<N>(b, out);
}

/// Packs `[m, k]` in panels `[k, M]`, the last filled with zeros.
fn pack_left<const M: usize>(a: Strided<'_>, out: &mut [f32]) {
    if a.by_column {
        return pack_rows::<M>(a.transpose(), out);
    }
    for (panel, (at, rows)) in out.chunks_exact_mut(M * a.cols).zip(steps(a.rows, M)) {
        let (panel, _) = panel.as_chunks_mut::<M>();
        for (p, packed) in panel.iter_mut().enumerate() {
            for (i, packed) in packed.iter_mut().enumerate() {
                *packed = if i < rows { a.line(at + i)[p] } else { 0.0 };
            }
        }
    }
}

/// Packs `[k, n]`, whose rows are contiguous, in panels `[k, N]`, the last filled with
/// zeros. A few rows at a time: they are read in long pieces, and written in pieces
/// that fill lines of the cache one after another.
fn pack_rows<const N: usize>(b: Strided<'_>, out: &mut [f32]) {
    for (top, rows) in steps(b.rows, ROWS) {
        for (panel, (at, columns)) in out.chunks_exact_mut(N * b.rows).zip(steps(b.cols, N)) {
            let (panel, _) = panel.as_chunks_mut::<N>();
            for (p, packed) in panel[top..top + rows].iter_mut().enumerate() {
                let row = &b.line(top + p)[at..at + columns];
                match row.first_chunk::<N>() {
                    Some(row) => *packed = *row,
                    None => {
                        packed[..columns].copy_from_slice(row);
                        packed[columns..].fill(0.0);
                    }
                }
            }
        }
    }
}

/// Rounds to bfloat16: the nearest, the even one if two are as near, zero below the
/// normal range, as instructions for bf16 do.
fn round_all(numbers: &mut [f32]) {
    for number in numbers {
        let bits = number.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
        let flushed = if number.abs() < f32::MIN_POSITIVE {
            bits & 0x8000_0000
        } else {
            rounded
        };
        *number = if number.is_nan() {
            f32::NAN
        } else {
            f32::from_bits(flushed)
        };
    }
}

//! Matrix products on slices, on the calling thread alone.
//!
//! Libraries in pure Rust fall short at the shapes of a proxy. The gradients of
//! weights, a third of a step, have a left matrix whose columns are contiguous,
//! which none of them multiplies with AVX-512; and none has bf16 on processors.
//!
//! | file | content |
//! |---|---|
//! | `single` | products in f32: packing and blocks |
//! | `kernel` | their inner loops, for AVX-512, AVX2 and any processor |
//! | `half` | products of operands rounded to bf16: packing and blocks |
//! | `tiles` | their inner loops, for AMX and AVX512-BF16 |
//! | `turn` | transposing squares in registers |
//!
//! In f32 the result has the same bits on every processor that multiplies and adds
//! in one instruction. In bf16 operands are rounded by the same rule everywhere;
//! the order of additions differs between AMX, AVX512-BF16 and processors without
//! either, where operands are rounded and multiplied in f32.

#[cfg(target_arch = "x86_64")]
mod half;
mod kernel;
mod single;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod turn;

use kernel::Instructions;

use super::matrix::{Matrix, MatrixMut, Write};
use crate::precision::Precision;

/// One of several products of a left matrix: where it goes, how, and the right
/// matrix.
pub(crate) type Right<'a> = (MatrixMut<'a>, Write, Matrix<'a>);

/// Computes products, and keeps the memory that they need.
#[derive(Debug, Default)]
pub(crate) struct Products {
    instructions: Instructions,
    half: Half,
    single: single::Packed,
}

/// How operands are rounded to bf16.
#[derive(Debug, Default)]
enum Half {
    /// They are not.
    #[default]
    No,
    /// By instructions for it.
    #[cfg(target_arch = "x86_64")]
    Tiles(tiles::Tiles, half::Packed),
    /// While they are packed for products in f32.
    Emulated,
}

impl Products {
    /// Products in f32, or of operands rounded to bf16.
    pub(crate) fn new(precision: Precision) -> Self {
        Self {
            half: match precision {
                Precision::F32 => Half::No,
                Precision::Bf16 => Half::new(),
            },
            ..Self::default()
        }
    }

    /// Computes `a b` into `out`.
    pub(crate) fn product(
        &mut self,
        out: MatrixMut<'_>,
        write: Write,
        a: Matrix<'_>,
        b: Matrix<'_>,
    ) {
        self.shared(a, [(out, write, b)]);
    }

    /// Computes `a b` for several right matrices.
    pub(crate) fn shared<const N: usize>(&mut self, a: Matrix<'_>, mut each: [Right<'_>; N]) {
        if each.iter().any(|(out, _, _)| out.transposed) {
            for (out, write, b) in each {
                // A transposed destination is one in rows for the transposed product.
                let (out, a, b) = if out.transposed {
                    (out.transpose(), b.transpose(), a.transpose())
                } else {
                    (out, a, b)
                };
                self.product(out, write, a, b);
            }
            return;
        }
        let a = a.strided();
        #[cfg(target_arch = "x86_64")]
        if let Half::Tiles(tiles, packed) = &mut self.half {
            return half::shared(*tiles, packed, a, &mut each);
        }
        for (out, write, b) in &mut each {
            let product = single::Product {
                a,
                b: b.strided(),
                out: &mut *out.data,
                stride: out.stride,
                add: *write == Write::Add,
                round: matches!(self.half, Half::Emulated),
                packed: &mut self.single,
            };
            product.run(self.instructions);
        }
    }
}

/// With what this processor multiplies bf16, as a line for people.
pub(crate) fn bf16_by() -> Option<&'static str> {
    match Half::new() {
        #[cfg(target_arch = "x86_64")]
        Half::Tiles(tiles::Tiles::Amx(_), _) => Some("bf16 by AMX"),
        #[cfg(target_arch = "x86_64")]
        Half::Tiles(tiles::Tiles::Vector(_), _) => Some("bf16 by AVX512-BF16"),
        Half::No | Half::Emulated => None,
    }
}

impl Half {
    fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = tiles::Tiles::all().next() {
            return Self::Tiles(tiles, half::Packed::default());
        }
        Self::Emulated
    }
}

/// Computes a block of `M` by `N` numbers into its place, or, where less of one
/// remains, the first `(rows, columns)` of it. `compute` receives where the block is,
/// with what it is added to, and the distance between rows.
fn in_block<const M: usize, const N: usize>(
    out: &mut [f32],
    stride: usize,
    (rows, columns): (usize, usize),
    compute: impl FnOnce(&mut [f32], usize),
) {
    if (rows, columns) == (M, N) {
        return compute(out, stride);
    }
    let mut block = [[0.0; N]; M];
    for (row, out) in block.iter_mut().zip(out.chunks(stride)).take(rows) {
        row[..columns].copy_from_slice(&out[..columns]);
    }
    compute(block.as_flattened_mut(), N);
    for (row, out) in block.iter().zip(out.chunks_mut(stride)).take(rows) {
        out[..columns].copy_from_slice(&row[..columns]);
    }
}

/// `0..n` in steps: first and length of each.
fn steps(n: usize, step: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).step_by(step).map(move |at| (at, step.min(n - at)))
}

#[cfg(test)]
mod tests;

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
#[derive(Debug)]
pub(crate) struct Products {
    instructions: Instructions,
    half: Half,
    single: single::Packed,
}

/// How operands are rounded to bf16.
#[derive(Debug)]
enum Half {
    /// They are not.
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
            instructions: Instructions::default(),
            half: match precision {
                Precision::F32 => Half::No,
                Precision::Bf16 => Half::new(),
            },
            single: single::Packed::default(),
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
        #[cfg(target_arch = "x86_64")]
        if let Half::Tiles(tiles, packed) = &mut self.half
            && each.iter().all(|(out, _, _)| !out.transposed)
        {
            return half::shared(*tiles, packed, a.strided(), &mut each);
        }
        for (out, write, b) in each {
            self.one(out, write, a, b);
        }
    }

    fn one(&mut self, out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
        // A transposed destination is one in rows for the transposed product.
        let (a, b) = if out.transposed {
            (b.transpose(), a.transpose())
        } else {
            (a, b)
        };
        let MatrixMut { data, stride, .. } = out;
        #[cfg(target_arch = "x86_64")]
        if let Half::Tiles(tiles, packed) = &mut self.half {
            let out = MatrixMut {
                data,
                rows: a.shape().0,
                cols: b.shape().1,
                stride,
                transposed: false,
            };
            return half::shared(*tiles, packed, a.strided(), &mut [(out, write, b)]);
        }
        single::Product {
            a: a.strided(),
            b: b.strided(),
            out: data,
            stride,
            add: write == Write::Add,
            round: matches!(self.half, Half::Emulated),
            packed: &mut self.single,
        }
        .run(self.instructions);
    }
}

/// What multiplies bf16 on this processor.
pub(crate) fn bf16_by() -> &'static str {
    match Half::new() {
        #[cfg(target_arch = "x86_64")]
        Half::Tiles(tiles::Tiles::Amx(_), _) => "AMX",
        #[cfg(target_arch = "x86_64")]
        Half::Tiles(tiles::Tiles::Vector(_), _) => "AVX512-BF16",
        Half::No | Half::Emulated => EMULATION,
    }
}

/// Where [`bf16_by`] finds no instructions.
pub(crate) const EMULATION: &str = "f32 instructions";

impl Half {
    fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = tiles::Tiles::all().next() {
            return Self::Tiles(tiles, half::Packed::default());
        }
        Self::Emulated
    }
}

/// `0..n` in steps: first and length of each.
fn steps(n: usize, step: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).step_by(step).map(move |at| (at, step.min(n - at)))
}

#[cfg(test)]
mod tests;

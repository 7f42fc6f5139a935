//! Matrix products on slices, on the calling thread alone.
//!
//! Libraries fell short at the shapes of a proxy: the gradients of weights, a
//! third of a step, have a left matrix whose columns are contiguous, and no
//! library in pure Rust multiplies these with AVX-512.

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
pub(super) type Right<'a> = (MatrixMut<'a>, Write, Matrix<'a>);

/// Computes products, and keeps the memory that they need.
#[derive(Debug)]
pub(super) struct Products {
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
    pub(super) fn new(precision: Precision) -> Self {
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
    pub(super) fn product(
        &mut self,
        out: MatrixMut<'_>,
        write: Write,
        a: Matrix<'_>,
        b: Matrix<'_>,
    ) {
        self.shared(a, [(out, write, b)]);
    }

    /// Computes `a b` for several right matrices.
    pub(super) fn shared<const N: usize>(&mut self, a: Matrix<'_>, mut each: [Right<'_>; N]) {
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
mod tests {
    use super::*;
    use crate::host::matrix::Place;

    /// Every layout of the three matrices, in blocks of larger ones whose rest
    /// must not change.
    #[test]
    fn products_of_blocks_stay_in_their_blocks() {
        let fill = |n: usize, step: usize| -> Vec<f32> {
            (0..n).map(|i| ((i * step) % 11) as f32 - 5.0).collect()
        };
        let mut products = Products::new(Precision::F32);
        for (m, k, n) in [(1, 1, 1), (3, 4, 5), (17, 9, 33), (40, 64, 70)] {
            for layout in 0..8 {
                let turned = |bit: usize| layout >> bit & 1 == 1;
                let place = |(rows, cols), bit| Place {
                    width: 100,
                    rows: if turned(bit) {
                        (2, 2 + cols)
                    } else {
                        (2, 2 + rows)
                    },
                    cols: if turned(bit) {
                        (3, 3 + rows)
                    } else {
                        (3, 3 + cols)
                    },
                };
                let [pa, pb, pc] = [place((m, k), 0), place((k, n), 1), place((m, n), 2)];
                let (a, b) = (fill(8000, 7), fill(8000, 5));
                let mut c = fill(8000, 3);
                let before = c.clone();
                let (ma, mb) = (pa.of(&a), pb.of(&b));
                let ma = if turned(0) { ma.transpose() } else { ma };
                let mb = if turned(1) { mb.transpose() } else { mb };
                for write in [Write::Replace, Write::Add] {
                    let mc = pc.of_mut(&mut c);
                    let mc = if turned(2) { mc.transpose() } else { mc };
                    products.product(mc, write, ma, mb);
                }
                let at = |p: Place, bit, i: usize, j: usize| {
                    let (i, j) = if turned(bit) { (j, i) } else { (i, j) };
                    (p.rows.0 + i) * p.width + p.cols.0 + j
                };
                let mut want = before;
                for i in 0..m {
                    for j in 0..n {
                        let products = (0..k).map(|l| a[at(pa, 0, i, l)] * b[at(pb, 1, l, j)]);
                        want[at(pc, 2, i, j)] = 2.0 * products.sum::<f32>();
                    }
                }
                assert_eq!(c, want, "{m} {k} {n}, layout {layout}");
            }
        }
    }
}

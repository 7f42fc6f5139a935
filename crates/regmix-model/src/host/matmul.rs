//! Matrix products on slices, on the calling thread alone.
//!
//! Two libraries are used, both part of the build anyway, and neither needs
//! unsafe code here. faer computes most products; it chooses the instruction set
//! at run time, including AVX-512. Where the left matrix is transposed (the
//! gradients of weights, a third of a step), matrixmultiply, through ndarray, is
//! faster by a third, since it packs such a matrix better; this saves a tenth of
//! a step.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

/// Whether a product replaces the numbers at its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// It overwrites them.
    Replace,
    /// It adds to them.
    Add,
}

/// A matrix within a slice. Rows are contiguous and `stride` apart; if it is
/// `transposed`, columns are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    /// Before transposing.
    rows: usize,
    cols: usize,
    stride: usize,
    transposed: bool,
}

/// As [`Matrix`], to be written.
#[derive(Debug)]
pub(super) struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    stride: usize,
    transposed: bool,
}

/// A row-major matrix that fills the slice.
pub(super) fn matrix(data: &[f32], cols: usize) -> Matrix<'_> {
    let rows = data.len() / cols;
    Matrix {
        data,
        rows,
        cols,
        stride: cols,
        transposed: false,
    }
}

/// As [`matrix`], to be written.
pub(super) fn matrix_mut(data: &mut [f32], cols: usize) -> MatrixMut<'_> {
    let rows = data.len() / cols;
    MatrixMut {
        data,
        rows,
        cols,
        stride: cols,
        transposed: false,
    }
}

/// Where a block lies within a row-major matrix of `width` columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) width: usize,
    /// First row and end.
    pub(super) rows: (usize, usize),
    /// First column and end.
    pub(super) cols: (usize, usize),
}

impl Place {
    fn range(self) -> std::ops::Range<usize> {
        self.rows.0 * self.width + self.cols.0..(self.rows.1 - 1) * self.width + self.cols.1
    }

    /// The block to read.
    pub(super) fn of(self, data: &[f32]) -> Matrix<'_> {
        Matrix {
            data: &data[self.range()],
            rows: self.rows.1 - self.rows.0,
            cols: self.cols.1 - self.cols.0,
            stride: self.width,
            transposed: false,
        }
    }

    /// The block to write.
    pub(super) fn of_mut(self, data: &mut [f32]) -> MatrixMut<'_> {
        MatrixMut {
            data: &mut data[self.range()],
            rows: self.rows.1 - self.rows.0,
            cols: self.cols.1 - self.cols.0,
            stride: self.width,
            transposed: false,
        }
    }
}

impl Matrix<'_> {
    /// Rows and columns.
    pub(super) fn shape(&self) -> (usize, usize) {
        if self.transposed {
            (self.cols, self.rows)
        } else {
            (self.rows, self.cols)
        }
    }

    pub(super) fn transpose(mut self) -> Self {
        self.transposed = !self.transposed;
        self
    }

    /// Columns `from..to`.
    pub(super) fn columns(self, from: usize, to: usize) -> Self {
        let (range, rows, cols) = columns(&self, from, to);
        Self {
            data: &self.data[range],
            rows,
            cols,
            ..self
        }
    }

    fn ndarray(&self) -> ArrayView2<'_, f32> {
        let layout = (self.rows, self.cols).strides((self.stride, 1));
        let m = ArrayView2::from_shape(layout, self.data).expect("a block lies in its slice");
        if self.transposed {
            m.reversed_axes()
        } else {
            m
        }
    }

    fn faer(&self) -> MatRef<'_, f32> {
        let m =
            MatRef::from_row_major_slice_with_stride(self.data, self.rows, self.cols, self.stride);
        if self.transposed { m.transpose() } else { m }
    }
}

impl MatrixMut<'_> {
    pub(super) fn transpose(mut self) -> Self {
        self.transposed = !self.transposed;
        self
    }

    /// Columns `from..to`.
    pub(super) fn columns(&mut self, from: usize, to: usize) -> MatrixMut<'_> {
        let all = Matrix {
            data: self.data,
            rows: self.rows,
            cols: self.cols,
            stride: self.stride,
            transposed: self.transposed,
        };
        let (range, rows, cols) = columns(&all, from, to);
        MatrixMut {
            data: &mut self.data[range],
            rows,
            cols,
            ..*self
        }
    }

    fn ndarray(&mut self) -> ArrayViewMut2<'_, f32> {
        let layout = (self.rows, self.cols).strides((self.stride, 1));
        let m = ArrayViewMut2::from_shape(layout, self.data).expect("a block lies in its slice");
        if self.transposed {
            m.reversed_axes()
        } else {
            m
        }
    }

    fn faer(&mut self) -> MatMut<'_, f32> {
        let Self {
            rows, cols, stride, ..
        } = *self;
        // Made of columns and transposed, since faer 0.24's constructor of a
        // mutable matrix with a stride between rows is wrong: it uses the stride
        // between columns and writes outside the slice.
        let m = MatMut::from_column_major_slice_with_stride_mut(self.data, cols, rows, stride);
        if self.transposed {
            m
        } else {
            m.transpose_mut()
        }
    }
}

/// Where columns of a matrix lie in its data, and their shape before
/// transposing.
fn columns(m: &Matrix<'_>, from: usize, to: usize) -> (std::ops::Range<usize>, usize, usize) {
    let Matrix {
        rows, cols, stride, ..
    } = *m;
    if m.transposed {
        (from * stride..(to - 1) * stride + cols, to - from, cols)
    } else {
        (from..(rows - 1) * stride + to, rows, to - from)
    }
}

/// Computes `a b` into `out`.
pub(super) fn product(mut out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
    if a.transposed {
        let keep = match write {
            Write::Replace => 0.0,
            Write::Add => 1.0,
        };
        general_mat_mul(1.0, &a.ndarray(), &b.ndarray(), keep, &mut out.ndarray());
    } else {
        let accum = match write {
            Write::Replace => Accum::Replace,
            Write::Add => Accum::Add,
        };
        matmul(out.faer(), accum, a.faer(), b.faer(), 1.0, Par::Seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every layout of the three matrices, in blocks of larger ones whose rest
    /// must not change.
    #[test]
    fn products_of_blocks_stay_in_their_blocks() {
        let fill = |n: usize, step: usize| -> Vec<f32> {
            (0..n).map(|i| ((i * step) % 11) as f32 - 5.0).collect()
        };
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
                    product(if turned(2) { mc.transpose() } else { mc }, write, ma, mb);
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

//! Matrices that lie in slices.

/// Whether a product replaces the numbers at its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// It overwrites them.
    Replace,
    /// It adds to them.
    Add,
}

/// A matrix within a slice. Rows are contiguous and `stride` apart; if it is
/// `transposed`, columns are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    /// Before transposing.
    rows: usize,
    cols: usize,
    stride: usize,
    transposed: bool,
}

/// As [`Matrix`], to be written.
#[derive(Debug)]
pub(crate) struct MatrixMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) stride: usize,
    pub(crate) transposed: bool,
}

/// As [`Matrix`], with the shape after transposing: rows are contiguous and
/// `stride` apart, or, if it lies `by_column`, columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) stride: usize,
    pub(crate) by_column: bool,
}

impl<'a> Strided<'a> {
    /// The row `i`, or the column if it lies by column, and what follows it in
    /// memory.
    #[inline(always)]
    pub(crate) fn line(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.stride..]
    }

    /// The same numbers with rows as columns.
    pub(crate) fn transpose(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            by_column: !self.by_column,
            ..self
        }
    }

    /// Some rows and columns, each as first and number.
    #[inline(always)]
    pub(crate) fn block(self, rows: (usize, usize), cols: (usize, usize)) -> Self {
        let from = if self.by_column {
            cols.0 * self.stride + rows.0
        } else {
            rows.0 * self.stride + cols.0
        };
        Self {
            // An empty block may lie behind the end.
            data: self.data.get(from..).unwrap_or_default(),
            rows: rows.1,
            cols: cols.1,
            ..self
        }
    }
}

/// A row-major matrix that fills the slice.
pub(crate) fn matrix(data: &[f32], cols: usize) -> Matrix<'_> {
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
pub(crate) fn matrix_mut(data: &mut [f32], cols: usize) -> MatrixMut<'_> {
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
pub(crate) struct Place {
    pub(crate) width: usize,
    /// First row and end.
    pub(crate) rows: (usize, usize),
    /// First column and end.
    pub(crate) cols: (usize, usize),
}

impl Place {
    fn range(self) -> std::ops::Range<usize> {
        self.rows.0 * self.width + self.cols.0..(self.rows.1 - 1) * self.width + self.cols.1
    }

    /// The block to read.
    pub(crate) fn of(self, data: &[f32]) -> Matrix<'_> {
        Matrix {
            data: &data[self.range()],
            rows: self.rows.1 - self.rows.0,
            cols: self.cols.1 - self.cols.0,
            stride: self.width,
            transposed: false,
        }
    }

    /// The block to write.
    pub(crate) fn of_mut(self, data: &mut [f32]) -> MatrixMut<'_> {
        MatrixMut {
            data: &mut data[self.range()],
            rows: self.rows.1 - self.rows.0,
            cols: self.cols.1 - self.cols.0,
            stride: self.width,
            transposed: false,
        }
    }
}

impl<'a> Matrix<'a> {
    /// Rows and columns.
    pub(crate) fn shape(&self) -> (usize, usize) {
        if self.transposed {
            (self.cols, self.rows)
        } else {
            (self.rows, self.cols)
        }
    }

    pub(crate) fn transpose(mut self) -> Self {
        self.transposed = !self.transposed;
        self
    }

    /// Columns `from..to`.
    pub(crate) fn columns(self, from: usize, to: usize) -> Self {
        let (range, rows, cols) = columns(&self, from, to);
        Self {
            data: &self.data[range],
            rows,
            cols,
            ..self
        }
    }

    /// Its numbers, and how they lie.
    pub(crate) fn strided(&self) -> Strided<'a> {
        let (rows, cols) = self.shape();
        Strided {
            data: self.data,
            rows,
            cols,
            stride: self.stride,
            by_column: self.transposed,
        }
    }
}

impl MatrixMut<'_> {
    pub(crate) fn transpose(mut self) -> Self {
        self.transposed = !self.transposed;
        self
    }

    /// Columns `from..to`.
    pub(crate) fn columns(&mut self, from: usize, to: usize) -> MatrixMut<'_> {
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

/// The first `n` values of a buffer that grows when it is too short.
pub(crate) fn sized<T: Copy + Default>(buffer: &mut Vec<T>, n: usize) -> &mut [T] {
    if buffer.len() < n {
        buffer.resize(n, T::default());
    }
    &mut buffer[..n]
}

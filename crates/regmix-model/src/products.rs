//! The matrix products of a training step, for the benches.

use crate::host::matrix::{Write, matrix, matrix_mut};
use crate::host::product::Products as Host;
use crate::precision::Precision;

/// Computes the three products of a layer `y = x w` on a CPU, on the calling thread:
/// `x` is `[rows, inputs]`, `w` is `[inputs, outputs]`, both in row-major order.
#[derive(Debug)]
pub struct Products(Host);

impl Products {
    /// Products in a precision.
    pub fn new(precision: Precision) -> Self {
        Self(Host::new(precision))
    }

    /// `y = x w`.
    pub fn forward(&mut self, x: &[f32], w: &[f32], inputs: usize, y: &mut [f32]) {
        let outputs = w.len() / inputs;
        let (x, w) = (matrix(x, inputs), matrix(w, outputs));
        self.0.product(matrix_mut(y, outputs), Write::Replace, x, w);
    }

    /// The gradient of `x`: `dy wᵀ`.
    pub fn input_gradient(&mut self, dy: &[f32], w: &[f32], inputs: usize, dx: &mut [f32]) {
        let outputs = w.len() / inputs;
        let (dy, w) = (matrix(dy, outputs), matrix(w, outputs).transpose());
        self.0
            .product(matrix_mut(dx, inputs), Write::Replace, dy, w);
    }

    /// The gradient of `w`: `xᵀ dy`.
    pub fn weight_gradient(&mut self, x: &[f32], dy: &[f32], inputs: usize, dw: &mut [f32]) {
        let outputs = dw.len() / inputs;
        let (x, dy) = (matrix(x, inputs).transpose(), matrix(dy, outputs));
        self.0
            .product(matrix_mut(dw, outputs), Write::Replace, x, dy);
    }
}

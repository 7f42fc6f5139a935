//! Matrix products, and the types of their numbers.

use burn::tensor::{Device as BurnDevice, FloatDType, Tensor};

use super::kernels::Kernels;
use super::models;
use crate::precision::Precision;

/// Computes matrix products. In reduced precision the operands are rounded first;
/// everything between products is computed in f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Products {
    dtype: FloatDType,
    kernels: Option<Kernels>,
}

impl Products {
    pub(super) fn new(precision: Precision, device: &BurnDevice) -> Self {
        Self {
            dtype: match precision {
                Precision::F32 => FloatDType::F32,
                Precision::Bf16 => FloatDType::BF16,
            },
            kernels: Kernels::of(device),
        }
    }

    /// The type of operands.
    pub(super) fn dtype(self) -> FloatDType {
        self.dtype
    }

    /// Rounds a tensor to the type of operands.
    pub(super) fn operand<const D: usize>(self, t: Tensor<D>) -> Tensor<D> {
        t.cast(self.dtype)
    }

    /// A product that is an operand of what follows.
    pub(super) fn product<const D: usize>(self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        match self.kernels {
            Some(kernels) => kernels.product(a, b, self.dtype),
            None => a.matmul(b),
        }
    }

    /// A product in f32.
    pub(super) fn wide_product<const D: usize>(self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        match self.kernels {
            Some(kernels) => kernels.product(a, b, FloatDType::F32),
            None => wide(a.matmul(b)),
        }
    }

    /// The product of the rows of every model with its matrix, as operand. `weights` is
    /// `[models, in, out]`.
    pub(super) fn of_rows(self, rows: Tensor<2>, weights: Tensor<3>) -> Tensor<2> {
        let [models, ..] = weights.dims();
        models::below(self.product(models::apart(rows, models), weights))
    }

    /// The same in f32.
    pub(super) fn of_rows_wide(self, rows: Tensor<2>, weights: Tensor<3>) -> Tensor<2> {
        let [models, ..] = weights.dims();
        models::below(self.wide_product(models::apart(rows, models), weights))
    }

    /// The gradient of every model's matrix, given its input and that of its output.
    pub(super) fn of_weights(
        self,
        rows: Tensor<2>,
        gradient: &Tensor<2>,
        models: usize,
    ) -> Tensor<3> {
        let rows = models::apart(rows, models).swap_dims(1, 2);
        self.wide_product(rows, models::apart(gradient.clone(), models))
    }

    /// A sum in f32, if one has begun, with a product added to it.
    pub(super) fn add_product(
        self,
        sum: Option<Tensor<3>>,
        a: Tensor<3>,
        b: Tensor<3>,
    ) -> Tensor<3> {
        match (sum, self.kernels) {
            (None, _) => self.wide_product(a, b),
            (Some(sum), Some(kernels)) => kernels.add_product(sum, a, b),
            (Some(sum), None) => sum + self.wide_product(a, b),
        }
    }
}

/// A tensor in f32.
pub(super) fn wide<const D: usize>(t: Tensor<D>) -> Tensor<D> {
    t.cast(FloatDType::F32)
}

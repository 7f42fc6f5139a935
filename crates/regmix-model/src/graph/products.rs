//! The types of numbers in matrix products.

use burn::tensor::{FloatDType, Tensor};

use crate::precision::Precision;

/// Prepares the operands of matrix products. In reduced precision they are
/// rounded first; a product has the type of its operands, and everything between
/// products is computed in f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Products(FloatDType);

impl Products {
    pub(super) fn new(precision: Precision) -> Self {
        Self(match precision {
            Precision::F32 => FloatDType::F32,
            Precision::Bf16 => FloatDType::BF16,
        })
    }

    /// The type of operands.
    pub(super) fn dtype(self) -> FloatDType {
        self.0
    }

    /// Rounds a tensor to the type of operands.
    pub(super) fn operand<const D: usize>(self, t: Tensor<D>) -> Tensor<D> {
        t.cast(self.0)
    }
}

/// A tensor in f32.
pub(super) fn wide<const D: usize>(t: Tensor<D>) -> Tensor<D> {
    t.cast(FloatDType::F32)
}

//! In place of the kernels where a build has none.

use std::convert::Infallible;

use burn::tensor::{Device as BurnDevice, FloatDType, Int, Tensor};

use super::arguments::{Groups, Part, Rotation, Sizes};

/// There are none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels(Infallible);

impl Kernels {
    pub(super) fn of(_: &BurnDevice) -> Option<Self> {
        None
    }

    pub(super) fn cross_entropy(
        self,
        _: Tensor<2>,
        _: Tensor<1, Int>,
        _: f32,
    ) -> (Tensor<1>, Tensor<2>) {
        match self.0 {}
    }

    pub(super) fn rotate(self, _: Tensor<2>, _: Tensor<2>, _: Tensor<2>, _: Rotation) -> Tensor<2> {
        match self.0 {}
    }

    pub(super) fn has_attention(_: Tensor<1>, _: Sizes, _: usize) -> bool {
        false
    }

    pub(super) fn attention(self, _: Tensor<2>, _: Sizes) -> (Tensor<2>, Tensor<1>) {
        match self.0 {}
    }

    pub(super) fn attention_back(self, _: [Tensor<2>; 3], _: Tensor<1>, _: Sizes) -> Tensor<2> {
        match self.0 {}
    }

    pub(super) fn product<const D: usize>(
        self,
        _: Tensor<D>,
        _: Tensor<D>,
        _: FloatDType,
    ) -> Tensor<D> {
        match self.0 {}
    }

    pub(super) fn add_product(self, _: Tensor<3>, _: Tensor<3>, _: Tensor<3>) -> Tensor<3> {
        match self.0 {}
    }

    pub(super) fn softmax(self, _: Tensor<4>, _: usize, _: usize) -> (Tensor<4>, Tensor<4>) {
        match self.0 {}
    }

    pub(super) fn softmax_back(
        self,
        _: [Tensor<4>; 4],
        _: usize,
        _: usize,
    ) -> (Tensor<4>, Tensor<4>) {
        match self.0 {}
    }

    pub(super) fn norm(
        self,
        _: Tensor<2>,
        _: Tensor<3>,
        _: f32,
        _: FloatDType,
    ) -> (Tensor<2>, Tensor<2>) {
        match self.0 {}
    }

    pub(super) fn norm_back(
        self,
        _: [Tensor<2>; 3],
        _: Tensor<3>,
        _: Tensor<2>,
    ) -> (Tensor<2>, Tensor<3>) {
        match self.0 {}
    }

    pub(super) fn swiglu(self, _: Tensor<2>) -> Tensor<2> {
        match self.0 {}
    }

    pub(super) fn swiglu_back(self, _: Tensor<2>, _: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self.0 {}
    }

    pub(super) fn follow<const R: usize, const D: usize>(
        self,
        _: Tensor<R>,
        _: [Tensor<D>; 4],
    ) -> Tensor<R> {
        match self.0 {}
    }

    pub(super) fn add_parts(self, _: Tensor<1>, _: &[(Tensor<1>, Part)]) -> Tensor<1> {
        match self.0 {}
    }

    pub(super) fn sum_by_token(self, _: Tensor<2>, _: Tensor<1, Int>, _: Groups) -> Tensor<2> {
        match self.0 {}
    }

    pub(super) fn squares(self, _: Tensor<1>, _: Tensor<1, Int>, _: usize) -> Tensor<1> {
        match self.0 {}
    }

    pub(super) fn adamw(
        self,
        _: [Tensor<1>; 4],
        _: Tensor<1, Int>,
        _: Tensor<1>,
    ) -> [Tensor<1>; 3] {
        match self.0 {}
    }
}

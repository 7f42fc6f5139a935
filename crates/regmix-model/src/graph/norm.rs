//! RMSNorm (Zhang and Sennrich 2019): `y = x r w` with
//! `r = 1 / sqrt(mean(x²) + eps)`.

use burn::tensor::{Device as BurnDevice, Tensor};

use super::kernels::Kernels;
use super::models::{apart, below};
use super::products::{Products, wide};
use super::sums::sum_rows;

/// The norm of a model's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norm {
    eps: f32,
    products: Products,
    kernels: Option<Kernels>,
}

impl Norm {
    pub(super) fn new(eps: f32, products: Products, device: &BurnDevice) -> Self {
        Self {
            eps,
            products,
            kernels: Kernels::of(device),
        }
    }

    /// Returns `y` of rows `x`, `[rows, d]`, as operand, and `r`, `[rows, 1]`. `weight` is
    /// `[models, 1, d]`.
    pub(super) fn forward(self, x: Tensor<2>, weight: Tensor<3>) -> (Tensor<2>, Tensor<2>) {
        if let Some(kernels) = self.kernels {
            return kernels.norm(x, weight, self.eps, self.products.dtype());
        }
        let mean = x.clone().square().mean_dim(1);
        let root = mean.add_scalar(self.eps).sqrt().recip();
        let [models, ..] = weight.dims();
        let y = below(apart(x * root.clone(), models) * weight);
        (self.products.operand(y), root)
    }

    /// Adds the gradient with respect to `x` to `dx`, and returns it and the gradient
    /// with respect to the weight: `dx = r (w dy - x r² mean(w dy x))`,
    /// `dw = Σ_rows dy x r`. `given` are `x`, `r`, and `dy`.
    pub(super) fn backward(
        self,
        given: [Tensor<2>; 3],
        weight: Tensor<3>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<3>) {
        if let Some(kernels) = self.kernels {
            return kernels.norm_back(given, weight, dx);
        }
        let [x, root, dy] = given;
        let [models, ..] = weight.dims();
        let dy = wide(dy);
        let unit = x * root.clone();
        let dweight = sum_rows(apart(dy.clone() * unit.clone(), models));
        let dunit = below(apart(dy, models) * weight);
        let along = (dunit.clone() * unit.clone()).mean_dim(1);
        (dx + (dunit - unit * along) * root, dweight)
    }
}

//! RMSNorm (Zhang and Sennrich 2019): `y = x r w` with
//! `r = 1 / sqrt(mean(x²) + eps)`.

use burn::tensor::{Device as BurnDevice, Tensor};

use super::kernels::Kernels;
use super::products::{Products, wide};

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

    /// Returns `y` of rows `x`, `[rows, d]`, as operand, and `r`, `[rows, 1]`.
    pub(super) fn forward(self, x: Tensor<2>, weight: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        if let Some(kernels) = self.kernels {
            return kernels.norm(x, weight, self.eps, self.products.dtype());
        }
        let mean = x.clone().square().mean_dim(1);
        let root = mean.add_scalar(self.eps).sqrt().recip();
        let y = x * root.clone() * weight;
        (self.products.operand(y), root)
    }

    /// Adds the gradient with respect to `x` to `dx`, and returns it and the gradient
    /// with respect to the weight: `dx = r (w dy - x r² mean(w dy x))`,
    /// `dw = Σ_rows dy x r`. `given` are `x`, the weight, `r`, and `dy`.
    pub(super) fn backward(self, given: [Tensor<2>; 4], dx: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        if let Some(kernels) = self.kernels {
            return kernels.norm_back(given, dx);
        }
        let [x, weight, root, dy] = given;
        let dy = wide(dy);
        let unit = x * root.clone();
        let dweight = sum_rows(dy.clone() * unit.clone());
        let dunit = dy * weight;
        let along = (dunit.clone() * unit.clone()).mean_dim(1);
        (dx + (dunit - unit * along) * root, dweight)
    }
}

/// The sum of all rows, in two steps, so that a device has many short sums to
/// compute at once and not a few long ones.
pub(super) fn sum_rows(t: Tensor<2>) -> Tensor<2> {
    let [rows, d] = t.dims();
    let groups = groups(rows);
    t.reshape([groups, rows / groups, d])
        .sum_dim(1)
        .reshape([groups, d])
        .sum_dim(0)
}

/// The largest divisor that is at most the square root.
fn groups(rows: usize) -> usize {
    (1..=rows.isqrt())
        .rev()
        .find(|g| rows.is_multiple_of(*g))
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_in_groups_of_equal_size() {
        assert_eq!([1, 7, 12, 4096, 65_536].map(groups), [1, 1, 3, 64, 256]);
        let t = Tensor::<2>::from_floats(
            [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]],
            &burn::tensor::Device::flex(),
        );
        let sums: Vec<f32> = sum_rows(t).into_data().iter().collect();
        assert_eq!(sums, [16.0, 20.0]);
    }
}

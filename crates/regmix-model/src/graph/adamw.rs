//! AdamW (Loshchilov and Hutter 2019) with clipping by the norm of all gradients
//! together.

use burn::tensor::Tensor;

use super::joined;
use super::kernels::Kernels;
use crate::optimizer::AdamWConfig;

/// The sum of all squares, `[1]`.
pub(super) fn sum_of_squares(gradients: &[Tensor<1>]) -> Tensor<1> {
    // In short pieces first: a device has then many sums to compute at once.
    let sums = gradients.iter().map(|g| {
        let count = g.shape().num_elements();
        let piece = 1 << count.trailing_zeros().min(8);
        let pieces = g.clone().square().reshape([count / piece, piece]);
        joined::sum(pieces.sum_dim(1))
    });
    joined::sum(joined::cat(sums.collect(), 0))
}

/// The numbers of one update, the same for all weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update {
    beta1: f64,
    beta2: f64,
    eps: f64,
    decay: f64,
    rate: f64,
    inverse_root2: f64,
    clip: f64,
}

impl Update {
    /// The numbers of update `t`, counted from 1, given the norm of all gradients.
    pub(super) fn new(config: &AdamWConfig, lr: f64, t: u64, norm: f64) -> Self {
        let t = t as f64;
        Self {
            beta1: config.beta1,
            beta2: config.beta2,
            eps: config.eps,
            decay: 1.0 - lr * config.weight_decay,
            rate: lr / (1.0 - config.beta1.powf(t)),
            inverse_root2: 1.0 / (1.0 - config.beta2.powf(t)).sqrt(),
            clip: if norm > config.clip {
                config.clip / norm
            } else {
                1.0
            },
        }
    }

    /// The numbers in the order in which the kernel takes them.
    fn numbers(self) -> [f32; 9] {
        [
            self.clip,
            self.beta1,
            1.0 - self.beta1,
            self.beta2,
            1.0 - self.beta2,
            self.inverse_root2,
            self.eps,
            self.decay,
            self.rate,
        ]
        .map(|x| x as f32)
    }

    /// `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`,
    /// `w = (1 - lr decay) w - lr m̂ / (√v̂ + eps)`, with the gradient clipped.
    pub(super) fn apply(
        self,
        kernels: Option<Kernels>,
        w: Tensor<1>,
        g: Tensor<1>,
        (m, v): (Tensor<1>, Tensor<1>),
    ) -> (Tensor<1>, (Tensor<1>, Tensor<1>)) {
        if let Some(kernels) = kernels {
            let [w, m, v] = kernels.adamw([w, g, m, v], self.numbers());
            return (w, (m, v));
        }
        let g = if self.clip < 1.0 {
            g.mul_scalar(self.clip)
        } else {
            g
        };
        let m = m.mul_scalar(self.beta1) + g.clone().mul_scalar(1.0 - self.beta1);
        let v = v.mul_scalar(self.beta2) + g.square().mul_scalar(1.0 - self.beta2);
        let scale = v.clone().sqrt().mul_scalar(self.inverse_root2);
        let step = m.clone() / scale.add_scalar(self.eps);
        let w = w.mul_scalar(self.decay) - step.mul_scalar(self.rate);
        (w, (m, v))
    }
}

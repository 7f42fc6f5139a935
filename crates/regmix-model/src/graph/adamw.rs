//! AdamW (Loshchilov and Hutter 2019) with clipping by the norm of all gradients
//! together.

use burn::tensor::{Device as BurnDevice, Int, Tensor, TensorData};

use super::arguments::NUMBERS;
use super::kernels::Kernels;
use super::loss::plus;
use super::models;
use crate::optimizer::AdamWConfig;

/// The sum of all squares of every model, `[models]`. `pieces` are those of the slabs.
pub(super) fn sums_of_squares(
    kernels: Option<Kernels>,
    gradients: &[Tensor<1>],
    pieces: &[Tensor<1, Int>],
    models: usize,
) -> Tensor<1> {
    let mut sums: Option<Tensor<1>> = None;
    for (slab, g) in gradients.iter().enumerate() {
        let of_slab = match kernels {
            Some(kernels) => kernels.squares(g.clone(), pieces[slab].clone(), models),
            None => models::sum(g.clone().square(), models),
        };
        sums = Some(plus(sums, of_slab));
    }
    sums.expect("a model has parameters")
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

    /// `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`,
    /// `w = (1 - lr decay) w - lr m̂ / (√v̂ + eps)`, with the gradient clipped.
    fn apply(self, [w, g, m, v]: [Tensor<1>; 4]) -> [Tensor<1>; 3] {
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
        [w, m, v]
    }
}

/// The updates of all models; one without an update keeps its weights and moments.
pub(super) struct Updates {
    of: Vec<Option<Update>>,
    /// The numbers of the kernel, [`NUMBERS`] for every model.
    numbers: Option<(Kernels, Tensor<1>)>,
}

impl Updates {
    pub(super) fn new(
        of: Vec<Option<Update>>,
        kernels: Option<Kernels>,
        device: &BurnDevice,
    ) -> Self {
        let numbers = kernels.map(|kernels| {
            let of_models = of.iter().flat_map(|update| match update {
                Some(u) => [
                    1.0,
                    u.clip,
                    u.beta1,
                    1.0 - u.beta1,
                    u.beta2,
                    1.0 - u.beta2,
                    u.inverse_root2,
                    u.eps,
                    u.decay,
                    u.rate,
                ],
                None => [0.0; NUMBERS],
            });
            let numbers: Vec<f32> = of_models.map(|x| x as f32).collect();
            let count = numbers.len();
            let data = TensorData::new(numbers, [count]);
            (kernels, Tensor::from_data(data, device))
        });
        Self { of, numbers }
    }

    /// New weights and moments of a slab, given weights, gradient, mean and mean square.
    pub(super) fn apply(
        &self,
        given: [Tensor<1>; 4],
        pieces: Option<&Tensor<1, Int>>,
    ) -> [Tensor<1>; 3] {
        if let (Some((kernels, numbers)), Some(pieces)) = (&self.numbers, pieces) {
            return kernels.adamw(given, pieces.clone(), numbers.clone());
        }
        if let [Some(update)] = self.of[..] {
            return update.apply(given);
        }
        // Without kernels a slab is the tensors of one place.
        let count = given[0].dims()[0] / self.of.len();
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        for (model, update) in self.of.iter().enumerate() {
            let numbers = model * count..(model + 1) * count;
            let [w, g, m, v] = given
                .each_ref()
                .map(|t| t.clone().slice_dim(0, numbers.clone()));
            let new = match update {
                Some(update) => update.apply([w, g, m, v]),
                None => [w, m, v],
            };
            for (parts, new) in parts.iter_mut().zip(new) {
                parts.push(new);
            }
        }
        parts.map(|parts| Tensor::cat(parts, 0))
    }
}

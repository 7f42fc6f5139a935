//! AdamW with clipping by the global gradient norm, and the learning rate.
//!
//! burn's own optimizer clips every tensor by itself and its defaults differ
//! from the papers'; a shared factor over all gradients needs a pass of its own.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device as BurnDevice, Tensor};
use regmix_data::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::llama::Llama;

/// AdamW (Loshchilov and Hutter 2019) as the papers set it.
///
/// | parameter | default | range |
/// |---|---|---|
/// | `beta1` | 0.9 | [0, 1) |
/// | `beta2` | 0.95 | [0, 1) |
/// | `eps` | 1e-8 | > 0 |
/// | `weight_decay` | 0.1 | >= 0; on all parameters |
/// | `clip` | 1.0 | > 0: greatest norm of all gradients together |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Greatest global gradient norm.
    pub clip: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            clip: 1.0,
        }
    }
}

impl AdamWConfig {
    pub(crate) fn check(&self) -> Result<()> {
        for (field, value, ok) in [
            ("beta1", self.beta1, (0.0..1.0).contains(&self.beta1)),
            ("beta2", self.beta2, (0.0..1.0).contains(&self.beta2)),
            ("eps", self.eps, self.eps > 0.0),
            ("weight_decay", self.weight_decay, self.weight_decay >= 0.0),
            ("clip", self.clip, self.clip > 0.0),
        ] {
            if !ok || !value.is_finite() {
                return Err(Error::input(format!("{value} is out of range")).field(field));
            }
        }
        Ok(())
    }
}

/// How the learning rate goes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Stays at its peak (the papers' proxies).
    #[default]
    Constant,
    /// Falls along half a cosine to `min_lr` (the papers' targets).
    Cosine,
}

/// The learning rate of a step, counted from 0.
///
/// Rises linearly to `lr` over `warmup` steps, then follows the schedule.
///
/// ```
/// use regmix_model::{Schedule, learning_rate};
///
/// let lr = |step| learning_rate(step, 100, 10, 1e-3, 1e-4, Schedule::Cosine);
/// assert_eq!(lr(0), 1e-4);
/// assert_eq!(lr(9), 1e-3);
/// assert!((lr(99) - 1e-4).abs() < 1e-6);
/// ```
pub fn learning_rate(
    step: u64,
    steps: u64,
    warmup: u64,
    lr: f64,
    min_lr: f64,
    schedule: Schedule,
) -> f64 {
    if step < warmup {
        return lr * (step + 1) as f64 / warmup as f64;
    }
    match schedule {
        Schedule::Constant => lr,
        Schedule::Cosine => {
            let span = steps.saturating_sub(warmup).max(1) as f64;
            let done = ((step - warmup + 1) as f64 / span).min(1.0);
            min_lr + (lr - min_lr) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        }
    }
}

/// Both moments of every parameter, flat, in the order in which burn visits
/// the parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct AdamW {
    pub(crate) moments: Vec<(Tensor<1>, Tensor<1>)>,
    /// Updates made.
    pub(crate) updates: i32,
}

impl AdamW {
    /// Moves the parameters one step and gives the global gradient norm before
    /// clipping; with a norm that is not finite nothing is moved.
    pub(crate) fn step(
        &mut self,
        config: &AdamWConfig,
        lr: f64,
        model: Llama,
        gradients: GradientsParams,
    ) -> (Llama, f64) {
        let mut squares = SumOfSquares {
            gradients: &gradients,
            total: None,
        };
        model.visit(&mut squares);
        let norm = squares
            .total
            .map_or(0.0, |t| f64::from(t.into_scalar::<f32>()).sqrt());
        if !norm.is_finite() {
            return (model, norm);
        }
        self.updates += 1;
        let mut update = Update {
            factor: if norm > config.clip {
                config.clip / norm
            } else {
                1.0
            },
            config,
            lr,
            gradients,
            adam: self,
            index: 0,
        };
        (model.map(&mut update), norm)
    }
}

struct SumOfSquares<'a> {
    gradients: &'a GradientsParams,
    total: Option<Tensor<1>>,
}

impl ModuleVisitor for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let sum = gradient.square().sum();
            self.total = Some(match self.total.take() {
                Some(total) => total + sum,
                None => sum,
            });
        }
    }
}

struct Update<'a> {
    config: &'a AdamWConfig,
    lr: f64,
    factor: f64,
    gradients: GradientsParams,
    adam: &'a mut AdamW,
    index: usize,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let index = self.index;
        self.index += 1;
        let shape = tensor.shape();
        let count = shape.num_elements();
        let p = tensor.inner().reshape([count]);
        let g = match self.gradients.remove::<D>(id) {
            Some(g) => g.reshape([count]),
            // Every parameter of the model takes part in the loss.
            None => Tensor::zeros([count], &p.device()),
        };
        let c = self.config;
        let g = if self.factor < 1.0 {
            g.mul_scalar(self.factor)
        } else {
            g
        };
        let (m, v) = if index < self.adam.moments.len() {
            let device: BurnDevice = p.device();
            let empty = || Tensor::zeros([0], &device);
            std::mem::replace(&mut self.adam.moments[index], (empty(), empty()))
        } else {
            let zeros = Tensor::zeros([count], &p.device());
            self.adam.moments.push((zeros.clone(), zeros.clone()));
            (zeros.clone(), zeros)
        };
        let m = m.mul_scalar(c.beta1) + g.clone().mul_scalar(1.0 - c.beta1);
        let v = v.mul_scalar(c.beta2) + g.square().mul_scalar(1.0 - c.beta2);
        let t = self.adam.updates;
        let correct1 = 1.0 - c.beta1.powi(t);
        let correct2 = 1.0 - c.beta2.powi(t);
        let scale = v
            .clone()
            .sqrt()
            .mul_scalar(1.0 / correct2.sqrt())
            .add_scalar(c.eps);
        let p = p.mul_scalar(1.0 - self.lr * c.weight_decay)
            - (m.clone() / scale).mul_scalar(self.lr / correct1);
        self.adam.moments[index] = (m, v);
        let p = Tensor::from_inner(p.reshape(shape)).require_grad();
        Param::from_mapped_value(id, p, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_schedule_stays() {
        let lr = |step| learning_rate(step, 100, 10, 2e-3, 0.0, Schedule::Constant);
        assert!((lr(4) - 1e-3).abs() < 1e-12);
        assert_eq!(lr(10), 2e-3);
        assert_eq!(lr(99), 2e-3);
        // No warm-up: the peak from the first step.
        assert_eq!(learning_rate(0, 5, 0, 1.0, 0.0, Schedule::Constant), 1.0);
    }

    #[test]
    fn cosine_passes_its_middle() {
        let lr = learning_rate(54, 110, 0, 1.0, 0.0, Schedule::Cosine);
        assert!((lr - 0.5).abs() < 1e-9, "{lr}");
    }

    #[test]
    fn out_of_range_values_are_named() {
        let config = AdamWConfig {
            beta2: 1.0,
            ..AdamWConfig::default()
        };
        assert_eq!(config.check().unwrap_err().field_name(), Some("beta2"));
    }
}

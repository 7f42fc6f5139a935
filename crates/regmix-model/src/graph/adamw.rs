//! AdamW with clipping by the global gradient norm, on burn's tensors.
//!
//! burn's own optimizer clips every tensor separately, and its defaults differ
//! from the papers'. One factor for all gradients needs a pass over all of them.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device as BurnDevice, Tensor};

use super::llama::Llama;
use crate::optimizer::AdamWConfig;

/// Both moments of every parameter, flat, in the order in which burn visits
/// the parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct AdamW {
    pub(super) moments: Vec<(Tensor<1>, Tensor<1>)>,
    /// Updates made.
    pub(super) updates: i32,
}

impl AdamW {
    /// Updates the parameters and returns the global gradient norm before
    /// clipping. If the norm is not finite, nothing is updated.
    pub(super) fn step(
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
            // Never the case: every parameter affects the loss.
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

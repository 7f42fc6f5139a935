//! The engine on burn: any device, through autodiff.

mod adamw;
mod llama;
mod loss;

use std::borrow::Cow;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device as BurnDevice, Int, Tensor, TensorData};

use crate::config::ModelConfig;
use crate::engine::{Engine, State, split};
use crate::optimizer::AdamWConfig;
use crate::precision::Precision;
use adamw::AdamW;
use llama::{Llama, Tables};
use loss::{cross_entropy, cross_entropy_rows};

/// A model on a burn device.
pub(crate) struct Graph {
    config: ModelConfig,
    precision: Precision,
    model: Llama,
    adam: AdamW,
    gradients: GradientsAccumulator<Llama>,
    tables: Tables,
    autodiff: BurnDevice,
    plain: BurnDevice,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("model", &self.model)
            .field("device", &self.plain)
            .finish_non_exhaustive()
    }
}

impl Graph {
    /// A model with the weights of `values`, in the order of
    /// [`crate::parameters::list`].
    pub(crate) fn new(
        config: &ModelConfig,
        values: Vec<Vec<f32>>,
        precision: Precision,
        device: &BurnDevice,
    ) -> Self {
        let plain = device.clone().inner();
        let autodiff = plain.clone().autodiff();
        Self {
            model: Llama::new(config, values, precision, &autodiff),
            adam: AdamW::default(),
            gradients: GradientsAccumulator::new(),
            tables: Tables::new(config, config.context, &plain),
            config: config.clone(),
            precision,
            autodiff,
            plain,
        }
    }

    fn split(&self, tokens: &[u32], device: &BurnDevice) -> (Tensor<2, Int>, Tensor<1, Int>) {
        let context = self.config.context;
        let rows = tokens.len() / (context + 1);
        let (inputs, targets) = split(tokens, context);
        let inputs: Vec<i32> = inputs.map(|t| t as i32).collect();
        let targets: Vec<i32> = targets.map(|t| t as i32).collect();
        let inputs = TensorData::new(inputs, [rows, context]);
        let targets = TensorData::new(targets, [rows * context]);
        (
            Tensor::from_data(inputs, device),
            Tensor::from_data(targets, device),
        )
    }
}

#[cfg(test)]
impl Graph {
    /// The gradient so far, in the order of the parameters.
    pub(crate) fn gradients(&mut self) -> Vec<Vec<f32>> {
        struct Collect<'a>(&'a GradientsParams, Vec<Vec<f32>>);
        impl ModuleVisitor for Collect<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let gradient = self.0.get::<D>(param.id);
                self.1
                    .push(flat(gradient.expect("every parameter has a gradient")));
            }
        }
        let gradients = self.gradients.grads();
        let mut collect = Collect(&gradients, Vec::new());
        self.model.visit(&mut collect);
        collect.1
    }
}

impl Engine for Graph {
    fn accumulate(&mut self, tokens: &[u32], share: f64) -> f64 {
        let (inputs, targets) = self.split(tokens, &self.autodiff);
        let logits = self.model.forward(inputs, &self.tables.on(&self.autodiff));
        let ce = cross_entropy(logits, targets.inner());
        let surrogate = if share < 1.0 {
            ce.surrogate.mul_scalar(share)
        } else {
            ce.surrogate
        };
        let gradients = GradientsParams::from_grads(surrogate.backward(), &self.model);
        self.gradients.accumulate(&self.model, gradients);
        f64::from(ce.value.into_scalar::<f32>())
    }

    fn update(&mut self, config: &AdamWConfig, lr: f64) -> f64 {
        let gradients = self.gradients.grads();
        // The update takes the model by value and returns it.
        let model = self.model.clone();
        let (model, norm) = self.adam.step(config, lr, model, gradients);
        self.model = model;
        norm
    }

    fn losses(&mut self, tokens: &[u32]) -> Vec<f64> {
        let (inputs, targets) = self.split(tokens, &self.plain);
        let logits = self.model.valid().forward(inputs, &self.tables);
        let rows: Vec<f64> = cross_entropy_rows(logits, targets)
            .into_data()
            .iter::<f64>()
            .collect();
        (rows.chunks(self.config.context))
            .map(|sequence| sequence.iter().sum::<f64>() / sequence.len() as f64)
            .collect()
    }

    fn logits(&mut self, tokens: &[u32]) -> Vec<f32> {
        let ids: Vec<i32> = tokens.iter().map(|&t| t as i32).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [1, tokens.len()]), &self.plain);
        let tables = Tables::new(&self.config, tokens.len(), &self.plain);
        let logits = self.model.valid().forward(ids, &tables);
        logits.into_data().iter::<f32>().collect()
    }

    fn state(&self) -> Cow<'_, State> {
        struct Collect(Vec<Vec<f32>>);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.push(flat(param.val().inner()));
            }
        }
        let mut collect = Collect(Vec::new());
        self.model.visit(&mut collect);
        Cow::Owned(State {
            weights: collect.0,
            moments: (self.adam.moments.iter())
                .map(|(m, v)| (flat(m.clone()), flat(v.clone())))
                .collect(),
            updates: self.adam.updates as u64,
        })
    }

    fn restore(&mut self, state: State) {
        self.model = Llama::new(&self.config, state.weights, self.precision, &self.autodiff);
        let tensor = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), &self.plain)
        };
        self.adam = AdamW {
            moments: (state.moments.into_iter())
                .map(|(m, v)| (tensor(m), tensor(v)))
                .collect(),
            updates: i32::try_from(state.updates).unwrap_or(i32::MAX),
        };
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

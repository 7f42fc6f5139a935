//! An engine with one model.

use std::borrow::Cow;

use super::{Graph, Rate, numbers};
use crate::engine::{Engine, Parts, State, WeightsOf};
use crate::optimizer::AdamWConfig;

impl Engine for Graph {
    fn step(&mut self, parts: &[(&[u32], f64)], config: &AdamWConfig, lr: f64) -> (f64, f64) {
        let adamw = config.clone();
        self.step_all(parts, &[Some(Rate { adamw, lr })])[0]
    }

    fn parts(&mut self) -> Option<&mut dyn Parts> {
        Some(self)
    }

    fn token_losses(&mut self, tokens: &[u32]) -> Vec<f32> {
        self.token_losses_all(tokens)
    }

    fn logits(&mut self, tokens: &[u32]) -> Vec<f32> {
        self.logits_all(tokens)
    }

    fn state(&self) -> Cow<'_, State> {
        Cow::Owned(self.state_of(0))
    }

    fn restore(&mut self, state: State) {
        self.restore_one(0, state);
    }
}

impl Parts for Graph {
    fn accumulate(&mut self, tokens: &[u32], share: f64) -> f64 {
        let (sum, rows) = self.backward(tokens, share);
        f64::from(sum.into_scalar::<f32>()) / rows
    }

    fn update(&mut self, config: &AdamWConfig, lr: f64) -> f64 {
        let gradient = self.gradients.whole();
        let squares = self.sums_of_squares(&gradient).into_scalar::<f32>();
        let norm = f64::from(squares).sqrt();
        let adamw = config.clone();
        self.apply(gradient, &[Some(Rate { adamw, lr })], &[norm]);
        norm
    }

    fn accumulate_weighted(&mut self, tokens: &[u32], weights: &[f32]) -> f64 {
        let sum = self.backward_by(tokens, |graph, _, _| graph.weights_of_rows(weights));
        f64::from(sum.into_scalar::<f32>())
    }

    fn accumulate_by(&mut self, tokens: &[u32], weigh: &mut WeightsOf<'_>) -> f64 {
        let sum = self.backward_by(tokens, |graph, h, targets| {
            let losses = numbers(graph.output().losses(h.clone(), targets.clone()));
            graph.weights_of_rows(&weigh(&losses))
        });
        f64::from(sum.into_scalar::<f32>())
    }
}

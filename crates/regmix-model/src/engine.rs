//! The interface between a trainer and the code that computes.

use std::borrow::Cow;
use std::fmt::Debug;

use crate::optimizer::AdamWConfig;

/// Weights and AdamW's state as plain numbers, in the order of
/// [`crate::parameters::list`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) weights: Vec<Vec<f32>>,
    /// Mean and mean square of every parameter's gradient; empty before the
    /// first update.
    pub(crate) moments: Vec<(Vec<f32>, Vec<f32>)>,
    /// Updates made.
    pub(crate) updates: u64,
}

/// A model with its gradient and its optimizer.
///
/// There are three: [`crate::host`] is written for processors, [`crate::graph`] runs on
/// any device of burn, and [`crate::stack`] is one of several models that a device
/// computes together. All compute the same functions; they differ in rounding.
///
/// `tokens` are whole sequences of `context + 1` known ids, laid end to end.
pub(crate) trait Engine: Debug {
    /// One step on the parts of a batch, each with its share of the batch: updates the
    /// weights by the gradient of the batch's mean loss. Returns that loss, in nats per
    /// token, and the norm of its gradient before clipping. If the norm is not finite,
    /// nothing is updated.
    fn step(&mut self, parts: &[(&[u32], f64)], config: &AdamWConfig, lr: f64) -> (f64, f64);

    /// The engine for steps whose parts are computed one by one, where it has them.
    fn parts(&mut self) -> Option<&mut dyn Parts>;

    /// The loss of every token, in the order of `tokens`, `context` for each
    /// sequence.
    fn token_losses(&mut self, tokens: &[u32]) -> Vec<f32>;

    /// Mean loss of every sequence, nats per token.
    fn losses(&mut self, tokens: &[u32]) -> Vec<f64> {
        let losses = self.token_losses(tokens);
        // A sequence has one token more than losses.
        let sequences = tokens.len() - losses.len();
        losses.chunks(losses.len() / sequences).map(mean).collect()
    }

    /// Logits of one sequence of at most `context` tokens, `[tokens, vocab]`.
    fn logits(&mut self, tokens: &[u32]) -> Vec<f32>;

    /// Everything that training is resumed from.
    fn state(&self) -> Cow<'_, State>;

    /// Resumes from a state of the same shapes.
    fn restore(&mut self, state: State);
}

/// Steps in parts, with a weight for every sequence.
pub(crate) trait Parts {
    /// Adds `share` times the gradient of the sequences' mean loss to the
    /// gradient of the next update. Returns the mean loss, nats per token.
    fn accumulate(&mut self, tokens: &[u32], share: f64) -> f64;

    /// As [`Parts::accumulate`], with a weight for every sequence: adds the
    /// gradient of the weighted sum of their mean losses, and returns that sum.
    fn accumulate_weighted(&mut self, tokens: &[u32], weights: &[f32]) -> f64;

    /// As [`Parts::accumulate_weighted`], with weights that depend on the losses of
    /// the tokens. There is one forward pass, not two.
    fn accumulate_by(&mut self, tokens: &[u32], weigh: &mut WeightsOf<'_>) -> f64;

    /// Updates the weights by the gradient and clears it. Returns its norm
    /// before clipping. If the norm is not finite, nothing is updated.
    fn update(&mut self, config: &AdamWConfig, lr: f64) -> f64;
}

/// The mean of the losses of tokens.
pub(crate) fn mean(losses: &[f32]) -> f64 {
    losses.iter().map(|&l| f64::from(l)).sum::<f64>() / losses.len() as f64
}

/// [`Engine::step`] by its parts.
pub(crate) fn step_by_parts(
    engine: &mut dyn Parts,
    parts: &[(&[u32], f64)],
    config: &AdamWConfig,
    lr: f64,
) -> (f64, f64) {
    let losses = parts
        .iter()
        .map(|(tokens, share)| share * engine.accumulate(tokens, *share));
    let loss = losses.fold(0.0, |sum, loss| sum + loss);
    (loss, engine.update(config, lr))
}

/// From the loss of every token to the weight of every sequence.
pub(crate) type WeightsOf<'a> = dyn FnMut(&[f32]) -> Vec<f32> + 'a;

/// Inputs and targets of sequences of `context + 1` tokens, end to end.
pub(crate) fn split(
    tokens: &[u32],
    context: usize,
) -> (impl Iterator<Item = u32>, impl Iterator<Item = u32>) {
    let rows = || tokens.chunks_exact(context + 1);
    (
        rows().flat_map(move |s| s[..context].iter().copied()),
        rows().flat_map(|s| s[1..].iter().copied()),
    )
}

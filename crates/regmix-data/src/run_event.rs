//! What happens to a training run, as a monitor sees it.

use std::collections::BTreeMap;
use std::path::Path;

/// What happens to a training run. Every run of a computation begins with
/// [`Planned`](Self::Planned), or with its end where it was finished before.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RunEvent<'a> {
    /// It is to be trained.
    Planned,
    /// It is being trained, from a step on.
    Started {
        /// Its folder.
        folder: &'a Path,
        /// The device.
        device: &'a str,
        /// The steps that were made before; 0 for a run that begins.
        from: u64,
        /// Its steps in all.
        steps: u64,
    },
    /// A step was made.
    Step {
        /// Steps made.
        step: u64,
        /// Tokens of this step.
        tokens: u64,
    },
    /// Losses were measured.
    Evaluated(Evaluation<'a>),
    /// A checkpoint was written.
    Saved {
        /// The steps that it holds.
        step: u64,
    },
    /// It continues from its last checkpoint in another way: in f32, or with fewer
    /// sequences at once.
    FellBack {
        /// The step of that checkpoint.
        step: u64,
        /// Why.
        reason: &'a str,
    },
    /// It was asked to stop and can be continued, or the device failed.
    Stopped {
        /// Why.
        reason: &'a str,
    },
    /// It ended without a result.
    Failed {
        /// Why.
        reason: &'a str,
    },
    /// It is finished.
    Finished,
}

/// What was measured at an evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation<'a> {
    /// Steps made.
    pub step: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Validation loss per domain, nats per token.
    pub loss: &'a BTreeMap<String, f64>,
    /// The same in bits per byte of text.
    pub bits_per_byte: &'a BTreeMap<String, f64>,
    /// Loss of the last training batch, nats per token.
    pub train_loss: f64,
    /// Global gradient norm of the last step, before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Seconds since training started or was resumed.
    pub seconds: f64,
    /// Of these, seconds in training steps.
    pub train_seconds: f64,
}

impl Evaluation<'_> {
    /// The mean of the losses; not a number where there is none.
    pub fn mean_loss(&self) -> f64 {
        self.loss.values().sum::<f64>() / self.loss.len() as f64
    }
}

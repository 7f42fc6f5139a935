//! How a model is trained.

use regmix_data::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::optimizer::{AdamWConfig, LearningRateSchedule};
use crate::precision::Precision;

/// How a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimizer steps.
    pub steps: u64,
    /// Sequences per step.
    pub batch_size: usize,
    /// Sequences that the model computes at once; the gradients of a step's
    /// micro-batches are accumulated.
    pub micro_batch: usize,
    /// Peak learning rate.
    pub lr: f64,
    /// Learning rate at the end of the cosine.
    pub min_lr: f64,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// What follows the warm-up.
    pub schedule: LearningRateSchedule,
    /// Optimizer.
    pub optimizer: AdamWConfig,
    /// Steps between evaluations; the last step is always evaluated.
    pub eval_every: u64,
    /// Validation sequences per domain; fewer where the domain has fewer.
    pub eval_sequences: usize,
    /// Steps between checkpoints; with 0 there is one on interruption only.
    pub checkpoint_every: u64,
    /// Whether the weights are kept when the run is done.
    pub keep_weights: bool,
    /// The precision of matrix products.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl TrainConfig {
    /// Whether losses are measured after a step; steps are counted from 1.
    pub(crate) fn is_evaluated(&self, step: u64) -> bool {
        step.is_multiple_of(self.eval_every) || step == self.steps
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// Names the first field out of range.
    pub fn check(&self) -> Result<()> {
        let bad = |field: &str, found: String, expected: &str| {
            Err(Error::input(format!("{found}: expected {expected}")).field(field))
        };
        if self.steps == 0 || self.steps > i32::MAX as u64 {
            return bad("steps", self.steps.to_string(), "1 to 2147483647");
        }
        if self.batch_size == 0 || self.batch_size > 1 << 20 {
            return bad(
                "batch_size",
                self.batch_size.to_string(),
                "1 to 1048576 sequences",
            );
        }
        if self.micro_batch == 0 || self.micro_batch > self.batch_size {
            let found = self.micro_batch.to_string();
            return bad("micro_batch", found, "1 to batch_size");
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return bad("lr", self.lr.to_string(), "a positive number");
        }
        if !(self.min_lr >= 0.0 && self.min_lr <= self.lr) {
            return bad("min_lr", self.min_lr.to_string(), "0 to lr");
        }
        if self.eval_every == 0 || self.eval_sequences == 0 {
            return bad("eval_every", "0".into(), "at least 1, eval_sequences too");
        }
        self.optimizer.check()
    }
}

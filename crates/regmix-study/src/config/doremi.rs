//! `[doremi]`.

use regmix_data::{Error, Result};
use regmix_model::doremi::{Absent, DoremiOptions};
use serde::{Deserialize, Serialize};

use super::RunSection;
use crate::plain_mixture::PlainMixture;

/// `[doremi]`: how `regmix doremi` finds a mixture. Models and their training are
/// those of `[proxy]`, but for what is given here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DoremiSection {
    /// What the first reference model is trained on: the natural mixture in the paper.
    pub reference: PlainMixture,
    /// The largest number of rounds: the reference of a later round is trained
    /// on the mixture that was found before. Rounds end as soon as no weight
    /// changes by 0.001 or more.
    pub rounds: u64,
    /// As in [`DoremiOptions`].
    pub step_size: f64,
    /// As in [`DoremiOptions`].
    pub smoothing: f64,
    /// As in [`DoremiOptions`].
    pub absent: Absent,
    /// Steps, instead of the proxies'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Sequences per step, instead of the proxies'. With larger batches fewer
    /// domains are absent from one, and weights are less noisy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
}

impl Default for DoremiSection {
    fn default() -> Self {
        let DoremiOptions {
            step_size,
            smoothing,
            absent,
        } = DoremiOptions::default();
        Self {
            reference: PlainMixture::Natural,
            rounds: 1,
            step_size,
            smoothing,
            absent,
            steps: None,
            batch_size: None,
        }
    }
}

impl DoremiSection {
    /// How weights are updated.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn options(&self) -> Result<DoremiOptions> {
        if !(1..=20).contains(&self.rounds) {
            return Err(Error::input(format!("{}, expected 1 to 20", self.rounds)).field("rounds"));
        }
        let options = DoremiOptions {
            step_size: self.step_size,
            smoothing: self.smoothing,
            absent: self.absent,
        };
        options.check()?;
        Ok(options)
    }

    /// The models, from those of the proxies. Weights are kept, since a reference
    /// is used after it was trained.
    pub(crate) fn run(&self, proxy: &RunSection) -> RunSection {
        RunSection {
            steps: self.steps.unwrap_or(proxy.steps),
            batch_size: self.batch_size.unwrap_or(proxy.batch_size),
            keep_weights: true,
            ..proxy.clone()
        }
    }
}

//! What a run is.

use regmix_data::{Error, Loader, Mixture, Result};
use serde::{Deserialize, Serialize};

use super::train_config::TrainConfig;
use crate::config::ModelConfig;

/// Everything that decides what a run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The run's name; its folder is named so.
    pub run: String,
    /// The study's seed, or another for a repetition.
    pub seed: u64,
    /// Fingerprint of the tokenized corpus.
    pub corpus: String,
    /// How it is trained.
    pub train: TrainConfig,
    /// The model.
    pub model: ModelConfig,
    /// The mixture of its first segment.
    pub mixture: Mixture,
    /// The segments after the first, in order.
    #[serde(default, rename = "changes", skip_serializing_if = "Vec::is_empty")]
    pub later_segments: Vec<RunSegment>,
    /// The digest of the model that it starts from
    /// ([`TrainedModel::digest`](crate::TrainedModel::digest)); random weights if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_from: Option<String>,
    /// The name of what chooses its mixtures while it trains, if anything does.
    /// Two names must differ where the choices may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steered_by: Option<String>,
    /// The name of what weighs its sequences, if anything does. Two names must
    /// differ where the weights may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighed_by: Option<String>,
    /// The name of the order in which text is seen; the run's own name if
    /// absent. Runs with the same order and seed see the sequences of a domain
    /// in the same order, which makes comparisons between them less noisy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_order: Option<String>,
    /// The share of every domain's sequences that it reads; all of them if absent. Runs
    /// of one seed read the same ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_share: Option<f64>,
}

/// A segment of a run that is planned before it: training on one mixture from
/// a step on, up to the next segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSegment {
    /// The first step that is trained on it, counted from 0; at least 1.
    pub step: u64,
    /// The mixture.
    pub mixture: Mixture,
}

impl RunSpec {
    /// A hash of all fields.
    pub fn fingerprint(&self) -> String {
        let json = serde_json::to_vec(self).expect("a run's configuration has a JSON form");
        blake3::hash(&json).to_hex()[..32].to_owned()
    }

    /// Tokens that the run is trained on.
    pub fn tokens(&self) -> u64 {
        self.train.steps * self.tokens_per_step()
    }

    /// Tokens of one step.
    pub fn tokens_per_step(&self) -> u64 {
        self.train.batch_size as u64 * self.model.context as u64
    }

    /// What differs between an earlier configuration and this one, by field; `None` where
    /// they are the same.
    pub fn changes_since(&self, earlier: &Self) -> Option<String> {
        fn walk(path: &str, a: &serde_json::Value, b: &serde_json::Value, out: &mut Vec<String>) {
            match (a, b) {
                (serde_json::Value::Object(x), serde_json::Value::Object(y)) => {
                    let null = serde_json::Value::Null;
                    let of_new = y.keys().filter(|key| !x.contains_key(*key));
                    for key in x.keys().chain(of_new) {
                        let path = format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
                        let [a, b] = [x, y].map(|map| map.get(key).unwrap_or(&null));
                        walk(&path, a, b, out);
                    }
                }
                _ if a != b => out.push(format!("{path}: {a} is now {b}")),
                _ => {}
            }
        }
        let json = |spec| serde_json::to_value(spec).unwrap_or_default();
        let mut out = Vec::new();
        walk("", &json(earlier), &json(self), &mut out);
        let more = out.len().saturating_sub(3);
        out.truncate(3);
        let mut text = out.join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        (!text.is_empty()).then_some(text)
    }

    /// The same with the weights of an earlier configuration, where these differ by
    /// rounding alone: a table of mixtures whose columns were put in another order is
    /// summed in another order.
    #[must_use]
    pub fn with_weights_of(mut self, earlier: &Self) -> Self {
        /// How far equal weights may be apart.
        const ROUNDING: f64 = 1e-12;
        let close = |a: &Mixture, b: &Mixture| {
            let pairs = || a.weights().iter().zip(b.weights());
            a.domains() == b.domains() && pairs().all(|(a, b)| (a - b).abs() <= ROUNDING)
        };
        let (own, old) = (&self.later_segments, &earlier.later_segments);
        let pairs = || own.iter().zip(old);
        if close(&self.mixture, &earlier.mixture)
            && own.len() == old.len()
            && pairs().all(|(a, b)| a.step == b.step && close(&a.mixture, &b.mixture))
        {
            self.mixture.clone_from(&earlier.mixture);
            self.later_segments.clone_from(&earlier.later_segments);
        }
        self
    }

    /// Checks that segments are in order and inside the run.
    pub(super) fn check_segments(&self) -> Result<()> {
        let mut last = 0;
        for segment in &self.later_segments {
            if segment.step <= last || segment.step >= self.train.steps {
                return Err(Error::input(format!(
                    "the mixture of run `{}` changes at step {}, after {last}: expected steps that \
                     ascend and are below {}",
                    self.run, segment.step, self.train.steps
                ))
                .field("changes.step"));
            }
            last = segment.step;
        }
        Ok(())
    }

    /// Passes the segments to the loader.
    pub(super) fn add_segments(&self, loader: &mut Loader) -> Result<()> {
        let batch = self.train.batch_size as u64;
        for segment in &self.later_segments {
            loader.change_mixture(segment.step * batch, segment.mixture.clone())?;
        }
        Ok(())
    }
}

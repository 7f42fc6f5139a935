//! Mixtures that change while a run trains.

use std::collections::BTreeMap;

use regmix_data::{Error, Loader, Mixture, Result};
use serde::{Deserialize, Serialize};

use super::RunSpec;
use crate::metrics::Line;

/// A mixture from a step on, planned before the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureChange {
    /// The first step that is trained on it, counted from 0; at least 1.
    pub step: u64,
    /// The mixture.
    pub mixture: Mixture,
}

/// Chooses mixtures while a run trains, from the losses it measures.
///
/// A run that is resumed tells its steering all evaluations again from the
/// first, so that it needs no state of its own on disk; the same losses must
/// give the same mixtures.
pub trait Steer: std::fmt::Debug + Send + Sync {
    /// Steps at which losses are measured besides every `eval_every`.
    fn steps(&self) -> &[u64];

    /// Forgets all losses: they are told again from the first. Called whenever
    /// a run is opened.
    fn reset(&self);

    /// Takes the losses after `step` steps, by domain in nats per token; the
    /// mixture to go over to, or none to stay.
    ///
    /// # Errors
    /// When no mixture can be chosen, which ends the run with the error.
    fn observe(&self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>>;
}

impl RunSpec {
    /// Checks that changes of the mixture are in order and inside the run.
    pub(super) fn check_changes(&self) -> Result<()> {
        let mut last = 0;
        for change in &self.changes {
            if change.step <= last || change.step >= self.train.steps {
                return Err(Error::input(format!(
                    "the mixture of run `{}` changes at step {}, after {last}: expected steps that \
                     ascend and are below {}",
                    self.run, change.step, self.train.steps
                ))
                .field("changes.step"));
            }
            last = change.step;
        }
        Ok(())
    }

    /// Gives the loader the changes that are planned.
    pub(super) fn plan_changes(&self, loader: &mut Loader) -> Result<()> {
        let batch = self.train.batch_size as u64;
        for change in &self.changes {
            loader.change_mixture(change.step * batch, change.mixture.clone())?;
        }
        Ok(())
    }
}

/// Tells a steering of evaluations, and the loader of what it answers.
pub(super) fn steer(
    steering: &dyn Steer,
    lines: &[Line],
    spec: &RunSpec,
    loader: &mut Loader,
) -> Result<()> {
    for line in lines {
        let Some(mixture) = steering.observe(line.step, &line.loss)? else {
            continue;
        };
        if line.step < spec.train.steps {
            loader.change_mixture(line.step * spec.train.batch_size as u64, mixture)?;
        }
    }
    Ok(())
}

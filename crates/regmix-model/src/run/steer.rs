//! Mixtures that are chosen while a run trains.

use std::collections::BTreeMap;

use regmix_data::{Loader, Mixture, Result};

use super::spec::RunSpec;
use crate::metrics::Line;

/// Chooses mixtures while a run trains, from the losses that the run measures.
///
/// A run that is resumed repeats all evaluations from the first to its
/// steering, which therefore needs no state on disk. The same losses must give
/// the same mixtures.
pub trait Steer: std::fmt::Debug + Send + Sync {
    /// Steps at which losses are measured besides every `eval_every`.
    fn steps(&self) -> &[u64];

    /// Forgets all losses. Called whenever a run is opened, before its losses
    /// are repeated from the first.
    fn reset(&self);

    /// Takes the losses after `step` steps, by domain in nats per token. Returns
    /// the mixture of a new segment, or `None` to stay on the present one.
    ///
    /// # Errors
    /// When no mixture can be chosen, which ends the run with the error.
    fn observe(&self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>>;

    /// Whether it takes the training losses of every step, by [`Steer::after_step`]. They
    /// are recorded in the run's folder, from where they are repeated when the run is
    /// opened again.
    fn takes_steps(&self) -> bool {
        false
    }

    /// Takes the mean training losses after `step` steps, in the order of the corpus's
    /// domains, `None` where the batch held nothing of a domain. Returns the mixture of
    /// the steps that follow, or `None` to stay on the present one.
    ///
    /// # Errors
    /// When no mixture can be chosen, which ends the run with the error.
    fn after_step(&self, step: u64, losses: &[Option<f64>]) -> Result<Option<Mixture>> {
        let _ = (step, losses);
        Ok(None)
    }
}

/// Passes evaluations to the steering, and the mixtures that it chooses to the
/// loader.
pub(super) fn apply_steering(
    steering: &dyn Steer,
    lines: &[Line],
    spec: &RunSpec,
    loader: &mut Loader,
) -> Result<()> {
    for line in lines {
        if let Some(mixture) = steering.observe(line.step, &line.loss)? {
            change(line.step, mixture, spec, loader)?;
        }
    }
    Ok(())
}

/// Begins a segment after a step, unless it was the last.
pub(super) fn change(
    step: u64,
    mixture: Mixture,
    spec: &RunSpec,
    loader: &mut Loader,
) -> Result<()> {
    match step < spec.train.steps {
        true => loader.change_mixture(step * spec.train.batch_size as u64, mixture),
        false => Ok(()),
    }
}

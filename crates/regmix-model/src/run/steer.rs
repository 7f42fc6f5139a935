//! Mixtures that are chosen while a run trains.

use std::collections::BTreeMap;

use regmix_data::{Loader, Mixture, Result};

use super::spec::RunSpec;
use crate::metrics::Line;

/// Chooses mixtures while a run trains, from the losses it measures.
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
        let Some(mixture) = steering.observe(line.step, &line.loss)? else {
            continue;
        };
        if line.step < spec.train.steps {
            loader.change_mixture(line.step * spec.train.batch_size as u64, mixture)?;
        }
    }
    Ok(())
}

//! What every regressor does.

use regmix_data::{Monitor, Result, Silent};

use crate::regressor::model::Model;
use crate::samples::Samples;

/// Something that learns a map from mixture to value.
///
/// The same samples and seed always give the same model.
pub trait Regressor: Send + Sync {
    /// The name under which [`regressor`](crate::regressor::regressor) knows it.
    fn name(&self) -> &str;

    /// Fits a model. A fit that may take longer than half a second checks the
    /// monitor on its way.
    ///
    /// # Errors
    /// When the samples are outside what the regressor can describe, or the
    /// monitor asks to stop.
    fn fit_monitored(
        &self,
        samples: &Samples<'_>,
        seed: u64,
        monitor: &dyn Monitor,
    ) -> Result<Model>;

    /// [`Regressor::fit_monitored`] without a monitor.
    ///
    /// # Errors
    /// When the samples are outside what the regressor can describe.
    fn fit(&self, samples: &Samples<'_>, seed: u64) -> Result<Model> {
        self.fit_monitored(samples, seed, &Silent)
    }

    /// Fits to a resample of earlier samples (a bootstrap), starting from the
    /// model of those where that saves time. Not for cross-validation: the
    /// earlier model has seen the held-out rows.
    ///
    /// # Errors
    /// As [`Regressor::fit_monitored`].
    fn refit(
        &self,
        samples: &Samples<'_>,
        seed: u64,
        previous: &Model,
        monitor: &dyn Monitor,
    ) -> Result<Model> {
        let _ = previous;
        self.fit_monitored(samples, seed, monitor)
    }
}

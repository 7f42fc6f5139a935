//! What every regressor does.

use regmix_data::{Monitor, Result, Silent};

use crate::regressor::model::Model;
use crate::samples::Samples;

/// What a fit is given beside its samples.
#[derive(Clone, Copy)]
pub struct FitContext<'a> {
    /// The seed of its random numbers.
    pub seed: u64,
    /// Asked for a stop by fits that may take longer than half a second.
    pub monitor: &'a dyn Monitor,
    /// The model of samples of which these are a resample (a bootstrap): a
    /// start that saves time. None in cross-validation, where that model has
    /// seen the held-out rows.
    pub previous: Option<&'a Model>,
}

impl<'a> FitContext<'a> {
    /// Without an earlier model.
    pub fn new(seed: u64, monitor: &'a dyn Monitor) -> Self {
        Self {
            seed,
            monitor,
            previous: None,
        }
    }

    /// The same for a resample of the samples of an earlier model.
    #[must_use]
    pub fn after(mut self, previous: &'a Model) -> Self {
        self.previous = Some(previous);
        self
    }
}

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
    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model>;

    /// [`Regressor::fit_with`] without a monitor or an earlier model.
    ///
    /// # Errors
    /// When the samples are outside what the regressor can describe.
    fn fit(&self, samples: &Samples<'_>, seed: u64) -> Result<Model> {
        self.fit_with(samples, FitContext::new(seed, &Silent))
    }
}

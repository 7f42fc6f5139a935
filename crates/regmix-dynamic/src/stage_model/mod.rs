//! The stage model f: from a state and a mixture to the state after a stage.

mod accuracy;
mod from_start;
mod regressors;
mod ridge;
mod smooth;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Monitor, Result, Silent};

use self::regressors::Regressors;
use self::smooth::Smooth;
use crate::config::{DynamicConfig, FirstLosses, SMOOTH};
use crate::dynamics::{Dynamics, Moment, Slopes};
use crate::record::{StageGrid, Transitions};

pub use self::accuracy::{OverTargets, StageAccuracy, StageSummary};
pub(crate) use self::from_start::FromStart;

/// A fitted stage model.
///
/// As [`Dynamics`] it predicts the losses of all targets after a stage.
/// [`StageAccuracy`](crate::StageAccuracy) is its accuracy on held-out runs.
///
/// With `regressor = "smooth"`, effective tokens add up: each target's loss is
/// `c + x^(-1/p)`, and a stage adds to x the prediction of a ridge regression
/// on weights, their square roots and (with a stronger penalty) the state. It
/// has derivatives, takes milliseconds to fit, and extrapolates smoothly where
/// a target's losses fall below those of all proxies, which trees cannot. It
/// fails where losses do not fall as powers, or where the effect of a mixture
/// depends strongly on the mixtures before.
///
/// With any other regressor of regmix-regress, inputs are the weights, the
/// fraction of training (unless `per_stage`) and the losses; for laws, and
/// ensembles with a law, the reciprocals of the losses. `law1`, `law2` and
/// ensembles with one of them can only fall with larger inputs: they predict the
/// next loss whatever the outcome. Cost of a fit, for M runs and N stages: for every target one fit of
/// the regressor on M N rows, or with `per_stage` N fits on M rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageModel {
    domains: DomainSet,
    targets: Vec<String>,
    grid: StageGrid,
    /// The losses at the first stage point, and the smooth stage model.
    smooth: Smooth,
    fitted: Fitted,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Fitted {
    Smooth,
    Regressors(Regressors),
}

impl StageModel {
    /// Fits on all rows.
    ///
    /// # Errors
    /// When the regressor is unknown or refuses the rows.
    pub fn fit(rows: &Transitions, config: &DynamicConfig) -> Result<Self> {
        Self::fit_monitored(rows, config, &Silent)
    }

    /// [`StageModel::fit`], with progress and a way to stop.
    ///
    /// # Errors
    /// As [`StageModel::fit`], and when `monitor` asks to stop.
    pub fn fit_monitored(
        rows: &Transitions,
        config: &DynamicConfig,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        Self::fit_like(rows, config, None, monitor)
    }

    /// Fits to slightly changed rows (a bootstrap sample), with the penalties
    /// of a model that was fitted before.
    pub(crate) fn fit_like(
        rows: &Transitions,
        config: &DynamicConfig,
        like: Option<&Self>,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let stages = rows.grid.stages();
        let every = (0..stages).all(|s| rows.rows.iter().any(|r| r.stage == s));
        if !every || rows.beginnings.is_empty() {
            return Err(Error::input("a stage has no rows: expected some for each"));
        }
        let fitted = match config.regressor == SMOOTH {
            true => Fitted::Smooth,
            false => Fitted::Regressors(Regressors::fit(rows, config, monitor)?),
        };
        Ok(Self {
            domains: rows.domains.clone(),
            targets: rows.targets.clone(),
            grid: rows.grid.clone(),
            smooth: Smooth::fit(rows, like.map(|m| &m.smooth), monitor)?,
            fitted,
        })
    }

    /// The losses at the first stage point of a run whose first mixture is
    /// `first`.
    pub fn start(&self, start: FirstLosses, first: &[f64]) -> Vec<f64> {
        match start {
            FirstLosses::Mean => self.smooth.start_mean().to_vec(),
            FirstLosses::Regression => self.smooth.start(first),
        }
    }

    /// The standard deviation of those losses.
    pub(crate) fn start_sd(&self, first: &[f64]) -> Vec<f64> {
        self.smooth.start_sd(first)
    }

    /// The derivative of those losses, `[targets][domains]`.
    pub(crate) fn start_slopes(&self, first: &[f64]) -> Vec<Vec<f64>> {
        self.smooth.start_slopes(first)
    }

    /// Checks a model that was read from a file.
    ///
    /// # Errors
    /// When sizes do not agree or a number is not finite.
    pub(crate) fn check(&self) -> Result<()> {
        let (d, t, n) = (self.domains.len(), self.targets.len(), self.grid.stages());
        let sound = t > 0
            && self.smooth.is_sound(d, t, n)
            && match &self.fitted {
                Fitted::Smooth => true,
                Fitted::Regressors(r) => r.is_sound(d, t, n),
            };
        if sound {
            Ok(())
        } else {
            Err(
                Error::input("damaged stage model: sizes disagree, or a number is not finite")
                    .help("fit it again"),
            )
        }
    }
}

impl Dynamics for StageModel {
    fn domains(&self) -> &DomainSet {
        &self.domains
    }

    fn targets(&self) -> &[String] {
        &self.targets
    }

    fn grid(&self) -> &StageGrid {
        &self.grid
    }

    fn next(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        match &self.fitted {
            Fitted::Smooth => self.smooth.next(at.stage, state, mixture),
            Fitted::Regressors(r) => r.next(at, state, mixture),
        }
    }

    fn next_many(&self, at: Moment, state: &[f64], mixtures: &[Vec<f64>]) -> Vec<f64> {
        match &self.fitted {
            Fitted::Smooth => (mixtures.iter())
                .flat_map(|m| self.smooth.next(at.stage, state, m))
                .collect(),
            Fitted::Regressors(r) => r.next_many(at, state, mixtures),
        }
    }

    fn next_each(&self, at: Moment, states: &[Vec<f64>], mixture: &[f64]) -> Vec<Vec<f64>> {
        match &self.fitted {
            Fitted::Smooth => (states.iter())
                .map(|s| self.smooth.next(at.stage, s, mixture))
                .collect(),
            Fitted::Regressors(r) => r.next_each(at, states, mixture),
        }
    }

    fn slopes(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Option<Slopes> {
        match &self.fitted {
            Fitted::Smooth => Some(self.smooth.slopes(at.stage, state, mixture)),
            Fitted::Regressors(r) => r.slopes(at, state, mixture),
        }
    }

    fn sd(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        match &self.fitted {
            Fitted::Smooth => self.smooth.sd(at.stage, state, mixture),
            Fitted::Regressors(r) => r.sd(at, state, mixture),
        }
    }
}

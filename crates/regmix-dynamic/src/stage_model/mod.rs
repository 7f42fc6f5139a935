//! f_N: from a state and a mixture to the state after a stage.

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
/// As [`Dynamics`] it predicts the losses of all targets after a stage. How
/// good it is on runs that it has not seen, [`StageAccuracy`](crate::StageAccuracy)
/// says.
///
/// With `regressor = "smooth"`, tokens add up: each target's loss is
/// `c + x^(-1/p)`, and a stage adds to x what a ridge regression on weights,
/// their square roots and (less trusted) the state makes of it. It has slopes,
/// takes milliseconds to fit, and goes on smoothly where a target's losses
/// fall below every proxy's, which trees cannot. It fails where losses do not
/// fall as powers, or what one mixture is worth depends much on what came
/// before. With any
/// other regressor of regmix-regress, inputs are the weights, the fraction of
/// training (unless `per_stage`) and the losses; the laws, whose inputs must
/// help, get the losses' reciprocals. Cost of a fit: targets times that of the
/// regressor on M N rows, or N times targets on M rows.
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

    /// Fits to slightly changed rows (a bootstrap), with strengths of a model
    /// fitted before.
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

    /// Checks what a file may have got wrong.
    ///
    /// # Errors
    /// When sizes do not agree or a number is not finite.
    pub fn check(&self) -> Result<()> {
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

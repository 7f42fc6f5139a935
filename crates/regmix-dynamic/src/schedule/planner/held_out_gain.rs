//! What a schedule gains over the best single mixture, judged by runs that it
//! was not planned on.

use rayon::prelude::*;

use regmix_data::{Error, Result};
use regmix_regress::{Folds, Prediction};

use super::Planner;
use super::refits::spread;
use crate::stage_model::FromStart;
use crate::stage_model::StageModel;

/// Gains by split of the runs, and what went wrong in the others.
#[derive(Debug, Default)]
pub(crate) struct HeldOut {
    splits: usize,
    gains: Vec<f64>,
    /// Why the first split that gave none did so.
    reason: Option<String>,
}

impl HeldOut {
    /// Mean and standard deviation over splits, of which there must be two.
    pub(crate) fn gain(&self) -> Option<Prediction> {
        (self.gains.len() > 1).then(|| spread(&self.gains))
    }

    /// What a person should know; a gain that was measured speaks for itself.
    pub(crate) fn note(&self, fell_back: bool) -> Option<String> {
        let reason = self.reason.as_deref();
        let failed = self.splits - self.gains.len();
        let which = format!("{failed} of {} splits of the runs in halves", self.splits);
        if self.gain().is_some() {
            return reason.map(|why| format!("{which} gave no gain and do not count: {why}"));
        }
        let kept = match fell_back {
            true => "the best single mixture is kept (`static_unless = 0` keeps the schedule)",
            false => "the schedule stands unchecked",
        };
        reason
            .map(|why| format!("the gain could not be measured, {kept}: {which} gave none: {why}"))
    }
}

impl Planner {
    /// Gains of schedules planned on half of the runs, by stage models fitted
    /// on the other half: one number per split of the runs, the mean of both
    /// directions. A plan is the best of very many under the model that it is
    /// made with, and that model therefore always promises a gain; one that
    /// has not seen the same noise does not. Halves plan worse than the whole,
    /// so that the numbers err on the side of a single mixture.
    ///
    /// The order is that of the splits, whatever the number of threads.
    pub(crate) fn held_out_gains(&self, splits: usize) -> HeldOut {
        let all = (0..splits)
            .into_par_iter()
            .map(|number| self.held_out_gain(number))
            .collect::<Vec<_>>();
        let mut out = HeldOut {
            splits,
            ..HeldOut::default()
        };
        for one in all {
            match one {
                Ok(gain) => out.gains.push(gain),
                Err(e) => {
                    out.reason.get_or_insert_with(|| e.problem().to_owned());
                }
            }
        }
        out
    }

    fn held_out_gain(&self, number: usize) -> Result<f64> {
        let config = &self.request.config;
        let rows = self.rows();
        let halves = Folds::new(rows.runs().len(), 2, config.seed, &format!("gain-{number}"))?;
        let model = |fold: usize| {
            let own = rows.pick(&halves.split(fold).0).checked()?;
            StageModel::fit_like(&own, config, Some(&self.model))
        };
        let (one, other) = (model(0)?, model(1)?);
        Ok(0.5 * (self.judged(&one, &other)? + self.judged(&other, &one)?))
    }

    /// The gain of what one model plans, as another one sees it.
    fn judged(&self, planner: &StageModel, judge: &StageModel) -> Result<f64> {
        let plan = self.problem(planner, &FromStart::new(planner)).solve()?;
        let from_start = FromStart::new(judge);
        let problem = self.problem(judge, &from_start);
        let Some(single) = plan.single else {
            return Err(Error::failed("no single mixture keeps to all limits"));
        };
        let gain =
            problem.plan_value(&vec![single; problem.left()]) - problem.plan_value(&plan.mixtures);
        match gain.is_finite() {
            true => Ok(gain),
            false => Err(Error::failed("predicted losses are not finite")),
        }
    }
}

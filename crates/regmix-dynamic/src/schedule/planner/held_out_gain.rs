//! How much a schedule gains over the best single mixture on runs that it was
//! not planned on.

use rayon::prelude::*;

use regmix_data::{Error, Monitor, Muted, Result};
use regmix_regress::metrics::mean_and_sd;
use regmix_regress::{Folds, Prediction};

use super::Planner;
use super::refits::OUT_OF_RANGE;
use crate::stage_model::{FromStart, StageModel};

/// Gains by split of the runs in halves.
#[derive(Debug, Default)]
pub(super) struct HeldOutGains {
    splits: usize,
    gains: Vec<f64>,
    /// Why the first split without a gain has none.
    reason: Option<String>,
}

impl HeldOutGains {
    /// Mean and standard deviation over splits. At least two must have given one,
    /// and more than half of them: the others may have failed where the gain is
    /// worst.
    pub(super) fn gain(&self) -> Option<Prediction> {
        (self.gains.len() > 1 && 2 * self.gains.len() > self.splits).then(|| {
            let (mean, sd) = mean_and_sd(&self.gains);
            Prediction { mean, sd }
        })
    }

    /// What a person should know; a gain that was measured needs no words.
    pub(super) fn note(&self, fell_back: bool) -> Option<String> {
        let reason = self.reason.as_deref();
        let failed = self.splits - self.gains.len();
        let which = format!("{failed} of {} splits of the runs in halves", self.splits);
        if self.gain().is_some() {
            return reason.map(|why| format!("{which} gave no gain and do not count: {why}"));
        }
        let kept = match fell_back {
            true => "the best single mixture is kept (`static_unless = 0` keeps the schedule)",
            false => "the schedule is kept without a check",
        };
        reason
            .map(|why| format!("the gain could not be measured, {kept}: {which} gave none: {why}"))
    }
}

impl Planner {
    /// Gains of schedules planned on half of the runs, by stage models fitted
    /// on the other half: one number per split of the runs, the mean of both
    /// directions.
    ///
    /// A plan is the best of very many under its own model, which therefore
    /// always promises a gain; a model that has not seen the same noise does
    /// not. Half of the runs give worse plans than all of them, so that the
    /// numbers err on the side of a single mixture. They are in the order of
    /// the splits, whatever the number of threads.
    pub(super) fn held_out_gains(
        &self,
        splits: usize,
        monitor: &dyn Monitor,
    ) -> Result<HeldOutGains> {
        let all = (0..splits)
            .into_par_iter()
            .map(|number| {
                let gain = self.held_out_gain(number, &Muted(monitor));
                monitor.advance(1);
                gain
            })
            .collect::<Vec<_>>();
        monitor.check()?;
        let mut out = HeldOutGains {
            splits,
            ..HeldOutGains::default()
        };
        for one in all {
            match one {
                Ok(gain) => out.gains.push(gain),
                Err(e) => {
                    out.reason.get_or_insert_with(|| e.problem().to_owned());
                }
            }
        }
        Ok(out)
    }

    fn held_out_gain(&self, number: usize, monitor: &dyn Monitor) -> Result<f64> {
        let config = &self.request.config;
        let rows = self.rows();
        let halves = Folds::new(rows.runs().len(), 2, config.seed, &format!("gain-{number}"))?;
        let model = |fold: usize| {
            let own = rows.pick(&halves.split(fold).0).checked()?;
            StageModel::fit_like(&own, config, Some(&self.model), monitor)
        };
        let (one, other) = (model(0)?, model(1)?);
        Ok(0.5 * (self.judged(&one, &other, monitor)? + self.judged(&other, &one, monitor)?))
    }

    /// The gain of what one model plans, as another one predicts it.
    fn judged(
        &self,
        planner: &StageModel,
        judge: &StageModel,
        monitor: &dyn Monitor,
    ) -> Result<f64> {
        let plan = (self.problem(planner, &FromStart::new(planner), monitor)).solve()?;
        let from_start = FromStart::new(judge);
        let problem = self.problem(judge, &from_start, monitor);
        let Some(single) = plan.single else {
            return Err(Error::failed("no single mixture keeps to all limits"));
        };
        let both = [vec![single.clone(); problem.left()], plan.mixtures.clone()];
        for mixtures in both {
            if !(problem.rollout(&mixtures).iter()).all(|state| self.can_be(state)) {
                return Err(Error::failed(OUT_OF_RANGE));
            }
        }
        let gain =
            problem.plan_value(&vec![single; problem.left()]) - problem.plan_value(&plan.mixtures);
        match gain.is_finite() {
            true => Ok(gain),
            false => Err(Error::failed("predicted losses are not finite")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_of_splits_measures_no_gain() {
        let of = |gains: usize, splits: usize| HeldOutGains {
            splits,
            gains: vec![0.1; gains],
            reason: (gains < splits).then(|| OUT_OF_RANGE.to_owned()),
        };
        assert!(of(2, 2).gain().is_some() && of(6, 10).gain().is_some());
        assert!(of(6, 10).note(false).unwrap().starts_with("4 of 10 splits"));
        assert!(of(1, 1).gain().is_none() && of(5, 10).gain().is_none());
        assert_eq!(
            of(5, 10).note(true).unwrap(),
            format!(
                "the gain could not be measured, the best single mixture is kept (`static_unless = \
                 0` keeps the schedule): 5 of 10 splits of the runs in halves gave none: \
                 {OUT_OF_RANGE}"
            )
        );
    }
}

//! Fits and plans on resampled runs: a bootstrap of a plan.

use rayon::prelude::*;

use regmix_data::{Monitor, Muted, Result};
use regmix_regress::metrics::mean_and_sd;

use super::Planner;
use crate::plan::Plan;
use crate::stage_model::{FromStart, StageModel};

/// Why a refit or a half of the runs does not count.
pub(super) const OUT_OF_RANGE: &str = "predicted losses are outside the range of the measured ones";

/// The refits that count.
pub(super) struct Refits {
    pub(super) all: Vec<Refit>,
    /// How many were left out, since their predictions cannot be.
    pub(super) dropped: usize,
}

impl Refits {
    /// The standard deviation of the values of the refits; 0 for fewer than
    /// two. Where some were left out, others may be far off as well: it is then
    /// taken from the 5th and the 95th percentile, as a normal distribution
    /// has them.
    pub(super) fn sd(&self, mut values: Vec<f64>) -> f64 {
        if values.len() < 2 {
            return 0.0;
        }
        if self.dropped == 0 {
            return mean_and_sd(&values).1;
        }
        values.sort_by(f64::total_cmp);
        let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
        (at(0.95) - at(0.05)) / (2.0 * 1.645)
    }
}

/// The result of a refit on resampled runs.
pub(super) struct Refit {
    /// The losses that this refit predicts for the plan.
    pub(super) states: Vec<Vec<f64>>,
    /// What it predicts for the plan's objective.
    pub(super) value: f64,
    /// What it would have planned itself.
    pub(super) mixtures: Vec<Vec<f64>>,
    /// The single mixture that it would have planned.
    pub(super) single: Option<Vec<f64>>,
}

impl Planner {
    /// One refit per bootstrap sample; notes say how many failed, and how many
    /// predict losses that cannot be.
    pub(super) fn refits(
        &self,
        plan: &Plan,
        notes: &mut Vec<String>,
        monitor: &dyn Monitor,
    ) -> Result<Refits> {
        let count = self.request.config.bootstrap;
        let refits = (0..count)
            .into_par_iter()
            .map(|number| {
                let refit = self.refit(number, plan, &Muted(monitor));
                monitor.advance(1);
                refit
            })
            .collect::<Vec<_>>();
        monitor.check()?;
        let failed = refits.iter().filter(|r| r.is_err()).count();
        if failed > 0 {
            notes.push(format!(
                "{failed} of {count} refits failed and do not count"
            ));
        }
        let made = count - failed;
        let (all, off): (Vec<Refit>, Vec<Refit>) = (refits.into_iter().flatten())
            .partition(|refit| refit.states.iter().all(|state| self.can_be(state)));
        let dropped = off.len();
        if dropped > 0 {
            notes.push(format!(
                "{dropped} of {made} refits do not count: {OUT_OF_RANGE}"
            ));
        }
        Ok(Refits { all, dropped })
    }

    /// Whether a predicted state can be: the objective there is between half of
    /// the lowest one that was measured and twice the highest.
    pub(super) fn can_be(&self, state: &[f64]) -> bool {
        let (low, high) = self.measured_range;
        // Weights of an objective may be negative.
        let range = low - 0.5 * low.abs()..=high + high.abs();
        range.contains(&self.goal.mean_or_sum(state))
    }

    fn refit(&self, number: usize, plan: &Plan, monitor: &dyn Monitor) -> Result<Refit> {
        let config = &self.request.config;
        let rows = self.rows.resampled(config.seed, number);
        let model = StageModel::fit_like(&rows, config, Some(&self.model), monitor)?;
        let from_start = FromStart::new(&model);
        let problem = self.problem(&model, &from_start, monitor);
        let planned = problem.solve()?;
        Ok(Refit {
            states: problem.rollout(&plan.mixtures),
            value: problem.plan_value(&plan.mixtures),
            single: planned.single,
            mixtures: planned.mixtures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_refits_were_dropped_the_spread_is_that_of_quantiles() {
        let values: Vec<f64> = (0..=20).map(|i| f64::from(i * i)).collect();
        let refit = |value: f64| Refit {
            states: Vec::new(),
            value,
            mixtures: Vec::new(),
            single: None,
        };
        let refits = |dropped| Refits {
            all: values.iter().map(|v| refit(*v)).collect(),
            dropped,
        };
        let of = |refits: &Refits| refits.sd(refits.all.iter().map(|r| r.value).collect());
        assert_eq!(of(&refits(0)), mean_and_sd(&values).1);
        assert!((of(&refits(3)) - (361.0 - 1.0) / 3.29).abs() < 1e-9);
        let one = Refits {
            all: vec![refit(3.0)],
            dropped: 19,
        };
        assert_eq!(of(&one), 0.0);
    }
}

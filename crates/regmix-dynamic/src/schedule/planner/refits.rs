//! Fits and plans on resampled runs: a bootstrap of a plan.

use rayon::prelude::*;

use regmix_data::{Monitor, Muted, Result};

use super::Planner;
use crate::plan::Plan;
use crate::record::LossRange;
use crate::stage_model::{FromStart, StageModel};

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
    /// One refit per bootstrap sample; a note says how many failed.
    pub(super) fn refits(
        &self,
        plan: &Plan,
        notes: &mut Vec<String>,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Refit>> {
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
        let mut errors = refits.iter().filter_map(|r| r.as_ref().err());
        if let Some(first) = errors.next() {
            notes.push(format!(
                "{} of {count} refits failed and do not count: {}",
                1 + errors.count(),
                first.problem()
            ));
        }
        Ok(refits.into_iter().flatten().collect())
    }

    fn refit(&self, number: usize, plan: &Plan, monitor: &dyn Monitor) -> Result<Refit> {
        let config = &self.request.config;
        let rows = self.rows.resampled(config.seed, number);
        let model = StageModel::fit_like(&rows, config, Some(&self.model), monitor)?;
        let from_start = FromStart::new(&model);
        let problem = self.problem(&model, &from_start, monitor);
        let planned = problem.solve()?;
        let states = problem.rollout(&plan.mixtures);
        LossRange::of(&self.rows).check(&states)?;
        Ok(Refit {
            states,
            value: problem.plan_value(&plan.mixtures),
            single: planned.single,
            mixtures: planned.mixtures,
        })
    }
}

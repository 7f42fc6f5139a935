//! What a schedule gains over the best single mixture, judged by runs that it
//! was not planned on.

use rayon::prelude::*;

use regmix_data::Result;
use regmix_regress::Folds;

use crate::first::FromStart;
use crate::planner::Planner;
use crate::stage_model::StageModel;

impl Planner {
    /// Gains of schedules planned on half of the runs, by stage models fitted
    /// on the other half: one number per split of the runs, the mean of both
    /// directions. A plan is the best of very many under the model that it is
    /// made with, and that model therefore always promises a gain; one that
    /// has not seen the same noise does not. Halves plan worse than the whole,
    /// so that the numbers err on the side of a single mixture.
    ///
    /// Empty where plans do not look for a single mixture, or halves are too
    /// few runs to fit. The order is that of the splits, whatever the number
    /// of threads.
    pub(crate) fn held_out_gains(&self, splits: usize) -> Vec<f64> {
        (0..splits)
            .into_par_iter()
            .map(|number| self.held_out_gain(number).ok().flatten())
            .collect::<Vec<_>>()
            .into_iter()
            .flatten()
            .collect()
    }

    fn held_out_gain(&self, number: usize) -> Result<Option<f64>> {
        let config = &self.request.config;
        let rows = self.rows();
        let halves = Folds::new(rows.runs().len(), 2, config.seed, &format!("gain-{number}"))?;
        let model = |fold: usize| {
            let own = rows.pick(&halves.split(fold).0);
            StageModel::fit_like(&own, config, Some(&self.model))
        };
        let (one, other) = (model(0)?, model(1)?);
        let gains = [self.judged(&one, &other)?, self.judged(&other, &one)?];
        let [Some(a), Some(b)] = gains else {
            return Ok(None);
        };
        Ok(Some(0.5 * (a + b)))
    }

    /// The gain of what one model plans, as another one sees it.
    fn judged(&self, planner: &StageModel, judge: &StageModel) -> Result<Option<f64>> {
        let plan = self.problem(planner, &FromStart::new(planner)).solve()?;
        let from_start = FromStart::new(judge);
        let problem = self.problem(judge, &from_start);
        Ok(plan.single.map(|single| {
            problem.plan_value(&vec![single; problem.left()]) - problem.plan_value(&plan.mixtures)
        }))
    }
}

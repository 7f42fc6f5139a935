//! The value of a plan as a function of one of its mixtures, for searches.

use rayon::prelude::*;
use regmix_data::DomainSet;
use regmix_regress::search::Surface;

use super::Problem;
use crate::dynamics::Dynamics;

/// The value of a plan by one of its mixtures, with the others fixed.
pub(super) struct OneStage<'a, D: ?Sized> {
    pub(super) problem: &'a Problem<'a, D>,
    /// The state when the stage begins.
    pub(super) state: &'a [f64],
    /// The mixture of the stage before.
    pub(super) before: &'a [f64],
    /// Its place among the mixtures still to be chosen.
    pub(super) place: usize,
    /// The mixtures after it; none for a search of one stage only.
    pub(super) later: &'a [Vec<f64>],
}

impl<D: Dynamics + ?Sized> Surface for OneStage<'_, D> {
    fn domains(&self) -> &DomainSet {
        self.problem.dynamics.domains()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        let p = self.problem;
        let mean = p.mean(self.place, self.before, weights);
        let mut state = p.dynamics.next(p.moment(self.place), self.state, &mean);
        let later = p.means(self.place + 1, weights, self.later);
        for (i, mean) in later.iter().enumerate() {
            state = (p.dynamics).next(p.moment(self.place + 1 + i), &state, mean);
        }
        p.value(self.place + self.later.len(), &state)
    }

    fn values(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        let p = self.problem;
        // The stage after it begins on every row's own mixture.
        if p.ramp > 0.0 {
            return rows.par_iter().map(|row| self.value(row)).collect();
        }
        let flat = p.dynamics.next_many(p.moment(self.place), self.state, rows);
        let last = self.place + self.later.len();
        let mut states: Vec<Vec<f64>> = flat
            .chunks_exact(self.state.len())
            .map(<[f64]>::to_vec)
            .collect();
        for (i, mixture) in self.later.iter().enumerate() {
            let at = p.moment(self.place + 1 + i);
            states = p.dynamics.next_each(at, &states, mixture);
        }
        states.iter().map(|s| p.value(last, s)).collect()
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        self.value_and_gradient(weights).1
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let mut mixtures = vec![weights.to_vec()];
        mixtures.extend_from_slice(self.later);
        let (value, slopes) = (self.problem).slopes(self.place, self.state, self.before, &mixtures);
        (value, slopes.map(|mut all| all.swap_remove(0)))
    }
}

/// The value of a plan with the same mixture in all stages.
pub(super) struct Static<'a, D: ?Sized> {
    pub(super) problem: &'a Problem<'a, D>,
}

impl<D: Dynamics + ?Sized> Surface for Static<'_, D> {
    fn domains(&self) -> &DomainSet {
        self.problem.dynamics.domains()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        let p = self.problem;
        let mixtures = vec![weights.to_vec(); p.left()];
        p.plan_value(&mixtures)
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        self.value_and_gradient(weights).1
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let p = self.problem;
        let mixtures = vec![weights.to_vec(); p.left()];
        let (value, slopes) = p.slopes(0, &p.position.state, &p.position.previous, &mixtures);
        let sum = |all: Vec<Vec<f64>>| {
            (0..weights.len())
                .map(|i| all.iter().map(|g| g[i]).sum())
                .collect()
        };
        (value, slopes.map(sum))
    }
}

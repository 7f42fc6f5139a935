//! The first segment as one more stage.

use regmix_data::DomainSet;

use super::StageModel;
use crate::config::FirstLosses;
use crate::dynamics::{Dynamics, Moment, Slopes};
use crate::record::StageGrid;

/// A stage model whose stage 0 is the first segment: the losses after it
/// depend on its mixture only, not on a state.
pub(crate) struct FromStart<'a> {
    model: &'a StageModel,
    grid: StageGrid,
}

impl<'a> FromStart<'a> {
    pub(crate) fn new(model: &'a StageModel) -> Self {
        Self {
            grid: model.grid().with_first(),
            model,
        }
    }

    fn inner(at: Moment) -> Option<Moment> {
        Some(Moment {
            stage: at.stage.checked_sub(1)?,
            ..at
        })
    }
}

impl Dynamics for FromStart<'_> {
    fn domains(&self) -> &DomainSet {
        self.model.domains()
    }

    fn targets(&self) -> &[String] {
        self.model.targets()
    }

    fn grid(&self) -> &StageGrid {
        &self.grid
    }

    fn next(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        match Self::inner(at) {
            None => self.model.start(FirstLosses::Regression, mixture),
            Some(at) => self.model.next(at, state, mixture),
        }
    }

    fn next_many(&self, at: Moment, state: &[f64], mixtures: &[Vec<f64>]) -> Vec<f64> {
        match Self::inner(at) {
            None => (mixtures.iter())
                .flat_map(|m| self.model.start(FirstLosses::Regression, m))
                .collect(),
            Some(at) => self.model.next_many(at, state, mixtures),
        }
    }

    fn next_each(&self, at: Moment, states: &[Vec<f64>], mixture: &[f64]) -> Vec<Vec<f64>> {
        match Self::inner(at) {
            None => vec![self.model.start(FirstLosses::Regression, mixture); states.len()],
            Some(at) => self.model.next_each(at, states, mixture),
        }
    }

    fn slopes(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Option<Slopes> {
        match Self::inner(at) {
            None => Some(Slopes {
                by_mixture: self.model.start_slopes(mixture),
                by_state: vec![vec![0.0; state.len()]; state.len()],
            }),
            Some(at) => self.model.slopes(at, state, mixture),
        }
    }

    fn sd(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        match Self::inner(at) {
            None => self.model.start_sd(mixture),
            Some(at) => self.model.sd(at, state, mixture),
        }
    }
}

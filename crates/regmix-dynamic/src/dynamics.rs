//! How losses change from one stage point to the next.

use regmix_data::DomainSet;

use crate::record::StageGrid;

/// A moment in training: a stage, and the fraction of training at which its
/// mixture is chosen. In a plan that is the start of the stage; a target may
/// be observed a few steps later.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The stage, from 0.
    pub stage: usize,
    /// The fraction of training.
    pub fraction: f64,
}

/// Derivatives of the next state.
#[derive(Debug, Clone, PartialEq)]
pub struct Slopes {
    /// By the weights, `[targets][domains]`, as if these could move freely.
    pub by_mixture: Vec<Vec<f64>>,
    /// By the state, `[targets][targets]`.
    pub by_state: Vec<Vec<f64>>,
}

/// How losses change over a stage: `l_{j+1} = f(t_j, mixture, l_j)`.
///
/// A [`StageModel`](crate::StageModel) learns it from proxies;
/// [`simulator::World`](crate::simulator::World) computes it. All planning
/// works on any of them.
pub trait Dynamics: Sync {
    /// The domains, in the order of weights.
    fn domains(&self) -> &DomainSet;

    /// The targets, in the order of a state.
    fn targets(&self) -> &[String];

    /// The stage points.
    fn grid(&self) -> &StageGrid;

    /// The losses at the end of a stage.
    fn next(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Vec<f64>;

    /// The same for many mixtures, `[mixtures][targets]` in one vector.
    fn next_many(&self, at: Moment, state: &[f64], mixtures: &[Vec<f64>]) -> Vec<f64> {
        (mixtures.iter())
            .flat_map(|m| self.next(at, state, m))
            .collect()
    }

    /// The same for many states and one mixture.
    fn next_each(&self, at: Moment, states: &[Vec<f64>], mixture: &[f64]) -> Vec<Vec<f64>> {
        states.iter().map(|s| self.next(at, s, mixture)).collect()
    }

    /// Derivatives; `None` where there are none, and searches draw instead.
    fn slopes(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Option<Slopes> {
        let _ = (at, state, mixture);
        None
    }

    /// The standard deviation of the next losses, given the state.
    fn sd(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        let _ = (at, mixture);
        vec![0.0; state.len()]
    }

    /// The start of a stage.
    fn moment(&self, stage: usize) -> Moment {
        Moment {
            stage,
            fraction: self.grid().points()[stage],
        }
    }
}

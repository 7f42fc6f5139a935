//! What a fit advises: scores of an objective, the best mixture, further runs.

pub(crate) mod climb;
mod correlation;
pub(crate) mod coverage;
pub(crate) mod divergence;
pub(crate) mod interactions;
pub(crate) mod next_runs;
pub(crate) mod observed;
pub(crate) mod pareto;
mod penalty;
pub(crate) mod reach;
pub(crate) mod recommend;
mod scales;
pub(crate) mod scorer;
pub(crate) mod support;

//! Search on the simplex: where is the predicted value lowest?
//!
//! [`simulate`] is RegMix's own recipe: draw many mixtures, average the best.
//! [`descend`] follows the gradient, and finds the minimum that random draws
//! in many dimensions miss, in some tens of evaluations. Both work on any
//! [`Surface`], under [`Constraints`](crate::Constraints).

pub(crate) mod anneal;
pub(crate) mod descend;
mod face;
pub(crate) mod options;
pub(crate) mod simulate;
pub(crate) mod soft_max;
pub(crate) mod surface;
mod walk;

pub use descend::{Descent, descend, descend_monitored};
pub use options::{DescendOptions, Termination};
pub use simulate::{
    Candidates, Infeasible, SimulateOptions, Simulation, simulate, simulate_monitored, top_draws,
};
pub use surface::Surface;

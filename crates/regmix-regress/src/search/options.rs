//! How a descent goes and why it stops.

use serde::{Deserialize, Serialize};

/// How to descend.
///
/// | field | default | range |
/// |---|---|---|
/// | `max_iterations` | 500 | 1 or more, per start |
/// | `tolerance` | 1e-5 | positive, unit of the value |
///
/// [`recommend`](crate::recommend) and [`pareto`](crate::pareto()) lower the tolerance where the
/// objective varies little over the runs, see [`DescendOptions::for_spread`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DescendOptions {
    /// Iterations per start.
    pub max_iterations: usize,
    /// Stop when the linearised gain in every allowed direction is smaller.
    pub tolerance: f64,
}

impl DescendOptions {
    /// The options for values whose standard deviation over the runs is `spread`: below 0.1,
    /// which is usual for losses in nats per token, the tolerance falls in proportion, so that
    /// losses in another unit are searched as closely.
    #[must_use]
    pub fn for_spread(self, spread: f64) -> Self {
        /// The least spread that the tolerance is meant for.
        const USUAL: f64 = 0.1;
        let share = spread / USUAL;
        match share > 0.0 && share < 1.0 {
            true => Self {
                tolerance: self.tolerance * share,
                ..self
            },
            false => self,
        }
    }
}

impl Default for DescendOptions {
    fn default() -> Self {
        Self {
            max_iterations: 500,
            tolerance: 1e-5,
        }
    }
}

/// Why a descent stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Termination {
    /// The linearised value can fall by less than the tolerance anywhere in
    /// the allowed region: on a convex surface this is the minimum.
    Stationary,
    /// Steps gained less than a thousandth of the tolerance, 5 times in a
    /// row. This is the usual end near weights of zero, where slopes are
    /// nearly infinite, and just as good.
    NoProgress,
    /// The limit on iterations was reached first.
    MaxIterations,
}

//! The losses that runs had, and how far beyond them a prediction may be.

use regmix_data::{Error, Result};

use super::Transitions;

/// The least and the largest loss of every target that counts as predicted: the
/// range over the runs, widened by its own width to both sides.
pub(crate) struct LossRange(Vec<(f64, f64)>);

impl LossRange {
    pub(crate) fn of(rows: &Transitions) -> Self {
        let of = |target: usize| {
            let losses = (rows.rows.iter()).flat_map(|r| [r.state[target], r.next[target]]);
            let start = (f64::INFINITY, f64::NEG_INFINITY);
            let (low, high) = losses.fold(start, |(low, high), x| (low.min(x), high.max(x)));
            (low - (high - low), high + (high - low))
        };
        let targets = rows.rows.first().map_or(0, |row| row.state.len());
        Self((0..targets).map(of).collect())
    }

    /// How wide the range of a target is.
    pub(crate) fn width(&self, target: usize) -> f64 {
        let (low, high) = self.0[target];
        high - low
    }

    /// Refuses predicted losses outside: a model that has left the range of
    /// what it was fitted to says nothing.
    pub(crate) fn check(&self, states: &[Vec<f64>]) -> Result<()> {
        let inside = |(loss, (low, high)): (&f64, &(f64, f64))| (low..=high).contains(&loss);
        match states
            .iter()
            .all(|state| state.iter().zip(&self.0).all(inside))
        {
            true => Ok(()),
            false => Err(Error::failed(
                "predicted losses leave the range of the measured ones",
            )),
        }
    }
}

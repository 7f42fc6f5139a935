//! Whether laws are fitted to all points of runs, or to the last ones alone.
//!
//! Where the learning rate decays to the end of a run, its last point lies below
//! the curve along which a longer run passes the same number of tokens. A law of
//! whole runs is then learnt from last points, provided that runs are of several
//! lengths.

use regmix_data::{Monitor, Result};

use crate::scale::runs::ScaleRuns;
use crate::scale::select::{Choice, Selection, select, trial};
use crate::scale::split::{Direction, Split, splits};

/// A choice of laws for last points, which predicts those of the largest size
/// better than laws of all points.
pub(crate) struct Ends {
    pub(crate) runs: ScaleRuns,
    pub(crate) selection: Selection,
    /// The relative error of laws of all points, and of this choice.
    pub(crate) errors: (f64, f64),
}

/// Compares both at the last points of the largest size, fitted without it.
/// `None` where laws of all points do as well, or runs do not allow the
/// comparison: it takes points along the way, three sizes, last points at
/// several lengths, and more of them than a law has parameters.
///
/// # Errors
/// When the monitor asks to stop.
pub(crate) fn better(
    runs: &ScaleRuns,
    all: &Selection,
    choice: &Choice<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<Ends>> {
    /// Fewer measurements are safer where they predict this much better.
    const CLEARLY: f64 = 0.9;
    let sizes = runs.sizes();
    let [.., second, largest] = sizes[..] else {
        return Ok(None);
    };
    let ends = runs.ends();
    let smaller = |runs: &ScaleRuns| runs.filtered(|r, _| r.parameters <= second);
    let judge = ends.filtered(|r, _| r.parameters == largest);
    let (Some(judge), Some(few), Some(many)) = (judge, smaller(&ends), smaller(runs)) else {
        return Ok(None);
    };
    let enough = few.runs().len() >= runs.domains().len() + 8;
    let along = runs.runs().iter().any(|r| r.points.len() > 1);
    if sizes.len() < 3 || !enough || !along || ends.lengths() < 2 {
        return Ok(None);
    }
    let selection = select(choice, &splits(&ends), monitor)?;
    let error = |fit: ScaleRuns, selection: &Selection| {
        let split = Split {
            direction: Direction::Larger,
            fit,
            judge: judge.clone(),
        };
        trial(&split, selection, choice, monitor)
    };
    let errors = (error(many, all)?, error(few, &selection)?);
    Ok((errors.1 < CLEARLY * errors.0).then_some(Ends {
        runs: ends,
        selection,
        errors,
    }))
}

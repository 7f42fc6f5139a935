//! Whether last points of runs lie on the curve of the points along the way.
//!
//! Where the learning rate decays to the end of a run, its last point lies below
//! the loss that a longer run has after the same number of tokens. A law of
//! whole runs is then learnt from last points alone, or from all points with an
//! excess before the end of a run.

use regmix_data::{Monitor, Result};
use serde::{Deserialize, Serialize};

use crate::scale::choice::Choice;
use crate::scale::runs::ScaleRuns;
use crate::scale::select::{Selection, select, trial};
use crate::scale::split::{Direction, Split, splits};

/// Where the last points of runs lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastPoints {
    /// Found out where runs allow it; on one curve with the others elsewhere.
    #[default]
    Auto,
    /// On one curve with the points along the way: the learning rate stays, or all
    /// points were measured after a decay.
    Same,
    /// Below that curve: the learning rate decayed to the end of every run.
    Decayed,
}

impl LastPoints {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 3] = [
        ("auto", Self::Auto),
        ("same", Self::Same),
        ("decayed", Self::Decayed),
    ];
}

/// A choice of laws for last points.
pub(crate) struct Ends {
    pub(crate) runs: ScaleRuns,
    pub(crate) selection: Selection,
    /// Whether points before the end are used, with an excess.
    pub(crate) decayed: bool,
    /// The relative error of laws of all points on one curve, and of this choice,
    /// where both were compared.
    pub(crate) errors: Option<(f64, f64)>,
}

/// Compares laws of all points on one curve, laws of last points, and laws of all
/// points with an excess, at the last points of the largest size, fitted without
/// it. `None` where one curve does as well, or runs do not allow the comparison:
/// it takes points along the way, three sizes, last points at several lengths,
/// and for laws of last points more of them than a law has parameters.
///
/// With [`LastPoints::Decayed`] one curve is no candidate, and an excess is taken
/// where nothing can be compared.
///
/// # Errors
/// When the monitor asks to stop.
pub(crate) fn better(
    runs: &ScaleRuns,
    all: &Selection,
    choice: &Choice<'_>,
    last: LastPoints,
    monitor: &dyn Monitor,
) -> Result<Option<Ends>> {
    /// Another curve must predict this much better.
    const CLEARLY: f64 = 0.9;
    let along = runs.runs().iter().any(|r| r.points.len() > 1);
    if last == LastPoints::Same || !along {
        return Ok(None);
    }
    let decayed = Choice {
        decayed: true,
        ..*choice
    };
    let sizes = runs.sizes();
    let ends = runs.ends();
    let comparable = sizes.len() >= 3 && ends.lengths() >= 2;
    if !comparable {
        return match last {
            LastPoints::Decayed => Ok(Some(Ends {
                runs: runs.clone(),
                selection: select(&decayed, &judged_at_ends(runs), monitor)?,
                decayed: true,
                errors: None,
            })),
            _ => Ok(None),
        };
    }
    let second = sizes[sizes.len() - 2];
    let smaller = |runs: &ScaleRuns| runs.filtered(|r, _| r.parameters <= second);
    let judge = ends.filtered(|r, _| r.parameters > second);
    let (Some(judge), Some(few), Some(many)) = (judge, smaller(&ends), smaller(runs)) else {
        return Ok(None);
    };
    let error = |fit: ScaleRuns, selection: &Selection, choice: &Choice<'_>| {
        let split = Split {
            direction: Direction::Larger,
            fit,
            judge: judge.clone(),
        };
        trial(&split, selection, choice, monitor)
    };
    let one_curve = error(many.clone(), all, choice)?;
    let mut best: Option<Ends> = None;
    let mut consider = |found: Ends| {
        let error = |e: &Ends| e.errors.map_or(f64::INFINITY, |e| e.1);
        if best.as_ref().is_none_or(|best| error(&found) < error(best)) {
            best = Some(found);
        }
    };
    let selection = select(&decayed, &judged_at_ends(runs), monitor)?;
    consider(Ends {
        runs: runs.clone(),
        errors: Some((one_curve, error(many, &selection, &decayed)?)),
        selection,
        decayed: true,
    });
    if few.runs().len() >= runs.domains().len() + 8 {
        let selection = select(choice, &splits(&ends), monitor)?;
        consider(Ends {
            errors: Some((one_curve, error(few, &selection, choice)?)),
            runs: ends.clone(),
            selection,
            decayed: false,
        });
    }
    let clear = |e: &Ends| e.errors.is_some_and(|(one, other)| other < CLEARLY * one);
    Ok(best.filter(|e| last == LastPoints::Decayed || clear(e)))
}

/// The splits of all points, judged at the ends of runs; other splits where none
/// has any.
fn judged_at_ends(runs: &ScaleRuns) -> Vec<Split> {
    let all = splits(runs).into_iter().filter_map(|split| {
        let judge = split.judge.at_ends()?;
        Some(Split { judge, ..split })
    });
    let all: Vec<Split> = all.collect();
    match all.is_empty() {
        true => splits(&runs.ends()),
        false => all,
    }
}

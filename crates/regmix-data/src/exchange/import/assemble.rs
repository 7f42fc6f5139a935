//! Tables of runs from logs: mixtures, values at the end and along training.

use std::collections::{BTreeMap, BTreeSet};

use super::lm_eval::check_settings;
use super::log::{Logs, Places};
use super::run::{ImportedPoint, Run};
use super::selection::Selection;
use crate::alike;
use crate::domain::DomainSet;
use crate::error::{Error, Result};
use crate::table::state::is_unfinished;
use crate::table::{MixtureTable, ValueTable};

/// Names that an error or a note lists.
const LISTED: usize = 12;

/// The most numbers in tables along training: 2 GiB.
const MOST_CELLS: usize = 1 << 28;

/// Tables of runs.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The mixtures, where the logs have weights.
    pub mixtures: Option<MixtureTable>,
    /// The last values of every run.
    pub losses: ValueTable,
    /// Standard errors of these, where the logs have some.
    pub errors: Option<ValueTable>,
    /// Values along training, by run; empty where every run has one measurement.
    pub trajectories: Vec<(String, Vec<ImportedPoint>)>,
    /// Parameters by run, where the logs have them.
    pub sizes: Vec<(String, f64)>,
    /// Names of numbers that are not used.
    pub skipped: Vec<String>,
    /// Targets that are better when higher.
    pub higher_is_better: BTreeSet<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Imported {
    /// Puts runs together. A run may come in several files. Where a step comes
    /// twice, the later measurement counts.
    ///
    /// # Errors
    /// When a pattern matches nothing, no run has a value, a step is negative or no
    /// whole number, weights of a run are no mixture, or tables of all targets at all
    /// steps would be too large.
    pub fn of(logs: Logs, selection: &Selection) -> Result<Self> {
        check_patterns(&logs, selection)?;
        check_settings(&logs.tasks)?;
        let mut notes = logs.notes;
        let mut targets = Places::default();
        let mut places = Places::default();
        let mut runs: Vec<Run> = Vec::new();
        for log in logs.runs {
            let of_log: Vec<usize> = log.targets.iter().map(|t| targets.of(t)).collect();
            let place = places.of(&log.run);
            if place == runs.len() {
                runs.push(Run::default());
            }
            runs[place].take(log, &of_log)?;
        }
        let targets = targets.into_names();
        notes.extend(look_alike(&targets, &runs));
        let points = points(&mut runs, targets.len(), selection, &mut notes)?;
        let (runs, points) = with_values(runs, points, selection, &mut notes)?;
        notes.extend(different_ends(&runs, &points, selection));
        let losses = last_values(&runs, &points, &targets, selection)?;
        notes.extend(incomplete(&losses));
        let errors = errors(&runs, &targets)?;
        if let Some(errors) = &errors {
            notes.extend(mostly_noise(&losses, errors));
        }
        Ok(Self {
            mixtures: mixtures(&runs, &mut notes)?,
            errors,
            sizes: (runs.iter())
                .filter_map(|run| Some((run.name.clone(), run.parameters?)))
                .collect(),
            trajectories: match points.iter().any(|p| p.len() > 1) {
                true => runs.iter().map(|r| r.name.clone()).zip(points).collect(),
                false => Vec::new(),
            },
            losses,
            skipped: logs.skipped.into_iter().collect(),
            higher_is_better: logs.higher_is_better,
            notes,
        })
    }
}

/// Names of targets, runs and domains that differ and look alike.
fn look_alike(targets: &[String], runs: &[Run]) -> Vec<String> {
    let domains: BTreeSet<&String> = runs.iter().flat_map(|run| run.weights.keys()).collect();
    let mut notes = alike::notes("targets", targets.iter().map(String::as_str));
    notes.extend(alike::notes(
        "runs",
        runs.iter().map(|run| run.name.as_str()),
    ));
    notes.extend(alike::notes(
        "domains",
        domains.iter().map(|name| name.as_str()),
    ));
    notes
}

/// Some of the names, and how many there are in all.
fn listed(names: &[String]) -> String {
    match names.len() {
        n if n > LISTED => format!("{} and {} more", names[..LISTED].join(", "), n - LISTED),
        _ => names.join(", "),
    }
}

/// Refuses a table with more numbers than memory may hold: where every line of a log
/// names something new, tables are much larger than the log.
fn check_size(cells: usize, what: &str) -> Result<()> {
    match cells > MOST_CELLS {
        false => Ok(()),
        true => Err(
            Error::input(format!("{cells} {what}, expected at most {MOST_CELLS}"))
                .help("choose fewer numbers, or import fewer files at once"),
        ),
    }
}

/// Refuses a pattern that matched nothing; the error lists the nearest names.
fn check_patterns(logs: &Logs, selection: &Selection) -> Result<()> {
    let skipped: Vec<String> = logs.skipped.iter().cloned().collect();
    let has_targets = logs.runs.iter().any(|run| !run.targets.is_empty());
    if selection.has_no_targets() && !has_targets {
        let there = match skipped.is_empty() {
            true => "and there are no numbers".to_owned(),
            false => format!("there are {}", listed(&skipped)),
        };
        return Err(
            Error::input(format!("nothing says which metrics are losses: {there}"))
                .field("--target")
                .help("name them by a pattern, such as `--target 'eval/*/loss'`"),
        );
    }
    let Some((flag, unmatched)) = selection.unmatched(&logs.counted) else {
        return Ok(());
    };
    let near = match nearest(unmatched, &skipped) {
        near if near.is_empty() => "there is nothing else in the logs".to_owned(),
        near => format!("the nearest of those left are {}", listed(&near)),
    };
    Err(
        Error::input(format!("`{unmatched}` matches nothing: {near}"))
            .field(flag)
            .help("`*` stands for text without `/`, `**` for any text"),
    )
}

/// Names by their distance from a pattern.
fn nearest(pattern: &str, names: &[String]) -> Vec<String> {
    /// Longer names, and more of them, take too long to compare.
    const LONGEST: usize = 200;
    const MOST: usize = 10_000;
    let short = names.iter().filter(|name| name.len() <= LONGEST);
    let mut near: Vec<(usize, &String)> = (short.take(MOST))
        .map(|name| (strsim::damerau_levenshtein(pattern, name), name))
        .collect();
    near.sort();
    let nearest = near.into_iter().take(5);
    nearest.map(|(_, name)| name.clone()).collect()
}

/// The measurements of every run.
fn points(
    runs: &mut [Run],
    targets: usize,
    selection: &Selection,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<ImportedPoint>>> {
    let cells = (runs.iter_mut())
        .map(|run| run.cells(targets))
        .fold(0, usize::saturating_add);
    check_size(cells, &format!("values of {targets} targets at all steps"))?;
    let back: Vec<String> = (runs.iter())
        .filter(|run| run.goes_back)
        .map(|run| run.name.clone())
        .collect();
    if !back.is_empty() {
        notes.push(format!(
            "steps go back, as in the log of a run that was continued from an earlier step: they \
             are put in order, in {}",
            listed(&back)
        ));
    }
    let not_finite: Vec<String> = (runs.iter())
        .filter(|run| run.not_finite > 0)
        .map(|run| format!("{} ({})", run.name, run.not_finite))
        .collect();
    if !not_finite.is_empty() {
        notes.push(format!(
            "values that are NaN or infinite: they count as missing, in {}",
            listed(&not_finite)
        ));
    }
    let mut again = Vec::new();
    let points = (runs.iter_mut())
        .map(|run| {
            let (points, replaced) = run.points(targets, selection);
            if replaced > 0 {
                again.push(format!("{} ({replaced})", run.name));
            }
            points
        })
        .collect();
    if !again.is_empty() {
        notes.push(format!(
            "values that come twice at a step: the later ones count, in {}",
            listed(&again)
        ));
    }
    Ok(points)
}

/// Leaves out runs without any value, and those whose last values are not finite: their
/// earlier ones would pass for those of the end.
fn with_values(
    runs: Vec<Run>,
    points: Vec<Vec<ImportedPoint>>,
    selection: &Selection,
    notes: &mut Vec<String>,
) -> Result<(Vec<Run>, Vec<Vec<ImportedPoint>>)> {
    let names = |of: Vec<(Run, _)>| -> Vec<String> { of.into_iter().map(|r| r.0.name).collect() };
    let state_of = |run: &Run| run.state.clone().filter(|state| is_unfinished(state));
    let (unfinished, finished): (Vec<_>, Vec<_>) =
        (runs.into_iter().zip(points)).partition(|(run, _)| state_of(run).is_some());
    let unfinished: Vec<String> = (unfinished.iter())
        .filter_map(|(run, _)| Some(format!("{} ({})", run.name, state_of(run)?)))
        .collect();
    let (with, without): (Vec<_>, Vec<_>) = finished
        .into_iter()
        .partition(|(_, points)| !points.is_empty());
    let lasts = |(run, points): &(Run, Vec<ImportedPoint>)| {
        let ends = |(t, value): (usize, &f64)| !value.is_nan() && !run.diverged(t);
        let mut values = points.iter().flat_map(|p| p.values.iter().enumerate());
        selection.at_step.is_some() || values.any(ends)
    };
    let (with, diverged): (Vec<_>, Vec<_>) = with.into_iter().partition(lasts);
    let (without, diverged) = (names(without), names(diverged));
    if with.is_empty() {
        let error = Error::input("no run has a value of any target: expected at least one");
        return Err(match diverged.is_empty() {
            true if unfinished.is_empty() => error,
            true => error.help(format!(
                "runs that did not finish do not count: {}; change their state in the file to use \
                 them",
                listed(&unfinished)
            )),
            false => error.help(format!(
                "the last values are NaN or infinite, in {}: `--at-step` takes those of an earlier \
                 step",
                listed(&diverged)
            )),
        });
    }
    if !unfinished.is_empty() {
        notes.push(format!(
            "runs that did not finish are left out ({}): {}",
            unfinished.len(),
            listed(&unfinished)
        ));
    }
    for (what, names) in [
        ("without any value", without),
        (
            "whose last values are NaN or infinite, as after a divergence,",
            diverged,
        ),
    ] {
        if !names.is_empty() {
            notes.push(format!("runs {what} are left out: {}", listed(&names)));
        }
    }
    Ok(with.into_iter().unzip())
}

/// Runs that end at different steps: their last values do not compare.
fn different_ends(
    runs: &[Run],
    points: &[Vec<ImportedPoint>],
    selection: &Selection,
) -> Option<String> {
    let ends = points
        .iter()
        .map(|p| p.last().map_or(0, |point| point.step));
    let ends: Vec<u64> = ends.collect();
    let (first, last) = (*ends.iter().min()?, *ends.iter().max()?);
    if first == last || selection.at_step.is_some() {
        return None;
    }
    let early: Vec<String> = (runs.iter().zip(&ends))
        .filter(|(_, end)| **end < last)
        .map(|(run, end)| format!("{} ({end})", run.name))
        .collect();
    Some(format!(
        "runs that end before step {last}, the last of all: {}. Values of different steps do not \
         compare: leave these runs out, or take the values of one step with `--at-step`",
        listed(&early)
    ))
}

/// The value of every target at the end of every run.
fn last_values(
    runs: &[Run],
    points: &[Vec<ImportedPoint>],
    targets: &[String],
    selection: &Selection,
) -> Result<ValueTable> {
    let of = |run: &Run, points: &[ImportedPoint], target: usize| {
        if selection.at_step.is_none() && run.diverged(target) {
            return f64::NAN;
        }
        let until = |p: &&ImportedPoint| selection.at_step.is_none_or(|at| p.step <= at);
        let mut measured = (points.iter().rev().filter(until))
            .map(|p| (p.step, p.values[target]))
            .filter(|(_, value)| !value.is_nan())
            .peekable();
        let newest = measured.peek().map(|(step, _)| *step);
        if selection.at_step.is_some_and(|at| newest != Some(at)) {
            return f64::NAN;
        }
        let some: Vec<f64> = measured
            .map(|(_, value)| value)
            .take(selection.last.max(1))
            .collect();
        some.iter().sum::<f64>() / some.len() as f64
    };
    let rows: Vec<(String, Vec<f64>)> = (runs.iter().zip(points))
        .map(|(run, points)| {
            let values = (0..targets.len()).map(|t| of(run, points, t)).collect();
            (run.name.clone(), values)
        })
        .collect();
    if let Some(at) = selection.at_step
        && rows.iter().all(|(_, row)| row.iter().all(|v| v.is_nan()))
    {
        return Err(
            Error::input(format!("no run has a value at step {at}: expected some"))
                .field("--at-step"),
        );
    }
    ValueTable::new(targets.to_vec(), rows)
}

/// Targets that some runs lack.
fn incomplete(losses: &ValueTable) -> Vec<String> {
    let of = |(t, target): (usize, &String)| {
        let lacking: Vec<String> = (losses.runs().iter().zip(losses.rows()))
            .filter(|(_, row)| row[t].is_nan())
            .map(|(run, _)| run.clone())
            .collect();
        (!lacking.is_empty()).then(|| {
            format!(
                "target `{target}` is missing in {} of {} runs: {}",
                lacking.len(),
                losses.runs().len(),
                listed(&lacking)
            )
        })
    };
    losses.targets().iter().enumerate().filter_map(of).collect()
}

fn errors(runs: &[Run], targets: &[String]) -> Result<Option<ValueTable>> {
    if runs.iter().all(|run| run.errors.is_empty()) {
        return Ok(None);
    }
    let row = |run: &Run| {
        let of = |t: &String| run.errors.get(t).copied().unwrap_or(f64::NAN);
        (run.name.clone(), targets.iter().map(of).collect())
    };
    ValueTable::new(targets.to_vec(), runs.iter().map(row)).map(Some)
}

/// Targets whose values differ between runs by little more than one measurement
/// errs.
fn mostly_noise(losses: &ValueTable, errors: &ValueTable) -> Option<String> {
    let square = |x: f64| x * x;
    let of = |(t, target): (usize, &String)| {
        let column = |table: &ValueTable| -> Vec<f64> {
            let values = table.rows().iter().map(|row| row[t]);
            values.filter(|v| v.is_finite()).collect()
        };
        let (values, errors) = (column(losses), column(errors));
        let count = values.len() as f64;
        if values.len() < 3 || errors.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| square(v - mean)).sum::<f64>() / (count - 1.0);
        let noise = errors.iter().map(|e| square(*e)).sum::<f64>() / errors.len() as f64;
        let share = noise / variance;
        (share > 0.5 && share.is_finite())
            .then(|| format!("{target} ({:.0} %)", 100.0 * share.min(1.0)))
    };
    let noisy: Vec<String> = losses.targets().iter().enumerate().filter_map(of).collect();
    (!noisy.is_empty()).then(|| {
        format!(
            "the standard errors are more than half of the variance between runs, so that these may \
             say little about mixtures: {}",
            listed(&noisy)
        )
    })
}

/// The mixtures of all runs that have weights.
fn mixtures(runs: &[Run], notes: &mut Vec<String>) -> Result<Option<MixtureTable>> {
    let mut names = Places::default();
    for name in runs.iter().flat_map(|run| run.weights.keys()) {
        names.of(name);
    }
    if names.names().is_empty() {
        return Ok(None);
    }
    let cells = names.names().len().saturating_mul(runs.len());
    check_size(cells, &format!("weights of {} runs", runs.len()))?;
    let domains = DomainSet::from_names(names.names())?;
    let mut rows = Vec::new();
    let (mut lacking, mut partly) = (Vec::new(), BTreeMap::new());
    for run in runs {
        if run.weights.is_empty() {
            lacking.push(run.name.clone());
            continue;
        }
        for name in domains.names().filter(|n| !run.weights.contains_key(*n)) {
            *partly.entry(name.to_owned()).or_insert(0) += 1;
        }
        rows.push((run.name.clone(), run.mixture(&domains)?));
    }
    if !lacking.is_empty() {
        notes.push(format!("runs without weights: {}", listed(&lacking)));
    }
    if !partly.is_empty() {
        let partly = partly.iter().map(|(name, runs)| format!("{name} ({runs})"));
        let partly: Vec<String> = partly.collect();
        notes.push(format!(
            "domains that some runs do not name, which count as weight 0 there: {}",
            listed(&partly)
        ));
    }
    MixtureTable::new(domains, rows).map(Some)
}

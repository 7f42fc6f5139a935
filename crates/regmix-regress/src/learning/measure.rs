//! Fits to growing subsets, judged on runs that are held out.

use rand::seq::SliceRandom;
use rayon::prelude::*;

use regmix_data::random::stream;
use regmix_data::table::Observations;
use regmix_data::{Error, Monitor, Result};

use crate::fit::Fit;
use crate::folds::Folds;
use crate::learning::LearningOptions;
use crate::metrics::{mae, spearman};
use crate::progress::Part;
use crate::regressor::interface::{FitContext, Regressor};
use crate::samples::{Samples, measured};

/// Parts of all runs that are fitted, besides all that are not held out.
const PARTS: [usize; 3] = [8, 4, 2];

/// How well one fit did on the runs held out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    pub(super) spearman: f64,
    pub(super) mae: f64,
}

/// One regressor at one size.
pub(super) struct Size {
    /// Runs fitted, the mean over subsets.
    pub(super) runs: usize,
    /// `[subsets][targets]`.
    pub(super) judged: Vec<Vec<Judged>>,
}

/// Everything that was measured.
pub(super) struct Measurements {
    pub(super) targets: Vec<String>,
    /// By regressor, its name and its sizes.
    pub(super) regressors: Vec<(String, Vec<Size>)>,
    pub(super) notes: Vec<String>,
}

/// A fold held out, and the others in random order.
struct Split {
    held: Vec<usize>,
    rest: Vec<usize>,
    /// How many of `rest` are fitted, by size.
    sizes: Vec<usize>,
}

/// One target.
struct Column<'a> {
    name: &'a str,
    samples: Samples<'a>,
    /// The place in `samples` of every run that has a value.
    place: Vec<Option<usize>>,
    /// Places in `samples` of earlier runs: fitted always, judged never.
    earlier: Vec<usize>,
}

impl Column<'_> {
    fn places(&self, runs: &[usize]) -> Vec<usize> {
        runs.iter().filter_map(|&run| self.place[run]).collect()
    }
}

pub(super) fn measure(
    observations: &Observations,
    earlier: usize,
    regressors: &[Box<dyn Regressor>],
    options: &LearningOptions,
    monitor: &dyn Monitor,
) -> Result<Measurements> {
    let new = observations.mixtures.len() - earlier;
    let splits = splits(observations, new, options)?;
    let columns = columns(observations, new)?;
    let mut notes = Vec::new();
    let mut sizes = Vec::new();
    for size in 0..=PARTS.len() {
        let runs = mean_runs(&splits, size);
        match too_few(&splits, &columns, size) {
            Some(why) => notes.push(format!("{runs} runs: left out, {why}")),
            None => sizes.push((size, runs)),
        }
    }
    let jobs: Vec<(usize, usize, usize, usize)> = (0..regressors.len())
        .flat_map(|r| sizes.iter().map(move |(size, _)| (r, *size)))
        .flat_map(|(r, size)| (0..splits.len()).map(move |s| (r, size, s)))
        .flat_map(|(r, size, s)| (0..columns.len()).map(move |t| (r, size, s, t)))
        .collect();
    let context = FitContext::new(options.seed, monitor);
    let part = Part::begin(monitor, "learning curve", jobs.len());
    let mut judged = (jobs.par_iter())
        .map(|&(r, size, s, t)| {
            monitor.check()?;
            let out = judge(&*regressors[r], &splits[s], size, &columns[t], context);
            monitor.advance(1);
            out.map_err(|e| e.field(columns[t].name))
        })
        .collect::<Vec<_>>()
        .into_iter();
    monitor.check()?;
    drop(part);
    let mut out = Vec::with_capacity(regressors.len());
    for regressor in regressors {
        let mut usable = Vec::new();
        for (_, runs) in &sizes {
            let here: Vec<Result<Vec<Judged>>> = (0..splits.len())
                .map(|_| judged.by_ref().take(columns.len()).collect::<Vec<_>>())
                .map(|subset| subset.into_iter().collect())
                .collect();
            match here.into_iter().collect::<Result<_>>() {
                Ok(judged) => usable.push(Size {
                    runs: *runs,
                    judged,
                }),
                Err(e) => notes.push(format!(
                    "`{}` with {runs} runs: left out, {e}",
                    regressor.name()
                )),
            }
        }
        out.push((regressor.name().to_owned(), usable));
    }
    if out.iter().all(|(_, sizes)| sizes.is_empty()) {
        return Err(Error::input(format!(
            "no learning curve of {} runs: {}",
            new,
            notes.join("; ")
        ))
        .help("train more proxies"));
    }
    Ok(Measurements {
        targets: columns.iter().map(|c| c.name.to_owned()).collect(),
        regressors: out,
        notes,
    })
}

fn splits(
    observations: &Observations,
    new: usize,
    options: &LearningOptions,
) -> Result<Vec<Split>> {
    let mixtures = &observations.mixtures.mixtures()[..new];
    let all = Samples::new(
        mixtures.iter().map(regmix_data::Mixture::weights),
        vec![0.0; mixtures.len()],
    )?;
    let group_of = all.groups();
    let groups = group_of.iter().max().map_or(0, |last| last + 1);
    let mut splits = Vec::with_capacity(options.folds * options.repeats);
    for repeat in 0..options.repeats {
        let run = format!("learning-{repeat}");
        let folds = Folds::of(&all, options.folds, options.seed, &run)?;
        for fold in 0..folds.count() {
            let mut order: Vec<usize> = (0..groups).collect();
            order.shuffle(&mut stream(
                options.seed,
                &format!("{run}-{fold}"),
                "subsets",
            ));
            let mut at = vec![0; groups];
            for (place, group) in order.into_iter().enumerate() {
                at[group] = place;
            }
            let (mut rest, held) = folds.split(fold);
            // Runs of one mixture stay together, in the order of the table.
            rest.sort_by_key(|&run| at[group_of[run]]);
            let ends: Vec<usize> = (1..=rest.len())
                .filter(|&n| n == rest.len() || group_of[rest[n - 1]] != group_of[rest[n]])
                .collect();
            let up_to = |most: usize| ends.iter().rev().find(|n| **n <= most).copied();
            let sizes = (PARTS.iter())
                .map(|part| up_to(mixtures.len() / part).unwrap_or(0))
                .chain([rest.len()])
                .collect();
            splits.push(Split { held, rest, sizes });
        }
    }
    Ok(splits)
}

/// The targets that vary.
fn columns(observations: &Observations, new: usize) -> Result<Vec<Column<'_>>> {
    let mut out = Vec::new();
    for (t, name) in observations.values.targets().iter().enumerate() {
        let (places, samples) = measured(observations, t)?;
        if samples.same_value() {
            continue;
        }
        let mut place = vec![None; new];
        let mut earlier = Vec::new();
        for (i, run) in places.into_iter().enumerate() {
            match place.get_mut(run) {
                Some(place) => *place = Some(i),
                None => earlier.push(i),
            }
        }
        out.push(Column {
            name,
            samples,
            place,
            earlier,
        });
    }
    if out.is_empty() {
        return Err(Error::input("every target is the same in all runs")
            .help("a learning curve needs a target that varies"));
    }
    Ok(out)
}

/// Runs fitted at a size, the mean over subsets.
fn mean_runs(splits: &[Split], size: usize) -> usize {
    let sum: usize = splits.iter().map(|s| s.sizes[size]).sum();
    (sum as f64 / splits.len() as f64).round() as usize
}

/// Why nothing can be fitted or judged at a size, if so.
fn too_few(splits: &[Split], columns: &[Column<'_>], size: usize) -> Option<String> {
    let each = splits
        .iter()
        .flat_map(|s| columns.iter().map(move |c| (s, c)));
    for (split, column) in each {
        let fitted = column.places(&split.rest[..split.sizes[size]]).len();
        let held = column.places(&split.held).len();
        if fitted < Fit::MIN_ROWS {
            return Some(format!(
                "`{}` has {fitted} values in one of the subsets, expected at least {}",
                column.name,
                Fit::MIN_ROWS
            ));
        }
        if held < 2 {
            return Some(format!(
                "`{}` has {held} values in one of the folds held out, expected at least 2",
                column.name
            ));
        }
    }
    None
}

fn judge(
    regressor: &dyn Regressor,
    split: &Split,
    size: usize,
    column: &Column<'_>,
    context: FitContext<'_>,
) -> Result<Judged> {
    let fitted = column.places(&split.rest[..split.sizes[size]]);
    let held = column.samples.pick(&column.places(&split.held))?;
    let mut seen = column.samples.pick(&fitted)?;
    let earlier = column.samples.pick(&column.earlier);
    if let Some(earlier) = earlier.ok().and_then(|e| e.apart_from(held.rows())) {
        seen = seen.and(&earlier)?;
    }
    let model = regressor.fit_with(&seen, context)?;
    let predicted: Vec<f64> = held.rows().iter().map(|w| model.mean(w)).collect();
    Ok(Judged {
        spearman: spearman(held.values(), &predicted),
        mae: mae(held.values(), &predicted),
    })
}

//! What is chosen by held-out mixtures: how strongly the parameters of domains
//! are shrunk towards each other, and how wide the intervals of new mixtures are.

use std::collections::BTreeMap;

use rayon::prelude::*;
use regmix_data::{Monitor, Result, Unit};

use crate::prediction::Z90;
use crate::scale::anchor::Anchor;
use crate::scale::blend::{TargetBlend, setting};
use crate::scale::choice::{AcrossMixtures, Choice, USUAL};
use crate::scale::fitted::{FittedLaw, Fitting};
use crate::scale::form::LawName;
use crate::scale::runs::ScaleRuns;

/// The strengths that are compared.
const STRENGTHS: [f64; 4] = [0.0, 1.0, 2.0, 3.5];
/// Parts into which mixtures are divided.
const FOLDS: usize = 3;
/// Fewer mixtures tell nothing.
const MIXTURES: usize = 9;
/// More of them do not change the choice.
const MOST_MIXTURES: usize = 150;
/// Points of a run that are fitted at most, and of all runs about.
const POINTS: usize = 3;
const ROWS: usize = 500;

/// The shares of the difference of a regression from the laws that are compared.
const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// The runs of the mixtures that are not held out.
struct Part {
    runs: ScaleRuns,
    anchor: Option<Anchor>,
}

impl Part {
    fn of(
        runs: &ScaleRuns,
        keep: impl Fn(usize) -> bool,
        monitor: &dyn Monitor,
    ) -> Result<Option<Self>> {
        let Some(runs) = runs.of_runs(keep) else {
            return Ok(None);
        };
        let anchor = Anchor::fit(&runs, monitor)?;
        Ok(Some(Self { runs, anchor }))
    }
}

/// A held-out measurement.
struct Held {
    target: usize,
    /// The size and the length.
    at: (f64, f64),
    /// How far the regression lies above the laws where it was fitted, in the
    /// logarithm.
    toward: f64,
    /// Measured less predicted, in the logarithm.
    error: f64,
    /// The residual standard deviation of the law.
    misfit: f64,
    /// What its parameters leave open.
    open: f64,
}

/// Fits the usual laws to two thirds of the mixtures at all sizes, three times and
/// with every strength, and judges their mean at the last points of the others'
/// runs.
///
/// # Errors
/// When the monitor asks to stop.
pub(crate) fn across_mixtures(
    runs: &ScaleRuns,
    choice: &Choice<'_>,
    monitor: &dyn Monitor,
) -> Result<AcrossMixtures> {
    let names = judged_laws(choice.names);
    let groups = runs.by_mixture();
    if names.is_empty() || groups.len() < MIXTURES {
        return Ok(AcrossMixtures::default());
    }
    // Of many mixtures some are enough.
    let every = groups.len().div_ceil(MOST_MIXTURES);
    let mut kept = vec![false; runs.runs().len()];
    for members in groups.iter().step_by(every) {
        members.iter().for_each(|&r| kept[r] = true);
    }
    let Some(some) = runs.of_runs(|r| kept[r]) else {
        return Ok(AcrossMixtures::default());
    };
    let folds = some.mixture_folds(FOLDS);
    let some = some.thinned((ROWS / folds.len()).clamp(1, POINTS));
    monitor.begin("judging mixtures", STRENGTHS.len() as u64, Unit::Items);
    let parts: Vec<Option<Part>> = (0..FOLDS)
        .map(|part| Part::of(&some, |r| folds[r] != part, monitor))
        .collect::<Result<_>>()?;
    let mut best: Option<(f64, AcrossMixtures)> = None;
    for alike in STRENGTHS {
        let mut held = hold_out(&names, &some, (&folds, &parts), (choice, alike), monitor)?;
        let mut before = 0.0;
        for share in SHARES {
            for one in &mut held {
                one.error -= (share - before) * one.toward;
            }
            before = share;
            let error = mean_error(&held, runs.targets().len());
            // A stronger pull and a greater share must bring something.
            if best.is_none_or(|(least, _)| error < 0.98 * least) {
                let open = needed(&held);
                best = Some((error, AcrossMixtures { alike, open, share }));
            }
        }
        monitor.advance(1);
    }
    monitor.end();
    Ok(best.map_or_else(AcrossMixtures::default, |b| b.1))
}

/// The laws whose mean is judged: the usual ones, or else the first that serves
/// every target.
fn judged_laws(names: &[LawName]) -> Vec<LawName> {
    let usual = names.iter().copied().filter(|name| USUAL.contains(name));
    let usual: Vec<LawName> = usual.collect();
    if usual.is_empty() {
        let general = names.iter().copied().find(|name| !name.needs_own_domain());
        return general.into_iter().collect();
    }
    usual
}

/// All measurements at the ends of runs, predicted without their mixtures.
fn hold_out(
    names: &[LawName],
    runs: &ScaleRuns,
    (folds, parts): (&[usize], &[Option<Part>]),
    (choice, alike): (&Choice<'_>, f64),
    monitor: &dyn Monitor,
) -> Result<Vec<Held>> {
    let fitting = Fitting { starts: 1, alike };
    let jobs: Vec<(usize, usize)> = (0..FOLDS)
        .flat_map(|part| (0..runs.targets().len()).map(move |t| (part, t)))
        .collect();
    let held: Vec<Vec<Held>> = (jobs.into_par_iter())
        .map(|(part, target)| {
            let measured = |runs: &ScaleRuns| {
                let mut all = runs.runs().iter().flat_map(|run| &run.points);
                all.any(|p| p.values[target].is_finite())
            };
            let kept = parts[part].as_ref().filter(|kept| measured(&kept.runs));
            let Some(Part { runs: kept, anchor }) = kept else {
                return Ok(Vec::new());
            };
            let units = choice.units(kept);
            let fit = |name| FittedLaw::fit(name, kept, target, &units, fitting, monitor);
            let laws = (names.iter().map(|name| fit(*name))).collect::<Result<_>>()?;
            let laws = TargetBlend::of(laws);
            let anchor = anchor.as_ref();
            let level = anchor.map_or(0.0, |a| a.level(target, &laws.laws));
            let others = (0..runs.runs().len()).filter(|&r| folds[r] == part);
            let of_run = |r: usize| {
                let last = runs.runs()[r].points.len() - 1;
                let value = runs.runs()[r].points[last].values[target];
                let at = setting(runs, r, last);
                let (ln, open) = laws.ln_laws(&at);
                let of_laws = (&laws.laws[..], level);
                let toward =
                    anchor.map_or(0.0, |a| a.correction(target, of_laws, at.weights, None));
                value.is_finite().then(|| Held {
                    target,
                    at: (at.parameters, at.tokens),
                    toward,
                    error: value.ln() - ln,
                    misfit: laws.misfit(),
                    open: open.min(0.1),
                })
            };
            Ok(others.filter_map(of_run).collect())
        })
        .collect::<Result<_>>()?;
    Ok(held.into_iter().flatten().collect())
}

/// The mean over targets of the mean absolute error about the mean of mixtures at
/// a size and a length. That mean is an error of size and length, which splits
/// judge.
fn mean_error(held: &[Held], targets: usize) -> f64 {
    let mut together: BTreeMap<(usize, u64, u64), Vec<f64>> = BTreeMap::new();
    for one in held {
        let (size, length) = one.at;
        let key = (one.target, size.to_bits(), length.to_bits());
        together.entry(key).or_default().push(one.error);
    }
    let mut sums = vec![(0.0, 0.0); targets];
    for ((target, ..), errors) in &together {
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        sums[*target].0 += errors.iter().map(|e| (e - mean).abs()).sum::<f64>();
        sums[*target].1 += errors.len() as f64;
    }
    let means = sums.iter().filter(|s| s.1 > 0.0).map(|s| s.0 / s.1);
    let (sum, n) = means.fold((0.0, 0.0), |(sum, n), m| (sum + m, n + 1.0));
    sum / n
}

/// The least factor with which nine in ten are inside.
fn needed(held: &[Held]) -> f64 {
    const MOST: f64 = 8.0;
    let inside = |factor: f64| {
        let within = |h: &&Held| h.error.abs() <= Z90 * h.misfit.hypot(factor * h.open);
        held.iter().filter(within).count() as f64 >= 0.9 * held.len() as f64
    };
    let mut factor = 1.0;
    while factor < MOST && !inside(factor) {
        factor *= 1.05;
    }
    factor
}

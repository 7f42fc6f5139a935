//! The choice of regressors by cross-validation, and the judgement of that
//! choice.
//!
//! With few runs, the lowest of a dozen cross-validated errors is mostly luck,
//! target by target. So the choice starts from one regressor for all targets,
//! an ensemble where there is one, and leaves it only for a regressor that is
//! clearly better: by errors on the same runs, and over all targets together
//! first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::calibration::{calibrations, ratios};
use crate::cross_validation::CrossValidation;
use crate::metrics::{mean, mean_and_sd};
use crate::prediction::Prediction;

/// Standard errors by which another regressor must be better over all targets
/// together to replace the one that the choice starts from.
const BETTER_FOR_ALL: f64 = 2.0;

/// Standard errors by which another regressor must be better for a single
/// target: there are many targets times regressors, of which some differ by
/// chance.
const BETTER_FOR_ONE: f64 = 3.0;

/// What is known of one target before the choice.
pub(crate) struct Candidate<'a> {
    pub(crate) measured: &'a [f64],
    /// The mixture of every row, the same number for the same mixture of another
    /// target. Runs of one mixture are not independent: their errors count as one.
    pub(crate) mixtures: &'a [usize],
    /// By regressor; `None` where it does not fit the target. The first is the
    /// mean.
    pub(crate) judged: Vec<Option<&'a CrossValidation>>,
    /// Whether there is anything to learn from: neither all values nor all
    /// mixtures are the same. Others get the mean and do not take part.
    pub(crate) varies: bool,
}

/// A choice for all targets.
pub(crate) struct Chosen {
    /// By target: the place of the regressor; `None` where none has finite errors.
    pub(crate) places: Vec<Option<usize>>,
    /// By target: what standard deviations are multiplied by.
    pub(crate) factors: Vec<f64>,
}

/// The rows that a choice may look at, by target, repeat and row.
type Used<'a> = dyn Fn(usize, usize, usize) -> bool + 'a;

/// How to choose.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule<'a> {
    /// By errors. The choice starts from the given regressor, or, without
    /// one, from that with the lowest error over all targets.
    Lowest(Option<usize>),
    /// The given one for every target.
    Fixed(&'a [Option<usize>]),
}

/// Chooses for every target and calibrates, by the rows that `used` picks.
pub(crate) fn choose(targets: &[Candidate<'_>], rule: Rule<'_>, used: &Used<'_>) -> Chosen {
    let places: Vec<Option<usize>> = match rule {
        Rule::Fixed(places) => places.to_vec(),
        Rule::Lowest(start) => by_errors(targets, start, used),
    };
    let judged: Vec<_> = (targets.iter().zip(&places).enumerate())
        .filter_map(|(t, (target, place))| {
            let cv = target.judged[(*place)?]?;
            Some((t, ratios(target.measured, cv, |r, row| used(t, r, row))))
        })
        .collect();
    let (at, judged): (Vec<usize>, Vec<_>) = judged.into_iter().unzip();
    let mut factors = vec![1.0; targets.len()];
    for (t, factor) in at.into_iter().zip(calibrations(&judged)) {
        factors[t] = factor;
    }
    Chosen { places, factors }
}

/// Absolute errors of one regressor on one target: by mixture, the mean over its
/// runs and the repeats.
type Errors = BTreeMap<usize, f64>;

fn errors(t: usize, target: &Candidate<'_>, cv: &CrossValidation, used: &Used<'_>) -> Errors {
    let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (repeat, predictions) in cv.predictions.iter().enumerate() {
        for (row, (p, y)) in predictions.iter().zip(target.measured).enumerate() {
            if used(t, repeat, row) {
                let sum = sums.entry(target.mixtures[row]).or_default();
                sum.0 += (y - p.mean).abs();
                sum.1 += 1.0;
            }
        }
    }
    (sums.into_iter())
        .map(|(mixture, s)| (mixture, s.0 / s.1))
        .collect()
}

fn average(errors: &Errors) -> f64 {
    mean(&errors.values().copied().collect::<Vec<_>>())
}

/// By how much errors are smaller than those of another, and that in standard
/// errors. The same mixtures in both are compared.
fn better<'a>(pairs: impl Iterator<Item = (&'a f64, &'a f64)>) -> (f64, f64) {
    let gains: Vec<f64> = pairs.map(|(other, own)| other - own).collect();
    let (gain, sd) = mean_and_sd(&gains);
    (gain, gain / (sd / (gains.len() as f64).sqrt()).max(1e-300))
}

fn by_errors(
    targets: &[Candidate<'_>],
    start: Option<usize>,
    used: &Used<'_>,
) -> Vec<Option<usize>> {
    // Squared errors would let a handful of runs decide, those with a weight
    // so near zero that its rounding alone moves the loss.
    let table: Vec<Vec<Option<Errors>>> = (targets.iter().enumerate())
        .map(|(t, target)| {
            (target.judged.iter())
                .map(|cv| Some(errors(t, target, (*cv)?, used)).filter(|e| average(e).is_finite()))
                .collect()
        })
        .collect();
    let learning: Vec<&Vec<Option<Errors>>> = (targets.iter().zip(&table))
        .filter(|(target, _)| target.varies)
        .map(|(_, errors)| errors)
        .collect();
    let shared = for_all(&learning, start);
    (targets.iter().zip(&table))
        .map(|(target, errors)| match target.varies {
            true => for_one(errors, shared),
            false => errors.first()?.is_some().then_some(0),
        })
        .collect()
}

/// The regressor for all targets together, by errors `[targets][regressors]`.
fn for_all(table: &[&Vec<Option<Errors>>], start: Option<usize>) -> Option<usize> {
    let regressors = table.first()?.len();
    let everywhere = |r: usize| table.iter().all(|errors| errors[r].is_some());
    // Every target counts alike, whatever its unit.
    let relative = |r: usize, to: usize| -> f64 {
        let shares = table.iter().filter_map(|errors| {
            let to = average(errors[to].as_ref()?);
            Some(average(errors[r].as_ref()?) / to.max(1e-300))
        });
        mean(&shares.collect::<Vec<_>>())
    };
    let lowest = || {
        (0..regressors)
            .filter(|&r| everywhere(r))
            .min_by(|&a, &b| relative(a, 0).total_cmp(&relative(b, 0)))
    };
    let start = start.filter(|&r| everywhere(r)).or_else(lowest)?;
    let mut best = (start, 0.0);
    for r in (0..regressors).filter(|&r| r != start && everywhere(r)) {
        // By mixture: the errors of both, over all targets in units of those of the start.
        let mut by_mixture: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for errors in table {
            let (Some(from), Some(to)) = (&errors[start], &errors[r]) else {
                continue;
            };
            let unit = average(from).max(1e-300);
            for (mixture, error) in from {
                let sums = by_mixture.entry(*mixture).or_default();
                sums.0 += error / unit;
                sums.1 += to.get(mixture).unwrap_or(error) / unit;
            }
        }
        let (gain, significance) = better(by_mixture.values().map(|(a, b)| (a, b)));
        if significance > BETTER_FOR_ALL && gain > best.1 {
            best = (r, gain);
        }
    }
    Some(best.0)
}

/// The regressor for one target, where `shared` is that for all.
fn for_one(errors: &[Option<Errors>], shared: Option<usize>) -> Option<usize> {
    let error = |r: usize| errors[r].as_ref().map_or(f64::INFINITY, average);
    let start = shared.filter(|&r| errors[r].is_some()).or_else(|| {
        (0..errors.len())
            .filter(|&r| errors[r].is_some())
            .min_by(|&a, &b| error(a).total_cmp(&error(b)))
    })?;
    let mut best = (start, 0.0);
    if let Some(from) = &errors[start] {
        for (r, to) in errors.iter().enumerate() {
            let Some(to) = to.as_ref().filter(|_| r != start) else {
                continue;
            };
            let (gain, significance) = better(from.values().zip(to.values()));
            if significance > BETTER_FOR_ONE && gain > best.1 {
                best = (r, gain);
            }
        }
    }
    // What does not beat the mean has learnt nothing.
    let simplest = errors[0].is_some() && error(0) <= error(best.0);
    Some(if simplest { 0 } else { best.0 })
}

/// The out-of-fold predictions of a rule, by target. For every fold, the
/// regressors and the calibration are chosen on the mixtures of the other folds,
/// those of other targets included, so that the choice is judged on mixtures it has
/// not seen. `None` for targets of which nothing can be chosen.
pub(crate) fn automatic(targets: &[Candidate<'_>], rule: Rule<'_>) -> Vec<Option<CrossValidation>> {
    // Targets with the same mixtures have the same folds, and so the same choices.
    let mut choices: BTreeMap<(usize, BTreeSet<usize>), Arc<Chosen>> = BTreeMap::new();
    let mut out = Vec::with_capacity(targets.len());
    for (t, target) in targets.iter().enumerate() {
        let Some(first) = target.judged.iter().flatten().next() else {
            out.push(None);
            continue;
        };
        let mut cv = CrossValidation {
            predictions: Vec::with_capacity(first.predictions.len()),
            folds: first.folds.clone(),
            fit_seconds: target
                .judged
                .iter()
                .flatten()
                .map(|cv| cv.fit_seconds)
                .sum(),
            score_seconds: 0.0,
        };
        for (repeat, folds) in first.folds.iter().enumerate() {
            let mut here = vec![Prediction::NONE; target.measured.len()];
            for fold in 0..folds.count() {
                let held = folds.split(fold).1;
                let away: BTreeSet<usize> = held.iter().map(|&row| target.mixtures[row]).collect();
                let chosen = choices
                    .entry((repeat, away))
                    .or_insert_with_key(|(_, away)| {
                        Arc::new(choose(targets, rule, &|t, r, row| {
                            r == repeat && !away.contains(&targets[t].mixtures[row])
                        }))
                    });
                let Some(best) = chosen.places[t].and_then(|place| target.judged[place]) else {
                    continue;
                };
                cv.score_seconds += best.score_seconds / (folds.count() * first.folds.len()) as f64;
                for row in held {
                    let p = best.predictions[repeat][row];
                    here[row] = Prediction {
                        sd: chosen.factors[t] * p.sd,
                        ..p
                    };
                }
            }
            cv.predictions.push(here);
        }
        out.push(Some(cv));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folds::Folds;
    use rand::RngExt;
    use regmix_data::random::stream;

    /// Errors of 50 rows around zero.
    fn judged(error: impl Fn(usize) -> f64) -> CrossValidation {
        CrossValidation::judged(50, |i| Prediction {
            mean: error(i),
            sd: 1.0,
        })
    }

    const ZEROS: [f64; 50] = [0.0; 50];

    fn candidate<'a>(mixtures: &'a [usize], judged: &[&'a CrossValidation]) -> Candidate<'a> {
        Candidate {
            measured: &ZEROS,
            mixtures,
            judged: judged.iter().map(|cv| Some(*cv)).collect(),
            varies: true,
        }
    }

    fn chosen(targets: &[Candidate<'_>], start: Option<usize>) -> Vec<Option<usize>> {
        choose(targets, Rule::Lowest(start), &|_, _, _| true).places
    }

    #[test]
    fn the_choice_for_a_fold_does_not_look_at_it() {
        let runs: Vec<usize> = (0..50).collect();
        let folds = Folds::new(50, 5, 0, "t").unwrap();
        // Perfect in fold 0 only; a choice that saw fold 0 would prefer it.
        let lucky = judged(|i| if folds.fold_of(i) == 0 { 0.0 } else { 1.0 });
        let (mean, steady) = (judged(|_| 9.0), judged(|_| 0.9));
        let target = [candidate(&runs, &[&mean, &lucky, &steady])];
        let auto = automatic(&target, Rule::Lowest(None));
        let cv = auto[0].as_ref().unwrap();
        for i in (0..50).filter(|&i| folds.fold_of(i) == 0) {
            assert_eq!(cv.predictions[0][i].mean, 0.9, "{i}");
        }
        // Over all folds the lucky one has the lower error.
        assert_eq!(chosen(&target, None), [Some(1)]);
    }

    #[test]
    fn runs_held_out_are_not_seen_through_other_targets() {
        let runs: Vec<usize> = (0..50).collect();
        let folds = Folds::new(50, 5, 0, "t").unwrap();
        let lucky = judged(|i| if folds.fold_of(i) == 0 { 0.0 } else { 1.0 });
        let (mean, steady) = (judged(|_| 9.0), judged(|_| 0.9));
        // In the second target, the held-out runs alone differ.
        let same = judged(|_| 1.0);
        let other = judged(|i| if folds.fold_of(i) == 0 { 0.0 } else { 1.0 });
        let alike = judged(|_| 1.0);
        let targets = [
            candidate(&runs, &[&mean, &lucky, &steady]),
            candidate(&runs, &[&mean, &other, &alike]),
        ];
        let auto = automatic(&targets, Rule::Lowest(Some(2)));
        let row = (0..50).find(|&i| folds.fold_of(i) == 0).unwrap();
        assert_eq!(auto[0].as_ref().unwrap().predictions[0][row].mean, 0.9);
        assert_eq!(
            auto[1].as_ref().unwrap().predictions[0][row].mean,
            same.predictions[0][row].mean
        );
    }

    #[test]
    fn the_start_gives_way_only_to_what_is_better_beyond_doubt() {
        let runs: Vec<usize> = (0..50).collect();
        let wave = |i: usize| (i as f64 * 1.7).sin();
        let (mean, start) = (judged(|_| 9.0), judged(|i| 1.0 + 0.3 * wave(i)));
        // Better by less than its scatter, by luck: 0.05 of 1, 50 rows.
        let lucky = judged(|i| 0.95 + 0.5 * wave(i + 3));
        let sure = judged(|i| 0.7 + 0.3 * wave(i));
        let luck = candidate(&runs, &[&mean, &start, &lucky]);
        assert_eq!(chosen(&[luck], Some(1)), [Some(1)]);
        // Without a start the lowest error decides.
        let luck = candidate(&runs, &[&mean, &start, &lucky]);
        assert_eq!(chosen(&[luck], None), [Some(2)]);
        let clear = candidate(&runs, &[&mean, &start, &sure]);
        assert_eq!(chosen(&[clear], Some(1)), [Some(2)]);
    }

    #[test]
    fn small_gains_on_many_targets_are_one_that_is_beyond_doubt() {
        let runs: Vec<usize> = (0..50).collect();
        let mean = judged(|_| 9.0);
        let noisy = |level: f64, name: &str| -> Vec<CrossValidation> {
            let mut rng = stream(3, name, "selection");
            (0..60)
                .map(|_| {
                    (0..50)
                        .map(|_| level + rng.random::<f64>())
                        .collect::<Vec<f64>>()
                })
                .map(|errors| judged(|i| errors[i]))
                .collect()
        };
        let (starts, others) = (noisy(1.0, "starts"), noisy(0.96, "others"));
        let one = [candidate(&runs, &[&mean, &starts[0], &others[0]])];
        assert_eq!(chosen(&one, Some(1)), [Some(1)]);
        let all: Vec<Candidate<'_>> = (starts.iter().zip(&others))
            .map(|(a, b)| candidate(&runs, &[&mean, a, b]))
            .collect();
        assert!(chosen(&all, Some(1)).iter().all(|place| *place == Some(2)));
    }

    #[test]
    fn what_does_not_beat_the_mean_is_the_mean() {
        let runs: Vec<usize> = (0..50).collect();
        let (mean, worse) = (judged(|_| 1.0), judged(|_| 1.1));
        assert_eq!(
            chosen(&[candidate(&runs, &[&mean, &worse])], Some(1)),
            [Some(0)]
        );
        let unfit = Candidate {
            judged: vec![Some(&mean), None],
            ..candidate(&runs, &[])
        };
        assert_eq!(chosen(&[unfit], Some(1)), [Some(0)]);
    }
}

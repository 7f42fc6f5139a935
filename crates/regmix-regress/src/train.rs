//! Training a [`Fit`]: judge, choose, fit.

use rayon::prelude::*;

use regmix_data::table::Observations;
use regmix_data::{Error, Result};

use crate::cross_validation::{CrossValidation, CvOptions, cross_validate};
use crate::fit::{Choice, Dropped, Fit, FitOptions, Head, OutOfFold, TargetFit, measured};
use crate::league::{Entry, League};
use crate::metrics::{mse, variance};
use crate::regressor::{ConstantModel, Model, Regressor, regressor};
use crate::samples::Samples;

/// Errors this close to the lowest count as the same.
const TIE: f64 = 1.001;

pub(crate) fn train(observations: &Observations, options: &FitOptions) -> Result<Fit> {
    let regressors = contestants(options)?;
    let domains = observations.mixtures.domains().clone();
    let mut head = Head::new(domains, observations.mixtures.len(), options)?;
    let names = observations.values.targets();
    if names.is_empty() {
        return Err(Error::input(
            "no targets: expected at least one column of values",
        ));
    }
    if options.folds < 2 || options.repeats == 0 {
        return Err(Error::input(format!(
            "{} folds, {} repeats: expected at least 2 folds and 1 repeat",
            options.folds, options.repeats
        )));
    }
    let mut usable = Vec::with_capacity(names.len());
    for (t, target) in names.iter().enumerate() {
        note_dropped(observations, t, &mut head.dropped);
        usable.push(enough(observations, t, target)?);
    }
    let cv = CvOptions {
        folds: options.folds,
        repeats: options.repeats,
        seed: options.seed,
    };
    let jobs: Vec<(usize, usize)> = (0..names.len())
        .flat_map(|t| (0..regressors.len()).map(move |r| (t, r)))
        .collect();
    let judged: Vec<Result<CrossValidation>> = jobs
        .par_iter()
        .map(|&(t, r)| cross_validate(&*regressors[r], &usable[t].1, &cv))
        .collect();
    let mut judged = judged.into_iter();
    let mut entries = Vec::new();
    let mut predictions = Vec::new();
    let mut winners = Vec::new();
    for (target, (places, samples)) in names.iter().zip(&usable) {
        let mut table: Vec<(usize, Entry, CrossValidation)> = Vec::new();
        for ((r, regressor), result) in regressors.iter().enumerate().zip(judged.by_ref()) {
            match result {
                Ok(cv) => {
                    let entry = Entry::new(regressor.name(), target, samples.values(), &cv);
                    table.push((r, entry, cv));
                }
                Err(e) if regressors.len() > 1 && !named(options, regressor.name()) => {
                    if variance(samples.values()) > 0.0 {
                        let name = regressor.name();
                        head.warnings
                            .push(format!("`{name}` does not fit `{target}`: {e}"));
                    }
                }
                Err(e) => return Err(e.field(target)),
            }
        }
        let chosen = choose(&table, samples, target, options, &mut head.warnings)?;
        table[chosen].1.chosen = true;
        let (r, entry, cv) = &table[chosen];
        for ((&i, p), measured) in places.iter().zip(&cv.predictions[0]).zip(samples.values()) {
            predictions.push(OutOfFold {
                run: observations.mixtures.runs()[i].clone(),
                target: target.clone(),
                measured: *measured,
                predicted: p.mean,
                sd: p.sd,
            });
        }
        winners.push((*r, entry.mse.sqrt()));
        entries.extend(table.into_iter().map(|(_, entry, _)| entry));
    }
    head.targets = (0..names.len())
        .into_par_iter()
        .map(|t| {
            let (r, noise) = winners[t];
            let samples = &usable[t].1;
            let model = if variance(samples.values()) > 0.0 {
                regressors[r].fit(samples, options.seed)
            } else {
                Ok(Model::Constant(ConstantModel::of(samples.values())))
            };
            Ok(TargetFit {
                target: names[t].clone(),
                regressor: regressors[r].name().to_owned(),
                model: model.map_err(|e| e.field(&names[t]))?,
                rows: samples.len(),
                noise,
            })
        })
        .collect::<Result<_>>()?;
    Ok(Fit {
        head,
        league: League::new(entries),
        predictions,
        observations: observations.clone(),
    })
}

/// The regressors to judge, the mean first: each once.
fn contestants(options: &FitOptions) -> Result<Vec<Box<dyn Regressor>>> {
    let mut names = vec!["mean"];
    let wanted = options.regressors.iter().chain(match &options.choice {
        Choice::Auto => None,
        Choice::Named(name) => Some(name),
    });
    for name in wanted {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.into_iter().map(regressor).collect()
}

fn named(options: &FitOptions, name: &str) -> bool {
    matches!(&options.choice, Choice::Named(n) if n == name)
}

fn note_dropped(observations: &Observations, target: usize, dropped: &mut Vec<Dropped>) {
    for (run, row) in observations
        .values
        .runs()
        .iter()
        .zip(observations.values.rows())
    {
        let value = row[target];
        if !value.is_finite() {
            let reason = if value.is_nan() {
                "no measurement".to_owned()
            } else {
                format!("the value is {value}, expected a finite number")
            };
            let target = observations.values.targets()[target].clone();
            dropped.push(Dropped {
                run: run.clone(),
                target,
                reason,
            });
        }
    }
}

fn enough<'a>(
    observations: &'a Observations,
    place: usize,
    target: &str,
) -> Result<(Vec<usize>, Samples<'a>)> {
    let finite = observations
        .values
        .rows()
        .iter()
        .filter(|r| r[place].is_finite())
        .count();
    if finite < Fit::MIN_ROWS {
        return Err(Error::input(format!(
            "{finite} measured runs, expected at least {}",
            Fit::MIN_ROWS
        ))
        .field(target)
        .help("train more proxies, or leave the target out"));
    }
    measured(observations, place)
}

/// The place in `table` of the regressor to use.
fn choose(
    table: &[(usize, Entry, CrossValidation)],
    samples: &Samples<'_>,
    target: &str,
    options: &FitOptions,
    warnings: &mut Vec<String>,
) -> Result<usize> {
    if variance(samples.values()) <= 0.0 {
        warnings.push(format!(
            "`{target}` is {} in every run: its model is a constant",
            samples.values()[0]
        ));
        return Ok(0);
    }
    let wanted = |entry: &Entry| match &options.choice {
        Choice::Auto => entry.mse.is_finite(),
        Choice::Named(name) => entry.regressor == *name,
    };
    let lowest = (table.iter())
        .filter(|(_, entry, _)| wanted(entry))
        .fold(f64::INFINITY, |low, (_, entry, _)| low.min(entry.mse));
    // Regressors stand from the plainest to the richest: the first wins a tie.
    let best = (table.iter().enumerate())
        .find(|(_, (_, entry, _))| wanted(entry) && entry.mse <= lowest * TIE);
    let Some((place, (_, entry, cv))) = best else {
        return Err(Error::failed("no regressor could be fitted").field(target));
    };
    // The model must beat the mean by more than the folds' luck to be of use.
    let predicted: Vec<f64> = cv.predictions[0].iter().map(|p| p.mean).collect();
    let spread = variance(samples.values());
    if entry.regressor == "mean" || mse(samples.values(), &predicted) > 0.9 * spread {
        warnings.push(format!(
            "`{target}`: no regressor predicts much better than the mean; a mixture chosen for it \
             is a guess"
        ));
    }
    Ok(place)
}

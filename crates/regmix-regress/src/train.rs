//! Training a [`Fit`]: judge, choose, fit.

use rayon::prelude::*;

use regmix_data::table::Observations;
use regmix_data::{Error, Result};

use crate::choose::{automatic, calibration, lowest_error};
use crate::contestants::Contestants;
use crate::cross_validation::{CrossValidation, CvOptions};
use crate::fit::{Choice, Dropped, Fit, FitOptions, Head, OutOfFold, TargetFit, measured};
use crate::league::{AUTO, Entry, League};
use crate::metrics::{mse, variance};
use crate::regressor::{ConstantModel, Model};
use crate::samples::Samples;

pub(crate) fn train(
    observations: &Observations,
    options: &FitOptions,
    watch: &(dyn Fn(usize, usize) + Sync),
) -> Result<Fit> {
    let wanted = (options.regressors.iter()).chain(match &options.choice {
        Choice::Auto => None,
        Choice::Named(name) => Some(name),
    });
    let contestants = Contestants::new(wanted.map(String::as_str))?;
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
    head.warnings = crate::cautions::about(observations);
    let samples: Vec<&Samples<'_>> = usable.iter().map(|(_, samples)| samples).collect();
    let cv = CvOptions {
        folds: options.folds,
        repeats: options.repeats,
        seed: options.seed,
    };
    let judged = contestants.judge(&samples, &cv, watch);
    let mut entries = Vec::new();
    let mut predictions = Vec::new();
    let mut winners = Vec::new();
    for ((target, (places, samples)), judged) in names.iter().zip(&usable).zip(&judged) {
        let mut table: Vec<(usize, &CrossValidation)> = Vec::new();
        for (r, (regressor, result)) in contestants.asked.iter().zip(&judged.asked).enumerate() {
            match result {
                Ok(cv) => table.push((r, cv)),
                Err(e) if contestants.asked.len() > 1 && !named(options, regressor.name()) => {
                    if !samples.same_value() {
                        let name = regressor.name();
                        head.warnings
                            .push(format!("`{name}` does not fit `{target}`: {e}"));
                    }
                }
                Err(e) => return Err(e.clone().field(target)),
            }
        }
        let cvs: Vec<&CrossValidation> = table.iter().map(|(_, cv)| *cv).collect();
        let chosen = choose(
            &contestants,
            &table,
            samples,
            target,
            options,
            &mut head.warnings,
        )?;
        for (place, (r, cv)) in table.iter().enumerate() {
            let mut entry = Entry::new(contestants.asked[*r].name(), target, samples.values(), cv);
            entry.chosen = place == chosen;
            entries.push(entry);
        }
        let auto = automatic(samples.values(), &cvs)?;
        if options.choice == Choice::Auto {
            entries.push(Entry::new(AUTO, target, samples.values(), &auto));
        }
        let (r, cv) = table[chosen];
        let factor = calibration(samples.values(), cv, |_, _| true);
        // Intervals that a row is shown with are calibrated without its fold.
        let shown = automatic(samples.values(), &[cv])?;
        for ((&i, p), measured) in (places.iter().zip(&shown.predictions[0])).zip(samples.values())
        {
            predictions.push(OutOfFold {
                run: observations.mixtures.runs()[i].clone(),
                target: target.clone(),
                measured: *measured,
                predicted: p.mean,
                sd: p.sd,
            });
        }
        let means: Vec<f64> = cv.predictions[0].iter().map(|p| p.mean).collect();
        winners.push((r, mse(samples.values(), &means).sqrt(), factor));
    }
    head.targets = (0..names.len())
        .into_par_iter()
        .map(|t| {
            let (r, noise, factor) = winners[t];
            let samples = &usable[t].1;
            let model = if samples.same_mixture() {
                Ok(Model::Constant(ConstantModel::of(samples.values())))
            } else if !samples.same_value() {
                let model = contestants.fit(r, samples, &judged[t], options.seed);
                model.map(|m| m.calibrated(factor))
            } else {
                Ok(Model::Constant(ConstantModel::of(samples.values())))
            };
            Ok(TargetFit {
                target: names[t].clone(),
                regressor: contestants.asked[r].name().to_owned(),
                model: model.map_err(|e| e.field(&names[t]))?,
                rows: samples.len(),
                noise,
                repeat_noise: samples.repeat_noise(),
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
    contestants: &Contestants,
    table: &[(usize, &CrossValidation)],
    samples: &Samples<'_>,
    target: &str,
    options: &FitOptions,
    warnings: &mut Vec<String>,
) -> Result<usize> {
    let none = || Error::failed("no regressor could be fitted").field(target);
    if samples.same_value() {
        warnings.push(format!(
            "`{target}` is {} in every run: its model is a constant",
            samples.values()[0]
        ));
        return Ok(0);
    }
    if samples.same_mixture() {
        warnings.push(format!(
            "`{target}`: every run has the same mixture, so nothing can be learnt from them"
        ));
        return Ok(0);
    }
    let cvs: Vec<&CrossValidation> = table.iter().map(|(_, cv)| *cv).collect();
    let place = match &options.choice {
        Choice::Auto => lowest_error(samples.values(), &cvs, |_, _| true),
        Choice::Named(name) => {
            (table.iter()).position(|(r, _)| contestants.asked[*r].name() == name)
        }
    }
    .ok_or_else(none)?;
    // The model must beat the mean by more than the folds' luck to be of use.
    let predicted: Vec<f64> = cvs[place].predictions[0].iter().map(|p| p.mean).collect();
    let spread = variance(samples.values());
    let name = contestants.asked[table[place].0].name();
    if name == "mean" || mse(samples.values(), &predicted) > 0.9 * spread {
        warnings.push(format!(
            "`{target}`: no regressor predicts much better than the mean; a mixture chosen for it \
             is a guess"
        ));
    }
    Ok(place)
}

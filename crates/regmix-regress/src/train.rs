//! Training a [`Fit`]: judge, choose, fit.

use std::collections::BTreeMap;

use rayon::prelude::*;

use regmix_data::table::Observations;
use regmix_data::{Error, Monitor, Muted, Result};

use crate::choose::{automatic, calibration, lowest_error};
use crate::contestants::Contestants;
use crate::cross_validation::{CrossValidation, CvOptions};
use crate::fit::{Choice, Dropped, Fit, FitOptions, Head, OutOfFold, TargetFit, measured};
use crate::league::{AUTO, Entry, League};
use crate::metrics::{mse, variance};
use crate::progress::Part;
use crate::regressor::{ConstantModel, Model};
use crate::reuse::together;
use crate::samples::Samples;

pub(crate) fn train(
    observations: &Observations,
    options: &FitOptions,
    monitor: &dyn Monitor,
) -> Result<Fit> {
    let wanted = (options.regressors.iter()).chain(match &options.choice {
        Choice::Auto => None,
        Choice::Named(name) => Some(name),
    });
    let contestants = Contestants::new(wanted.map(String::as_str))?;
    let domains = observations.mixtures.domains().clone();
    let all = match &options.earlier {
        Some(earlier) => together(observations, earlier).map_err(|e| e.field("earlier"))?,
        None => observations.clone(),
    };
    let mut head = Head::new(domains, all.mixtures.len(), options)?;
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
    head.warnings = crate::cautions::about(&all);
    let samples: Vec<&Samples<'_>> = usable.iter().map(|(_, samples)| samples).collect();
    // Earlier runs have no value of a target that came with the new ones.
    let before: Vec<Option<Samples<'_>>> = (0..names.len())
        .map(|t| measured(options.earlier.as_ref()?, t).ok().map(|(_, s)| s))
        .collect();
    let beside: Vec<Option<&Samples<'_>>> = before.iter().map(Option::as_ref).collect();
    let cv = CvOptions {
        folds: options.folds,
        repeats: options.repeats,
        seed: options.seed,
    };
    let units = contestants.jobs(names.len()) + names.len();
    let part = Part::begin(monitor, "judging", units);
    let judged = contestants.judge(&samples, &beside, &cv, monitor)?;
    let mut entries = Vec::new();
    let mut predictions = Vec::new();
    let mut winners = Vec::new();
    // By regressor: the targets it does not fit, and why not the first.
    let mut unfit: BTreeMap<usize, (Vec<String>, &Error)> = BTreeMap::new();
    for ((target, (places, samples)), judged) in names.iter().zip(&usable).zip(&judged) {
        let mut table: Vec<(usize, &CrossValidation)> = Vec::new();
        for (r, (regressor, result)) in contestants.asked.iter().zip(&judged.asked).enumerate() {
            match result {
                Ok(cv) => table.push((r, cv)),
                Err(e) if contestants.asked.len() > 1 && !named(options, regressor.name()) => {
                    if !samples.same_value() {
                        let (targets, _) = (unfit.entry(r)).or_insert_with(|| (Vec::new(), e));
                        targets.push(format!("`{target}`"));
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
    for (r, (targets, e)) in &unfit {
        let name = contestants.asked[*r].name();
        let targets = targets.join(", ");
        head.warnings
            .push(format!("`{name}` does not fit {targets}: {e}"));
    }
    let with: Vec<f64> = entries.iter().filter(|e| e.chosen).map(|e| e.mae).collect();
    head.targets = (0..names.len())
        .into_par_iter()
        .map(|t| {
            let (r, noise, factor) = winners[t];
            let samples = &usable[t].1;
            let all = match &before[t] {
                Some(before) => samples.and(before)?,
                None => samples.clone(),
            };
            let model = if samples.same_mixture() {
                Ok(Model::Constant(ConstantModel::of(samples.values())))
            } else if !samples.same_value() {
                let model = contestants.fit(r, samples, &all, &judged[t], options.seed, monitor);
                model.map(|m| m.calibrated(factor))
            } else {
                Ok(Model::Constant(ConstantModel::of(samples.values())))
            };
            let regressor = contestants.asked[r].name().to_owned();
            let alone = (before[t].as_ref()).and_then(|_| alone(&regressor, samples, &cv, monitor));
            monitor.advance(1);
            Ok(TargetFit {
                target: names[t].clone(),
                regressor,
                model: model.map_err(|e| e.field(&names[t]))?,
                rows: all.len(),
                earlier: all.len() - samples.len(),
                alone,
                noise,
                repeat_noise: all.repeat_noise(),
            })
        })
        .collect::<Result<_>>()?;
    monitor.check()?;
    drop(part);
    warn_of_harm(&mut head, &with);
    Ok(Fit {
        head,
        league: League::new(entries),
        predictions,
        observations: all,
    })
}

/// The mean absolute error of a regressor fitted to new runs alone, over the
/// same folds; none where those are too few for it.
fn alone(
    name: &str,
    samples: &Samples<'_>,
    cv: &CvOptions,
    monitor: &dyn Monitor,
) -> Option<f64> {
    let contestants = Contestants::new([name]).ok()?;
    let judged = contestants.judge(&[samples], &[], cv, &Muted(monitor)).ok()?;
    let place = contestants.asked.iter().position(|r| r.name() == name)?;
    let cv = judged[0].asked[place].as_ref().ok()?;
    let entry = Entry::new(name, "", samples.values(), cv);
    entry.mae.is_finite().then_some(entry.mae)
}

/// How much larger an error must be to count as larger.
const HARM: f64 = 1.05;

/// Warns where earlier runs make errors larger; `with` are the errors that
/// were made with them.
fn warn_of_harm(head: &mut Head, with: &[f64]) {
    let harmed: Vec<String> = (head.targets.iter().zip(with))
        .filter_map(|(t, with)| Some((t, t.alone?, *with)))
        .filter(|(_, alone, with)| *with > HARM * alone)
        .map(|(t, alone, with)| {
            format!(
                "`{}` (mean absolute error {with:.4} with them, {alone:.4} without)",
                t.target
            )
        })
        .collect();
    if !harmed.is_empty() {
        head.warnings.push(format!(
            "the earlier runs make these worse: {}; were they trained like the new ones, with the \
             same tokenizer and validation text?",
            harmed.join(", ")
        ));
    }
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

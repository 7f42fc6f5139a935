//! Training a [`Fit`]: judge, choose, fit.

use std::collections::BTreeMap;

use rayon::prelude::*;

use regmix_data::table::Observations;
use regmix_data::{Error, Monitor, Muted, Result};

use super::warnings;
use crate::cross_validation::{CrossValidation, CvOptions};
use crate::fit::options::{Choice, FitOptions};
use crate::fit::prepare::Prepared;
use crate::fit::{Fit, OutOfFold, Saved, TargetFit};
use crate::judge::calibration::calibration;
use crate::judge::contestants::{Contestants, Judged};
use crate::judge::league::{AUTO, Entry, League};
use crate::judge::selection::{automatic, lowest_error};
use crate::metrics::{mse, variance};
use crate::progress::Part;
use crate::regressor::interface::FitContext;
use crate::regressor::model::Model;
use crate::regressor::model::constant::ConstantModel;
use crate::samples::{Samples, measured};

/// One target.
struct Column<'a> {
    target: &'a str,
    /// The places of its measured runs in the table.
    places: Vec<usize>,
    samples: Samples<'a>,
    /// Runs from before the domains changed; `None` for a target that came
    /// with the new runs.
    earlier: Option<Samples<'a>>,
}

/// What cross-validation decided for a target.
struct Winner {
    /// The regressor's place among the contestants.
    place: usize,
    /// Root mean squared out-of-fold error.
    noise: f64,
    mae: f64,
    /// What standard deviations are multiplied by.
    factor: f64,
}

pub(super) fn train(
    observations: &Observations,
    options: &FitOptions,
    monitor: &dyn Monitor,
) -> Result<Fit> {
    let wanted = (options.regressors.iter()).chain(match &options.choice {
        Choice::Auto => None,
        Choice::Named(name) => Some(name),
    });
    let contestants = Contestants::new(wanted.map(String::as_str))?;
    let prepared = Prepared::of(
        observations,
        options.earlier.as_ref(),
        options.keep_outliers,
    )?;
    let all = prepared.all;
    let domains = observations.mixtures.domains().clone();
    let mut saved = Saved::new(domains, all.mixtures.len(), options)?;
    if options.folds < 2 || !(1..=1000).contains(&options.repeats) {
        return Err(Error::input(format!(
            "{} folds, {} repeats: expected at least 2 folds, and 1 to 1000 repeats",
            options.folds, options.repeats
        )));
    }
    saved.dropped = prepared.dropped;
    let columns = columns(&prepared.new, prepared.earlier.as_ref())?;
    let cv = CvOptions {
        folds: options.folds,
        repeats: options.repeats,
        seed: options.seed,
    };
    let part = Part::begin(
        monitor,
        "judging",
        contestants.jobs(columns.len()) + columns.len(),
    );
    let samples: Vec<&Samples<'_>> = columns.iter().map(|c| &c.samples).collect();
    let earlier: Vec<Option<&Samples<'_>>> = columns.iter().map(|c| c.earlier.as_ref()).collect();
    let judged = contestants.judge(&samples, &earlier, &cv, monitor)?;
    let mut selection = Selection {
        contestants: &contestants,
        options,
        runs: prepared.new.mixtures.runs(),
        entries: Vec::new(),
        predictions: Vec::new(),
        warnings: [prepared.warnings, warnings::of_runs(&all)].concat(),
        unfit: BTreeMap::new(),
    };
    let winners: Vec<Winner> = (columns.iter().zip(&judged))
        .map(|(column, judged)| selection.decide(column, judged))
        .collect::<Result<_>>()?;
    saved.targets = (columns.par_iter().zip(&winners).zip(&judged))
        .map(|((column, winner), judged)| {
            let out = fit_target(&contestants, column, winner, judged, &cv, monitor);
            monitor.advance(1);
            out
        })
        .collect::<Result<_>>()?;
    monitor.check()?;
    drop(part);
    saved.warnings = std::mem::take(&mut selection.warnings);
    for (place, (targets, e)) in &selection.unfit {
        let (name, targets) = (contestants.compared[*place].name(), targets.join(", "));
        saved
            .warnings
            .push(format!("`{name}` does not fit {targets}: {e}"));
    }
    warn_of_harm(&mut saved, &winners);
    Ok(Fit {
        saved,
        league: League::new(selection.entries),
        predictions: selection.predictions,
        observations: all,
    })
}

/// All targets.
fn columns<'a>(
    new: &'a Observations,
    earlier: Option<&'a Observations>,
) -> Result<Vec<Column<'a>>> {
    (new.values.targets().iter().enumerate())
        .map(|(t, target)| {
            let (places, samples) = measured(new, t)?;
            Ok(Column {
                target,
                places,
                samples,
                earlier: earlier.and_then(|e| measured(e, t).ok()).map(|(_, s)| s),
            })
        })
        .collect()
}

/// Chooses a regressor for one target after the other, and collects the
/// tables of the fit.
struct Selection<'a> {
    contestants: &'a Contestants,
    options: &'a FitOptions,
    runs: &'a [String],
    entries: Vec<Entry>,
    predictions: Vec<OutOfFold>,
    warnings: Vec<String>,
    /// By regressor: the targets that it does not fit, and why not the first.
    unfit: BTreeMap<usize, (Vec<String>, Error)>,
}

impl Selection<'_> {
    fn decide(&mut self, column: &Column<'_>, judged: &Judged) -> Result<Winner> {
        let (target, samples) = (column.target, &column.samples);
        let compared = &self.contestants.compared;
        let named = match &self.options.choice {
            Choice::Auto => None,
            Choice::Named(name) => Some(name.as_str()),
        };
        let mut table: Vec<(usize, &CrossValidation)> = Vec::new();
        for (r, (regressor, result)) in compared.iter().zip(&judged.compared).enumerate() {
            match result {
                Ok(cv) => table.push((r, cv)),
                Err(e) if compared.len() > 1 && named != Some(regressor.name()) => {
                    if !samples.same_value() {
                        let unfit = self.unfit.entry(r);
                        let (targets, _) = unfit.or_insert_with(|| (Vec::new(), e.clone()));
                        targets.push(format!("`{target}`"));
                    }
                }
                Err(e) => return Err(e.clone().field(target)),
            }
        }
        let cvs: Vec<&CrossValidation> = table.iter().map(|(_, cv)| *cv).collect();
        let chosen = self.choose(&table, samples, target)?;
        let mut mae = f64::NAN;
        for (place, (r, cv)) in table.iter().enumerate() {
            let mut entry = Entry::new(compared[*r].name(), target, samples.values(), cv);
            entry.chosen = place == chosen;
            if entry.chosen {
                mae = entry.mae;
            }
            self.entries.push(entry);
        }
        let auto = automatic(samples.values(), &cvs)?;
        if self.options.choice == Choice::Auto {
            let entry = Entry::new(AUTO, target, samples.values(), &auto);
            self.entries.push(entry);
        }
        let (place, cv) = table[chosen];
        // The interval of each row is calibrated on the other folds.
        let shown = automatic(samples.values(), &[cv])?;
        for ((&i, p), measured) in
            (column.places.iter().zip(&shown.predictions[0])).zip(samples.values())
        {
            self.predictions.push(OutOfFold {
                run: self.runs[i].clone(),
                target: target.to_owned(),
                measured: *measured,
                predicted: p.mean,
                sd: p.sd,
            });
        }
        let means: Vec<f64> = cv.predictions[0].iter().map(|p| p.mean).collect();
        Ok(Winner {
            place,
            noise: mse(samples.values(), &means).sqrt(),
            mae,
            factor: calibration(samples.values(), cv, |_, _| true),
        })
    }

    /// The place in `table` of the regressor to use.
    fn choose(
        &mut self,
        table: &[(usize, &CrossValidation)],
        samples: &Samples<'_>,
        target: &str,
    ) -> Result<usize> {
        let compared = &self.contestants.compared;
        let none = || Error::failed("no regressor could be fitted").field(target);
        if samples.same_value() {
            self.warnings.push(format!(
                "`{target}` is {} in every run: its model is a constant",
                samples.values()[0]
            ));
            return Ok(0);
        }
        if samples.same_mixture() {
            self.warnings.push(format!(
                "`{target}`: every run has the same mixture, so nothing can be learnt from them"
            ));
            return Ok(0);
        }
        let cvs: Vec<&CrossValidation> = table.iter().map(|(_, cv)| *cv).collect();
        let place = match &self.options.choice {
            Choice::Auto => lowest_error(samples.values(), &cvs, |_, _| true),
            Choice::Named(name) => (table.iter()).position(|(r, _)| compared[*r].name() == name),
        }
        .ok_or_else(none)?;
        // A model is of use only if it beats the mean by more than the chance
        // of the folds explains.
        let predicted: Vec<f64> = cvs[place].predictions[0].iter().map(|p| p.mean).collect();
        let spread = variance(samples.values());
        let name = compared[table[place].0].name();
        if name == "mean" || mse(samples.values(), &predicted) > 0.9 * spread {
            self.warnings.push(format!(
                "`{target}`: no regressor predicts much better than the mean; a mixture chosen for it \
                 is a guess"
            ));
        }
        Ok(place)
    }
}

/// Fits the chosen regressor to all rows of a target.
fn fit_target(
    contestants: &Contestants,
    column: &Column<'_>,
    winner: &Winner,
    judged: &Judged,
    cv: &CvOptions,
    monitor: &dyn Monitor,
) -> Result<TargetFit> {
    let Column {
        target, samples, ..
    } = column;
    let all = match &column.earlier {
        Some(earlier) => samples.and(earlier)?,
        None => samples.clone(),
    };
    let regressor = contestants.compared[winner.place].name().to_owned();
    let model = if samples.same_mixture() || samples.same_value() {
        Ok(Model::Constant(ConstantModel::of(samples.values())))
    } else {
        let context = FitContext::new(cv.seed, monitor);
        (contestants.fit(winner.place, samples, &all, judged, context))
            .map(|model| model.calibrated(winner.factor))
    };
    let without = (column.earlier.as_ref())
        .and_then(|_| mae_without_earlier(&regressor, samples, cv, monitor));
    let model = model.map_err(|e| e.field(*target))?;
    // A file could not hold numbers that are not finite.
    (model.check(samples.domains())).map_err(|_| {
        Error::input("values out of range: a model of them is not finite")
            .field(*target)
            .help("leave out the runs with the largest values")
    })?;
    Ok(TargetFit {
        target: (*target).to_owned(),
        regressor,
        model,
        rows: all.len(),
        earlier: all.len() - samples.len(),
        mae_without_earlier: without,
        noise: winner.noise,
        repeat_noise: all.repeat_noise(),
    })
}

/// The mean absolute error of a regressor fitted to the new runs only, over
/// the same folds; `None` where those are too few for it.
fn mae_without_earlier(
    name: &str,
    samples: &Samples<'_>,
    cv: &CvOptions,
    monitor: &dyn Monitor,
) -> Option<f64> {
    let contestants = Contestants::new([name]).ok()?;
    let judged = contestants
        .judge(&[samples], &[], cv, &Muted(monitor))
        .ok()?;
    let place = contestants.compared.iter().position(|r| r.name() == name)?;
    let cv = judged[0].compared[place].as_ref().ok()?;
    let entry = Entry::new(name, "", samples.values(), cv);
    entry.mae.is_finite().then_some(entry.mae)
}

/// Errors that are larger by less than this factor count as equal.
const HARM: f64 = 1.05;

/// Warns where earlier runs make errors larger.
fn warn_of_harm(saved: &mut Saved, winners: &[Winner]) {
    let harmed: Vec<String> = (saved.targets.iter().zip(winners))
        .filter_map(|(t, winner)| Some((t, t.mae_without_earlier?, winner.mae)))
        .filter(|(_, without, with)| *with > HARM * without)
        .map(|(t, without, with)| {
            format!(
                "`{}` (mean absolute error {with:.4} with them, {without:.4} without)",
                t.target
            )
        })
        .collect();
    if !harmed.is_empty() {
        saved.warnings.push(format!(
            "the earlier runs make these worse: {}; were they trained like the new ones, with the \
             same tokenizer and validation text?",
            harmed.join(", ")
        ));
    }
}

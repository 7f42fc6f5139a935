//! Training a [`Fit`]: judge, choose, fit.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rayon::prelude::*;

use regmix_data::table::Observations;
use regmix_data::{Error, Monitor, Muted, Result};

use super::approximate::{self, ApproximateUse, Models};
use super::column::{Column, columns};
use super::warnings;
use crate::cross_validation::{CrossValidation, CvOptions};
use crate::fit::options::{Choice, FitOptions};
use crate::fit::prepare::{Kind, Prepared};
use crate::fit::standard_errors::StandardErrors;
use crate::fit::{Fit, OutOfFold, Saved, TargetFit};
use crate::judge::contestants::{Contestants, Judged};
use crate::judge::league::{AUTO, Entry, League};
use crate::judge::selection::{Candidate, Rule, automatic, choose};
use crate::metrics::{mse, variance};
use crate::progress::Part;
use crate::regressor::interface::FitContext;
use crate::regressor::model::Model;
use crate::regressor::model::constant::ConstantModel;
use crate::samples::Samples;

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
    let as_measured = || train_as(Kind::Losses, observations, options, None, monitor);
    let Some(losses) = &options.approximate else {
        return as_measured();
    };
    let of = (
        observations.mixtures.domains(),
        observations.values.targets(),
    );
    let models = approximate::models(losses, of, options.seed, monitor)?;
    let mut best = as_measured()?;
    let error_without = approximate::error(&best);
    let mut used = ApproximateUse {
        mixtures: losses.mixtures.len(),
        share: 0.0,
        error: error_without,
        error_without,
    };
    for share in approximate::SHARES {
        let moved = Some((&models, share));
        let fit = train_as(Kind::Losses, observations, options, moved, monitor)?;
        let error = approximate::error(&fit);
        if error < approximate::CLEARLY * used.error {
            (used.share, used.error) = (share, error);
            best = fit;
        }
    }
    best.saved.approximate = Some(used);
    Ok(best)
}

/// As [`train`], for targets that are scores.
pub(super) fn train_scores(
    observations: &Observations,
    options: &FitOptions,
    monitor: &dyn Monitor,
) -> Result<Fit> {
    train_as(Kind::Scores, observations, options, None, monitor)
}

/// With approximate losses, and the share of them that is taken, where there are some.
fn train_as(
    kind: Kind,
    observations: &Observations,
    options: &FitOptions,
    moved: Option<(&Models, f64)>,
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
        kind,
    )?;
    let all = prepared.all;
    let domains = observations.mixtures.domains().clone();
    let mut saved = Saved::new(domains, all.mixtures.len(), options)?;
    check_folds(options)?;
    saved.dropped = prepared.dropped;
    let columns = columns(&prepared.new, prepared.earlier.as_ref(), moved)?;
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
    let samples: Vec<&Samples<'_>> = columns.iter().map(Column::rest).collect();
    let earlier: Vec<Option<&Samples<'_>>> = columns.iter().map(|c| c.earlier.as_ref()).collect();
    let judged = contestants.judge(&samples, &earlier, &cv, monitor)?;
    let shown: Vec<Cow<'_, Judged>> = (columns.iter().zip(&judged))
        .map(|(column, judged)| column.shown(judged))
        .collect();
    let mut selection = Selection {
        contestants: &contestants,
        options,
        kind,
        runs: prepared.new.mixtures.runs(),
        entries: Vec::new(),
        predictions: Vec::new(),
        warnings: [prepared.warnings, warnings::of_runs(&all)].concat(),
        unfit: BTreeMap::new(),
    };
    let winners = selection.decide(&columns, &shown)?;
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
    saved.warnings.extend(selection.unfit_in_words());
    if kind == Kind::Losses {
        saved
            .warnings
            .extend(warnings::unlike_the_rest(&selection.predictions));
    }
    warn_of_harm(&mut saved, &winners);
    let mut fit = Fit {
        saved,
        league: League::new(selection.entries),
        predictions: selection.predictions,
        observations: all,
    };
    if let Some(errors) = &options.errors {
        note_errors(&mut fit, &columns, prepared.new.values.runs(), errors);
    }
    Ok(fit)
}

fn check_folds(options: &FitOptions) -> Result<()> {
    match options.folds >= 2 && (1..=1000).contains(&options.repeats) {
        true => Ok(()),
        false => Err(Error::input(format!(
            "{} folds, {} repeats: expected at least 2 folds, and 1 to 1000 repeats",
            options.folds, options.repeats
        ))),
    }
}

/// Notes the standard error of every target, and warns where it is most of what differs.
fn note_errors(fit: &mut Fit, columns: &[Column<'_>], runs: &[String], errors: &StandardErrors) {
    for (target, column) in fit.saved.targets.iter_mut().zip(columns) {
        let own = column.places.iter().map(|&i| &runs[i]);
        target.standard_error = errors.of_target(column.target, own);
    }
    let noisy = warnings::noisy(&fit.measurement_noise());
    fit.saved.warnings.extend(noisy);
}

/// Chooses a regressor for one target after the other, and collects the
/// tables of the fit.
struct Selection<'a> {
    contestants: &'a Contestants,
    options: &'a FitOptions,
    kind: Kind,
    runs: &'a [String],
    entries: Vec<Entry>,
    predictions: Vec<OutOfFold>,
    warnings: Vec<String>,
    /// By regressor: the targets that it does not fit, and why not the first.
    unfit: BTreeMap<usize, (Vec<String>, Error)>,
}

impl Selection<'_> {
    /// Which regressors do not fit which targets, and why.
    fn unfit_in_words(&self) -> impl Iterator<Item = String> {
        self.unfit.iter().map(|(place, (targets, e))| {
            let name = self.contestants.compared[*place].name();
            format!("`{name}` does not fit {}: {e}", targets.join(", "))
        })
    }

    /// Chooses a regressor for every target.
    fn decide(
        &mut self,
        columns: &[Column<'_>],
        judged: &[Cow<'_, Judged>],
    ) -> Result<Vec<Winner>> {
        let candidates: Vec<Candidate<'_>> = (columns.iter().zip(judged))
            .map(|(column, judged)| self.candidate(column, judged))
            .collect::<Result<_>>()?;
        let compared = &self.contestants.compared;
        let by_errors = Rule::Lowest(self.contestants.start());
        let named: Vec<Option<usize>>;
        let rule = match &self.options.choice {
            Choice::Auto => by_errors,
            Choice::Named(name) => {
                let place = compared.iter().position(|r| r.name() == name);
                named = (candidates.iter())
                    .map(|target| if target.varies { place } else { Some(0) })
                    .collect();
                Rule::Fixed(&named)
            }
        };
        let chosen = choose(&candidates, rule, &|_, _, _| true);
        let auto = match self.options.choice {
            Choice::Auto => automatic(&candidates, by_errors),
            Choice::Named(_) => vec![None; columns.len()],
        };
        // The interval of each row is calibrated on the other folds.
        let shown = automatic(&candidates, Rule::Fixed(&chosen.places));
        let mut winners = Vec::with_capacity(columns.len());
        for (t, ((column, target), auto)) in
            (columns.iter().zip(&candidates).zip(&auto)).enumerate()
        {
            let (place, shown) = (chosen.places[t].zip(shown[t].as_ref())).ok_or_else(|| {
                Error::failed("no regressor could be fitted").field(column.target)
            })?;
            let mae = self.enter(column, target, place, auto.as_ref());
            self.warn(column, target, place);
            for ((&i, p), measured) in
                (column.places.iter().zip(&shown.predictions[0])).zip(target.measured)
            {
                self.predictions.push(OutOfFold {
                    run: self.runs[i].clone(),
                    target: column.target.to_owned(),
                    measured: *measured,
                    predicted: p.mean,
                    sd: p.sd,
                });
            }
            let means: Vec<f64> = shown.predictions[0].iter().map(|p| p.mean).collect();
            winners.push(Winner {
                place,
                noise: mse(target.measured, &means).sqrt(),
                mae,
                factor: chosen.factors[t],
            });
        }
        Ok(winners)
    }

    /// What the choice needs of a target. Regressors that do not fit it are
    /// noted.
    fn candidate<'a>(
        &mut self,
        column: &'a Column<'_>,
        judged: &'a Judged,
    ) -> Result<Candidate<'a>> {
        let (target, samples) = (column.target, &column.samples);
        let compared = &self.contestants.compared;
        let named = match &self.options.choice {
            Choice::Auto => None,
            Choice::Named(name) => Some(name.as_str()),
        };
        let mut cvs = Vec::with_capacity(compared.len());
        for (r, (regressor, result)) in compared.iter().zip(&judged.compared).enumerate() {
            match result {
                Err(e) if compared.len() > 1 && named != Some(regressor.name()) => {
                    if !samples.same_value() {
                        let unfit = self.unfit.entry(r);
                        let (targets, _) = unfit.or_insert_with(|| (Vec::new(), e.clone()));
                        targets.push(format!("`{target}`"));
                    }
                    cvs.push(None);
                }
                Err(e) => return Err(e.clone().field(target)),
                Ok(cv) => cvs.push(Some(&**cv)),
            }
        }
        Ok(Candidate {
            measured: samples.values(),
            mixtures: &column.mixtures,
            judged: cvs,
            varies: !samples.same_value() && !samples.same_mixture(),
        })
    }

    /// Enters a target into the league; gives the error of what was chosen.
    fn enter(
        &mut self,
        column: &Column<'_>,
        target: &Candidate<'_>,
        chosen: usize,
        auto: Option<&CrossValidation>,
    ) -> f64 {
        let mut mae = f64::NAN;
        for (place, (regressor, cv)) in
            (self.contestants.compared.iter().zip(&target.judged)).enumerate()
        {
            let Some(cv) = cv else { continue };
            let mut entry = self.entry(regressor.name(), column, target, cv);
            entry.chosen = place == chosen;
            if entry.chosen {
                mae = entry.mae;
            }
            self.entries.push(entry);
        }
        if let Some(auto) = auto {
            let entry = self.entry(AUTO, column, target, auto);
            self.entries.push(entry);
        }
        mae
    }

    fn entry(
        &self,
        regressor: &str,
        column: &Column<'_>,
        target: &Candidate<'_>,
        cv: &CrossValidation,
    ) -> Entry {
        let entry = Entry::new(regressor, column.target, target.measured, cv);
        match self.kind {
            Kind::Losses => entry,
            Kind::Scores => entry.of_score(target.measured, cv),
        }
    }

    /// Warns of a target from which nothing, or little, was learnt.
    fn warn(&mut self, column: &Column<'_>, target: &Candidate<'_>, chosen: usize) {
        let (name, samples) = (column.target, &column.samples);
        if samples.same_value() {
            self.warnings.push(format!(
                "`{name}` is {} in every run: its model is a constant",
                samples.values()[0]
            ));
            return;
        }
        if samples.same_mixture() {
            self.warnings.push(format!(
                "`{name}`: every run has the same mixture, so nothing can be learnt from them"
            ));
            return;
        }
        // A model is of use only if it beats the mean by more than the chance
        // of the folds explains.
        let spread = variance(samples.values());
        let little = target.judged[chosen].is_none_or(|cv| {
            let predicted: Vec<f64> = cv.predictions[0].iter().map(|p| p.mean).collect();
            mse(samples.values(), &predicted) > 0.9 * spread
        });
        // Beside approximate losses, even a constant says much.
        let constant = self.contestants.compared[chosen].name() == "mean";
        if (constant && column.taken.is_none()) || little {
            self.warnings.push(format!(
                "`{name}`: no regressor predicts much better than the mean; a mixture chosen for it \
                 is a guess"
            ));
        }
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
    let rest = column.rest();
    let all = match &column.earlier {
        Some(earlier) => rest.and(earlier)?,
        None => rest.clone(),
    };
    let regressor = contestants.compared[winner.place].name().to_owned();
    let model = if samples.same_mixture() || samples.same_value() {
        Ok(Model::Constant(ConstantModel::of(samples.values())))
    } else {
        let context = FitContext::new(cv.seed, monitor);
        let fitted = contestants.fit(winner.place, &all, judged, context);
        let fitted = fitted.map(|model| match &column.taken {
            Some((taken, _)) => taken.clone().and(model),
            None => model,
        });
        fitted.map(|model| model.calibrated(winner.factor))
    };
    let without =
        (column.earlier.as_ref()).and_then(|_| mae_without_earlier(&regressor, rest, cv, monitor));
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
        standard_error: None,
        is_score: false,
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

//! `regmix fit`: from the proxies of a study, or from the user's own runs.

use std::path::Path;

use regmix_data::{Result, TokenCorpus};
use regmix_regress::scale::{ScaleFit, ScaleOptions};
use regmix_regress::{Fit, FitOptions, LearningCurve, LearningOptions};
use regmix_study::config::{ApproximateSection, EarlierSection};
use regmix_study::tables::{Beside, Counting, ScaleTables, fit_scale, fit_tables, learning_curve};
use serde_json::json;

use crate::args::FitArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &FitArgs) -> Result<()> {
    match (&args.mixtures, &args.losses, &args.out) {
        (Some(mixtures), Some(losses), Some(out)) => {
            fit_own_runs(session, args, mixtures, losses, out)
        }
        (Some(mixtures), None, Some(out)) => fit_laws_of_scale(session, args, mixtures, out),
        _ => fit_proxies(session, args),
    }
}

fn fit_laws_of_scale(
    session: &Session<'_>,
    args: &FitArgs,
    mixtures: &Path,
    out: &Path,
) -> Result<()> {
    let Some(trajectories) = &args.trajectories else {
        return fit_proxies(session, args);
    };
    let options = ScaleOptions {
        laws: args.laws.clone().unwrap_or_default(),
        nested: args.nested,
        last_points: args.last_points,
        unit: args.unit.clone(),
        ..ScaleOptions::default()
    };
    let tables = ScaleTables {
        mixtures,
        trajectories,
        sizes: args.sizes.as_deref(),
    };
    let per_token = per_token(args)?;
    let counting = Counting {
        available: &args.available,
        per_token: &per_token,
    };
    let into = (out, args.redo);
    let fit = fit_scale(tables, options, counting, into, session.display)?;
    session.print_result(&scale_json(&fit), || show::scale_fit(&fit))
}

/// How much data a token of every domain is: as given, or the bytes of a corpus.
fn per_token(args: &FitArgs) -> Result<Vec<(String, f64)>> {
    let Some(folder) = &args.bytes_of else {
        return Ok(args.per_token.clone());
    };
    let corpus = TokenCorpus::open(folder)?;
    let named = corpus.domains().names().enumerate();
    Ok(named
        .map(|(j, name)| (name.to_owned(), corpus.bytes_per_token(j)))
        .collect())
}

fn fit_proxies(session: &Session<'_>, args: &FitArgs) -> Result<()> {
    let study = session.open_study()?;
    let fit = study.fit(session.context(args.redo))?;
    let curve = match args.learning_curve {
        true => Some(study.learning_curve(session.context(args.redo))?),
        false => None,
    };
    let scale = study.fit_scale(session.context(args.redo))?;
    print_fit(session, &fit, curve.as_ref(), scale.as_ref())?;
    session.message_next(&study)
}

fn fit_own_runs(
    session: &Session<'_>,
    args: &FitArgs,
    mixtures: &Path,
    losses: &Path,
    out: &Path,
) -> Result<()> {
    let defaults = FitOptions::default();
    let options = FitOptions {
        folds: args.folds,
        repeats: args.repeats,
        seed: args.seed,
        regressors: args.regressors.clone().unwrap_or(defaults.regressors),
        unit: args.unit.clone(),
        keep_outliers: args.keep_outliers,
        ..FitOptions::default()
    };
    let earlier = earlier_section(args);
    let tables = [mixtures, losses];
    let into = (out, args.redo);
    let approximate = approximate_section(args);
    let beside = Beside {
        earlier: earlier.as_ref(),
        approximate: approximate.as_ref(),
        errors: args.errors.as_deref(),
    };
    let fit = fit_tables(tables, beside, options, into, session.display)?;
    let curve = match args.learning_curve {
        true => Some(measure_learning_curve(session, args, &fit, out)?),
        false => None,
    };
    print_fit(session, &fit, curve.as_ref(), None)
}

/// Runs from before the domains changed, if they were given.
fn earlier_section(args: &FitArgs) -> Option<EarlierSection> {
    Some(EarlierSection {
        mixtures: args.earlier_mixtures.clone()?,
        losses: args.earlier_losses.clone()?,
        split: args.split.iter().cloned().collect(),
    })
}

/// Approximate losses, if they were given.
fn approximate_section(args: &FitArgs) -> Option<ApproximateSection> {
    Some(ApproximateSection {
        mixtures: args.approximate_mixtures.clone()?,
        losses: args.approximate_losses.clone()?,
    })
}

/// The learning curve of a fit that is saved already.
fn measure_learning_curve(
    session: &Session<'_>,
    args: &FitArgs,
    fit: &Fit,
    out: &Path,
) -> Result<LearningCurve> {
    let defaults = LearningOptions::default();
    let options = LearningOptions {
        seed: args.seed,
        regressors: args.regressors.clone().unwrap_or(defaults.regressors),
        ..LearningOptions::default()
    };
    learning_curve(fit, &options, out, session.display).map_err(|e| match e {
        e if e.is_interrupted() => e.help(format!(
            "the fit is kept in {}; for its learning curve, add `--redo` to",
            out.display()
        )),
        e => e,
    })
}

fn print_fit(
    session: &Session<'_>,
    fit: &Fit,
    curve: Option<&LearningCurve>,
    scale: Option<&ScaleFit>,
) -> Result<()> {
    let league = fit.league().entries();
    let text = || {
        let mut text = match curve {
            None => show::league(fit),
            Some(curve) => show::fitted(fit, curve),
        };
        if let Some(scale) = scale {
            text.push_str(&format!("\nLaws of scale\n\n{}", show::scale_fit(scale)));
        }
        text
    };
    let noise = fit.measurement_noise();
    let approximate = fit.approximate();
    if curve.is_none() && scale.is_none() && noise.is_empty() && approximate.is_none() {
        return session.print_result(&league, text);
    }
    let mut both = json!({ "league": league });
    if let Some(approximate) = approximate {
        both["approximate"] = json!(approximate);
    }
    if !noise.is_empty() {
        both["noise"] = json!(noise);
    }
    if let Some(curve) = curve {
        both["learning"] = json!(curve.points());
    }
    if let Some(scale) = scale {
        both["scale"] = scale_json(scale);
    }
    session.print_result(&both, text)
}

fn scale_json(fit: &ScaleFit) -> serde_json::Value {
    json!({
        "laws": fit.laws(),
        "corrected": fit.is_corrected(),
        "regression": fit.regression(),
        "judged": fit.judged(),
        "trust": fit.trust(),
        "warnings": fit.warnings(),
    })
}

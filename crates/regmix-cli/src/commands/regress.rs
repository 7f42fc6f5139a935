//! Fitting, predicting and searching without a study.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use regmix_data::artefact::write_atomic;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, ErrorKind, Result};
use regmix_regress::search::SimulateOptions;
use regmix_regress::{
    Fit, FitOptions, LearningOptions, Method, NextOptions, Objective, RecommendOptions,
};
use regmix_study::config::{EarlierSection, ObjectiveFile};
use regmix_study::{
    earlier_runs, fit_watched, learning_watched, next_runs, optimize_file, pareto, predict_file,
    recommend_watched,
};

use super::{Session, show};
use crate::args::Search;

/// A fit of the user's own runs.
pub(super) struct Tables<'a> {
    pub(super) mixtures: &'a Path,
    pub(super) losses: &'a Path,
    pub(super) out: &'a Path,
    pub(super) regressors: Option<Vec<String>>,
    pub(super) folds: usize,
    pub(super) repeats: usize,
    pub(super) earlier: Option<EarlierSection>,
    pub(super) learning_curve: bool,
    pub(super) seed: u64,
    pub(super) redo: bool,
}

pub(super) fn fit_tables(session: &Session<'_>, tables: Tables<'_>) -> Result<ExitCode> {
    let observations = Observations::join(
        MixtureTable::read_csv(tables.mixtures)?,
        ValueTable::read_csv(tables.losses)?,
    )
    .map_err(|e| e.in_file(tables.losses))?;
    unclaimed(&tables.out.join("fit.json"), tables.redo)?;
    let mut options = FitOptions {
        folds: tables.folds,
        repeats: tables.repeats,
        seed: tables.seed,
        ..FitOptions::default()
    };
    let asked = tables.regressors;
    if let Some(regressors) = &asked {
        options.regressors.clone_from(regressors);
    }
    session.tell(&format!(
        "fitting {} runs, {} targets",
        observations.mixtures.len(),
        observations.values.targets().len()
    ));
    options.earlier = (tables.earlier.as_ref())
        .map(|earlier| earlier_runs(earlier, &observations, &session.display))
        .transpose()?;
    let fit = fit_watched(&observations, &options, &session.display)?;
    fit.save(tables.out)?;
    let curve = match tables.learning_curve {
        true => {
            let mut options = LearningOptions {
                seed: tables.seed,
                ..LearningOptions::default()
            };
            if let Some(regressors) = asked {
                options.regressors = regressors;
            }
            let curve = learning_watched(&fit, &options, &session.display)?;
            curve.write_csv(tables.out.join("learning.csv"))?;
            Some(curve)
        }
        false => None,
    };
    show::fitted(session, &fit, curve.as_ref())?;
    Ok(ExitCode::SUCCESS)
}

fn given_fit(session: &Session<'_>, fit: Option<&Path>) -> Result<Fit> {
    match fit {
        Some(folder) => Fit::load(folder),
        None => session.study()?.load_fit(),
    }
}

pub(super) fn predict_into(
    session: &Session<'_>,
    fit: Option<&Path>,
    mixtures: &Path,
    out: &Path,
    means_only: bool,
    redo: bool,
) -> Result<ExitCode> {
    unclaimed(out, redo)?;
    let fit = given_fit(session, fit)?;
    predict_file(&fit, mixtures, out, means_only, &session.display)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn predict(
    session: &Session<'_>,
    fit: Option<&Path>,
    mixtures: &Path,
) -> Result<ExitCode> {
    let fit = given_fit(session, fit)?;
    let table = MixtureTable::read_csv(mixtures)?;
    let predicted = fit
        .predict_table(&table)
        .map_err(|e| e.in_file_if_none(mixtures))?;
    let rows: Vec<BTreeMap<&str, serde_json::Value>> = (predicted.runs().iter())
        .zip(predicted.rows())
        .map(|(run, row)| {
            let values = predicted.targets().iter().zip(row);
            std::iter::once(("run", run.as_str().into()))
                .chain(values.map(|(target, &value)| (target.as_str(), value.into())))
                .collect()
        })
        .collect();
    session.result(&rows, || predicted.to_csv())?;
    Ok(ExitCode::SUCCESS)
}

/// A search apart from a study.
pub(super) struct Request<'a> {
    pub(super) fit: &'a Path,
    pub(super) objective: Option<&'a str>,
    /// Two objectives, and how many mixtures between them.
    pub(super) pareto: Option<(&'a [String; 2], usize)>,
    pub(super) prior: Option<&'a Path>,
    pub(super) method: Search,
    pub(super) out: &'a Path,
    pub(super) seed: u64,
    pub(super) redo: bool,
}

pub(super) fn optimize(session: &Session<'_>, request: &Request<'_>) -> Result<ExitCode> {
    let mut fit = Fit::load(request.fit)?;
    unclaimed(request.out, request.redo)?;
    if let Some(path) = request.prior {
        let table = MixtureTable::read_csv(path)?;
        fit = fit
            .with_natural(&table.mixtures()[0])
            .map_err(|e| e.in_file(path))?;
    }
    let options = RecommendOptions {
        method: match request.method {
            Search::Descend => Method::Descend,
            Search::Simulate => Method::Simulate,
        },
        seed: request.seed,
        simulate: SimulateOptions::default(),
        ..RecommendOptions::default()
    };
    if let Some((ends, points)) = request.pareto {
        return front(session, &fit, request, ends, points, options);
    }
    let found = match Goal::read(request.objective.unwrap_or("mean"))? {
        Goal::File(path, file) => optimize_file(&fit, &file, options, &session.display)
            .map_err(|e| e.in_file_if_none(path))?,
        Goal::Named(objective) => {
            let options = RecommendOptions {
                objective,
                ..options
            };
            recommend_watched(&fit, &options, &session.display)
                .map_err(|e| field_if_none(e, "--objective"))?
        }
    };
    found.save(request.out)?;
    session.result(&found, || show::mixture(&found))?;
    Ok(ExitCode::SUCCESS)
}

fn front(
    session: &Session<'_>,
    fit: &Fit,
    request: &Request<'_>,
    ends: &[String; 2],
    points: usize,
    options: RecommendOptions,
) -> Result<ExitCode> {
    let limits = match request.objective.map(Goal::read).transpose()? {
        None => None,
        Some(Goal::File(path, file)) => Some((path, file)),
        Some(Goal::Named(_)) => {
            return Err(Error::input(
                "both objectives are those of `--pareto`: expected a .toml file with limits",
            )
            .field("--objective")
            .help("leave `--objective` out, or give the limits in a file"));
        }
    };
    let objective = |text: &str| match Goal::read(text)? {
        Goal::Named(objective) => Ok(objective),
        Goal::File(path, file) => file.objective().map_err(|e| e.in_file_if_none(path)),
    };
    let [a, b] = [objective(&ends[0])?, objective(&ends[1])?];
    let file = limits.as_ref().map(|(_, file)| file);
    let found = pareto(fit, [&a, &b], points, file, options).map_err(|e| match &limits {
        Some((path, _)) if e.field_name().is_some() => e.in_file_if_none(path),
        _ => field_if_none(e, "--pareto"),
    })?;
    write_atomic(request.out, found.to_csv().as_bytes())?;
    session.result(&found, || show::front(&found))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn next(
    session: &Session<'_>,
    fit: &Path,
    objective: Option<&str>,
    out: &Path,
    options: NextOptions,
    redo: bool,
) -> Result<ExitCode> {
    let fit = Fit::load(fit)?;
    unclaimed(out, redo)?;
    let found = match Goal::read(objective.unwrap_or("mean"))? {
        Goal::File(path, file) => (file.objective())
            .and_then(|objective| next_runs(&fit, &objective, Some(&file), options))
            .map_err(|e| e.in_file_if_none(path))?,
        Goal::Named(objective) => next_runs(&fit, &objective, None, options)
            .map_err(|e| field_if_none(e, "--objective"))?,
    };
    let rows = found
        .iter()
        .map(|(run, n)| (run.clone(), n.mixture.clone()));
    MixtureTable::new(fit.domains().clone(), rows)?.write_csv(out)?;
    show::next(session, &found)?;
    Ok(ExitCode::SUCCESS)
}

/// What `--objective` names.
enum Goal<'a> {
    File(&'a Path, ObjectiveFile),
    Named(Objective),
}

impl<'a> Goal<'a> {
    fn read(text: &'a str) -> Result<Self> {
        if text.ends_with(".toml") {
            let path = Path::new(text);
            return Ok(Self::File(path, ObjectiveFile::load(path)?));
        }
        Ok(Self::Named(Objective::parse(text)))
    }
}

fn field_if_none(e: Error, field: &str) -> Error {
    match e.field_name() {
        Some(_) => e,
        None => e.field(field),
    }
}

/// Nothing is overwritten unless the user says so.
pub(super) fn unclaimed(path: &Path, redo: bool) -> Result<()> {
    if path.exists() && !redo {
        return Err(Error::new(ErrorKind::Stale, "it is there already")
            .in_file(path)
            .help("choose another place with `--out`, or overwrite it with `--redo`"));
    }
    Ok(())
}

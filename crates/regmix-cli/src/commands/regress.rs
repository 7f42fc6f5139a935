//! Fitting, predicting and searching without a study.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, ErrorKind, Result};
use regmix_regress::search::SimulateOptions;
use regmix_regress::{Fit, FitOptions, Method, Objective, RecommendOptions};
use regmix_study::config::ObjectiveFile;
use regmix_study::optimize_file;

use super::{Session, show};
use crate::args::Search;

pub(super) fn fit_tables(
    session: &Session<'_>,
    mixtures: &Path,
    losses: &Path,
    out: &Path,
    regressors: Option<Vec<String>>,
    seed: u64,
    redo: bool,
) -> Result<ExitCode> {
    let observations = Observations::join(
        MixtureTable::read_csv(mixtures)?,
        ValueTable::read_csv(losses)?,
    )
    .map_err(|e| e.in_file(losses))?;
    unclaimed(&out.join("fit.json"), redo)?;
    let mut options = FitOptions {
        seed,
        ..FitOptions::default()
    };
    if let Some(regressors) = regressors {
        options.regressors = regressors;
    }
    session.tell(&format!(
        "fitting {} runs, {} targets",
        observations.mixtures.len(),
        observations.values.targets().len()
    ));
    let fit = Fit::train(&observations, &options)?;
    fit.save(out)?;
    show::league(session, &fit)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn predict(
    session: &Session<'_>,
    fit: Option<&Path>,
    mixtures: &Path,
    out: Option<&Path>,
    redo: bool,
) -> Result<ExitCode> {
    if let Some(path) = out {
        unclaimed(path, redo)?;
    }
    let fit = match fit {
        Some(folder) => Fit::load(folder)?,
        None => session.study()?.load_fit()?,
    };
    let table = MixtureTable::read_csv(mixtures)?;
    let predicted = fit.predict_table(&table).map_err(|e| {
        if e.path().is_none() {
            e.in_file(mixtures)
        } else {
            e
        }
    })?;
    match out {
        Some(path) => predicted.write_csv(path)?,
        None => {
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
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A search apart from a study.
pub(super) struct Request<'a> {
    pub(super) fit: &'a Path,
    pub(super) objective: Option<&'a str>,
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
    let objective = request.objective.unwrap_or("mean");
    let found = if objective.ends_with(".toml") {
        let path = Path::new(objective);
        optimize_file(&fit, &ObjectiveFile::load(path)?, options).map_err(|e| {
            if e.path().is_none() {
                e.in_file(path)
            } else {
                e
            }
        })?
    } else {
        fit.recommend(&RecommendOptions {
            objective: Objective::parse(objective),
            ..options
        })
        .map_err(|e| {
            if e.field_name().is_none() {
                e.field("--objective")
            } else {
                e
            }
        })?
    };
    found.save(request.out)?;
    session.result(&found, || show::mixture(&found))?;
    Ok(ExitCode::SUCCESS)
}

/// Nothing is overwritten unless the user says so.
fn unclaimed(path: &Path, redo: bool) -> Result<()> {
    if path.exists() && !redo {
        return Err(Error::new(ErrorKind::Stale, "it is there already")
            .in_file(path)
            .help("choose another place with `--out`, or overwrite it with `--redo`"));
    }
    Ok(())
}

//! Further proxies: proposed from the fit of the finished ones, or chosen from a
//! table of mixtures.

use std::path::Path;

use regmix_data::artefact::write_atomic;
use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};
use regmix_model::RunStatus;
use regmix_regress::{NextOptions, NextRun, next_runs_monitored};

use super::{fit, limits};
use crate::config::check_runs;
use crate::files;
use crate::study::{Context, Study};
use crate::tables::{ChosenRun, choose_runs, number_runs};

/// Proposes further proxies and appends them to the design.
pub(crate) fn next_design(
    study: &Study,
    runs: usize,
    cx: Context<'_>,
) -> Result<Vec<(String, NextRun)>> {
    let path = study.path(files::DESIGN);
    let table = study.mixtures()?;
    let mut pending = 0;
    for run in table.runs() {
        let status = RunStatus::read(&study.path(files::PROXIES).join(run))?;
        if !matches!(status, RunStatus::Done(_) | RunStatus::Failed(_)) {
            pending += 1;
        }
    }
    if pending > 0 {
        return Err(Error::input(format!(
            "{pending} mixtures of the design are not trained yet: expected all, so that the \
             next ones can learn from them"
        ))
        .in_file(path)
        .help("run `regmix train` and `regmix fit --redo` first"));
    }
    files::FIT.require(study.root())?;
    let fit = fit::fit(study, Context { redo: false, ..cx })?;
    let config = study.config();
    let corpus = study.corpus()?;
    let options = NextOptions {
        runs,
        objective: config.goal()?,
        constraints: Some(limits::of_proxies(study, &corpus)?),
        seed: config.study.seed,
        ..NextOptions::default()
    };
    cx.monitor.message("choosing the next mixtures");
    let next = number_runs(&table, next_runs_monitored(&fit, &options, cx.monitor)?);
    let rows = (next.iter()).map(|(run, next)| (run.clone(), next.mixture.clone()));
    append(study, &MixtureTable::new(table.domains().clone(), rows)?)?;
    Ok(next)
}

/// Chooses further proxies from a table of mixtures and appends them to the
/// design, whose mixtures count as run.
pub(crate) fn add_from_pool(
    study: &Study,
    pool: &Path,
    runs: usize,
    cx: Context<'_>,
) -> Result<Vec<ChosenRun>> {
    let table = study.mixtures()?;
    let given = MixtureTable::read_csv(pool)?;
    given
        .notes()
        .iter()
        .for_each(|note| cx.monitor.message(note));
    let given = (given.reordered(table.domains())).map_err(|e| e.in_file_if_none(pool))?;
    let chosen = choose_runs(&given, Some(&table), runs).map_err(|e| e.in_file_if_none(pool))?;
    let rows = (chosen.iter()).map(|c| (c.run.clone(), c.mixture.clone()));
    let rows = MixtureTable::new(table.domains().clone(), rows)?;
    check_runs(&rows).map_err(|e| e.in_file(pool))?;
    append(study, &rows)?;
    Ok(chosen)
}

/// Appends mixtures to the design, in the layout of the file. Its lines stay the same
/// to the byte: weights that are read and written again can change by rounding, and
/// finished runs would then belong to other mixtures.
fn append(study: &Study, rows: &MixtureTable) -> Result<()> {
    let path = study.path(files::DESIGN);
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
    write_atomic(&path, rows.append_to_csv(&text, &path)?.as_bytes())
}

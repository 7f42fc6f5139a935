//! The losses of finished runs.

use std::path::Path;

use regmix_data::{Error, ErrorKind, Result, TokenCorpus};
use regmix_dynamic::{Point, Trajectories};
use regmix_model::{FinishedRun, RunStatus, stored_spec};

use crate::files;
use crate::stamp::remade_by;
use crate::study::Study;

/// Reads the metrics of all finished proxies into `trajectories.csv`.
pub(crate) fn collect_trajectories(study: &Study, corpus: &TokenCorpus) -> Result<Trajectories> {
    require_text_share(study)?;
    let mixtures = study.mixtures()?;
    let table = read_runs(&study.path(files::PROXIES), mixtures.runs(), corpus)?;
    table.write_csv(study.path(files::TRAJECTORIES))?;
    Ok(table)
}

/// The share of every domain that the proxies read, if one was started.
pub(crate) fn text_share_of_proxies(study: &Study) -> Result<Option<Option<f64>>> {
    for run in study.mixtures()?.runs() {
        let folder = study.path(files::PROXIES).join(run);
        let spec = stored_spec(&folder);
        if let Some(spec) = spec.map_err(|e| remade_by(files::trained_by(&folder), e))? {
            return Ok(Some(spec.text_share));
        }
    }
    Ok(None)
}

/// Checks that the proxies repeat text as the target of `study.toml` does. Its tokens
/// may be changed after the proxies were trained, for any step that follows.
///
/// # Errors
/// `Stale` when they read another share of the text.
pub(crate) fn require_text_share(study: &Study) -> Result<()> {
    let config = study.config();
    let wanted = config.text_share(&config.proxy)?;
    let of = |share: Option<f64>| match share {
        Some(share) => format!("1/{:.1}", 1.0 / share),
        None => "all".to_owned(),
    };
    match text_share_of_proxies(study)? {
        Some(read) if read != wanted => Err(Error::new(
            ErrorKind::Stale,
            format!(
                "the proxies read {} of every domain, and `match_epochs` and the tokens of the \
                 target now ask for {}",
                of(read),
                of(wanted)
            ),
        )
        .in_file(study.path(files::PROXIES))
        .help(
            "put `proxy.match_epochs`, `constraints.target_tokens` and [target] back, or train \
             again: `regmix train --redo`",
        )),
        _ => Ok(()),
    }
}

/// The metrics of those runs in a folder that are finished.
pub(super) fn read_runs(
    folder: &Path,
    runs: &[String],
    corpus: &TokenCorpus,
) -> Result<Trajectories> {
    let table = read_finished(folder, runs, corpus)?;
    match table.is_empty() {
        true => none_finished(folder, runs),
        false => Ok(table),
    }
}

/// The error where none of the runs of a folder is finished.
pub(super) fn none_finished<T>(folder: &Path, runs: &[String]) -> Result<T> {
    const NAMED: usize = 3;
    let mut failed = Vec::new();
    for run in runs {
        if let Ok(RunStatus::Failed(reason)) = RunStatus::read(&folder.join(run)) {
            failed.push(format!("{run}: {reason}"));
        }
    }
    if failed.is_empty() {
        return Err(Error::input("no proxy is finished")
            .in_file(folder)
            .help("run `regmix train` first"));
    }
    let more = match failed.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let problem = format!(
        "no proxy is finished, and {} of {} failed ({}{more})",
        failed.len(),
        runs.len(),
        failed[..failed.len().min(NAMED)].join("; ")
    );
    Err(Error::failed(problem).in_file(folder).help(
        "remove the cause, then `regmix retry --failed` and `regmix train`; after a change of the \
         configuration, `regmix train --redo`",
    ))
}

/// The metrics of the finished proxies, if there are any.
pub(super) fn finished_proxies(study: &Study, corpus: &TokenCorpus) -> Result<Trajectories> {
    read_finished(
        &study.path(files::PROXIES),
        study.mixtures()?.runs(),
        corpus,
    )
}

/// The metrics of those runs in a folder that are finished; empty where none is.
pub(super) fn read_finished(
    folder: &Path,
    runs: &[String],
    corpus: &TokenCorpus,
) -> Result<Trajectories> {
    let mut table = Trajectories::new(corpus.domains().clone());
    for run in runs {
        let folder = folder.join(run);
        let finished = FinishedRun::read(&folder);
        if let Some(finished) = finished.map_err(|e| remade_by(files::trained_by(&folder), e))? {
            let points = points(&finished, corpus);
            table.push(
                run.clone(),
                points.map_err(|e| e.in_file(folder.join(files::METRICS)))?,
            )?;
        }
    }
    Ok(table)
}

/// The losses of a finished run at its end, in the order of the domains.
pub(super) fn final_losses(run: &FinishedRun, corpus: &TokenCorpus) -> Result<Vec<f64>> {
    let last = points(run, corpus)?.pop();
    Ok(last.map(|point| point.loss).unwrap_or_default())
}

/// The losses of a run along training; at step 0 those of the model it started from, if
/// it started from one.
fn points(run: &FinishedRun, corpus: &TokenCorpus) -> Result<Vec<Point>> {
    let before = run.before.iter().map(|loss| (0, 0, loss));
    let lines = run.lines.iter();
    let lines = lines.map(|line| (line.step, line.tokens, &line.loss));
    before
        .chain(lines)
        .map(|(step, tokens, losses)| {
            let loss = corpus
                .domains()
                .names()
                .map(|domain| {
                    losses.get(domain).copied().ok_or_else(|| {
                        Error::input(format!("no loss of domain `{domain}` at step {step}"))
                            .help("the corpus changed after this run: `regmix train --redo`")
                    })
                })
                .collect::<Result<Vec<f64>>>()?;
            Ok(Point { step, tokens, loss })
        })
        .collect()
}

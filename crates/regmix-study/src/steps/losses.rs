//! The losses of finished runs.

use std::path::Path;

use regmix_data::{Error, Result, TokenCorpus};
use regmix_dynamic::{Point, Trajectories};
use regmix_model::FinishedRun;
use regmix_model::metrics::Line;

use crate::files;
use crate::study::Study;

/// Reads the metrics of all finished proxies into `trajectories.csv`.
pub(crate) fn collect_trajectories(study: &Study, corpus: &TokenCorpus) -> Result<Trajectories> {
    let table = read_trajectories(study, corpus)?;
    table.write_csv(study.path(files::TRAJECTORIES))?;
    Ok(table)
}

/// The metrics of all finished proxies.
pub(super) fn read_trajectories(study: &Study, corpus: &TokenCorpus) -> Result<Trajectories> {
    read_runs(
        &study.path(files::PROXIES),
        study.mixtures()?.runs(),
        corpus,
    )
}

/// The metrics of those runs in a folder that are finished.
pub(super) fn read_runs(
    folder: &Path,
    runs: &[String],
    corpus: &TokenCorpus,
) -> Result<Trajectories> {
    let mut table = Trajectories::new(corpus.domains().clone());
    for run in runs {
        let folder = folder.join(run);
        if let Some(finished) = FinishedRun::read(&folder)? {
            let points = points(&finished.lines, corpus);
            table.push(
                run.clone(),
                points.map_err(|e| e.in_file(folder.join(files::METRICS)))?,
            )?;
        }
    }
    if table.is_empty() {
        return Err(Error::input("no proxy is finished")
            .in_file(folder)
            .help("run `regmix train` first"));
    }
    Ok(table)
}

fn points(lines: &[Line], corpus: &TokenCorpus) -> Result<Vec<Point>> {
    lines
        .iter()
        .map(|line| {
            let loss = corpus
                .domains()
                .names()
                .map(|domain| {
                    line.loss.get(domain).copied().ok_or_else(|| {
                        Error::input(format!(
                            "no loss of domain `{domain}` at step {}",
                            line.step
                        ))
                        .help("the corpus changed after this run: `regmix train --redo`")
                    })
                })
                .collect::<Result<Vec<f64>>>()?;
            Ok(Point {
                step: line.step,
                tokens: line.tokens,
                loss,
            })
        })
        .collect()
}

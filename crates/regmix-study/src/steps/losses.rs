//! The losses of finished runs.

use std::path::Path;

use regmix_data::{Error, Result, TokenCorpus};
use regmix_dynamic::{Point, Trajectories};
use regmix_model::{RunStatus, metrics};

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
        if matches!(RunStatus::read(&folder)?, RunStatus::Done(_)) {
            table.push(run.clone(), points(&folder, corpus)?)?;
        }
    }
    if table.is_empty() {
        return Err(Error::input("no proxy is finished")
            .in_file(folder)
            .help("run `regmix train` first"));
    }
    Ok(table)
}

fn points(folder: &Path, corpus: &TokenCorpus) -> Result<Vec<Point>> {
    let path = folder.join(files::METRICS);
    let lines = metrics::read(&path)?;
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
                        .in_file(&path)
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

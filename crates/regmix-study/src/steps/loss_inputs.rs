//! Which files the losses of a study come from.

use std::path::{Path, PathBuf};

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result, TokenCorpus};

use super::second_size;
use crate::files;
use crate::progress::Inputs;
use crate::stamp::digest;
use crate::study::Study;

/// What digests of the losses of all proxies, and of the second size, are made from.
pub(super) fn loss_inputs(
    study: &Study,
    design: &MixtureTable,
    corpus: &TokenCorpus,
) -> Result<Inputs> {
    // Runs that cannot be planned are reported where they are needed.
    let second = second_size::runs(study, design).unwrap_or_default();
    let of = |below, runs: &[String]| -> Vec<PathBuf> {
        runs.iter().map(|run| Path::new(below).join(run)).collect()
    };
    let proxies = of(files::PROXIES, design.runs());
    let segments = match study.path(files::SEGMENTS) {
        path if path.exists() => digest(std::fs::read(&path).map_err(|e| Error::io(path, e))?),
        _ => String::new(),
    };
    Ok(Inputs {
        runs: [proxies, of(files::SECOND_SIZE, &second)].concat(),
        besides: [
            digest(design.to_csv()),
            segments,
            corpus.fingerprint().to_owned(),
        ]
        .join(" "),
    })
}

//! Which files the losses of a study come from.

use std::path::{Path, PathBuf};

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result, TokenCorpus};

use super::sizes;
use crate::files;
use crate::progress::Inputs;
use crate::stamp::digest;
use crate::study::Study;

/// What digests of the losses of all proxies, those of other sizes included, are made
/// from.
pub(super) fn loss_inputs(
    study: &Study,
    design: &MixtureTable,
    corpus: &TokenCorpus,
) -> Result<Inputs> {
    // Runs that cannot be planned are reported where they are needed.
    let sizes = sizes::planned(study, design).unwrap_or_default();
    let of_sizes = sizes.iter().flat_map(sizes::PlannedSize::folders).collect();
    let proxies: Vec<PathBuf> = (design.runs().iter())
        .map(|run| Path::new(files::PROXIES).join(run))
        .collect();
    let segments = match study.path(files::SEGMENTS) {
        path if path.exists() => digest(std::fs::read(&path).map_err(|e| Error::io(path, e))?),
        _ => String::new(),
    };
    Ok(Inputs {
        runs: [proxies, of_sizes].concat(),
        besides: [
            digest(design.to_csv()),
            segments,
            corpus.fingerprint().to_owned(),
        ]
        .join(" "),
    })
}

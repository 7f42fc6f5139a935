//! Whether what a step reads is still what study.toml and the steps before give.

use regmix_data::{Monitor, Result};

use super::{design, fit, optimize, planned, tokenize};
use crate::files;
use crate::study::Study;

/// The last part that a step reads. It is made from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reads {
    Corpus,
    Design,
    Fit,
    Mixture,
}

/// Checks all parts that a step reads. Those that are missing or were not
/// finished are left to the step, which names what makes them.
///
/// # Errors
/// `Stale` for the first part that was made from other inputs; it names what
/// changed and the command that makes the part again. Also when a file is
/// damaged, or `monitor` requests a stop.
pub(crate) fn require_current(study: &Study, reads: Reads, monitor: &dyn Monitor) -> Result<()> {
    let root = study.root();
    if files::CORPUS.require(root).is_err() {
        return Ok(());
    }
    tokenize::require_current(study, monitor)?;
    if reads == Reads::Corpus || files::DESIGN.require(root).is_err() {
        return Ok(());
    }
    let corpus = study.corpus()?;
    design::stamp(study, &corpus)?.is_fresh(false)?;
    if reads == Reads::Design || files::FIT.require(root).is_err() {
        return Ok(());
    }
    planned::require_current(study, &corpus)?;
    if let Some(changes) = fit::staleness(study, &corpus, None)? {
        return Err(files::FIT.stamp(root).stale(&changes));
    }
    if reads == Reads::Fit || files::MIXTURE.require(root).is_err() {
        return Ok(());
    }
    optimize::stamp(study, &corpus)?.is_fresh(false).map(|_| ())
}

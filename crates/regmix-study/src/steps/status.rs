//! What is finished in a study, what is stale, and what comes next.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::manifest::Manifest;
use regmix_data::table::MixtureTable;
use regmix_data::{Monitor, Result};
use regmix_model::RunStatus;
use serde::Serialize;

use super::{design, fit, optimize, schedule, second_size, tokenize};
use crate::files;
use crate::stamp::remade_by;
use crate::study::Study;

/// Runs by how far they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RunCounts {
    /// Planned.
    pub planned: usize,
    /// Finished.
    pub done: usize,
    /// Started and not finished.
    pub started: usize,
    /// Ended without a result.
    pub failed: usize,
}

/// What is done and what comes next.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Domains of the tokenized corpus.
    pub domains: Option<usize>,
    /// Training tokens of the corpus.
    pub tokens: Option<u64>,
    /// The proxies.
    pub proxies: RunCounts,
    /// Proxies of the second size.
    pub second: RunCounts,
    /// Whether there is a fit.
    pub fitted: bool,
    /// Whether there is a mixture.
    pub optimized: bool,
    /// Whether there is a schedule.
    pub scheduled: bool,
    /// Whether the check asks for one.
    pub wants_schedule: bool,
    /// The targets.
    pub targets: RunCounts,
    /// Whether the check is written.
    pub checked: bool,
    /// Whether the report is written.
    pub reported: bool,
    /// What changed since a finished part was made, by part: `corpus`,
    /// `design`, `fit`, `mixture`, `schedule`.
    pub stale: BTreeMap<&'static str, String>,
    /// The command that comes next, if any.
    pub next: Option<String>,
}

/// Reads from the files of the study what is finished.
pub(crate) fn status(study: &Study, monitor: &dyn Monitor) -> Result<Status> {
    let exists = |file: &dyn AsRef<Path>| study.path(file).exists();
    let manifest = match exists(&files::CORPUS) {
        true => Some(
            Manifest::load(study.path(files::CORPUS_FOLDER))
                .map_err(|e| remade_by("tokenize", e))?,
        ),
        false => None,
    };
    let design = study.path(files::DESIGN);
    let (mut proxies, mut second) = (RunCounts::default(), RunCounts::default());
    if design.exists() {
        let mixtures = MixtureTable::read_csv(design).map_err(|e| remade_by("design", e))?;
        proxies = proxy_counts(study, &mixtures)?;
        for run in second_size::runs(study, &mixtures)? {
            second.count(&study.path(files::SECOND_SIZE).join(run))?;
        }
    }
    let mut targets = RunCounts::default();
    let check = &study.config().check;
    for arm in check.arms() {
        for k in 1..=check.seeds {
            let run = files::target_run(arm, k);
            targets.count(&study.path(files::TARGETS).join(run))?;
        }
    }
    let mut status = Status {
        domains: manifest.as_ref().map(|m| m.domains.len()),
        tokens: manifest.map(|m| m.domains.iter().map(|d| d.train.tokens).sum()),
        proxies,
        second,
        fitted: exists(&files::FIT),
        optimized: exists(&files::MIXTURE),
        scheduled: exists(&files::SCHEDULE),
        wants_schedule: !check.schedules.is_empty(),
        targets,
        checked: exists(&files::CHECK),
        reported: exists(&files::REPORT),
        stale: stale_parts(study, monitor)?,
        next: None,
    };
    status.next = status.next_step().map(|step| format!("regmix {step}"));
    Ok(status)
}

/// How far the proxies of a design are.
pub(crate) fn proxy_counts(study: &Study, mixtures: &MixtureTable) -> Result<RunCounts> {
    let mut counts = RunCounts::default();
    for run in mixtures.runs() {
        counts.count(&study.path(files::PROXIES).join(run))?;
    }
    Ok(counts)
}

/// What changed since each finished part was made. The parts after a stale one
/// are not examined: they are made again after it.
pub(super) fn stale_parts(
    study: &Study,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<&'static str, String>> {
    let one = |part, changes: Option<String>| changes.map(|c| BTreeMap::from([(part, c)]));
    let none = Ok(BTreeMap::new());
    if !study.path(files::CORPUS).exists() {
        return none;
    }
    if let Some(stale) = one("corpus", tokenize::staleness(study, monitor)?) {
        return Ok(stale);
    }
    let corpus = study.corpus()?;
    if let Some(stale) = one("design", design::stamp(study, &corpus)?.staleness()?) {
        return Ok(stale);
    }
    let mut stale = one("schedule", schedule::staleness(study, &corpus)?).unwrap_or_default();
    if !study.path(files::FIT).exists() {
        return Ok(stale);
    }
    if let Some(fit) = one("fit", fit::staleness(study, &corpus)?) {
        stale.extend(fit);
        return Ok(stale);
    }
    let changes = optimize::stamp(study, &corpus)?.staleness()?;
    stale.extend(one("mixture", changes).unwrap_or_default());
    Ok(stale)
}

impl Status {
    fn next_step(&self) -> Option<&'static str> {
        let (p, s) = (self.proxies, self.second);
        let stale = |part| self.stale.contains_key(part);
        Some(match () {
            () if stale("corpus") => "tokenize --redo",
            () if stale("design") => "design --redo",
            () if self.domains.is_none() => "tokenize",
            () if p.planned == 0 => "design",
            () if p.done + p.failed < p.planned || s.done + s.failed < s.planned => "train",
            () if stale("fit") => "fit --redo",
            () if !self.fitted => "fit",
            () if stale("mixture") => "optimize --redo",
            () if !self.optimized => "optimize",
            () if stale("schedule") => "schedule --redo",
            () if self.wants_schedule && !self.scheduled => "schedule",
            () if !self.checked => "target",
            () if !self.reported => "report",
            () => return None,
        })
    }
}

impl RunCounts {
    fn count(&mut self, folder: &Path) -> Result<()> {
        self.planned += 1;
        let status = RunStatus::read(folder);
        match status.map_err(|e| remade_by(files::trained_by(folder), e))? {
            RunStatus::New => {}
            RunStatus::Started => self.started += 1,
            RunStatus::Done(_) => self.done += 1,
            RunStatus::Failed(_) => self.failed += 1,
        }
        Ok(())
    }
}

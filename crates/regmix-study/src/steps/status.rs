//! Where a study stands.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::Result;
use regmix_data::manifest::Manifest;
use regmix_data::table::MixtureTable;
use regmix_model::RunStatus;
use serde::Serialize;

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

impl Study {
    /// Looks at the files of the study.
    ///
    /// # Errors
    /// When a file is there but damaged.
    pub fn status(&self) -> Result<Status> {
        let manifest = self.path("corpus/manifest.json");
        let manifest = match manifest.exists() {
            true => Some(Manifest::load(self.path("corpus"))?),
            false => None,
        };
        let design = self.path("design/mixtures.csv");
        let (mut proxies, mut second) = (RunCounts::default(), RunCounts::default());
        if design.exists() {
            let mixtures = MixtureTable::read_csv(design)?;
            for run in mixtures.runs() {
                proxies.count(&self.path("runs").join(run))?;
            }
            for run in self.second_runs(&mixtures)? {
                second.count(&self.path("second").join(run))?;
            }
        }
        let mut targets = RunCounts::default();
        let check = &self.config().check;
        let others = check.against.iter().map(String::as_str);
        let schedules = check.schedules.iter().map(|mode| mode.name());
        let named = check.others.keys().map(String::as_str);
        let arms = ["found"]
            .into_iter()
            .chain(others)
            .chain(schedules)
            .chain(named);
        for name in arms {
            for k in 1..=check.seeds {
                targets.count(&self.path("targets").join(format!("{name}-seed{k}")))?;
            }
        }
        let mut status = Status {
            domains: manifest.as_ref().map(|m| m.domains.len()),
            tokens: manifest.map(|m| m.domains.iter().map(|d| d.train.tokens).sum()),
            proxies,
            second,
            fitted: self.path("fit/fit.json").exists(),
            optimized: self.path("mixture.json").exists(),
            scheduled: self.path("schedule.json").exists(),
            wants_schedule: !check.schedules.is_empty(),
            targets,
            checked: self.path("check.json").exists(),
            reported: self.path("report.html").exists(),
            stale: self.stale_parts()?,
            next: None,
        };
        status.next = status.next_step().map(|step| format!("regmix {step}"));
        Ok(status)
    }

    /// What changed since each finished part was made. A part that another
    /// stale part stands before is not looked at: it is made again after it.
    fn stale_parts(&self) -> Result<BTreeMap<&'static str, String>> {
        let one = |part, changes: Option<String>| changes.map(|c| BTreeMap::from([(part, c)]));
        let none = Ok(BTreeMap::new());
        if !self.path("corpus/manifest.json").exists() {
            return none;
        }
        if let Some(stale) = one("corpus", self.corpus_staleness()?) {
            return Ok(stale);
        }
        let corpus = self.corpus()?;
        let design = self.path("design/mixtures.csv");
        if let Some(stale) = one("design", self.design_stamp(&corpus)?.staleness(&design)?) {
            return Ok(stale);
        }
        let mut stale = one("schedule", self.schedule_staleness(&corpus)?).unwrap_or_default();
        if !self.path("fit/fit.json").exists() {
            return Ok(stale);
        }
        if let Some(fit) = one("fit", self.fit_staleness(&corpus)?) {
            stale.extend(fit);
            return Ok(stale);
        }
        let mixture = self.path("mixture.json");
        let changes = self.mixture_stamp(&corpus)?.staleness(&mixture)?;
        stale.extend(one("mixture", changes).unwrap_or_default());
        Ok(stale)
    }
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
        match RunStatus::read(folder)? {
            RunStatus::New => {}
            RunStatus::Started => self.started += 1,
            RunStatus::Done(_) => self.done += 1,
            RunStatus::Failed(_) => self.failed += 1,
        }
        Ok(())
    }
}

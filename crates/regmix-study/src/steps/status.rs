//! What is finished in a study, what is stale, and what comes next.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::manifest::Manifest;
use regmix_data::table::MixtureTable;
use regmix_data::{Monitor, Result};
use serde::Serialize;

use super::scores::Questions;
use super::{design, experts, fit, losses, optimize, scale, schedule, sizes, tokenize};
use crate::files;
use crate::progress::{Index, Inputs, Pace, RunRow, RunState};
use crate::stamp::remade_by;
use crate::study::{Study, read_design};

/// Runs by how far they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RunCounts {
    /// Planned.
    pub planned: usize,
    /// Finished.
    pub done: usize,
    /// Started and not finished, whether a process trains them or not.
    pub started: usize,
    /// Of these, those that a process trains.
    pub running: usize,
    /// Of these, those whose process has given no sign of life for long.
    pub stale: usize,
    /// Ended without a result.
    pub failed: usize,
}

/// How far the proxies of another size are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizeStatus {
    /// Its name in `study.toml`.
    pub name: String,
    /// Parameters of a model.
    pub parameters: u64,
    /// Tokens of a run.
    pub tokens: u64,
    /// What all runs cost in floating-point operations, by what the proxies cost.
    pub cost: f64,
    /// Its runs.
    pub runs: RunCounts,
}

/// How far the experts of the fit are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExpertStatus {
    /// The models of single domains.
    pub runs: RunCounts,
    /// Whether their predictions are mixed.
    pub mixed: bool,
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
    /// How many finished proxies were asked all questions of `[eval]`, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<usize>,
    /// The share of every domain that proxies read, where they repeat text as the
    /// target will.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_share: Option<f64>,
    /// The other sizes of proxies, the cheapest run first.
    pub sizes: Vec<SizeStatus>,
    /// The experts of the fit, where `fit.experts` asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experts: Option<ExpertStatus>,
    /// Whether there is a fit.
    pub fitted: bool,
    /// Whether laws of scale are fitted.
    pub scale_fitted: bool,
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
    /// `design`, `fit`, `mixture`, `scale`, `schedule`.
    pub stale: BTreeMap<&'static str, String>,
    /// The command that comes next, if any.
    pub next: Option<String>,
    /// How fast the runs of each section go that are being trained: `proxies`,
    /// `sizes`, `experts`, `targets`.
    pub pace: BTreeMap<&'static str, Pace>,
    /// Every planned run.
    pub runs: Vec<RunRow>,
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
    let index = Index::open(study.root());
    let runs = runs(study, &index)?;
    let counts = |section: &str| RunCounts::of(runs.iter().filter(|r| r.section == section));
    let stale = stale_parts(study, Some(&index), monitor)?;
    let asked = asked(study, &runs, &index)?;
    index.save(runs.iter().map(|row| row.folder.as_path()));
    // That of the runs, where there are some: `study.toml` may have changed since.
    let text_share = match exists(&files::DESIGN) {
        true => losses::text_share_of_proxies(study).ok().flatten(),
        false => None,
    };
    let config = study.config();
    let text_share = text_share.map_or_else(|| config.text_share(&config.proxy), Ok)?;
    let check = &config.check;
    let mut status = Status {
        domains: manifest.as_ref().map(|m| m.domains.len()),
        tokens: manifest.map(|m| m.domains.iter().map(|d| d.train.tokens).sum()),
        proxies: counts(PROXIES),
        asked,
        text_share,
        sizes: size_status(study, &runs)?,
        experts: expert_status(study, counts(EXPERTS))?,
        fitted: exists(&files::FIT),
        scale_fitted: exists(&files::SCALE),
        optimized: exists(&files::MIXTURE),
        scheduled: exists(&files::SCHEDULE),
        wants_schedule: check.schedules.iter().any(|mode| mode.is_planned()),
        targets: counts(TARGETS),
        checked: exists(&files::CHECK),
        reported: exists(&files::REPORT),
        stale,
        next: None,
        pace: pace(&runs),
        runs,
    };
    status.next = status.next_step().map(|step| format!("regmix {step}"));
    Ok(status)
}

/// How many finished proxies were asked all questions.
fn asked(study: &Study, runs: &[RunRow], index: &Index) -> Result<Option<usize>> {
    if study.config().eval.is_none() || !study.path(files::CORPUS).exists() {
        return Ok(None);
    }
    let Some(questions) = Questions::of(study, &study.corpus()?)? else {
        return Ok(None);
    };
    let done = (runs.iter()).filter(|r| r.section == PROXIES && r.state == RunState::Done);
    let inputs = Inputs {
        runs: done.map(|row| row.folder.clone()).collect(),
        besides: questions.digest(),
    };
    let folders = inputs.runs.iter().map(|folder| study.path(folder));
    let count = || questions.count(folders);
    index.digests("asked", &inputs, count).map(Some)
}

/// How far the proxies of a study are.
pub(crate) fn proxy_counts(study: &Study) -> Result<RunCounts> {
    let index = Index::open(study.root());
    let rows = proxies(&index, &study.mixtures()?)?;
    Ok(RunCounts::of(&rows))
}

/// The names of the sections of runs.
const PROXIES: &str = "proxies";
const SIZES: &str = "sizes";
const EXPERTS: &str = "experts";
const TARGETS: &str = "targets";

/// Every planned run of a study.
pub(crate) fn runs(study: &Study, index: &Index) -> Result<Vec<RunRow>> {
    let mut rows = Vec::new();
    let design = study.path(files::DESIGN);
    if design.exists() {
        let mixtures =
            read_design(&design).map_err(|e| match files::DESIGN.is_users_own(study.root()) {
                true => e,
                false => remade_by("design", e),
            })?;
        rows = proxies(index, &mixtures)?;
        for planned in sizes::planned(study, &mixtures)? {
            let config = format!("{}.model", planned.size.section);
            for folder in planned.folders() {
                rows.push(RunRow::read(index, &folder, SIZES, &config)?);
            }
        }
    }
    if study.config().fit.experts && design.exists() {
        for folder in experts::folders(study.corpus()?.domains().len()) {
            rows.push(RunRow::read(index, &folder, EXPERTS, "proxy")?);
        }
    }
    let check = &study.config().check;
    for arm in check.arms() {
        for k in 1..=check.seeds {
            let folder = Path::new(files::TARGETS).join(files::target_run(arm, k));
            rows.push(RunRow::read(index, &folder, TARGETS, "target")?);
        }
    }
    Ok(rows)
}

/// How far each of the other sizes is.
fn size_status(study: &Study, rows: &[RunRow]) -> Result<Vec<SizeStatus>> {
    let design = study.path(files::DESIGN);
    if !design.exists() {
        return Ok(Vec::new());
    }
    let mixtures = MixtureTable::read_csv(design).map_err(|e| remade_by("design", e))?;
    let planned = sizes::planned(study, &mixtures)?;
    let of = |p: &sizes::PlannedSize<'_>| {
        let own = (rows.iter()).filter(|r| r.folder.parent() == Some(&p.size.folder));
        SizeStatus {
            name: p.size.name.to_owned(),
            parameters: p.parameters,
            tokens: p.tokens,
            cost: p.cost,
            runs: RunCounts::of(own),
        }
    };
    Ok(planned.iter().map(of).collect())
}

/// How far the experts are, where there are some.
fn expert_status(study: &Study, runs: RunCounts) -> Result<Option<ExpertStatus>> {
    if runs.planned == 0 {
        return Ok(None);
    }
    let mixed = experts::are_mixed(study, &study.corpus()?)?;
    Ok(Some(ExpertStatus { runs, mixed }))
}

fn pace(runs: &[RunRow]) -> BTreeMap<&'static str, Pace> {
    let of = |section| Pace::of(runs.iter().filter(move |run| run.section == section));
    ([PROXIES, SIZES, EXPERTS, TARGETS].into_iter())
        .filter_map(|section| Some((section, of(section)?)))
        .collect()
}

fn proxies(index: &Index, mixtures: &MixtureTable) -> Result<Vec<RunRow>> {
    let folder = |run: &String| Path::new(files::PROXIES).join(run);
    (mixtures.runs().iter())
        .map(|run| RunRow::read(index, &folder(run), PROXIES, "proxy"))
        .collect()
}

/// What changed since each finished part was made. The parts after a stale one
/// are not examined: they are made again after it.
///
/// With an index, losses of runs whose files are as they were are not read again.
pub(super) fn stale_parts(
    study: &Study,
    index: Option<&Index>,
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
    let mut stale =
        one("schedule", schedule::staleness(study, &corpus, index)?).unwrap_or_default();
    if !study.path(files::FIT).exists() {
        return Ok(stale);
    }
    if let Some(fit) = one("fit", fit::staleness(study, &corpus, index)?) {
        stale.extend(fit);
        return Ok(stale);
    }
    let changes = optimize::stamp(study, &corpus)?.staleness()?;
    stale.extend(one("mixture", changes).unwrap_or_default());
    let changes = scale::staleness(study, &corpus)?;
    stale.extend(one("scale", changes).unwrap_or_default());
    Ok(stale)
}

impl Status {
    /// The runs of all other sizes.
    pub fn of_sizes(&self) -> RunCounts {
        let mut sum = RunCounts::default();
        for RunCounts {
            planned,
            done,
            started,
            running,
            stale,
            failed,
        } in self.sizes.iter().map(|s| s.runs)
        {
            sum.planned += planned;
            sum.done += done;
            sum.started += started;
            sum.running += running;
            sum.stale += stale;
            sum.failed += failed;
        }
        sum
    }

    /// How many finished proxies were not asked all questions.
    pub fn left_to_ask(&self) -> usize {
        let asked = self.asked.unwrap_or(self.proxies.done);
        self.proxies.done.saturating_sub(asked)
    }

    fn next_step(&self) -> Option<&'static str> {
        let p = self.proxies;
        let left = |c: RunCounts| c.done + c.failed < c.planned;
        let stale = |part| self.stale.contains_key(part);
        Some(match () {
            () if stale("corpus") => "tokenize --redo",
            () if stale("design") => "design --redo",
            () if self.domains.is_none() => "tokenize",
            () if p.planned == 0 => "design",
            () if left(p) || self.sizes.iter().any(|s| left(s.runs)) => "train",
            () if self.left_to_ask() > 0 => "train",
            () if self
                .experts
                .is_some_and(|e| left(e.runs) || (!e.mixed && e.runs.failed == 0)) =>
            {
                "train"
            }
            () if stale("fit") || stale("scale") => "fit --redo",
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
    fn of<'a>(rows: impl IntoIterator<Item = &'a RunRow>) -> Self {
        let mut counts = Self::default();
        for row in rows {
            counts.planned += 1;
            match row.state {
                RunState::Waiting => {}
                RunState::Done => counts.done += 1,
                RunState::Failed => counts.failed += 1,
                RunState::Stopped => counts.started += 1,
                RunState::Running => {
                    counts.started += 1;
                    counts.running += 1;
                }
                RunState::Stale => {
                    counts.started += 1;
                    counts.stale += 1;
                }
            }
        }
        counts
    }
}

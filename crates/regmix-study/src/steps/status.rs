//! What is finished in a study, what is stale, and what comes next.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regmix_data::manifest::Manifest;
use regmix_data::table::MixtureTable;
use regmix_data::{Monitor, Result, TokenCorpus};
use serde::Serialize;

use super::clean::folders_in;
use super::planned::{self, Plan};
use super::scores::Questions;
use super::verdicts::Verdicts;
use super::{design, experts, fit, losses, optimize, scale, schedule, sizes, tokenize};
use crate::files;
use crate::progress::{Index, Inputs, Pace, RunRow, RunState};
use crate::stamp::{is_aside, remade_by};
use crate::study::Study;

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
    /// Finished, or started and left, with another configuration than that of
    /// `study.toml`.
    pub outdated: usize,
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
    /// `design`, `fit`, `mixture`, `scale`, `schedule`; `check` and `compare` where their
    /// targets are about an earlier mixture or objective; `runs` where the runs of the fit
    /// have another configuration.
    pub stale: BTreeMap<&'static str, String>,
    /// The command that comes next, if any.
    pub next: Option<String>,
    /// How fast the runs of each section go that are being trained: `proxies`,
    /// `sizes`, `experts`, `targets`.
    pub pace: BTreeMap<&'static str, Pace>,
    /// Every planned run, and those that `doremi` and `compare` have begun.
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
    let corpus = CorpusOnce::of(study);
    let runs = runs(study, &index, &corpus)?;
    let counts = |section: &str| RunCounts::of(runs.iter().filter(|r| r.section == section));
    let stale = stale_parts(study, Some((&index, &runs)), &corpus, monitor)?;
    let asked = asked(study, &runs, &index, &corpus)?;
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
        experts: expert_status(study, counts(EXPERTS), &corpus)?,
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

/// The corpus of a study, which is opened when it is needed first: every shard is then read
/// at its head.
pub(super) struct CorpusOnce<'a> {
    study: &'a Study,
    opened: OnceCell<TokenCorpus>,
}

impl<'a> CorpusOnce<'a> {
    pub(super) fn of(study: &'a Study) -> Self {
        Self {
            study,
            opened: OnceCell::new(),
        }
    }

    fn get(&self) -> Result<&TokenCorpus> {
        if let Some(corpus) = self.opened.get() {
            return Ok(corpus);
        }
        let corpus = self.study.corpus()?;
        Ok(self.opened.get_or_init(|| corpus))
    }
}

/// How many finished proxies were asked all questions.
fn asked(
    study: &Study,
    runs: &[RunRow],
    index: &Index,
    corpus: &CorpusOnce<'_>,
) -> Result<Option<usize>> {
    if study.config().eval.is_none() || !study.path(files::CORPUS).exists() {
        return Ok(None);
    }
    let Some(questions) = Questions::of(study, corpus.get()?)? else {
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
    let (index, corpus) = (Index::open(study.root()), CorpusOnce::of(study));
    let plan = Plan::of(study, || corpus.get());
    proxies(study, &index, &study.mixtures()?, &plan).map(|rows| RunCounts::of(&rows))
}

/// The names of the sections of runs.
pub(super) const PROXIES: &str = "proxies";
pub(super) const SIZES: &str = "sizes";
pub(super) const EXPERTS: &str = "experts";
pub(super) const TARGETS: &str = "targets";
const DOREMI: &str = "doremi";
const COMPARE: &str = "compare";

/// Every planned run of a study, and those that `doremi` and `compare` have begun.
pub(super) fn runs(study: &Study, index: &Index, corpus: &CorpusOnce<'_>) -> Result<Vec<RunRow>> {
    let plan = Plan::of(study, || corpus.get());
    let row = |folder: &Path, section, config: &str| {
        let is_outdated = |fingerprint: &str| plan.is_outdated(study, folder, fingerprint);
        RunRow::read(index, folder, section, config, is_outdated)
    };
    let mut rows = Vec::new();
    let design = study.path(files::DESIGN);
    if design.exists() {
        let mixtures = study.mixtures_as_they_are()?;
        rows = proxies(study, index, &mixtures, &plan)?;
        for planned in sizes::planned(study, &mixtures)? {
            let config = format!("{}.model", planned.size.section);
            for folder in planned.folders() {
                rows.push(row(&folder, SIZES, &config)?);
            }
        }
    }
    if study.config().fit.experts && design.exists() {
        for folder in experts::folders(corpus.get()?.domains().len()) {
            rows.push(row(&folder, EXPERTS, "proxy")?);
        }
    }
    let check = &study.config().check;
    for arm in check.arms() {
        for k in 1..=check.seeds {
            let folder = Path::new(files::TARGETS).join(files::target_run(arm, k));
            rows.push(row(&folder, TARGETS, "target")?);
        }
    }
    for (folder, section, config) in begun(study)? {
        let row = RunRow::read(index, &folder, section, config, |_| false)?;
        let is_other = || rows.iter().all(|other| other.folder != row.folder);
        if row.state != RunState::Waiting && is_other() {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Folders that may hold runs of `doremi` and `compare`, with their section and that of their
/// training in `study.toml`. How many there will be is found on the way, and a study need not
/// want any of them.
fn begun(study: &Study) -> Result<Vec<(PathBuf, &'static str, &'static str)>> {
    let mut found = Vec::new();
    for (below, section) in [
        (files::DOREMI, DOREMI),
        (files::CLIMB, COMPARE),
        (files::EXPERTS, COMPARE),
    ] {
        let mut names = folders_in(&study.path(below))?;
        names.retain(|name| !is_aside(name, None));
        names.sort();
        let folders = names.iter().map(|name| Path::new(below).join(name));
        found.extend(folders.map(|folder| (folder, section, "proxy")));
    }
    let compare = &study.config().compare;
    for method in (compare.chosen()).map_err(|e| study.place(e, "compare"))? {
        let folders = (1..=compare.seeds).map(|k| files::target_run(&method.to_string(), k));
        let folders = folders.map(|run| Path::new(files::TARGETS).join(run));
        found.extend(folders.map(|folder| (folder, COMPARE, "target")));
    }
    Ok(found)
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
fn expert_status(
    study: &Study,
    runs: RunCounts,
    corpus: &CorpusOnce<'_>,
) -> Result<Option<ExpertStatus>> {
    if runs.planned == 0 {
        return Ok(None);
    }
    let mixed = experts::are_mixed(study, corpus.get()?)?;
    Ok(Some(ExpertStatus { runs, mixed }))
}

fn pace(runs: &[RunRow]) -> BTreeMap<&'static str, Pace> {
    let of = |section| Pace::of(runs.iter().filter(move |run| run.section == section));
    ([PROXIES, SIZES, EXPERTS, TARGETS].into_iter())
        .filter_map(|section| Some((section, of(section)?)))
        .collect()
}

fn proxies(
    study: &Study,
    index: &Index,
    mixtures: &MixtureTable,
    plan: &Plan,
) -> Result<Vec<RunRow>> {
    (mixtures.runs().iter())
        .map(|run| {
            let folder = Path::new(files::PROXIES).join(run);
            let is_outdated = |fingerprint: &str| plan.is_outdated(study, &folder, fingerprint);
            RunRow::read(index, &folder, PROXIES, "proxy", is_outdated)
        })
        .collect()
}

/// What changed since each finished part was made. The parts after a stale one
/// are not examined: they are made again after it.
///
/// With an index and the rows of all runs, files of runs that are as they were are not read
/// again.
pub(super) fn stale_parts(
    study: &Study,
    known: Option<(&Index, &[RunRow])>,
    corpus: &CorpusOnce<'_>,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<&'static str, String>> {
    let index = known.map(|(index, _)| index);
    let one = |part, changes: Option<String>| changes.map(|c| BTreeMap::from([(part, c)]));
    let none = Ok(BTreeMap::new());
    if !study.path(files::CORPUS).exists() {
        return none;
    }
    if let Some(stale) = one("corpus", tokenize::staleness(study, monitor)?) {
        return Ok(stale);
    }
    let corpus = corpus.get()?;
    if let Some(stale) = one("design", design::stamp(study, corpus)?.staleness()?) {
        return Ok(stale);
    }
    let mut stale = earlier_verdicts(study)?;
    let may_be = known.is_none_or(|(_, rows)| rows.iter().any(|r| r.state == RunState::Outdated));
    if may_be && let Some((run, changes)) = planned::first_outdated(study, corpus)? {
        stale.insert("runs", format!("{}: {changes}", run.display()));
        return Ok(stale);
    }
    let schedule = one("schedule", schedule::staleness(study, corpus, index)?).unwrap_or_default();
    stale.extend(schedule);
    if !study.path(files::FIT).exists() {
        return Ok(stale);
    }
    if let Some(fit) = one("fit", fit::staleness(study, corpus, index)?) {
        stale.extend(fit);
        return Ok(stale);
    }
    let changes = optimize::stamp(study, corpus)?.staleness()?;
    stale.extend(one("mixture", changes).unwrap_or_default());
    let changes = scale::staleness(study, corpus)?;
    stale.extend(one("scale", changes).unwrap_or_default());
    Ok(stale)
}

/// Results of targets that are about an earlier mixture or objective.
fn earlier_verdicts(study: &Study) -> Result<BTreeMap<&'static str, String>> {
    let any = [files::CHECK, files::COMPARISON].map(|file| study.path(file).exists());
    if !any.contains(&true) || !study.path(files::MIXTURE).exists() {
        return Ok(BTreeMap::new());
    }
    match (study.recommendation()).and_then(|found| Verdicts::read(study, &found)) {
        // What is damaged is reported where it is used.
        Err(e) if e.is_input() => Ok(BTreeMap::new()),
        read => Ok(read?.earlier),
    }
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
            outdated,
        } in self.sizes.iter().map(|s| s.runs)
        {
            sum.planned += planned;
            sum.done += done;
            sum.started += started;
            sum.running += running;
            sum.stale += stale;
            sum.failed += failed;
            sum.outdated += outdated;
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
        let outdated = p.outdated + self.of_sizes().outdated;
        let outdated = outdated + self.experts.map_or(0, |e| e.runs.outdated) > 0;
        let stale = |part| self.stale.contains_key(part);
        Some(match () {
            () if stale("corpus") => "tokenize --redo",
            () if stale("design") => "design --redo",
            () if self.domains.is_none() => "tokenize",
            () if p.planned == 0 => "design",
            () if stale("runs") || outdated => "train --redo",
            () if left(p) || self.sizes.iter().any(|s| left(s.runs)) => "train",
            () if self.left_to_ask() > 0 => "train",
            () if self
                .experts
                .is_some_and(|e| left(e.runs) || (!e.mixed && e.runs.failed == 0)) =>
            {
                "train"
            }
            () if p.done == 0 && p.failed > 0 => "retry --failed",
            () if stale("fit") || stale("scale") => "fit --redo",
            () if !self.fitted => "fit",
            () if stale("mixture") => "optimize --redo",
            () if !self.optimized => "optimize",
            () if stale("schedule") => "schedule --redo",
            () if self.wants_schedule && !self.scheduled => "schedule",
            () if stale("check") || self.targets.outdated > 0 => "target --redo",
            () if stale("compare") => "compare --redo",
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
                RunState::Outdated => counts.outdated += 1,
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

//! A run as `status` shows it.

use std::path::{Path, PathBuf};

use regmix_data::Result;
use serde::Serialize;

use super::index::Index;
use super::owner::RunOwner;
use super::record::{Record, Stage};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Not started.
    Waiting,
    /// A process trains it.
    Running,
    /// Started, and not finished by the process that trained it. The command that trains it
    /// continues it.
    Stopped,
    /// The process that trains it has given no sign of life for long. Another takes
    /// the run over.
    Stale,
    /// Ended without a result.
    Failed,
    /// Finished, or started and left, with another configuration than that of `study.toml`.
    Outdated,
    /// Finished.
    Done,
}

/// A run of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRow {
    /// `proxies`, `sizes`, `experts`, `targets`, `doremi` or `compare`.
    pub section: &'static str,
    /// The command that trains it: `train`, `target`, `doremi` or `compare`.
    pub made_by: &'static str,
    /// Its name.
    pub run: String,
    /// How far it is.
    pub state: RunState,
    /// Steps at its last evaluation.
    pub step: u64,
    /// Steps of the whole run, where it was started.
    pub steps: Option<u64>,
    /// Tokens of one step, where it was started.
    pub tokens_per_step: Option<u64>,
    /// Mean loss over domains at its last evaluation, in nats per token.
    pub loss: Option<f64>,
    /// Speed of the last attempt.
    pub tokens_per_second: Option<f64>,
    /// Seconds until it is finished at this speed, where it is running.
    pub eta_seconds: Option<f64>,
    /// The process that trains it.
    pub owner: Option<RunOwner>,
    /// The device that it was finished on.
    pub device: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
    /// What to do about a run that failed or whose process is silent.
    pub remedy: Option<String>,
    /// Mean losses along training, by step, of a run that is not finished.
    pub curve: Vec<(u64, f64)>,
    /// The path of its folder in the study.
    pub folder: PathBuf,
}

impl RunRow {
    /// Reads what is known of the run in `folder`, a path in the study.
    /// `config` is its section of study.toml, which a remedy names; `is_outdated` says
    /// whether a run of a fingerprint has another configuration than it.
    pub(crate) fn read(
        index: &Index,
        folder: &Path,
        section: &'static str,
        config: &str,
        is_outdated: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let record = index.record(folder)?;
        let name = folder.file_name().unwrap_or_default();
        let run = name.to_string_lossy().into_owned();
        let owner = match record.stage {
            Stage::New | Stage::Started => index.owner(folder)?,
            Stage::Done | Stage::Failed => None,
        };
        let fingerprint = record.fingerprint.as_deref();
        let state = match (record.stage, &owner) {
            (Stage::Done | Stage::Started, None) if fingerprint.is_some_and(&is_outdated) => {
                RunState::Outdated
            }
            (Stage::Done, _) => RunState::Done,
            (Stage::Failed, _) => RunState::Failed,
            (_, Some(owner)) if owner.stale => RunState::Stale,
            (_, Some(_)) => RunState::Running,
            (Stage::Started, None) => RunState::Stopped,
            (Stage::New, None) => RunState::Waiting,
        };
        let eta_seconds = match state {
            RunState::Running => record.seconds_left(),
            _ => None,
        };
        let made_by = made_by(section);
        let reason = record.reason.as_deref();
        let remedy = remedy(state, &run, (section, made_by), config, reason);
        Ok(Self {
            section,
            made_by,
            run,
            state,
            step: record.step,
            steps: record.steps,
            tokens_per_step: record.tokens_per_step,
            loss: record.loss.filter(|loss| loss.is_finite()),
            tokens_per_second: record.tokens_per_second,
            eta_seconds,
            owner,
            device: record.device,
            reason: record.reason,
            remedy,
            curve: record.curve,
            folder: folder.to_path_buf(),
        })
    }
}

impl Record {
    fn seconds_left(&self) -> Option<f64> {
        let steps = self.steps?.saturating_sub(self.step);
        Some((steps * self.tokens_per_step?) as f64 / self.tokens_per_second?)
    }
}

/// The command that trains the runs of a section.
fn made_by(section: &str) -> &'static str {
    match section {
        "targets" => "target",
        "doremi" => "doremi",
        "compare" => "compare",
        _ => "train",
    }
}

/// What a user can do about a run.
fn remedy(
    state: RunState,
    run: &str,
    (section, verb): (&str, &str),
    config: &str,
    reason: Option<&str>,
) -> Option<String> {
    let diverged = reason.is_some_and(|r| r.starts_with("diverged"));
    // Of the other sections every run is needed.
    let without_it = match section {
        "proxies" | "sizes" => Some("the fit leaves it out"),
        "targets" => Some("the check leaves it out"),
        _ => None,
    };
    match (state, without_it) {
        (RunState::Failed, Some(without_it)) if diverged => Some(format!(
            "{without_it}; after a change of [{config}], `regmix {verb} --redo` trains all its runs \
             again; as it is, for example on another device: `regmix retry {run}`"
        )),
        (RunState::Failed, _) => Some(format!("`regmix retry {run}`, then `regmix {verb}`")),
        (RunState::Outdated, _) => Some(format!(
            "`regmix {verb} --redo` trains it again and keeps the old one; or put the \
             configuration back"
        )),
        (RunState::Stale, _) => Some(format!(
            "`regmix {verb}` takes it over from its last checkpoint"
        )),
        _ => None,
    }
}

//! Finished runs: the summary and the evaluations, checked against each other.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::{Error, Result, artefact};

use super::folder::stored;
use super::status::{RunStatus, RunSummary};
use crate::metrics::{self, Line};

/// The weights of a finished run, in its folder.
pub(super) const WEIGHTS: &str = "checkpoint/model.safetensors";

/// The losses of the model that a run started from, in its folder.
pub(super) const BEFORE: &str = "before.json";

/// A finished run.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedRun {
    /// Its results.
    pub summary: RunSummary,
    /// Its evaluations, in order of steps.
    pub lines: Vec<Line>,
    /// The losses of the model that it started from, nats per token by domain; none
    /// where it started from random weights.
    pub before: Option<BTreeMap<String, f64>>,
}

impl FinishedRun {
    /// Reads a run's folder; `None` where the run is not finished.
    ///
    /// The steps of evaluations are known from `run.toml`, so that a lost line
    /// of `metrics.jsonl` is noticed and no earlier loss passes for the last.
    ///
    /// # Errors
    /// When a file is missing or damaged, an evaluation is missing, or the
    /// files do not belong to the same run.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let RunStatus::Done(summary) = RunStatus::read(folder)? else {
            return Ok(None);
        };
        let damaged = |file: &str, problem: String| {
            Error::input(problem)
                .in_file(folder.join(file))
                .help("repeat the step with `--redo`: it trains this run again and keeps the old folder beside it")
        };
        let config = match stored(folder)? {
            Some(config) if config.fingerprint == summary.fingerprint => config.spec,
            Some(_) => {
                return Err(damaged(
                    "DONE",
                    format!("the results of another run (`{}`)", summary.run),
                ));
            }
            None => return Err(damaged("run.toml", "missing in a finished run".to_owned())),
        };
        let metrics = |problem: String| damaged("metrics.jsonl", problem);
        let path = folder.join("metrics.jsonl");
        if !path.exists() {
            return Err(metrics("missing in a finished run".to_owned()));
        }
        let lines = metrics::read(&path).map_err(|e| metrics(e.problem().to_owned()))?;
        if !lines.is_sorted_by(|a, b| a.step < b.step) {
            return Err(metrics("steps are repeated or out of order".to_owned()));
        }
        let train = &config.train;
        let expected = (1..=train.steps).filter(|&step| train.is_evaluated(step));
        if let Some(step) = metrics::missing(&lines, expected) {
            return Err(metrics(format!("the losses of step {step} are missing")));
        }
        match lines.last() {
            Some(last)
                if (last.step, last.tokens) == (summary.steps, summary.tokens)
                    && last.loss == summary.loss
                    && last.bits_per_byte == summary.bits_per_byte => {}
            _ => {
                return Err(metrics(
                    "the last losses are not those that `DONE` records".to_owned(),
                ));
            }
        }
        let before = match config.starts_from {
            None => None,
            Some(_) => Some(
                artefact::read_json(folder.join(BEFORE))
                    .map_err(|e| damaged(BEFORE, e.problem().to_owned()))?,
            ),
        };
        Ok(Some(Self {
            summary,
            lines,
            before,
        }))
    }
}

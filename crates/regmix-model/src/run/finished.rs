//! Finished runs: the summary and the evaluations, checked against each other.

use std::path::Path;

use regmix_data::{Error, Result};

use super::folder::{stored, stored_spec};
use super::status::{RunStatus, RunSummary};
use crate::checkpoint;
use crate::device::Device;
use crate::engine::State;
use crate::metrics::{self, Line};
use crate::parameters;
use crate::trainer::Trainer;

/// The weights of a finished run, in its folder.
pub(super) const WEIGHTS: &str = "checkpoint/model.safetensors";

/// A finished run.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedRun {
    /// Its results.
    pub summary: RunSummary,
    /// Its evaluations, in order of steps.
    pub lines: Vec<Line>,
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
        Ok(Some(Self { summary, lines }))
    }
}

/// The model of a finished run that kept its weights, without the optimizer's
/// state.
///
/// # Errors
/// When the folder has no such run, a file is damaged, or the device fails.
pub(crate) fn trained_model(folder: &Path, device: &Device) -> Result<Trainer> {
    let spec = stored_spec(folder)?
        .ok_or_else(|| Error::input("no run: expected a `run.toml`").in_file(folder))?;
    let path = folder.join(WEIGHTS);
    if !path.exists() {
        return Err(Error::input("the weights of the run were not kept")
            .in_file(path)
            .help("train it with `keep_weights = true`"));
    }
    let weights = checkpoint::load_weights(&path, &parameters::list(&spec.model))?;
    let mut trainer = Trainer::new(&spec.model, spec.train.optimizer, spec.seed, device)?;
    trainer.restore(State {
        weights,
        ..State::default()
    })?;
    Ok(trainer)
}

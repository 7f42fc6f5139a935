//! The checkpoints in a run's folder.
//!
//! The newest and the one before it are kept. If the newest is damaged, the run
//! continues from the one before; if both are, it starts again.

use std::path::{Path, PathBuf};

use regmix_data::{Error, Monitor, Result, artefact};

use super::spec::RunSpec;
use crate::checkpoint::{self, Loaded};
use crate::engine::State;
use crate::metrics::{self, Line};
use crate::parameters;
use crate::trainer::StepOutcome;

/// What a run continues from.
#[derive(Default)]
pub(super) struct Start {
    /// The state of the model and the optimizer; none at the first step.
    pub(super) state: Option<State>,
    /// Steps that were made.
    pub(super) step: u64,
    /// What the last of them gave, if the losses after it are still to be measured.
    pub(super) outcome: Option<StepOutcome>,
    /// The evaluations up to there.
    pub(super) lines: Vec<Line>,
}

/// The files of checkpoints in a run's folder.
pub(super) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    pub(super) fn of(run: &Path) -> Self {
        Self {
            folder: run.join("checkpoint"),
        }
    }

    fn newest(&self) -> PathBuf {
        self.folder.join("state.safetensors")
    }

    /// The name of the newest while the one before is renamed.
    fn next(&self) -> PathBuf {
        self.folder.join("state.next.safetensors")
    }

    fn previous(&self) -> PathBuf {
        self.folder.join("state.previous.safetensors")
    }

    /// Writes a checkpoint. At every moment there is a whole one. With `outcome`, the
    /// losses after the last step are measured when the run continues.
    pub(super) fn save(
        &self,
        spec: &RunSpec,
        state: &State,
        step: u64,
        outcome: Option<StepOutcome>,
    ) -> Result<()> {
        let parameters = parameters::list(&spec.model);
        let (newest, next) = (self.newest(), self.next());
        checkpoint::save(
            &next,
            &parameters,
            state,
            step,
            outcome,
            &spec.fingerprint(),
        )?;
        if newest.exists() {
            std::fs::rename(&newest, self.previous()).map_err(|e| Error::io(&newest, e))?;
        }
        std::fs::rename(&next, &newest).map_err(|e| Error::io(&newest, e))?;
        artefact::sync_folder(&self.folder);
        Ok(())
    }

    /// Whether there is any.
    pub(super) fn exist(&self) -> bool {
        [self.newest(), self.next(), self.previous()]
            .iter()
            .any(|path| path.exists())
    }

    /// The newest checkpoint that is whole and has all its evaluations.
    /// `evaluated` says after which steps there must be one. What is passed over
    /// is reported to `monitor`.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub(super) fn resume(
        &self,
        spec: &RunSpec,
        mut lines: Vec<Line>,
        evaluated: impl Fn(u64) -> bool,
        monitor: &dyn Monitor,
    ) -> Result<Start> {
        let mut unusable = Vec::new();
        for path in [self.newest(), self.next(), self.previous()] {
            if !path.exists() {
                continue;
            }
            let parameters = parameters::list(&spec.model);
            let (fingerprint, steps) = (spec.fingerprint(), spec.train.steps);
            let loaded = checkpoint::load(&path, &parameters, &fingerprint, steps);
            let Loaded {
                state,
                step,
                outcome,
            } = match loaded {
                Ok(found) => found,
                Err(e) if e.is_io() => return Err(e),
                Err(e) => {
                    unusable.push(format!("{}: {}", path.display(), e.problem()));
                    continue;
                }
            };
            let measured = step - u64::from(outcome.is_some());
            let due = (1..=measured).filter(|&step| evaluated(step));
            if let Some(lost) = metrics::missing(&lines, due) {
                unusable.push(format!(
                    "{}: of step {step}, but the losses of step {lost} are missing in metrics.jsonl",
                    path.display()
                ));
                continue;
            }
            report(spec, &unusable, step, monitor);
            lines.retain(|line| line.step <= measured);
            return Ok(Start {
                state: Some(state),
                step,
                outcome,
                lines,
            });
        }
        report(spec, &unusable, 0, monitor);
        Ok(Start::default())
    }

    /// Removes the checkpoints: a finished run is not resumed.
    pub(super) fn remove(&self) -> Result<()> {
        for path in [self.newest(), self.next(), self.previous()] {
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&path, e));
                }
                _ => {}
            }
        }
        // The folder stays where it holds the finished model.
        std::fs::remove_dir(&self.folder).ok();
        Ok(())
    }
}

fn report(spec: &RunSpec, unusable: &[String], step: u64, monitor: &dyn Monitor) {
    if unusable.is_empty() {
        return;
    }
    let from = match step {
        0 => "it starts again from the first step".to_owned(),
        step => format!("it continues from the checkpoint of step {step}"),
    };
    let (run, why) = (&spec.run, unusable.join("; "));
    monitor.message(&format!("run {run}: {from}, because of {why}"));
}

//! Tells what happens to a run: to the log, as events of `tracing` in the run's
//! span, and to the monitor.

use std::cell::Cell;
use std::path::Path;

use regmix_data::{Error, Evaluation, Monitor, Result, RunEvent};
use tracing::span::EnteredSpan;
use tracing::{Span, debug, error, info, info_span, warn};

use super::spec::RunSpec;
use super::status::RunStatus;
use crate::device::Device;
use crate::metrics::Line;

/// What tells about one run, in the thread that trains it.
pub(super) struct RunLog<'a> {
    run: &'a str,
    pub(super) monitor: &'a dyn Monitor,
    device: String,
    tokens_per_step: u64,
    steps: u64,
    /// Steps that were made before this attempt.
    from: Cell<u64>,
    span: Span,
}

impl<'a> RunLog<'a> {
    pub(super) fn new(spec: &'a RunSpec, device: &Device, monitor: &'a dyn Monitor) -> Self {
        let device = device.spec().to_string();
        Self {
            run: &spec.run,
            monitor,
            tokens_per_step: spec.tokens_per_step(),
            steps: spec.train.steps,
            from: Cell::new(0),
            span: info_span!("run", run = %spec.run, device = %device),
            device,
        }
    }

    /// Enters the run's span: what this thread logs from now on is about the run.
    pub(super) fn enter(&self) -> EnteredSpan {
        self.span.clone().entered()
    }

    fn tell(&self, event: &RunEvent<'_>) {
        self.monitor.run(self.run, event);
    }

    /// Training begins, or goes on after the step `from`.
    pub(super) fn started(&self, folder: &Path, from: u64) {
        self.from.set(from);
        let steps = self.steps;
        match from {
            0 => info!(steps, "training starts"),
            from => info!(step = from, steps, "training continues from a checkpoint"),
        }
        self.tell(&RunEvent::Started {
            folder,
            device: &self.device,
            from,
            steps,
        });
    }

    /// A step was made. No event of the log: there would be too many.
    pub(super) fn step(&self, step: u64) {
        let tokens = self.tokens_per_step;
        self.monitor.advance(tokens);
        self.tell(&RunEvent::Step { step, tokens });
    }

    pub(super) fn evaluated(&self, line: &Line) {
        let evaluation = Evaluation {
            step: line.step,
            tokens: line.tokens,
            loss: &line.loss,
            bits_per_byte: &line.bits_per_byte,
            train_loss: line.train_loss,
            gradient_norm: line.gradient_norm,
            lr: line.lr,
            seconds: line.seconds,
            train_seconds: line.train_seconds,
        };
        let new = line.tokens - self.from.get() * self.tokens_per_step;
        info!(
            step = line.step,
            tokens = line.tokens,
            mean_loss = evaluation.mean_loss(),
            train_loss = line.train_loss,
            gradient_norm = line.gradient_norm,
            lr = line.lr,
            tokens_per_second = new as f64 / line.train_seconds,
            "evaluation"
        );
        self.tell(&RunEvent::Evaluated(evaluation));
    }

    pub(super) fn saved(&self, step: u64) {
        debug!(step, "checkpoint");
        self.tell(&RunEvent::Saved { step });
    }

    /// The run goes on from the checkpoint of a step, in another way.
    pub(super) fn fell_back(&self, step: u64, reason: &str) {
        warn!(step, reason, "it continues from the checkpoint before");
        self.tell(&RunEvent::FellBack { step, reason });
    }

    /// How the attempt ended.
    pub(super) fn ended(&self, result: &Result<RunStatus>) {
        match result {
            Ok(RunStatus::Done(summary)) => {
                info!(step = summary.steps, "the run is finished");
                self.tell(&RunEvent::Finished);
            }
            Ok(RunStatus::Failed(reason)) => {
                error!(reason, "the run failed");
                self.tell(&RunEvent::Failed { reason });
            }
            Ok(RunStatus::New | RunStatus::Started) => {}
            Err(e) => self.stopped(e),
        }
    }

    fn stopped(&self, error: &Error) {
        let reason = error.problem();
        match error.is_interrupted() {
            true => info!(reason, "training stops"),
            false => error!(reason, "training stops because of an error"),
        }
        self.tell(&RunEvent::Stopped { reason });
    }
}

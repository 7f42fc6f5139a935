//! One training run and its folder.
//!
//! ```text
//! runs/<run>/run.toml        what the run is: resolved configuration, fingerprint
//! runs/<run>/metrics.jsonl   one line per evaluation
//! runs/<run>/checkpoint/     while training state.safetensors, the state before it as
//!                            state.previous.safetensors; at the end model.safetensors
//! runs/<run>/steps.jsonl     of a run that is steered by every step: its training losses
//! runs/<run>/before.json     losses of the model that it starts from, if it starts from one
//! runs/<run>/DONE            summary of a finished run
//! runs/<run>/FAILED          why a run ended without a result
//! runs/<run>/fallback.json   the step at which a run in bf16 changed to f32, and why
//! runs/<run>/doremi.jsonl    of a DoReMi proxy: the weights of domains, a line per step
//! runs/<run>/reference-*.f32 of a DoReMi proxy: the losses of the reference model
//! runs/<run>/lease.<n>       while training, the worker that trains it (see [`crate::lease`])
//! ```

mod checkpoints;
mod finished;
mod folder;
mod job;
mod journal;
mod log;
mod session;
mod spec;
mod status;
mod steer;
mod step_losses;
mod train_config;
mod trained_model;
mod validation;
mod weigh;

use std::path::Path;

use regmix_data::{Error, ErrorKind, Monitor, Result, TokenCorpus};

use crate::device::Device;
use crate::lease::{self, Claim, Lease, Sharing, Worker};
use crate::memory::fitting_micro_batch;
use checkpoints::Checkpoints;
pub use finished::FinishedRun;
pub(crate) use folder::is_claimed;
pub use folder::{stored_fingerprint, stored_spec};
pub use job::Job;
pub(crate) use journal::{Entry, Journal, each_line};
use log::RunLog;
use session::{Ended, Session, Share};
pub use spec::{RunSegment, RunSpec};
pub use status::{Fallback, RunStatus, RunSummary};
pub use steer::Steer;
pub use step_losses::training_losses;
pub use train_config::TrainConfig;
pub use trained_model::TrainedModel;
pub(crate) use validation::SharedValidation;
pub use weigh::{Batch, Opened, Weigh};

/// Trains a run in its folder, continuing where an earlier attempt stopped. A
/// finished or failed run is not changed: its status is returned.
///
/// After every step `monitor` advances by the step's tokens.
///
/// # Errors
/// - `Input`: the configuration is out of range, the tokenizer's vocabulary is
///   larger than the model's, a domain is too small for one sequence, the folder
///   of a finished run is damaged.
/// - `Stale`: the folder holds another configuration.
/// - `Interrupted`: `monitor` requested a stop; a checkpoint is saved.
/// - `Io`: the folder cannot be written, or another process trains this run.
/// - `Device`: the device does not have the run's precision.
/// - `Failed`: the device failed. The run can be continued from its last
///   checkpoint, on another device if necessary.
pub fn train(
    spec: &RunSpec,
    corpus: &TokenCorpus,
    folder: &Path,
    device: &Device,
    monitor: &dyn Monitor,
) -> Result<RunStatus> {
    let job = Job::new(spec.clone(), folder.to_path_buf(), None);
    let shared = SharedValidation::default();
    let worker = Worker::new(&device.spec().to_string(), Sharing::default().stale_after)?;
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    match worker.claim(folder)? {
        Claim::Held(lease) => train_job(&job, corpus, device, 1, monitor, &shared, &lease),
        Claim::Busy { by, .. } => {
            let busy = format!("{} is training this run", by.owner());
            let error = Error::new(ErrorKind::Io, busy).in_file(folder);
            Err(error.help("wait for that process, or stop it"))
        }
    }
}

/// The status of a run that has ended, checked for damage. `None` if it has not,
/// or a process that was killed when it had left something to be removed.
pub(crate) fn ended(folder: &Path) -> Result<Option<RunStatus>> {
    if let Some(run) = FinishedRun::read(folder)? {
        let tidy = !Checkpoints::of(folder).exist() && !lease::exists(folder)?;
        return Ok(tidy.then_some(RunStatus::Done(run.summary)));
    }
    match RunStatus::read(folder)? {
        failed @ RunStatus::Failed(_) => Ok((!lease::exists(folder)?).then_some(failed)),
        _ => Ok(None),
    }
}

/// As [`train`], for one of several runs on a corpus, `models` of which are on the
/// device at a time. Its folder is there, and `lease` is held on it.
pub(crate) fn train_job(
    job: &Job,
    corpus: &TokenCorpus,
    device: &Device,
    models: usize,
    monitor: &dyn Monitor,
    validation: &SharedValidation,
    lease: &Lease,
) -> Result<RunStatus> {
    let Job {
        spec, folder: path, ..
    } = job;
    spec.train.check()?;
    spec.model.check()?;
    spec.check_segments()?;
    device.check_precision(spec.train.precision)?;
    if spec.steered_by.is_some() != job.steer.is_some() {
        return Err(Error::input(format!(
            "run `{}`: `steered_by` and `steer` must be set together",
            spec.run
        ))
        .field("steered_by"));
    }
    if spec.weighed_by.is_some() != job.weigh.is_some() {
        return Err(Error::input(format!(
            "run `{}`: `weighed_by` and `weigh` must be set together",
            spec.run
        ))
        .field("weighed_by"));
    }
    let start = job.start.as_deref();
    if spec.starts_from.as_deref() != start.map(TrainedModel::digest) {
        return Err(Error::input(format!(
            "run `{}`: `starts_from` and the model that it starts from do not agree",
            spec.run
        ))
        .field("starts_from"));
    }
    if let Some(start) = start {
        start.check(&spec.model)?;
    }
    check_corpus(spec, corpus)?;
    folder::claim(spec, path)?;
    if let Some(run) = FinishedRun::read(path)? {
        // Those of a process that was killed between `DONE` and their removal.
        Checkpoints::of(path).remove()?;
        return Ok(RunStatus::Done(run.summary));
    }
    if let failed @ RunStatus::Failed(_) = RunStatus::read(path)? {
        return Ok(failed);
    }
    let log = RunLog::new(spec, device, monitor);
    let _span = log.enter();
    let result = attempts(job, corpus, device, models, validation, lease, &log);
    log.ended(&result);
    result
}

/// Trains until the run ends: again from the last checkpoint where it must continue
/// in another way.
fn attempts(
    job: &Job,
    corpus: &TokenCorpus,
    device: &Device,
    models: usize,
    validation: &SharedValidation,
    lease: &Lease,
    log: &RunLog<'_>,
) -> Result<RunStatus> {
    let (spec, monitor) = (&job.spec, log.monitor);
    let free = device.free_memory().map(|free| free / models as u64);
    let RunSpec { model, train, .. } = spec;
    let mut micro_batch = fitting_micro_batch(model, train.micro_batch, train.precision, free);
    loop {
        let share = Share {
            models,
            micro_batch,
        };
        let session = Session::open(job, corpus, device, validation, share, lease, log)?;
        match session.run(monitor)? {
            Ended::Finally(status) => return Ok(status),
            // Continues from the last checkpoint, in f32.
            Ended::Unsound => {}
            // Continues from there as well. How many sequences are computed at once
            // changes nothing but rounding.
            Ended::Crowded(why) => {
                micro_batch = micro_batch.div_ceil(2);
                monitor.message(&format!(
                    "run {}: {}; it continues with {micro_batch} sequences at once",
                    spec.run,
                    why.problem()
                ));
                device.release_unused();
            }
        }
    }
}

fn check_corpus(spec: &RunSpec, corpus: &TokenCorpus) -> Result<()> {
    if spec.corpus != corpus.fingerprint() {
        return Err(Error::new(
            ErrorKind::Stale,
            format!("run `{}` was planned for another corpus", spec.run),
        )
        .help("plan the runs again, or restore the old corpus"));
    }
    let vocab = corpus.vocab_size() as usize;
    if vocab > spec.model.vocab_size {
        return Err(Error::input(format!(
            "the tokenizer knows {vocab} tokens, the model {}: expected a model vocabulary at \
             least as large",
            spec.model.vocab_size
        ))
        .field("vocab_size")
        .help("leave `vocab_size` out, so that it follows the tokenizer"));
    }
    Ok(())
}

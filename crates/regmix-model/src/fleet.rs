//! Many runs at once.
//!
//! On a CPU each run has one thread of its own and shares with the others only
//! what nobody writes: memory-mapped shards and the validation sequences.
//! Nothing is synchronised within a step, and results do not depend on how many
//! runs go on beside one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use regmix_data::{Error, Result, TokenCorpus};

use crate::device::Device;
use crate::memory::training_memory;
use crate::run::{Control, RunSpec, RunStatus, SharedValidation, Steer, is_claimed, train_sharing};

/// A run and its folder.
#[derive(Debug, Clone)]
pub struct Job {
    /// The run.
    pub spec: RunSpec,
    /// Where it lives.
    pub folder: PathBuf,
    /// What chooses its mixtures while it trains, if anything does.
    pub steer: Option<Arc<dyn Steer>>,
}

/// Bytes that the largest of these runs needs on a CPU: [`training_memory`].
pub fn memory_per_run(jobs: &[Job]) -> u64 {
    let needs = jobs
        .iter()
        .map(|j| training_memory(&j.spec.model, j.spec.train.micro_batch));
    needs.max().unwrap_or(0)
}

/// Trains all jobs, `parallel` at a time, in order, and gives their statuses
/// in the same order. Runs that diverge end as [`RunStatus::Failed`] and do
/// not stop the others.
///
/// # Errors
/// When one of the folders holds a run of another configuration: before any
/// run is started. Else the first error of a run, as [`train`](crate::train);
/// no further run is started then, and those in progress are finished. On an interruption all runs in progress
/// save a checkpoint.
pub fn train_all(
    jobs: &[Job],
    corpus: &TokenCorpus,
    device: &Device,
    parallel: usize,
    control: Control<'_>,
) -> Result<Vec<RunStatus>> {
    for job in jobs {
        is_claimed(&job.spec, &job.folder)?;
    }
    let next = AtomicUsize::new(0);
    let validation = SharedValidation::default();
    let results: Mutex<Vec<Option<Result<RunStatus>>>> =
        Mutex::new(jobs.iter().map(|_| None).collect());
    let worker = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(i) else { break };
            let result = train_sharing(job, corpus, device, control, &validation)
                .map_err(|e| named(e, &job.folder));
            if result.is_err() {
                next.store(jobs.len(), Ordering::Relaxed);
            }
            results
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)[i] = Some(result);
        }
    };
    let parallel = parallel.clamp(1, jobs.len().max(1));
    std::thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::with_capacity(parallel);
        for k in 0..parallel {
            let thread = std::thread::Builder::new()
                .name(format!("train-{k}"))
                .spawn_scoped(scope, worker)
                .map_err(|e| Error::failed(format!("cannot start a thread: {e}")))?;
            threads.push(thread);
        }
        for thread in threads {
            thread.join().map_err(|p| from_panic(p.as_ref()))?;
        }
        Ok(())
    })?;
    let mut statuses = Vec::with_capacity(jobs.len());
    let results = results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut first_error = None;
    for result in results.into_iter().flatten() {
        match result {
            Ok(status) => statuses.push(status),
            // A real error says more than the interruptions around it.
            Err(e) if first_error.as_ref().is_none_or(Error::is_interrupted) => {
                first_error = Some(e);
            }
            Err(_) => {}
        }
    }
    match first_error {
        Some(e) => Err(e),
        None => Ok(statuses),
    }
}

fn named(error: Error, folder: &Path) -> Error {
    if error.path().is_some() || error.is_interrupted() {
        error
    } else {
        error.in_file(folder)
    }
}

fn from_panic(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Error::failed(format!("a run's thread failed: {text}"))
        .help("this is a mistake in regmix; finished runs and checkpoints are kept")
}

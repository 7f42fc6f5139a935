//! Many runs at once.
//!
//! On a CPU each run has one thread and shares with the others only data that
//! is never written: memory-mapped shards and the validation sequences. Nothing
//! is synchronised within a step, and results do not depend on how many runs
//! are trained at once.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use regmix_data::{Error, Monitor, Result, TokenCorpus};

use crate::device::Device;
use crate::device::failure::panic_message;
use crate::parallel::check_memory;
use crate::run::{Job, RunStatus, SharedValidation, is_claimed, train_job};

/// Trains all jobs, `parallel` at a time, spread over the device's cards, in order, and returns their statuses
/// in the same order. Runs that diverge end as [`RunStatus::Failed`] and do
/// not stop the others.
///
/// After every step `monitor` advances by the step's tokens; after every run
/// its note counts the runs.
///
/// # Errors
/// When one of the folders holds a run of another configuration, or a run needs
/// more memory than there is: before any run is started. Otherwise the first error of a run, as
/// [`train`](crate::train): no further run is started then, and those in
/// progress are finished. When `monitor` requests a stop, all runs in progress
/// save a checkpoint.
pub fn train_all(
    jobs: &[Job],
    corpus: &TokenCorpus,
    device: &Device,
    parallel: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<RunStatus>> {
    for job in jobs {
        is_claimed(&job.spec, &job.folder)?;
    }
    check_memory(device, jobs)?;
    let next = AtomicUsize::new(0);
    let validation = SharedValidation::default();
    let results: Mutex<Vec<Option<Result<RunStatus>>>> =
        Mutex::new(jobs.iter().map(|_| None).collect());
    let parallel = parallel.clamp(1, jobs.len().max(1));
    let models = parallel.div_ceil(device.cards());
    let worker = &|k: usize| {
        let card = device.card(k);
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(i) else { break };
            let result = train_job(job, corpus, card, models, monitor, &validation)
                .map_err(|e| with_folder(e, &job.folder));
            if result.is_err() {
                next.store(jobs.len(), Ordering::Relaxed);
            }
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results[i] = Some(result);
            let ended = results.iter().flatten().filter(|r| r.is_ok()).count();
            monitor.note(&format!("{ended}/{} runs", jobs.len()));
        }
    };
    std::thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::with_capacity(parallel);
        for k in 0..parallel {
            let thread = std::thread::Builder::new()
                .name(format!("train-{k}"))
                .spawn_scoped(scope, move || worker(k))
                .map_err(|e| Error::failed(format!("cannot start a thread: {e}")))?;
            threads.push(thread);
        }
        for thread in threads {
            thread.join().map_err(|p| from_panic(p.as_ref()))?;
        }
        Ok(())
    })?;
    let mut statuses = Vec::with_capacity(jobs.len());
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
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

fn with_folder(error: Error, folder: &Path) -> Error {
    if error.path().is_some() || error.is_interrupted() {
        error
    } else {
        error.in_file(folder)
    }
}

fn from_panic(panic: &(dyn std::any::Any + Send)) -> Error {
    Error::failed(format!("a run's thread failed: {}", panic_message(panic)))
        .help("this is a bug in regmix, please report it; finished runs and checkpoints are kept")
}

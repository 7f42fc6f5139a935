//! Many runs at once.
//!
//! On a CPU each run gets one thread of its own: small models leave a second
//! thread idle half the time, while two runs side by side fill both. Inside a
//! run, rayon sees a pool of one thread, so nothing is synchronised within a
//! step and results do not depend on how many runs go on beside it.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use regmix_data::{Error, Result, TokenCorpus};

use crate::device::Device;
use crate::run::{Control, RunSpec, RunStatus, train};

/// A run and its folder.
#[derive(Debug, Clone)]
pub struct Job {
    /// The run.
    pub spec: RunSpec,
    /// Where it lives.
    pub folder: PathBuf,
}

/// How many runs are trained at once when the user does not say: one per
/// processor core on a CPU, one on a GPU.
pub fn default_parallel(device: &Device) -> usize {
    if device.is_cpu() {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        1
    }
}

/// Trains all jobs, `parallel` at a time, in order, and gives their statuses
/// in the same order. Runs that diverge end as [`RunStatus::Failed`] and do
/// not stop the others.
///
/// # Errors
/// The first error of a run, as [`train`]; no further run is started then,
/// and those in progress are finished. On an interruption all runs in progress
/// save a checkpoint.
pub fn train_all(
    jobs: &[Job],
    corpus: &TokenCorpus,
    device: &Device,
    parallel: usize,
    control: Control<'_>,
) -> Result<Vec<RunStatus>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<RunStatus>>>> =
        Mutex::new(jobs.iter().map(|_| None).collect());
    let worker = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(i) else { break };
            let result = train(&job.spec, corpus, &job.folder, device, control)
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
            let body = move || match single_threaded_pool(device) {
                Ok(Some(pool)) => {
                    pool.install(worker);
                    Ok(())
                }
                Ok(None) => {
                    worker();
                    Ok(())
                }
                Err(e) => Err(e),
            };
            let thread = std::thread::Builder::new()
                .name(format!("train-{k}"))
                .spawn_scoped(scope, body)
                .map_err(|e| Error::failed(format!("cannot start a thread: {e}")))?;
            threads.push(thread);
        }
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(panic) => return Err(from_panic(panic.as_ref())),
            }
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

fn single_threaded_pool(device: &Device) -> Result<Option<rayon::ThreadPool>> {
    if !device.is_cpu() {
        return Ok(None);
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map(Some)
        .map_err(|e| Error::failed(format!("cannot start a thread pool: {e}")))
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
    Error::failed(format!("the back-end failed: {text}"))
        .help("try `--device cpu`; finished runs are kept")
}

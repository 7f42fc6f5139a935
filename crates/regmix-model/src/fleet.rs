//! Many runs at once, shared with other workers.
//!
//! On a CPU each run has one thread and shares with the others only data that
//! is never written: memory-mapped shards and the validation sequences. Nothing
//! is synchronised within a step, and results do not depend on how many runs
//! are trained at once, nor on which worker trains which run.

mod pool;

use std::path::Path;

use regmix_data::{Error, Monitor, Result, TokenCorpus};

use crate::device::Device;
use crate::device::failure::panic_message;
use crate::lease::{Sharing, Worker};
use crate::parallel::check_memory;
use crate::run::{Job, RunStatus, SharedValidation, is_claimed, train_job};
use pool::Pool;

/// Trains all jobs, `parallel` at a time, spread over the device's cards, in order, and returns their statuses
/// in the same order. Runs that diverge end as [`RunStatus::Failed`] and do
/// not stop the others.
///
/// Any number of processes may do this with the same folders at the same time, on
/// any number of hosts: each run is trained by one of them. A run whose worker is
/// gone is taken over, from its last checkpoint. Without [`Sharing::wait`], the
/// status of a run that another worker still trains is [`RunStatus::Started`].
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
    sharing: Sharing,
    monitor: &dyn Monitor,
) -> Result<Vec<RunStatus>> {
    for job in jobs {
        is_claimed(&job.spec, &job.folder)?;
    }
    check_memory(device, jobs)?;
    let worker = Worker::new(&device.spec().to_string(), sharing.stale_after)?;
    let pool = Pool::new(jobs, &worker, sharing.wait, monitor)?;
    let validation = SharedValidation::default();
    let parallel = parallel.clamp(1, jobs.len().max(1));
    let models = parallel.div_ceil(device.cards());
    let work = &|k: usize| {
        let card = device.card(k);
        while let Some((job, lease)) = pool.next() {
            let result = train_job(
                &jobs[job],
                corpus,
                card,
                models,
                monitor,
                &validation,
                &lease,
            )
            .map_err(|e| with_folder(e, &jobs[job].folder));
            pool.end(job, lease, result);
        }
    };
    std::thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::with_capacity(parallel);
        for k in 0..parallel {
            let thread = std::thread::Builder::new()
                .name(format!("train-{k}"))
                .spawn_scoped(scope, move || work(k))
                .map_err(|e| Error::failed(format!("cannot start a thread: {e}")))?;
            threads.push(thread);
        }
        for thread in threads {
            thread.join().map_err(|p| from_panic(p.as_ref()))?;
        }
        Ok(())
    })?;
    pool.statuses()
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

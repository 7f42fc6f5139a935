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
use crate::lease::{Lease, Sharing, Worker};
use crate::parallel::check_memory;
use crate::run::{Job, RunStatus, SharedValidation, ended, is_claimed, train_job};
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
    let validation = SharedValidation::default();
    let parallel = parallel.clamp(1, jobs.len().max(1));
    let models = parallel.div_ceil(device.cards());
    let train = |job: &Job, card: &Device, lease: &Lease| {
        train_job(job, corpus, card, models, monitor, &validation, lease)
    };
    let outcomes = work_through(jobs, device, parallel, sharing, monitor, &train)?;
    (outcomes.into_iter().zip(jobs))
        .map(|(outcome, job)| match outcome {
            Some(status) => Ok(status),
            None => RunStatus::read(&job.folder),
        })
        .collect()
}

/// A piece of work in a folder, which several workers divide among themselves
/// by leases.
pub trait Shared: Sync {
    /// What it ends with.
    type Outcome: Send;

    /// Its name in messages.
    fn name(&self) -> &str;

    /// Where its result and the lease lie.
    fn folder(&self) -> &Path;

    /// How far the monitor moves when another worker has done it.
    fn size(&self) -> u64;

    /// How it ended; `None` while it is to be done.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn ended(&self) -> Result<Option<Self::Outcome>>;
}

impl Shared for Job {
    type Outcome = RunStatus;

    fn name(&self) -> &str {
        &self.spec.run
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn size(&self) -> u64 {
        self.spec.tokens()
    }

    fn ended(&self) -> Result<Option<RunStatus>> {
        ended(&self.folder)
    }
}

/// Does work that other workers may share, `parallel` pieces at a time, spread over the
/// device's cards, in order. `work` gets a piece and a card; the piece is this worker's
/// alone meanwhile, so that its result may be written. Returns the outcomes in the same
/// order; `None` for what other workers still do, which is waited for with
/// [`Sharing::wait`].
///
/// # Errors
/// The first error of `work`, after which no further piece is begun; and when `monitor`
/// requests a stop.
pub fn share_out<T, W>(
    all: &[T],
    device: &Device,
    parallel: usize,
    sharing: Sharing,
    monitor: &dyn Monitor,
    work: &W,
) -> Result<Vec<Option<T::Outcome>>>
where
    T: Shared,
    W: Fn(&T, &Device) -> Result<T::Outcome> + Sync,
{
    let parallel = parallel.clamp(1, all.len().max(1));
    work_through(
        all,
        device,
        parallel,
        sharing,
        monitor,
        &|piece, card, _| work(piece, card),
    )
}

fn work_through<T, W>(
    all: &[T],
    device: &Device,
    parallel: usize,
    sharing: Sharing,
    monitor: &dyn Monitor,
    work: &W,
) -> Result<Vec<Option<T::Outcome>>>
where
    T: Shared,
    W: Fn(&T, &Device, &Lease) -> Result<T::Outcome> + Sync,
{
    let worker = Worker::new(&device.spec().to_string(), sharing.stale_after)?;
    let pool = Pool::new(all, &worker, sharing.wait, monitor)?;
    let on_thread = &|k: usize| {
        let card = device.card(k);
        while let Some((i, lease)) = pool.next() {
            let result = work(&all[i], card, &lease).map_err(|e| with_folder(e, all[i].folder()));
            pool.end(i, lease, result);
        }
        card.release_unused();
    };
    std::thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::with_capacity(parallel);
        for k in 0..parallel {
            let thread = std::thread::Builder::new()
                .name(format!("train-{k}"))
                .spawn_scoped(scope, move || on_thread(k))
                .map_err(|e| Error::failed(format!("cannot start a thread: {e}")))?;
            threads.push(thread);
        }
        for thread in threads {
            thread.join().map_err(|p| from_panic(p.as_ref()))?;
        }
        Ok(())
    })?;
    pool.outcomes()
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

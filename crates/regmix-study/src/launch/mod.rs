//! Workers on an engine that has machines: Slurm, Kubernetes, HyperQueue; or on
//! this one.
//!
//! A worker is a `regmix train` in the study's folder, which all of them share.
//! It takes the next run that nobody trains, so that workers may be added and
//! lost at any time. An engine starts the workers, and starts a worker again
//! after it was preempted: regmix has no server and no queue of its own.
//!
//! - [`dry_run`]: what an engine would be given.
//! - [`launch`]: gives it to the engine, and records the jobs in the study.
//! - [`status`], [`cancel`]: of the recorded jobs.
//! - [`local::run`]: workers on this machine.

mod engine;
mod hyperqueue;
mod kubernetes;
pub mod local;
mod record;
mod request;
mod shell;
mod slurm;
mod status;

use regmix_data::{Error, Monitor, Result, artefact};

use crate::campaign;
use crate::files;
use crate::steps::current::{Reads, require_current};
use crate::steps::sizes;
use crate::study::Study;

pub use record::{Engine, Job};
use request::{Campaign, Rendered};
pub use request::{Request, Step};
pub use shell::quoted;
pub use status::{JobStatus, TaskState, TaskStatus};

fn render(
    study: &Study,
    engine: Engine,
    request: &Request,
    campaign: Campaign<'_>,
) -> Result<Vec<Rendered>> {
    match engine {
        Engine::Slurm => slurm::scripts(study, request, campaign),
        Engine::Kubernetes => kubernetes::manifest(study, request, campaign).map(|job| vec![job]),
        Engine::HyperQueue => hyperqueue::submission(study, request, campaign).map(|job| vec![job]),
    }
}

/// What an engine would be given: scripts, a manifest or a command. Nothing is
/// written. Workers check the campaign's number if the study has one already.
///
/// # Errors
/// When the engine's section is missing, or the path of the study does not
/// suit the engine.
pub fn dry_run(study: &Study, engine: Engine, request: &Request) -> Result<String> {
    let nonce = campaign::current(study)?;
    let campaign = Campaign {
        nonce: nonce.as_deref(),
        launch: record::read(study)?.launches + 1,
    };
    let jobs = render(study, engine, request, campaign)?;
    let mut text = String::new();
    let mut after = None;
    for job in &jobs {
        if engine == Engine::Slurm && jobs.len() > 1 {
            let command = slurm::command(&job.step, after);
            text.push_str(&format!("##### {command}\n"));
        }
        text.push_str(&job.text);
        after = Some(job.step.as_str());
    }
    Ok(text)
}

/// Gives the workers to an engine. Every job is recorded as soon as the engine
/// has taken it.
///
/// # Errors
/// When the design is missing or out of date, jobs of an earlier launch are
/// still queued and more were not asked for, the engine's program is missing or refuses a
/// job, or a file cannot be written.
pub fn launch(
    study: &Study,
    engine: Engine,
    request: &Request,
    monitor: &dyn Monitor,
) -> Result<Vec<Job>> {
    require_current(study, Reads::Design, monitor)?;
    let mixtures = study.mixtures()?;
    let runs = mixtures.len() + sizes::runs(study, &mixtures)?;
    let folder = study.path(files::LAUNCH_FOLDER);
    let _lock = artefact::lock_folder(folder, "another process launches workers of this study")?;
    let mut record = record::read(study)?;
    let queued = queued(&record.jobs, request.again)?;
    if !queued.is_empty() && !request.again {
        return Err(still_queued(&queued));
    }
    record.jobs = queued;
    record.launches += 1;
    let nonce = campaign::begin(study)?;
    let campaign = Campaign {
        nonce: Some(&nonce),
        launch: record.launches,
    };
    let mut launched: Vec<Job> = Vec::new();
    for job in render(study, engine, request, campaign)? {
        if job.step == "train" && job.workers as usize > runs {
            monitor.message(&format!(
                "{} workers for {runs} runs: some will have nothing to train",
                job.workers
            ));
        }
        let taken = match engine {
            Engine::Slurm => slurm::submit(study, &job, launched.last()),
            Engine::Kubernetes => kubernetes::apply(study, &job),
            Engine::HyperQueue => hyperqueue::submit(study, &job),
        };
        let taken = taken.map_err(|e| with_taken(e, &launched))?;
        record.jobs.push(taken.clone());
        launched.push(taken);
        record::write(study, &record)?;
    }
    Ok(launched)
}

/// The recorded jobs that wait or run. With `again`, jobs that nothing can be
/// found out about count as queued.
fn queued(jobs: &[Job], again: bool) -> Result<Vec<Job>> {
    let mut active = Vec::new();
    for job in jobs {
        let is_active = match status_of(job) {
            Ok(status) => status.is_active(),
            Err(_) if again => true,
            Err(e) => return Err(e),
        };
        if is_active {
            active.push(job.clone());
        }
    }
    Ok(active)
}

fn still_queued(jobs: &[Job]) -> Error {
    let names: Vec<String> = jobs
        .iter()
        .map(|job| format!("{} ({} {})", job.step, job.engine.name(), job.id))
        .collect();
    Error::input(format!(
        "jobs of this study are still queued or running: {}",
        names.join(", ")
    ))
    .help(
        "wait for them (`regmix launch status`), cancel them (`regmix launch cancel`), or add \
         `--again` for more workers beside them",
    )
}

/// An error of a later job does not undo the earlier ones.
fn with_taken(error: Error, launched: &[Job]) -> Error {
    match launched.is_empty() {
        true => error,
        false => error.help(
            "the jobs before it are queued: see them with `regmix launch status`, or cancel them \
             with `regmix launch cancel`",
        ),
    }
}

fn status_of(job: &Job) -> Result<JobStatus> {
    match job.engine {
        Engine::Slurm => slurm::status(job),
        Engine::Kubernetes => kubernetes::status(job),
        Engine::HyperQueue => hyperqueue::status(job),
    }
}

/// How far the jobs of the last launch are, as their engine says.
///
/// # Errors
/// When nothing was launched, the record is damaged, or the engine's program
/// is missing or fails.
pub fn status(study: &Study) -> Result<Vec<JobStatus>> {
    recorded(study)?.iter().map(status_of).collect()
}

/// Cancels the jobs of the last launch that wait or run, and returns them.
///
/// # Errors
/// As [`status`].
pub fn cancel(study: &Study) -> Result<Vec<Job>> {
    // Those that wait for others come last: they are cancelled first, so that
    // none begins in between.
    let mut jobs = queued(&recorded(study)?, false)?;
    jobs.reverse();
    for job in &jobs {
        match job.engine {
            Engine::Slurm => slurm::cancel(job)?,
            Engine::Kubernetes => kubernetes::cancel(job)?,
            Engine::HyperQueue => hyperqueue::cancel(job)?,
        }
    }
    jobs.reverse();
    Ok(jobs)
}

fn recorded(study: &Study) -> Result<Vec<Job>> {
    let jobs = record::read(study)?.jobs;
    match jobs.is_empty() {
        true => Err(Error::input("no jobs of this study were given to an engine")
            .in_file(study.path(files::LAUNCHED))
            .help(
                "`regmix launch slurm`, `kubernetes` or `hyperqueue` launches some; what workers of \
                 `regmix launch local` train is shown by `regmix status`",
            )),
        false => Ok(jobs),
    }
}

/// Checks that every proxy has ended, so that the fit is one of all of them, and that the
/// experts of the fit have.
///
/// # Errors
/// When proxies or experts are not trained yet, or the predictions of experts are not mixed.
pub fn ready(study: &Study) -> Result<()> {
    let status = study.status(&regmix_data::Silent)?;
    for (what, counts) in [
        ("proxies", status.proxies),
        ("proxies of other sizes", status.of_sizes()),
    ] {
        let left = counts.planned - counts.done - counts.failed;
        if left > 0 || (what == "proxies" && counts.planned == 0) {
            return Err(Error::failed(format!(
                "{left} of {} {what} are not trained: expected none",
                counts.planned
            ))
            .help("run `regmix train` first"));
        }
    }
    let left = status.left_to_ask();
    if left > 0 {
        return Err(Error::failed(format!(
            "{left} of {} finished proxies were not asked the questions of [eval]: expected none",
            status.proxies.done
        ))
        .help("run `regmix train` first"));
    }
    match status.experts {
        Some(experts) if !experts.mixed => Err(Error::failed(format!(
            "the predictions of experts are not mixed, {} of {} of which are finished: expected all",
            experts.runs.done, experts.runs.planned
        ))
        .help("run `regmix train` first")),
        _ => Ok(()),
    }
}

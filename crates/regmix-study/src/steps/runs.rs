//! Runs of a study's models: their configuration, and training many of them.

use std::fs::File;
use std::path::Path;

use regmix_data::{
    Error, Mixture, Monitor, Muted, Result, TokenCorpus, Unit, ValidationSet, artefact,
};
use regmix_dynamic::ControllerState;
use regmix_model::{
    Device, FinishedRun, Job, ParallelTrial, Precision, RunSpec, RunStatus, default_parallel,
    memory_per_run, stored_fingerprint, train_all,
};

use crate::config::RunSection;
use crate::files;
use crate::stamp::{remade_by, set_aside};
use crate::study::{Context, Study};

/// The corpus and the device of runs, and how many are trained at a time.
#[derive(Clone, Copy)]
pub(super) struct Compute<'a> {
    pub(super) corpus: &'a TokenCorpus,
    pub(super) device: &'a Device,
    /// Runs at a time; 0: as many as suits the device.
    pub(super) parallel: usize,
}

/// An error where a device lacks the precision of a section.
pub(super) fn check_precision(
    study: &Study,
    device: &Device,
    name: &str,
    section: &RunSection,
) -> Result<()> {
    (device.check_precision(section.precision)).map_err(|e| study.place(e, name))
}

/// A run of a section on a mixture.
pub(super) fn spec(
    section: &RunSection,
    run: &str,
    seed: u64,
    mixture: &Mixture,
    corpus: &TokenCorpus,
) -> Result<RunSpec> {
    Ok(RunSpec {
        run: run.to_owned(),
        seed,
        corpus: corpus.fingerprint().to_owned(),
        train: section.training()?,
        model: section.model(corpus.vocab_size())?,
        mixture: mixture.reordered(corpus.domains())?,
        later_segments: Vec::new(),
        steered_by: None,
        data_order: None,
    })
}

/// Locks a folder of runs until the file is dropped: while a process trains
/// there, no other trains there or moves the runs away.
pub(super) fn lock_runs(folder: &Path) -> Result<File> {
    let busy = "another process is training the runs of this folder";
    artefact::lock_folder(folder, busy)
}

/// Renames the folders of runs that failed, are damaged, or were made with
/// another configuration.
fn set_aside_stale(jobs: &[Job], cx: Context<'_>) -> Result<()> {
    let mut moved = 0;
    for job in jobs {
        if !is_sound(job)? {
            set_aside(&job.folder)?;
            moved += 1;
        }
    }
    if moved > 0 {
        cx.monitor.message(&format!(
            "{moved} runs that failed, are damaged or have another configuration are kept beside \
             the new ones, as *.old-*"
        ));
    }
    Ok(())
}

/// Whether a run's folder is empty, or holds this run and it did not fail.
fn is_sound(job: &Job) -> Result<bool> {
    let state = || -> Result<bool> {
        let finished = FinishedRun::read(&job.folder)?.is_some();
        if !finished && matches!(RunStatus::read(&job.folder)?, RunStatus::Failed(_)) {
            return Ok(false);
        }
        // What steered a finished run is read by the report.
        let decisions = job.folder.join(files::DECISIONS);
        if finished && job.steer.is_some() && decisions.exists() {
            ControllerState::load(decisions)?;
        }
        let old = stored_fingerprint(&job.folder)?;
        Ok(old.is_none_or(|old| old == job.spec.fingerprint()))
    };
    match state() {
        Err(e) if e.is_input() => Ok(false),
        other => other,
    }
}

/// Trains the runs that are not finished. `what` names the part of the
/// computation, `models` the section's models where they need a name.
pub(super) fn train_runs(
    [what, models]: [&str; 2],
    section: &RunSection,
    jobs: &[Job],
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<Vec<RunStatus>> {
    let _lock = match jobs.first().and_then(|job| job.folder.parent()) {
        Some(folder) => Some(lock_runs(folder)?),
        None => None,
    };
    if cx.redo {
        set_aside_stale(jobs, cx)?;
    }
    let parameters = section.model(compute.corpus.vocab_size())?.parameters();
    cx.monitor
        .message(&format!("{models}{}: {parameters}", section.preset));
    let statuses = run_jobs(what, jobs, compute, cx).map_err(|e| damaged_run(jobs, e))?;
    report_failures(jobs, &statuses, cx.monitor);
    Ok(statuses)
}

/// Adds to an error about a file of a run how that is trained again.
fn damaged_run(jobs: &[Job], error: Error) -> Error {
    let of = |job: &&Job| error.path().is_some_and(|p| p.starts_with(&job.folder));
    match jobs.iter().find(of) {
        Some(job) if error.help_text().is_none() => {
            remade_by(files::trained_by(&job.folder), error)
        }
        _ => error,
    }
}

/// Trains jobs under one progress bar that counts tokens.
fn run_jobs(
    what: &str,
    jobs: &[Job],
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<Vec<RunStatus>> {
    let Compute {
        corpus,
        device,
        parallel,
    } = compute;
    if let Some(RunSpec { model, train, .. }) = jobs.first().map(|job| &job.spec) {
        // A corpus that is too small is an error of its own, not of a run.
        ValidationSet::new(corpus.clone(), model.context, train.eval_sequences)
            .map_err(|e| e.in_file(corpus.folder()))?;
    }
    let closed = (jobs.iter())
        .map(|job| {
            let status = RunStatus::read(&job.folder)?;
            Ok(matches!(status, RunStatus::Done(_) | RunStatus::Failed(_)))
        })
        .collect::<Result<Vec<bool>>>()?;
    let open = closed.iter().filter(|closed| !**closed).count();
    if open == 0 {
        // Every run is still compared with its configuration, which may have
        // changed.
        return train_all(jobs, corpus, device, 1, &Muted(cx.monitor));
    }
    let parallel = match parallel {
        0 if device.is_cpu() || open == 1 => default_parallel(device, jobs),
        0 => measure_parallel(jobs, device, open, cx)?,
        given => given,
    };
    if device.is_cpu() {
        let at_once = parallel.min(open);
        let each = memory_per_run(jobs).div_ceil(1 << 20);
        cx.monitor.message(&format!(
            "{at_once} at a time, {each} MiB each, {} MiB in all",
            at_once as u64 * each
        ));
    }
    let bf16 = |job: &Job| job.spec.train.precision == Precision::Bf16;
    if jobs.iter().any(bf16)
        && let Some(by) = device.bf16_on_processor()
    {
        cx.monitor.message(by);
    }
    let total = jobs.iter().map(|j| j.spec.tokens()).sum();
    cx.monitor.begin(what, total, Unit::Tokens);
    let done = jobs.iter().zip(&closed).filter(|(_, closed)| **closed);
    cx.monitor.at(done.map(|(job, _)| job.spec.tokens()).sum());
    let result = train_all(jobs, corpus, device, parallel, cx.monitor);
    cx.monitor.end();
    result
}

/// Measures how many models a GPU should train at a time.
fn measure_parallel(jobs: &[Job], device: &Device, open: usize, cx: Context<'_>) -> Result<usize> {
    cx.monitor.message(&format!(
        "measuring how many models `{}` trains at once (`--parallel N` skips this)",
        device.spec()
    ));
    let cards = device.cards();
    let found = ParallelTrial::measure(device, jobs, open.div_ceil(cards), cx.monitor)?;
    let speeds = found.speeds.iter();
    let speeds: Vec<String> = speeds
        .map(|(n, speed)| format!("{n}: {speed:.0}"))
        .collect();
    cx.monitor.message(&format!(
        "{} at a time{}; tokens/s by models at once: {}",
        found.best(),
        match cards {
            1 => String::new(),
            cards => format!(" on each of {cards} cards"),
        },
        speeds.join(", ")
    ));
    if let Some(why) = &found.refused {
        cx.monitor.message(&format!("more do not fit: {why}"));
    }
    Ok(found.best() * cards)
}

fn report_failures(jobs: &[Job], statuses: &[RunStatus], monitor: &dyn Monitor) {
    for (job, status) in jobs.iter().zip(statuses) {
        match status {
            RunStatus::Failed(reason) => monitor.message(&format!(
                "run {} failed and is left out: {reason}",
                job.spec.run
            )),
            RunStatus::Done(summary) => {
                if let Some(fallback) = &summary.fallback {
                    monitor.message(&format!(
                        "run {} was trained in f32 from step {} on: {}",
                        job.spec.run, fallback.step, fallback.reason
                    ));
                }
            }
            RunStatus::New | RunStatus::Started => {}
        }
    }
}

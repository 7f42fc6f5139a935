//! Runs of a study's models: their configuration, and training many of them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use regmix_data::shard::Split;
use regmix_data::{
    Error, ErrorKind, Mixture, Monitor, Muted, Result, RunEvent, TokenCorpus, Unit, ValidationSet,
    artefact,
};
use regmix_dynamic::ControllerState;
use regmix_model::lease::{self, Sharing, file_system_time};
use regmix_model::{
    Device, FinishedRun, Job, ParallelTrial, RunSpec, RunStatus, TrainedModel, default_parallel,
    memory_per_run, stored_fingerprint, stored_spec, train_all,
};

use crate::config::RunSection;
use crate::files;
use crate::models;
use crate::stamp::{remade_by, set_aside};
use crate::study::{Context, Study};
use crate::workers::TrainOptions;

/// The corpus and the device of runs, and which are trained, how many at a time.
#[derive(Clone, Copy)]
pub(super) struct Compute<'a> {
    pub(super) corpus: &'a TokenCorpus,
    pub(super) device: &'a Device,
    pub(super) options: TrainOptions,
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

/// What all runs of a section of `study.toml` have in common.
pub(super) struct Runs<'a> {
    study: &'a Study,
    section: &'a RunSection,
    corpus: &'a TokenCorpus,
    /// The model that they start from.
    start: Option<Arc<TrainedModel>>,
}

impl<'a> Runs<'a> {
    /// Reads the model that the runs of the section `name` start from, if it names one.
    pub(super) fn open(
        study: &'a Study,
        name: &str,
        section: &'a RunSection,
        corpus: &'a TokenCorpus,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let start = match &section.from {
            None => None,
            Some(from) => Some(starting_model(study, name, section, from, corpus, monitor)?),
        };
        Ok(Self {
            study,
            section,
            corpus,
            start,
        })
    }

    /// The same without that model, where nothing is trained.
    pub(super) fn unopened(
        study: &'a Study,
        section: &'a RunSection,
        corpus: &'a TokenCorpus,
    ) -> Self {
        Self {
            study,
            section,
            corpus,
            start: None,
        }
    }

    /// A run on a mixture.
    pub(super) fn spec(&self, run: &str, seed: u64, mixture: &Mixture) -> Result<RunSpec> {
        let (section, corpus) = (self.section, self.corpus);
        Ok(RunSpec {
            run: run.to_owned(),
            seed,
            corpus: corpus.fingerprint().to_owned(),
            train: section.training()?,
            model: section.model(corpus.vocab_size())?,
            mixture: mixture.reordered(corpus.domains())?,
            later_segments: Vec::new(),
            starts_from: self.start.as_ref().map(|start| start.digest().to_owned()),
            steered_by: None,
            weighed_by: None,
            data_order: None,
            text_share: self.study.config().text_share(section)?,
        })
    }

    /// A run and its folder. Where it was started with weights that differ by rounding
    /// alone, as those of a table in another order of columns do, it keeps its own.
    pub(super) fn job(&self, spec: RunSpec, folder: PathBuf) -> Job {
        let spec = match stored_spec(&folder) {
            Ok(Some(started)) => spec.with_weights_of(&started),
            // What is damaged is reported when the run is trained.
            _ => spec,
        };
        Job::new(spec, folder, self.start.clone())
    }
}

/// The model in the folder `from`, which has the shape and the tokenizer of the runs.
fn starting_model(
    study: &Study,
    name: &str,
    section: &RunSection,
    from: &Path,
    corpus: &TokenCorpus,
    monitor: &dyn Monitor,
) -> Result<Arc<TrainedModel>> {
    let folder = study.resolve(from);
    let start = TrainedModel::open(&folder)?;
    (start.check(&section.model(corpus.vocab_size())?)).map_err(|e| study.place(e, name))?;
    if start.corpus() == Some(corpus.fingerprint()) {
        return Ok(Arc::new(start));
    }
    let checked = models::check_tokenizer(&folder, corpus);
    match checked.map_err(|e| match e.field_name() {
        Some("from") => study.place(e, name),
        _ => e,
    })? {
        true => {}
        false => monitor.message(&format!(
            "{} was trained on another corpus: its tokenizer must be that of this study, which \
             cannot be checked here",
            folder.display()
        )),
    }
    Ok(Arc::new(start))
}

const TRAINING: &str = "another process is training the runs of this folder";

/// Locks a folder of runs until the file is dropped, so that its runs can be moved
/// away: nobody trains there meanwhile.
pub(super) fn lock_runs(folder: &Path) -> Result<File> {
    let lock = artefact::lock_folder(folder, TRAINING)?;
    // Where locks do not reach other hosts, leases still do.
    let now = file_system_time(folder);
    let runs = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    for run in runs {
        let run = run.map_err(|e| Error::io(folder, e))?.path();
        if !run.is_dir() {
            continue;
        }
        let asked = run.join(files::SCORES_FOLDER);
        if let Some(lease) = lease::read(&run, now)?.or(lease::read(&asked, now)?)
            && !lease.is_stale(Sharing::default().stale_after)
        {
            let busy = format!("{} is training this run", lease.owner());
            let error = Error::new(ErrorKind::Io, busy).in_file(run);
            return Err(error.help(
                "wait for that process, or stop it; one that was cut off is forgotten after \
                 a minute",
            ));
        }
    }
    Ok(lock)
}

/// Renames the folders of runs that failed, are damaged, or were made with
/// another configuration. Of several workers that are asked for this at once, one
/// does it.
fn set_aside_stale(folder: &Path, jobs: &[Job], cx: Context<'_>) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let unsound = || -> Result<Vec<&Job>> {
        let mut found = Vec::new();
        for job in jobs {
            if !is_sound(job)? {
                found.push(job);
            }
        }
        Ok(found)
    };
    let began = Instant::now();
    let mut moved = 0;
    while !unsound()?.is_empty() {
        match lock_runs(folder) {
            Ok(_lock) => {
                for job in unsound()? {
                    set_aside(&job.folder)?;
                    moved += 1;
                }
            }
            Err(busy) if began.elapsed() > PATIENCE => return Err(busy),
            Err(_) => {
                cx.monitor.check()?;
                std::thread::sleep(Duration::from_millis(200));
            }
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
    let own = (jobs.iter().enumerate()).filter(|(place, _)| compute.options.takes(*place));
    let own: Vec<Job> = own.map(|(_, job)| job.clone()).collect();
    let Some(folder) = own.first().and_then(|job| job.folder.parent()) else {
        return statuses(jobs);
    };
    if cx.redo {
        set_aside_stale(folder, &own, cx)?;
    }
    let _shared = artefact::share_folder(folder, "the runs of this folder are being moved away")?;
    check_atomic(folder, cx.monitor)?;
    let parameters = section.model(compute.corpus.vocab_size())?.parameters();
    cx.monitor
        .message(&format!("{models}{}: {parameters}", section.preset));
    report_text_share(&own[0].spec, compute.corpus, cx.monitor);
    let found = run_jobs(what, &own, compute, cx).map_err(|e| damaged_run(&own, e))?;
    report_failures(&own, &found, cx.monitor);
    match compute.options.part {
        None => Ok(found),
        Some(_) => statuses(jobs),
    }
}

/// Says which part of the text is read, and where a domain is too small to be cut as
/// it should be.
fn report_text_share(spec: &RunSpec, corpus: &TokenCorpus, monitor: &dyn Monitor) {
    let Some(share) = spec.text_share else {
        return;
    };
    monitor.message(&format!(
        "they read 1/{:.1} of every domain, so that they repeat its text as often as the target \
         will (match_epochs)",
        1.0 / share
    ));
    let context = spec.model.context;
    for (d, name) in corpus.domains().names().enumerate() {
        let whole = corpus.stream(d, Split::Train).sequences(context);
        let wanted = share * whole as f64;
        if whole > 0 && wanted < 1.0 {
            monitor.message(&format!(
                "{name} has {whole} sequences of {context} tokens, of which {wanted:.2} should be \
                 read: one is read, and repeated less often than by the target"
            ));
        }
    }
}

/// The statuses of runs, whoever trained them.
fn statuses(jobs: &[Job]) -> Result<Vec<RunStatus>> {
    jobs.iter()
        .map(|job| RunStatus::read(&job.folder))
        .collect()
}

/// Whether a run has ended, finished or failed.
pub(super) fn has_ended(status: &RunStatus) -> bool {
    matches!(status, RunStatus::Done(_) | RunStatus::Failed(_))
}

/// Reports a file system on which two workers might take the same run.
fn check_atomic(folder: &Path, monitor: &dyn Monitor) -> Result<()> {
    if !artefact::creates_atomically(folder)? {
        monitor.message(&format!(
            "the file system of {} makes a file that is there already: two workers might train \
             the same run; train from one process at a time",
            folder.display()
        ));
    }
    Ok(())
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
        options,
    } = compute;
    if let Some(RunSpec { model, train, .. }) = jobs.first().map(|job| &job.spec) {
        // A corpus that is too small is an error of its own, not of a run.
        ValidationSet::new(corpus.clone(), model.context, train.eval_sequences)
            .map_err(|e| e.in_file(corpus.folder()))?;
    }
    let closed = (jobs.iter())
        .map(|job| Ok(has_ended(&RunStatus::read(&job.folder)?)))
        .collect::<Result<Vec<bool>>>()?;
    announce(jobs, cx.monitor)?;
    let open = closed.iter().filter(|closed| !**closed).count();
    if open == 0 {
        // Every run is still compared with its configuration, which may have
        // changed.
        return train_all(jobs, corpus, device, 1, options.sharing, &Muted(cx.monitor));
    }
    let parallel = parallel(jobs, open, compute, cx.monitor)?;
    if device.is_cpu() {
        let at_once = parallel.min(open);
        let each = memory_per_run(jobs).div_ceil(1 << 20);
        cx.monitor.message(&format!(
            "{at_once} at a time, {each} MiB each, {} MiB in all",
            at_once as u64 * each
        ));
    }
    let note = |job: &Job| device.note_on(job.spec.train.precision, &job.spec.model);
    if let Some(note) = jobs.iter().find_map(note) {
        cx.monitor.message(note);
    }
    let total = jobs.iter().map(|j| j.spec.tokens()).sum();
    cx.monitor.begin(what, total, Unit::Tokens);
    let done = jobs.iter().zip(&closed).filter(|(_, closed)| **closed);
    cx.monitor.at(done.map(|(job, _)| job.spec.tokens()).sum());
    let result = train_all(jobs, corpus, device, parallel, options.sharing, cx.monitor);
    cx.monitor.end();
    result
}

/// How many runs are trained at once where so many are not finished.
pub(super) fn parallel(
    jobs: &[Job],
    open: usize,
    compute: Compute<'_>,
    monitor: &dyn Monitor,
) -> Result<usize> {
    let Compute {
        device, options, ..
    } = compute;
    match options.parallel {
        0 if device.is_cpu() || open == 1 => Ok(default_parallel(device, jobs)),
        0 => measure_parallel(jobs, device, open, monitor),
        given => Ok(given),
    }
}

/// Tells the monitor of all runs, those that are over included.
fn announce(jobs: &[Job], monitor: &dyn Monitor) -> Result<()> {
    for job in jobs {
        let status = RunStatus::read(&job.folder)?;
        let event = match &status {
            RunStatus::New | RunStatus::Started => RunEvent::Planned,
            RunStatus::Done(_) => RunEvent::Finished,
            RunStatus::Failed(reason) => RunEvent::Failed { reason },
        };
        monitor.run(&job.spec.run, &event);
    }
    Ok(())
}

/// Measures how many models a GPU should train at a time.
fn measure_parallel(
    jobs: &[Job],
    device: &Device,
    open: usize,
    monitor: &dyn Monitor,
) -> Result<usize> {
    monitor.message(&format!(
        "measuring how many models `{}` trains at once (`--parallel N` skips this)",
        device.spec()
    ));
    let cards = device.cards();
    let found = ParallelTrial::measure(device, jobs, open.div_ceil(cards), monitor)?;
    let speeds = found.speeds.iter();
    let speeds: Vec<String> = speeds
        .map(|(n, speed)| format!("{n}: {speed:.0}"))
        .collect();
    monitor.message(&format!(
        "{} at a time{}; tokens/s by models at once: {}",
        found.best(),
        match cards {
            1 => String::new(),
            cards => format!(" on each of {cards} cards"),
        },
        speeds.join(", ")
    ));
    if let Some(why) = &found.refused {
        monitor.message(&format!("more do not fit: {why}"));
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

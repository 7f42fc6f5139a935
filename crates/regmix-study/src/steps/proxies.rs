//! Training the proxies, and collecting their losses.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use regmix_data::{Error, ErrorKind, Mixture, Monitor, Result, TokenCorpus, Unit, ValidationSet};
use regmix_dynamic::{Point, Trajectories};
use regmix_model::{
    Calibration, Control, Device, Job, MixtureChange, Progress, RunSpec, RunStatus,
    default_parallel, memory_per_run, metrics, train_all,
};

use crate::config::RunSection;
use crate::stamp::set_aside;
use crate::study::{Context, Study};

impl Study {
    /// Trains every proxy of the design that is not finished, `parallel` at a
    /// time (0: as many as suits the device), then those of the second size if
    /// there is one, and writes `trajectories.csv`.
    ///
    /// # Errors
    /// When the design is missing, runs were made with another configuration
    /// or corpus, the disk refuses, or the user stops it: finished steps are
    /// kept and the same call goes on.
    pub fn train(&self, device: &Device, parallel: usize, cx: Context<'_>) -> Result<Trajectories> {
        self.check_precision(device, "proxy", &self.config().proxy)?;
        let corpus = self.corpus()?;
        let mixtures = self.design(Context { redo: false, ..cx })?;
        let seed = self.config().study.seed;
        let segments = self.segments_of(&mixtures)?;
        let steps = self.config().proxy.steps;
        let jobs = mixtures
            .iter()
            .map(|(run, mixture)| {
                let mut spec = self.spec(&self.config().proxy, run, seed, mixture, &corpus)?;
                for segment in segments.get(run).into_iter().flatten().skip(1) {
                    spec.changes.push(MixtureChange {
                        step: (segment.from * steps as f64).round() as u64,
                        mixture: segment.mixture.reordered(corpus.domains())?,
                    });
                }
                Ok(Job {
                    spec,
                    folder: self.path("runs").join(run),
                    steer: None,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        if cx.redo {
            self.set_aside_stale(&jobs, cx)?;
        }
        let proxy = self.config().proxy.model(corpus.vocab_size())?;
        cx.monitor.message(&format!(
            "{}: {}",
            self.config().proxy.preset,
            proxy.parameters()
        ));
        let statuses = run_jobs("train proxies", &jobs, &corpus, device, parallel, cx)?;
        report_failures(&jobs, &statuses, cx.monitor);
        self.train_second(&mixtures, &corpus, device, parallel, cx)?;
        self.collect_trajectories()
    }

    /// Whether a device has the precision of a section.
    pub(crate) fn check_precision(
        &self,
        device: &Device,
        name: &str,
        section: &RunSection,
    ) -> Result<()> {
        (device.check_precision(section.precision)).map_err(|e| self.place(e, name))
    }

    /// A run of a section on a mixture.
    pub(crate) fn spec(
        &self,
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
            changes: Vec::new(),
            steered_by: None,
            data_order: None,
        })
    }

    /// Moves folders of runs that were made with another configuration, or
    /// that failed, out of the way.
    pub(crate) fn set_aside_stale(&self, jobs: &[Job], cx: Context<'_>) -> Result<()> {
        let mut moved = 0;
        for job in jobs {
            let old = regmix_model::stored_fingerprint(&job.folder)?;
            let failed = matches!(RunStatus::read(&job.folder)?, RunStatus::Failed(_));
            if failed || old.is_some_and(|old| old != job.spec.fingerprint()) {
                set_aside(&job.folder)?;
                moved += 1;
            }
        }
        if moved > 0 {
            cx.monitor.message(&format!(
                "{moved} runs of another configuration are kept beside the new ones, as *.old-*"
            ));
        }
        Ok(())
    }

    /// Reads the metrics of all finished proxies into `trajectories.csv`.
    ///
    /// # Errors
    /// When no proxy is finished, or a file is damaged.
    pub fn collect_trajectories(&self) -> Result<Trajectories> {
        let table = self.read_trajectories(&self.corpus()?)?;
        table.write_csv(self.path("trajectories.csv"))?;
        Ok(table)
    }

    /// The metrics of all finished proxies.
    pub(crate) fn read_trajectories(&self, corpus: &TokenCorpus) -> Result<Trajectories> {
        self.read_runs("runs", self.mixtures()?.runs(), corpus)
    }

    /// The metrics of those runs in a folder that are finished.
    pub(crate) fn read_runs(
        &self,
        folder: &str,
        runs: &[String],
        corpus: &TokenCorpus,
    ) -> Result<Trajectories> {
        let mut table = Trajectories::new(corpus.domains().clone());
        for run in runs {
            let folder = self.path(folder).join(run);
            if matches!(RunStatus::read(&folder)?, RunStatus::Done(_)) {
                table.push(run.clone(), points(&folder, corpus)?)?;
            }
        }
        if table.is_empty() {
            return Err(Error::input("no proxy is finished")
                .in_file(self.path(folder))
                .help("run `regmix train` first"));
        }
        Ok(table)
    }
}

fn points(folder: &Path, corpus: &TokenCorpus) -> Result<Vec<Point>> {
    let path: PathBuf = folder.join("metrics.jsonl");
    let lines = metrics::read(&path)?;
    lines
        .iter()
        .map(|line| {
            let loss = corpus
                .domains()
                .names()
                .map(|domain| {
                    line.loss.get(domain).copied().ok_or_else(|| {
                        Error::input(format!(
                            "no loss of domain `{domain}` at step {}",
                            line.step
                        ))
                        .in_file(&path)
                        .help("the corpus changed after this run: `regmix train --redo`")
                    })
                })
                .collect::<Result<Vec<f64>>>()?;
            Ok(Point {
                step: line.step,
                tokens: line.tokens,
                loss,
            })
        })
        .collect()
}

/// Trains jobs under one progress bar that counts tokens.
pub(crate) fn run_jobs(
    what: &str,
    jobs: &[Job],
    corpus: &TokenCorpus,
    device: &Device,
    parallel: usize,
    cx: Context<'_>,
) -> Result<Vec<RunStatus>> {
    if let Some(RunSpec { model, train, .. }) = jobs.first().map(|job| &job.spec) {
        // Said of the corpus, before a run is started.
        ValidationSet::new(corpus.clone(), model.context, train.eval_sequences)
            .map_err(|e| e.in_file(corpus.folder()))?;
    }
    let mut open = 0;
    for job in jobs {
        if matches!(
            RunStatus::read(&job.folder)?,
            RunStatus::New | RunStatus::Started
        ) {
            open += 1;
        }
    }
    if open == 0 {
        // Still goes through every run: a changed configuration must be said.
        return train_all(jobs, corpus, device, 1, quiet(cx.monitor));
    }
    let parallel = match parallel {
        0 if device.is_cpu() || open == 1 => default_parallel(device, jobs),
        0 => calibrated(jobs, device, open, cx)?,
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
    let total: u64 = jobs.iter().map(|j| j.spec.tokens()).sum();
    cx.monitor.begin(what, total, Unit::Tokens);
    let done = AtomicU64::new(0);
    let finished = AtomicU64::new(0);
    for job in jobs {
        if matches!(
            RunStatus::read(&job.folder)?,
            RunStatus::Done(_) | RunStatus::Failed(_)
        ) {
            done.fetch_add(job.spec.tokens(), Ordering::Relaxed);
            finished.fetch_add(1, Ordering::Relaxed);
        }
    }
    cx.monitor.at(done.load(Ordering::Relaxed));
    let progress = |_: &RunSpec, p: Progress| {
        cx.monitor.advance(p.tokens);
        if p.step == p.steps {
            let n = 1 + finished.fetch_add(1, Ordering::Relaxed);
            cx.monitor.note(&format!("{n}/{} runs", jobs.len()));
        }
    };
    cx.monitor.note(&format!(
        "{}/{} runs",
        finished.load(Ordering::Relaxed),
        jobs.len()
    ));
    let control = Control {
        cancel: cx.monitor,
        progress: &progress,
    };
    let result = train_all(jobs, corpus, device, parallel, control);
    cx.monitor.end();
    result.map_err(|e| match e.kind() {
        ErrorKind::Interrupted => crate::study::interrupted(),
        _ => e,
    })
}

/// How many models a GPU trains at once, by measurement.
fn calibrated(jobs: &[Job], device: &Device, open: usize, cx: Context<'_>) -> Result<usize> {
    cx.monitor.message(&format!(
        "measuring how many models `{}` trains at once (`--parallel N` skips this)",
        device.spec()
    ));
    let found =
        Calibration::measure(device, jobs, open, cx.monitor).map_err(|e| match e.kind() {
            ErrorKind::Interrupted => crate::study::interrupted(),
            _ => e,
        })?;
    let speeds = found.speeds.iter();
    let speeds: Vec<String> = speeds
        .map(|(n, speed)| format!("{n}: {speed:.0}"))
        .collect();
    cx.monitor.message(&format!(
        "{} at a time; tokens/s by models at once: {}",
        found.best(),
        speeds.join(", ")
    ));
    if let Some(why) = &found.refused {
        cx.monitor.message(&format!("more do not fit: {why}"));
    }
    Ok(found.best())
}

fn quiet(cancel: &dyn Monitor) -> Control<'_> {
    fn nothing(_: &RunSpec, _: Progress) {}
    Control {
        cancel,
        progress: &nothing,
    }
}

pub(crate) fn report_failures(jobs: &[Job], statuses: &[RunStatus], monitor: &dyn Monitor) {
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

//! Training the proxies.

use regmix_data::Result;
use regmix_data::table::MixtureTable;
use regmix_dynamic::Trajectories;
use regmix_model::{Device, Job, RunStatus};

use super::runs::{Compute, Runs, check_precision, has_ended, train_runs};
use super::scores::{Questions, Ready};
use super::{design, experts, losses, planned, sizes};
use crate::files;
use crate::study::{Context, Study};
use crate::workers::TrainOptions;

/// What a worker trained.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trained {
    /// The losses of all proxies that are finished, whoever trained them.
    pub trajectories: Trajectories,
    /// The runs that ended without a result.
    pub failed: Vec<String>,
    /// How many runs are not finished, since other workers train them.
    pub left: usize,
    /// How many finished proxies were asked all questions of `[eval]`, whoever asked them.
    pub asked: Option<usize>,
}

/// Trains every proxy that is not finished, those of other sizes and the experts of the
/// fit, or this worker's part of them.
pub(crate) fn train(
    study: &Study,
    device: &Device,
    options: TrainOptions,
    cx: Context<'_>,
) -> Result<Trained> {
    let section = &study.config().proxy;
    check_precision(study, device, "proxy", section)?;
    let corpus = study.checked_corpus(cx.monitor)?;
    let mixtures = design::design(study, Context { redo: false, ..cx })?;
    // What cannot be planned is refused before anything is trained.
    sizes::planned(study, &mixtures)?;
    let runs = Runs::open(study, "proxy", section, &corpus, cx.monitor)?;
    let specs = planned::proxy_specs(study, &mixtures, &corpus, &runs)?;
    let jobs: Vec<Job> = (specs.into_iter())
        .map(|spec| {
            let folder = study.path(files::PROXIES).join(&spec.run);
            runs.job(spec, folder)
        })
        .collect();
    let questions = Ready::of(study, &corpus)?;
    let compute = Compute {
        corpus: &corpus,
        device,
        options,
    };
    let proxies = jobs.len();
    let (jobs, statuses) = train_all(study, jobs, &mixtures, compute, cx)?;
    let of = |wanted: fn(&RunStatus) -> bool| {
        let found = jobs.iter().zip(&statuses).filter(move |(_, s)| wanted(s));
        found
            .map(|(job, _)| job.spec.run.clone())
            .collect::<Vec<_>>()
    };
    let left = of(|status| !has_ended(status)).len();
    // None may be finished while others still train them.
    let mut trajectories = losses::finished_proxies(study, &corpus)?;
    if left == 0 || !trajectories.is_empty() {
        trajectories = losses::collect_trajectories(study, &corpus)?;
    }
    if let Some(questions) = questions {
        let proxies: Vec<_> = jobs.iter().zip(&statuses).take(proxies).collect();
        questions.ask("ask proxies", &proxies, compute, cx)?;
    }
    let asked = match Questions::of(study, &corpus)? {
        None => None,
        Some(questions) => {
            let finished = trajectories.iter().map(|(run, _)| run);
            let folders = finished.map(|run| study.path(files::PROXIES).join(run));
            Some(questions.count(folders)?)
        }
    };
    Ok(Trained {
        trajectories,
        asked,
        failed: of(|status| matches!(status, RunStatus::Failed(_))),
        left,
    })
}

/// Trains the proxies, those of other sizes, and the experts of the fit.
fn train_all(
    study: &Study,
    mut jobs: Vec<Job>,
    mixtures: &MixtureTable,
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<(Vec<Job>, Vec<RunStatus>)> {
    let config = study.config();
    let section = &config.proxy;
    let train =
        |jobs: &[Job], compute, cx| train_runs(["train proxies", ""], section, jobs, compute, cx);
    if config.sizes().is_empty() && !config.fit.experts {
        let statuses = train(&jobs, compute, cx)?;
        return Ok((jobs, statuses));
    }
    // Nobody waits for the last proxies of others while there are other runs to be trained.
    let mut first = compute;
    first.options.sharing.wait = false;
    let mut statuses = train(&jobs, first, cx)?;
    let (mut of_others, mut others) = sizes::train(study, mixtures, compute, cx)?;
    if config.fit.experts {
        let (experts, of_experts) = experts::train(study, compute, cx)?;
        of_others.extend(experts);
        others.extend(of_experts);
        experts::mix(study, compute, cx)?;
    }
    let waits = !compute.options.may_leave_runs();
    if waits && !statuses.iter().all(has_ended) {
        statuses = train(&jobs, compute, Context { redo: false, ..cx })?;
    }
    jobs.extend(of_others);
    statuses.extend(others);
    Ok((jobs, statuses))
}

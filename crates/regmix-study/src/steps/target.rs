//! Training targets to check the prediction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regmix_data::{Error, Result, TokenCorpus, artefact};
use regmix_model::{Device, Job, RunSpec, RunStatus};
use regmix_regress::{Baseline, Objective};

use super::arms::{Course, PlannedArm, schedule_arms, single_mixture_arms};
use super::arms_from_files::arms_from_files;
use super::limits;
use super::peer_run::{PeerRun, mean_mixture};
use super::plain_mixtures::Maker;
use super::runs::{Compute, Runs, check_precision, has_ended, train_runs};
use super::scores::{Questions, Ready};
use super::steered_run::SteeredRun;
use crate::check::{TargetCheck, TargetRun, mean_losses};
use crate::config::ScheduleMode;
use crate::files;
use crate::study::{Context, Study};
use crate::workers::TrainOptions;

/// Trains targets on every arm and seed, and compares them. `None` while some are
/// left to other workers.
pub(crate) fn target(
    study: &Study,
    device: &Device,
    options: TrainOptions,
    schedules: &[ScheduleMode],
    cx: Context<'_>,
) -> Result<Option<TargetCheck>> {
    let config = study.config();
    let section = &config.target;
    check_precision(study, device, "target", section)?;
    let corpus = study.checked_corpus(cx.monitor)?;
    let found = study.recommendation()?;
    let maker = Maker::new(study, &corpus, cx.monitor);
    let mut arms = single_mixture_arms(study, &found, &maker)?;
    let from_files = arms_from_files(study, corpus.domains(), &maker)?;
    let wanted = config.check.schedules.iter().chain(schedules);
    let wanted: BTreeSet<ScheduleMode> = wanted.copied().collect();
    let (fixed, changing): (Vec<_>, Vec<_>) =
        (from_files.into_iter()).partition(|arm| matches!(arm.course, Course::Fixed));
    arms.extend(fixed);
    let single = arms.len();
    arms.extend(changing);
    arms.extend(schedule_arms(study, &wanted, &found.objective, cx)?);
    let schedules = arms.len() - single;
    let compute = Compute {
        corpus: &corpus,
        device,
        options,
    };
    let seeds = config.check.seeds;
    let trained = train_arms(study, &mut arms, seeds, &found.objective, compute, cx)?;
    let Some((spec, runs)) = trained else {
        return Ok(None);
    };
    let proxy = config.proxy.model(corpus.vocab_size())?.parameters();
    let check = TargetCheck::new(
        found.objective,
        [proxy.total(), spec.model.parameters().total()],
        spec.tokens(),
        (arms.into_iter())
            .map(|arm| (arm.name, arm.mixture, arm.predicted))
            .collect(),
        schedules,
        runs,
    )?;
    artefact::write_json(study.path(files::CHECK), &check)?;
    Ok(Some(check))
}

/// Trains targets on arms, `seeds` of each: the first of their configurations, and the
/// finished runs. The mixture of an arm whose method chose it while it trained becomes
/// the mean of what it chose. `None` while some are left to other workers.
pub(super) fn train_arms(
    study: &Study,
    arms: &mut [PlannedArm],
    seeds: u64,
    objective: &Objective,
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<Option<(RunSpec, Vec<TargetRun>)>> {
    let config = study.config();
    let (section, corpus) = (&config.target, compute.corpus);
    let baseline = (objective.baseline()).and_then(Baseline::mixture_name);
    if let Some(arm) = baseline.filter(|arm| arms.iter().all(|a| a.name != *arm)) {
        return Err(Error::input(format!(
            "a worst case against the {arm} mixture needs targets trained on it"
        ))
        .field("check.against")
        .help(format!(
            "add \"{arm}\" to `against`; or set relative_to = \"none\" in [objective], then: \
             regmix optimize --redo"
        )));
    }
    let questions = questions(study, objective, corpus)?;
    let runs = Runs::open(study, "target", section, corpus, cx.monitor)?;
    let mut jobs = Vec::new();
    let mut labels = Vec::new();
    for k in 1..=seeds {
        for arm in arms.iter() {
            jobs.push(job(study, &runs, arm, k, corpus)?);
            labels.push((arm.name.clone(), config.study.seed + k));
        }
    }
    let statuses = train_runs(["train targets", ""], section, &jobs, compute, cx)?;
    if let Some(questions) = &questions {
        let all: Vec<_> = jobs.iter().zip(&statuses).collect();
        questions.ask("ask targets", &all, compute, cx)?;
    }
    if !statuses.iter().all(has_ended) {
        return Ok(None);
    }
    for arm in arms {
        if let Course::Peer(peer, _) = &arm.course {
            let own = labels.iter().zip(&jobs).zip(&statuses);
            let own = own.filter(|((label, _), status)| {
                label.0 == arm.name && matches!(status, RunStatus::Done(_))
            });
            let folders = own.map(|((_, job), _)| job.folder.as_path());
            let limits = limits::constraints(study, corpus.manifest())?;
            arm.mixture = mean_mixture(peer, &limits, folders)?;
        }
    }
    let mut finished = finished(&jobs, labels, &statuses);
    if questions.is_some() && !add_scores(study, corpus, &mut finished)? {
        return Ok(None);
    }
    add_objectives(&mut finished, objective, baseline)?;
    Ok(jobs.into_iter().next().map(|job| (job.spec, finished)))
}

/// The target of an arm with the seed number `k`.
fn job(
    study: &Study,
    runs: &Runs<'_>,
    arm: &PlannedArm,
    k: u64,
    corpus: &TokenCorpus,
) -> Result<Job> {
    let config = study.config();
    let run = files::target_run(&arm.name, k);
    let folder = study.path(files::TARGETS).join(&run);
    let seed = config.study.seed + k;
    let mut spec = runs.spec(&run, seed, &arm.mixture)?;
    spec.data_order = Some(files::DATA_ORDER_OF_TARGETS.to_owned());
    let mut steer = None;
    match &arm.course {
        Course::Fixed => {}
        Course::Planned(first, changes) => {
            spec.mixture = first.reordered(corpus.domains())?;
            spec.later_segments.clone_from(changes);
        }
        Course::Steered(first, controller, name) => {
            spec.mixture = first.reordered(corpus.domains())?;
            spec.steered_by = Some(name.clone());
            let record = folder.join(files::DECISIONS);
            steer = Some(Arc::new(SteeredRun::new((**controller).clone(), record)) as _);
        }
        Course::Peer(peer, name) => {
            spec.steered_by = Some(name.clone());
            let limits = limits::constraints(study, corpus.manifest())?;
            steer = Some(Arc::new(PeerRun::new((**peer).clone(), limits)) as _);
        }
    }
    let mut job = runs.job(spec, folder);
    job.steer = steer;
    Ok(job)
}

/// What targets are asked, where they keep their weights.
///
/// # Errors
/// When the objective is made of their accuracies and they keep none.
fn questions(study: &Study, objective: &Objective, corpus: &TokenCorpus) -> Result<Option<Ready>> {
    let config = study.config();
    if config.target.keep_weights {
        return Ready::of(study, corpus);
    }
    match (objective.named().into_iter()).find(|name| config.is_accuracy(name)) {
        None => Ok(None),
        Some(accuracy) => {
            let e = Error::input(format!(
                "the objective has `{accuracy}`, which is measured after the training of targets: \
                 expected `keep_weights = true`"
            ));
            Err(study.place(e.field("keep_weights"), "target"))
        }
    }
}

/// Adds accuracies to finished targets; false while other workers still measure some.
fn add_scores(study: &Study, corpus: &TokenCorpus, runs: &mut [TargetRun]) -> Result<bool> {
    let Some(questions) = Questions::of(study, corpus)? else {
        return Ok(true);
    };
    for run in runs {
        let folder = study.path(files::TARGETS).join(&run.run);
        let Some(own) = questions.accuracies(&folder)? else {
            return Ok(false);
        };
        let named = questions.targets().into_iter().zip(own);
        run.scores = named.map(|(name, own)| (name, own.value)).collect();
    }
    Ok(true)
}

/// The finished targets. `labels` are the arm and the seed of every job.
fn finished(jobs: &[Job], labels: Vec<(String, u64)>, statuses: &[RunStatus]) -> Vec<TargetRun> {
    let mut runs = Vec::new();
    for ((job, (arm, seed)), status) in jobs.iter().zip(labels).zip(statuses) {
        if let RunStatus::Done(summary) = status {
            runs.push(TargetRun {
                run: job.spec.run.clone(),
                arm,
                seed,
                objective: f64::NAN,
                loss: summary.loss.clone(),
                scores: BTreeMap::new(),
            });
        }
    }
    runs
}

/// Adds the objective of their losses and accuracies; a worst case is relative to the arm
/// `baseline`.
fn add_objectives(
    runs: &mut [TargetRun],
    objective: &Objective,
    baseline: Option<&str>,
) -> Result<()> {
    // A worst case of targets is compared with these, since predictions are for proxies.
    let baseline = baseline.map_or_else(BTreeMap::new, |arm| mean_losses(runs, arm));
    for run in runs {
        let mut values = run.loss.clone();
        if !objective.is_over_all() {
            values.extend(run.scores.clone());
        }
        run.objective = cost(objective, values, &baseline)?;
    }
    Ok(())
}

/// The objective of measured values, always to be made small.
fn cost(
    objective: &Objective,
    values: BTreeMap<String, f64>,
    baseline: &BTreeMap<String, f64>,
) -> Result<f64> {
    let (names, values): (Vec<String>, Vec<f64>) = values.into_iter().unzip();
    let baseline: Vec<f64> = (names.iter())
        .map(|name| baseline.get(name).copied().unwrap_or(0.0))
        .collect();
    let evaluator = objective.evaluator(&names).map_err(|e| {
        e.field("objective")
            .help("the objective of a check is made of the losses on the corpus's domains")
    })?;
    Ok(evaluator.measured_cost(&values, Some(&baseline)))
}

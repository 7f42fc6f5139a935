//! From the proxies' trajectories to a schedule of mixtures (RegMix-D).

use regmix_data::{Result, TokenCorpus};
use regmix_dynamic::{
    Controller, DynamicConfig, Request, RunLength, Schedule, Segments, SizeCorrection, StageLosses,
    Trajectories, Transitions,
};

use super::limits::{budget, given_bounds, target_tokens};
use super::loss_inputs::loss_inputs;
use super::{design, losses, planned, size_correction, sizes};
use crate::config::RunSection;
use crate::files;
use crate::progress::Index;
use crate::stamp::{Stamp, digest};
use crate::study::{Context, Study, natural_mixture};
use crate::tables::{plan_request, warn_without_switches};

/// Plans a schedule and its controller, or reads the schedule.
pub(crate) fn schedule(study: &Study, cx: Context<'_>) -> Result<Schedule> {
    let path = study.path(files::SCHEDULE);
    (study.config().goal_of_losses("a schedule"))
        .map_err(|e| study.place(e.field("loss"), "objective"))?;
    let corpus = study.corpus()?;
    planned::require_current(study, &corpus)?;
    let trajectories = losses::collect_trajectories(study, &corpus)?;
    let stamp = stamp(study, &corpus, &digests(study, &corpus, &trajectories))?;
    if let Some(schedule) = stamp.finished(cx.redo, cx.monitor, || Schedule::load(&path))? {
        match Controller::load(study.path(files::CONTROLLER)) {
            Ok(_) => return Ok(schedule),
            // The same inputs give the same schedule.
            Err(e) => cx
                .monitor
                .message(&format!("the controller is made again: {e}")),
        }
    }
    cx.monitor.message(&format!(
        "planning a schedule from {} trajectories",
        trajectories.len()
    ));
    let segments = all_segments(study)?;
    let remedy = "set `switching` in [design], then: regmix design --redo";
    warn_without_switches(&segments, remedy, cx.monitor);
    let config = study.config().stage_config();
    let (losses, request) = inputs(study, &corpus, &trajectories, config)?;
    let calibration = size_correction::measure(study, &losses, &corpus, cx)?;
    let (schedule, controller) = plan_request(
        &Transitions::new(&losses, &segments)?,
        request,
        calibration.as_ref(),
        corpus.fingerprint(),
        cx.monitor,
    )?;
    stamp.begin()?;
    controller.save(study.path(files::CONTROLLER))?;
    schedule.save(&path)?;
    stamp.write()?;
    Ok(schedule)
}

/// The schedule and the controller of RegMix-D as published, at the stages of the
/// study. Nothing is written.
pub(super) fn as_published(study: &Study, cx: Context<'_>) -> Result<(Schedule, Controller)> {
    let corpus = study.corpus()?;
    planned::require_current(study, &corpus)?;
    let trajectories = losses::collect_trajectories(study, &corpus)?;
    let own = study.config().stage_config();
    let parameters = |section: &RunSection| -> Result<f64> {
        let model = section.model(corpus.vocab_size())?;
        Ok(model.parameters().total() as f64)
    };
    let ratio = parameters(&study.config().target)? / parameters(&study.config().proxy)?;
    let config = DynamicConfig {
        // The paper's exponent.
        size: SizeCorrection::PowerLaw { ratio, beta: 0.05 },
        stages: own.stages,
        points: own.points,
        resample: own.resample,
        seed: own.seed,
        ..DynamicConfig::paper()
    };
    let (losses, request) = inputs(study, &corpus, &trajectories, config)?;
    let rows = Transitions::new(&losses, &all_segments(study)?)?;
    plan_request(&rows, request, None, corpus.fingerprint(), cx.monitor)
}

/// What a schedule is planned from: the losses at the ends of stages, and what is
/// wanted.
fn inputs(
    study: &Study,
    corpus: &TokenCorpus,
    trajectories: &Trajectories,
    dynamic: DynamicConfig,
) -> Result<(StageLosses, Request)> {
    let config = study.config();
    let losses = StageLosses::new(
        trajectories,
        &dynamic.grid()?,
        dynamic.resample,
        Some(config.proxy.steps),
    )?;
    let target = run_length(study)?;
    let constraints = given_bounds(study, corpus.domains().clone())?;
    let request = Request {
        objective: config.goal_of_losses("a schedule")?,
        prior: natural_mixture(corpus.manifest())?,
        constraints: Some(constraints),
        budget: Some(budget(
            corpus.manifest(),
            &config.constraints,
            target.tokens as f64,
        )),
        target,
        config: dynamic,
    };
    Ok((losses, request))
}

fn all_segments(study: &Study) -> Result<Segments> {
    design::segments(study, &study.mixtures()?)
}

/// The run that a schedule is for: the target, or one of as many tokens
/// as `constraints.target_tokens` says.
fn run_length(study: &Study) -> Result<RunLength> {
    Ok(RunLength {
        steps: study.config().target.steps,
        tokens: target_tokens(study)? as u64,
    })
}

/// The inputs of a stamp that are made from the runs.
const TRAJECTORIES: &str = "trajectories";
const SECOND: &str = "second_trajectories";
const SIZES: &str = "trajectories_of_sizes";

/// Digests of the trajectories and of those of other sizes. There are none of
/// the first where a study was copied to another machine without its runs.
type Digests = (Option<String>, Option<String>);

fn digests(study: &Study, corpus: &TokenCorpus, trajectories: &Trajectories) -> Digests {
    let own = (!trajectories.is_empty()).then(|| digest(trajectories.to_csv()));
    // Missing runs are an error only where they are needed.
    let others = (study.mixtures())
        .and_then(|mixtures| sizes::all_trajectories(study, &mixtures, corpus))
        .ok()
        .filter(|tables| !tables.is_empty());
    let text =
        |tables: Vec<Trajectories>| -> String { tables.iter().map(Trajectories::to_csv).collect() };
    (own, others.map(|tables| digest(text(tables))))
}

/// What a schedule planned now would be made from.
fn stamp(study: &Study, corpus: &TokenCorpus, (own, others): &Digests) -> Result<Stamp> {
    let config = study.config();
    let target = run_length(study)?;
    let mut stamp = files::SCHEDULE.stamp(study.root());
    if let Some(section) = &config.second_size {
        stamp = (stamp.with("second_size", section)?).with(SECOND, others)?;
    }
    if let Some(section) = &config.sizes {
        stamp = (stamp.with("sizes", section)?).with(SIZES, others)?;
    }
    if let Some(own) = own {
        stamp = stamp.with(TRAJECTORIES, own)?;
    }
    stamp
        .with("corpus", &corpus.fingerprint())?
        .with("mixtures", &digest(all_segments(study)?.to_csv()))?
        .with("dynamic", &config.stage_config())?
        .with("objective", &config.objective)?
        .with("constraints", &config.constraints)?
        .with("target", &target)
}

/// Whether a finished schedule is what would be planned now.
///
/// # Errors
/// `Stale` where it is not.
pub(crate) fn require_current(study: &Study) -> Result<()> {
    let root = study.root();
    if files::SCHEDULE.require(root).is_err() || files::CORPUS.require(root).is_err() {
        return Ok(());
    }
    match staleness(study, &study.corpus()?, None)? {
        None => Ok(()),
        Some(changes) => Err(files::SCHEDULE.stamp(root).stale(&changes)),
    }
}

/// What changed since the schedule was planned, if anything did. With an index,
/// losses of runs whose files are as they were are not read again.
pub(crate) fn staleness(
    study: &Study,
    corpus: &TokenCorpus,
    index: Option<&Index>,
) -> Result<Option<String>> {
    if !study.path(files::SCHEDULE).exists() {
        return Ok(None);
    }
    let read = || -> Result<Digests> {
        let trajectories = losses::finished_proxies(study, corpus)?;
        Ok(digests(study, corpus, &trajectories))
    };
    let found = match index {
        Some(index) => {
            let inputs = loss_inputs(study, &study.mixtures()?, corpus)?;
            index.digests("schedule", &inputs, read)?
        }
        None => read()?,
    };
    let stamp = stamp(study, corpus, &found)?;
    match found.0 {
        Some(_) => stamp.staleness(),
        None => stamp.staleness_apart_from(&[TRAJECTORIES, SECOND, SIZES]),
    }
}

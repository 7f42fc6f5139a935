//! What targets are trained on: the found mixture, those it is compared with,
//! and schedules.

use std::collections::BTreeSet;

use regmix_data::{Error, Mixture, Result};
use regmix_dynamic::peers::{Ado, AdoOptions, Aioli, AioliOptions, Odm, Peer};
use regmix_dynamic::{Controller, Schedule};
use regmix_model::RunSegment;
use regmix_regress::{Constraints, Objective, Recommendation, Scorer, best_observed};

use super::plain_mixtures::Maker;
use super::{limits, schedule};
use crate::config::ScheduleMode;
use crate::files::{self, BEST_OBSERVED, FOUND};
use crate::stamp::digest;
use crate::study::{Context, Study, natural_mixture};

/// One arm of the check.
pub(super) struct PlannedArm {
    pub(super) name: String,
    /// The mixture; for a schedule its mean, for a controller the first one.
    pub(super) mixture: Mixture,
    /// The objective that is predicted for a proxy.
    pub(super) predicted: Option<f64>,
    pub(super) course: Course,
}

/// How the mixture of a target changes.
pub(super) enum Course {
    Fixed,
    Planned(Mixture, Vec<RunSegment>),
    /// The first mixture, a controller at the start, and its name.
    Steered(Mixture, Box<Controller>, String),
    /// Another method at the start, and its name.
    Peer(Box<Peer>, String),
}

impl Course {
    /// The first mixture of a schedule and the changes after it. A ramp becomes
    /// a number of small changes.
    pub(super) fn planned(schedule: &Schedule) -> Result<(Mixture, Vec<RunSegment>)> {
        const CHANGES_PER_RAMP: u64 = 16;
        let mut changes = (schedule.switches(CHANGES_PER_RAMP).into_iter())
            .map(|(step, weights)| {
                let mixture = Mixture::normalized(schedule.mean.domains().clone(), weights)?;
                Ok(RunSegment { step, mixture })
            })
            .collect::<Result<Vec<_>>>()?;
        let first = changes.remove(0);
        Ok((first.mixture, changes))
    }

    /// A controller, named by the contents of its file.
    pub(super) fn steered(first: Mixture, controller: Controller, file: &[u8]) -> Self {
        Self::Steered(first, Box::new(controller), digest(file))
    }
}

/// The found mixture and those of `[check] against`.
pub(super) fn single_mixture_arms(
    study: &Study,
    found: &Recommendation,
    maker: &Maker<'_>,
) -> Result<Vec<PlannedArm>> {
    let fit = study.load_fit()?;
    let scorer = Scorer::new(&fit, &found.objective)?;
    let mut arms = vec![PlannedArm {
        name: FOUND.to_owned(),
        mixture: found.mixture.clone(),
        // Checks compare what is to be made small.
        predicted: Some(found.objective.sign() * found.predicted.mean),
        course: Course::Fixed,
    }];
    for name in &study.config().check.against {
        let mixture = match name.as_str() {
            BEST_OBSERVED => match best_observed(&fit, &found.objective)? {
                Some((_, mixture, _)) => mixture.clone(),
                None => {
                    return Err(Error::input("no proxy has all losses of the objective")
                        .field("check.against")
                        .help("take \"best_observed\" out of `against` in study.toml"));
                }
            },
            plain => maker.make(plain.parse()?).map_err(|e| {
                let e = e.field("against");
                study.place(e, "check")
            })?,
        };
        let mixture = mixture.reordered(fit.domains())?;
        let predicted = scorer.mean(mixture.weights());
        arms.push(PlannedArm {
            name: name.clone(),
            mixture,
            predicted: Some(predicted),
            course: Course::Fixed,
        });
    }
    Ok(arms)
}

/// Targets on a schedule, which is planned if it is not there.
pub(super) fn schedule_arms(
    study: &Study,
    modes: &BTreeSet<ScheduleMode>,
    objective: &Objective,
    cx: Context<'_>,
) -> Result<Vec<PlannedArm>> {
    if modes.is_empty() {
        return Ok(Vec::new());
    }
    let mut arms = Vec::with_capacity(modes.len());
    for mode in modes.iter().filter(|mode| !mode.is_planned()) {
        arms.push(peer_arm(study, *mode)?);
    }
    if arms.len() == modes.len() {
        return Ok(arms);
    }
    let schedule = schedule::schedule(study, Context { redo: false, ..cx })?;
    let predicted = (schedule.predicted).map(|p| objective.sign() * p.mean);
    for mode in modes.iter().filter(|mode| mode.is_planned()) {
        let (first, changes) = Course::planned(&schedule)?;
        let course = match mode {
            ScheduleMode::Offline => Course::Planned(first, changes),
            _ => {
                let path = study.path(files::CONTROLLER);
                let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
                Course::steered(first, study.controller()?, &bytes)
            }
        };
        arms.push(PlannedArm {
            name: mode.name().to_owned(),
            mixture: schedule.mean.clone(),
            // What the controller will do is not known before.
            predicted: predicted.filter(|_| *mode == ScheduleMode::Offline),
            course,
        });
    }
    Ok(arms)
}

/// A target on the schedule of RegMix-D as published, or steered by its controller.
pub(super) fn published_arm(
    study: &Study,
    name: String,
    steered: bool,
    cx: Context<'_>,
) -> Result<PlannedArm> {
    cx.monitor
        .message(&format!("planning the schedule of {name}"));
    let (schedule, controller) = schedule::as_published(study, cx)?;
    let (first, changes) = Course::planned(&schedule)?;
    let course = match steered {
        false => Course::Planned(first, changes),
        true => {
            let path = study.path(files::PUBLISHED_CONTROLLER);
            controller.save(&path)?;
            let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
            Course::steered(first, controller, &bytes)
        }
    };
    Ok(PlannedArm {
        name,
        mixture: schedule.mean.clone(),
        predicted: None,
        course,
    })
}

/// Another method that chooses the mixture of a target, with the limits of the study.
pub(crate) fn peer(study: &Study, mode: ScheduleMode) -> Result<(Peer, Constraints)> {
    mode.require_peer()?;
    let config = study.config();
    let corpus = study.corpus()?;
    let limits = limits::constraints(study, corpus.manifest())?;
    let steps = config.target.steps;
    let uniform = Mixture::uniform(corpus.domains().clone());
    let peer = match mode {
        ScheduleMode::Ado => {
            let prior = natural_mixture(corpus.manifest())?;
            let options = config.ado.unwrap_or_else(|| AdoOptions::for_steps(steps));
            let ado = Ado::new(limits.project(prior.weights())?, options);
            Peer::Ado(ado.map_err(|e| study.place(e, "ado"))?)
        }
        ScheduleMode::Aioli => {
            let options = (config.aioli)
                .unwrap_or_else(|| AioliOptions::for_run(steps, corpus.domains().len()));
            let aioli = Aioli::new(limits.project(uniform.weights())?, options, steps);
            Peer::Aioli(aioli.map_err(|e| study.place(e, "aioli"))?)
        }
        _ => {
            let odm = Odm::new(limits.project(uniform.weights())?, config.odm);
            Peer::Odm(odm.map_err(|e| study.place(e, "odm"))?)
        }
    };
    Ok((peer, limits))
}

/// Targets whose mixture another method chooses, within the limits of the study.
fn peer_arm(study: &Study, mode: ScheduleMode) -> Result<PlannedArm> {
    let config = study.config();
    let (peer, _) = peer(study, mode)?;
    let json = serde_json::to_string(&peer).map_err(|e| Error::failed(e.to_string()))?;
    let limited = serde_json::to_string(&config.constraints);
    let limited = limited.map_err(|e| Error::failed(e.to_string()))?;
    Ok(PlannedArm {
        name: mode.name().to_owned(),
        mixture: peer.first().clone(),
        predicted: None,
        course: Course::Peer(Box::new(peer), digest(json + &limited)),
    })
}

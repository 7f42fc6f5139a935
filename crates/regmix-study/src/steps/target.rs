//! Training targets to check the promise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regmix_data::{Error, Mixture, Result, artefact};
use regmix_dynamic::Controller;
use regmix_model::{Device, Job, RunSegment, RunStatus};
use regmix_regress::{Baseline, Objective, Recommendation, Scorer, best_observed};

use super::online::Online;
use super::proxies::{report_failures, run_jobs};
use super::schedule::changes;
use crate::check::{TargetCheck, TargetRun};
use crate::config::ScheduleMode;
use crate::study::{Context, Study, natural_mixture};

/// What targets are trained on, by name.
pub(super) struct ArmPlan {
    pub(super) name: String,
    /// The mixture, on average over the run as far as that is known.
    pub(super) mixture: Mixture,
    /// The objective that is predicted for a proxy.
    pub(super) predicted: Option<f64>,
    pub(super) course: Course,
}

/// How the mixture of a target goes.
pub(super) enum Course {
    Fixed,
    Planned(Mixture, Vec<RunSegment>),
    /// The first mixture, a controller at the start, and its name.
    Online(Mixture, Box<Controller>, String),
}

impl Course {
    /// A controller, named by what its file holds.
    pub(super) fn online(first: Mixture, controller: Controller, file: &[u8]) -> Self {
        let name = blake3::hash(file).to_hex()[..16].to_owned();
        Self::Online(first, Box::new(controller), name)
    }
}

impl Study {
    /// Trains targets on the found mixture and those it is compared with, and
    /// on `schedules` besides those of the configuration, on every seed, and
    /// writes `check.json`.
    ///
    /// # Errors
    /// When the mixture is missing, runs were made with another configuration,
    /// all runs of a mixture failed, the disk refuses, or the user stops it.
    pub fn target(
        &self,
        device: &Device,
        parallel: usize,
        schedules: &[ScheduleMode],
        cx: Context<'_>,
    ) -> Result<TargetCheck> {
        self.check_precision(device, "target", &self.config().target)?;
        let corpus = self.corpus()?;
        let found = self.recommendation()?;
        let mut arms = self.arms(&found)?;
        let others = self.other_arms(corpus.domains())?;
        let wanted = self.config().check.schedules.iter().chain(schedules);
        let wanted: BTreeSet<ScheduleMode> = wanted.copied().collect();
        let (fixed, changing): (Vec<_>, Vec<_>) =
            (others.into_iter()).partition(|arm| matches!(arm.course, Course::Fixed));
        arms.extend(fixed);
        let single = arms.len();
        arms.extend(changing);
        arms.extend(self.schedule_arms(&wanted, &found.objective, cx)?);
        let schedules = arms.len() - single;
        let baseline = (found.objective.baseline()).and_then(Baseline::mixture_name);
        if let Some(arm) = baseline.filter(|arm| arms.iter().all(|a| a.name != *arm)) {
            return Err(Error::input(format!(
                "a worst case against the {arm} mixture needs targets trained on it"
            ))
            .field("check.against")
            .help(format!(
                "add \"{arm}\" to `against`, or set relative_to = \"none\""
            )));
        }
        let section = &self.config().target;
        let mut jobs = Vec::new();
        let mut labels = Vec::new();
        for k in 1..=self.config().check.seeds {
            let seed = self.config().study.seed + k;
            for arm in &arms {
                let run = format!("{}-seed{k}", arm.name);
                let folder = self.path("targets").join(&run);
                let mut spec = self.spec(section, &run, seed, &arm.mixture, &corpus)?;
                // Only mixtures set the arms of a seed apart.
                spec.data_order = Some("target".to_owned());
                let mut steer = None;
                match &arm.course {
                    Course::Fixed => {}
                    Course::Planned(first, changes) => {
                        spec.mixture = first.reordered(corpus.domains())?;
                        spec.later_segments.clone_from(changes);
                    }
                    Course::Online(first, controller, name) => {
                        spec.mixture = first.reordered(corpus.domains())?;
                        spec.steered_by = Some(name.clone());
                        let record = folder.join("decisions.json");
                        steer = Some(Arc::new(Online::new((**controller).clone(), record)) as _);
                    }
                }
                jobs.push(Job {
                    spec,
                    folder,
                    steer,
                });
                labels.push((arm.name.clone(), seed));
            }
        }
        if cx.redo {
            self.set_aside_stale(&jobs, cx)?;
        }
        let parameters = section.model(corpus.vocab_size())?.parameters();
        cx.monitor
            .message(&format!("{}: {parameters}", section.preset));
        let statuses = run_jobs("train targets", &jobs, &corpus, device, parallel, cx)?;
        report_failures(&jobs, &statuses, cx.monitor);
        let mut runs = Vec::new();
        for ((job, (arm, seed)), status) in jobs.iter().zip(labels).zip(&statuses) {
            if let RunStatus::Done(summary) = status {
                runs.push(TargetRun {
                    run: job.spec.run.clone(),
                    arm,
                    seed,
                    objective: f64::NAN,
                    loss: summary.loss.clone(),
                });
            }
        }
        let baseline = mean_losses(&runs, baseline);
        for run in &mut runs {
            run.objective = cost(&found.objective, &run.loss, &baseline)?;
        }
        let proxy = self.config().proxy.model(corpus.vocab_size())?.parameters();
        let spec = &jobs[0].spec;
        let check = TargetCheck::new(
            found.objective.clone(),
            [proxy.total(), spec.model.parameters().total()],
            spec.tokens(),
            (arms.into_iter())
                .map(|arm| (arm.name, arm.mixture, arm.predicted))
                .collect(),
            schedules,
            runs,
        )?;
        artefact::write_json(self.path("check.json"), &check)?;
        Ok(check)
    }

    fn arms(&self, found: &Recommendation) -> Result<Vec<ArmPlan>> {
        let natural = natural_mixture(self.corpus()?.manifest())?;
        let fit = self.load_fit()?;
        let scorer = Scorer::new(&fit, &found.objective)?;
        let mut arms = vec![ArmPlan {
            name: "found".to_owned(),
            mixture: found.mixture.clone(),
            // Checks compare what is to be made small.
            predicted: Some(found.objective.sign() * found.predicted.mean),
            course: Course::Fixed,
        }];
        for name in &self.config().check.against {
            let mixture = match name.as_str() {
                "natural" => natural.clone(),
                "uniform" => Mixture::uniform(natural.domains().clone()),
                _ => match best_observed(&fit, &found.objective)? {
                    Some((_, mixture, _)) => mixture.clone(),
                    None => return Err(Error::input("no proxy has all losses of the objective")),
                },
            };
            let mixture = mixture.reordered(fit.domains())?;
            let predicted = scorer.mean(mixture.weights());
            arms.push(ArmPlan {
                name: name.clone(),
                mixture,
                predicted: Some(predicted),
                course: Course::Fixed,
            });
        }
        Ok(arms)
    }

    /// Targets on a schedule, which is planned if it is not there.
    fn schedule_arms(
        &self,
        modes: &BTreeSet<ScheduleMode>,
        objective: &Objective,
        cx: Context<'_>,
    ) -> Result<Vec<ArmPlan>> {
        if modes.is_empty() {
            return Ok(Vec::new());
        }
        let schedule = self.schedule(Context { redo: false, ..cx })?;
        let predicted = (schedule.predicted).map(|p| objective.sign() * p.mean);
        let mut arms = Vec::with_capacity(modes.len());
        for mode in modes {
            let (first, changes) = changes(&schedule)?;
            let course = match mode {
                ScheduleMode::Offline => Course::Planned(first, changes),
                ScheduleMode::Online => {
                    let path = self.path("controller.json");
                    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
                    Course::online(first, self.controller()?, &bytes)
                }
            };
            arms.push(ArmPlan {
                name: mode.name().to_owned(),
                mixture: schedule.mean.clone(),
                // What the controller will do is not known before.
                predicted: predicted.filter(|_| *mode == ScheduleMode::Offline),
                course,
            });
        }
        Ok(arms)
    }
}

/// Mean losses over the seeds of an arm. A worst case of targets is compared
/// with these, since predictions are for proxies.
fn mean_losses(runs: &[TargetRun], arm: Option<&str>) -> BTreeMap<String, f64> {
    let own: Vec<&TargetRun> = (runs.iter().filter(|r| arm == Some(&r.arm))).collect();
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for run in &own {
        for (name, loss) in &run.loss {
            *sums.entry(name.clone()).or_default() += loss / own.len() as f64;
        }
    }
    sums
}

/// The objective of measured losses, always to be made small.
fn cost(
    objective: &Objective,
    loss: &BTreeMap<String, f64>,
    baseline: &BTreeMap<String, f64>,
) -> Result<f64> {
    let (names, losses): (Vec<String>, Vec<f64>) = loss.clone().into_iter().unzip();
    let baseline: Vec<f64> = (names.iter())
        .map(|name| baseline.get(name).copied().unwrap_or(0.0))
        .collect();
    let evaluator = objective.evaluator(&names).map_err(|e| {
        e.field("objective")
            .help("the objective of a check is made of the losses on the corpus's domains")
    })?;
    Ok(evaluator.measured_cost(&losses, Some(&baseline)))
}

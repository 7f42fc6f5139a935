//! Training targets to check the promise.

use std::collections::BTreeMap;

use regmix_data::{Error, Mixture, Result, artefact};
use regmix_model::{Device, Job, RunStatus};
use regmix_regress::{Baseline, Objective, Recommendation};

use super::proxies::{report_failures, run_jobs};
use crate::check::{TargetCheck, TargetRun};
use crate::study::{Context, Study, natural_mixture};

/// A mixture to train targets on, by name, with its predicted objective.
type ArmPlan = (String, Mixture, Option<f64>);

impl Study {
    /// Trains targets on the found mixture and those it is compared with, on
    /// every seed, and writes `check.json`.
    ///
    /// # Errors
    /// When the mixture is missing, runs were made with another configuration,
    /// all runs of a mixture failed, the disk refuses, or the user stops it.
    pub fn target(&self, device: &Device, parallel: usize, cx: Context<'_>) -> Result<TargetCheck> {
        let corpus = self.corpus()?;
        let found = self.recommendation()?;
        let arms = self.arms(&found)?;
        let baseline = baseline_arm(&found.objective);
        if let Some(arm) = baseline.filter(|arm| arms.iter().all(|a| a.0 != *arm)) {
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
            for (name, mixture, _) in &arms {
                let run = format!("{name}-seed{k}");
                jobs.push(Job {
                    spec: self.spec(section, &run, seed, mixture, &corpus)?,
                    folder: self.path("targets").join(&run),
                });
                labels.push((name.clone(), seed));
            }
        }
        if cx.redo {
            self.set_aside_stale(&jobs, cx)?;
        }
        let parameters = section.model(corpus.vocab_size())?.parameters();
        cx.watch.say(&format!("{}: {parameters}", section.preset));
        let statuses = run_jobs("train targets", &jobs, &corpus, device, parallel, cx)?;
        report_failures(&jobs, &statuses, cx.watch);
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
            run.objective = value(&found.objective, &run.loss, &baseline)?;
        }
        let proxy = self.config().proxy.model(corpus.vocab_size())?.parameters();
        let spec = &jobs[0].spec;
        let check = TargetCheck::new(
            found.objective.clone(),
            [proxy.total(), spec.model.parameters().total()],
            spec.tokens(),
            arms,
            runs,
        )?;
        artefact::write_json(self.path("check.json"), &check)?;
        Ok(check)
    }

    fn arms(&self, found: &Recommendation) -> Result<Vec<ArmPlan>> {
        let natural = natural_mixture(self.corpus()?.manifest())?;
        let fit = self.load_fit()?;
        let scorer = fit.scorer(&found.objective)?;
        let mut arms = vec![(
            "found".to_owned(),
            found.mixture.clone(),
            // Checks compare what is to be made small.
            Some(found.objective.sign() * found.predicted.mean),
        )];
        for name in &self.config().check.against {
            let mixture = match name.as_str() {
                "natural" => natural.clone(),
                "uniform" => Mixture::uniform(natural.domains().clone()),
                _ => match fit.best_observed(&found.objective)? {
                    Some((_, mixture, _)) => mixture.clone(),
                    None => return Err(Error::input("no proxy has all losses of the objective")),
                },
            };
            let mixture = mixture.reordered(fit.domains())?;
            let predicted = scorer.mean(mixture.weights());
            arms.push((name.clone(), mixture, Some(predicted)));
        }
        Ok(arms)
    }
}

/// The arm that a worst case is compared with.
fn baseline_arm(objective: &Objective) -> Option<&'static str> {
    match objective {
        Objective::Maximize(inner) => baseline_arm(inner),
        Objective::Worst(Baseline::Natural) => Some("natural"),
        Objective::Worst(Baseline::Uniform) => Some("uniform"),
        _ => None,
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
fn value(
    objective: &Objective,
    loss: &BTreeMap<String, f64>,
    baseline: &BTreeMap<String, f64>,
) -> Result<f64> {
    let of = |name: &str| {
        loss.get(name).copied().ok_or_else(|| {
            Error::input(format!("no loss is measured for `{name}`"))
                .field("objective")
                .help("the objective of a check is made of the corpus's domains")
        })
    };
    let worst = |sign: f64| {
        let above = |(name, loss): (&String, &f64)| {
            sign * (loss - baseline.get(name).copied().unwrap_or(0.0))
        };
        loss.iter().map(above).fold(f64::NEG_INFINITY, f64::max)
    };
    match objective {
        Objective::Mean => Ok(loss.values().sum::<f64>() / loss.len() as f64),
        Objective::Target(name) => of(name),
        Objective::Weighted(weights) => weights.iter().map(|(name, w)| Ok(w * of(name)?)).sum(),
        Objective::Worst(_) => Ok(worst(1.0)),
        Objective::Maximize(inner) => match &**inner {
            Objective::Worst(_) => Ok(worst(-1.0)),
            other => Ok(-value(other, loss, baseline)?),
        },
    }
}

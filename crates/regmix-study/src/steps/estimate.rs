//! How long the runs of a study will take, before they are trained.

use std::path::{Path, PathBuf};

use regmix_data::{Result, TokenCorpus, ValidationSet};
use regmix_model::{Device, Job, ModelConfig, Speed, TrainConfig};
use serde::Serialize;

use super::planned::Plan;
use super::runs::{Compute, Runs, check_precision, parallel};
use super::status::{EXPERTS, PROXIES, SIZES, TARGETS};
use super::{experts, sizes};
use crate::config::{RunSection, ScheduleMode};
use crate::files;
use crate::progress::{Index, RunRow, RunState};
use crate::study::{Context, Study, natural_mixture};
use crate::workers::TrainOptions;

/// How long the runs of a step will take, by the speed of their models on a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The device that was measured.
    pub device: String,
    /// The runs, kind by kind, in the order in which they are trained.
    pub kinds: Vec<KindEstimate>,
    /// Seconds that are left, of all kinds together.
    pub seconds: f64,
    /// What takes time as well, and is not in the estimate.
    pub left_out: Vec<&'static str>,
}

/// How long the runs of one kind will take. Speeds and times are those of training steps
/// and evaluations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindEstimate {
    /// `proxies`, `size <name>`, `experts` or `targets`.
    pub kind: String,
    /// The preset of the model.
    pub preset: String,
    /// Parameters of a model, embeddings included.
    pub parameters: u64,
    /// Runs in all.
    pub runs: usize,
    /// Runs that are still to be trained, those that were begun included.
    pub left: usize,
    /// Runs that failed; only `--redo` trains them again.
    pub failed: usize,
    /// Runs of another configuration; only `--redo` trains them again.
    pub outdated: usize,
    /// Tokens that a run is trained on.
    pub tokens_per_run: u64,
    /// Tokens on which losses are measured in a run, over all its evaluations.
    pub evaluation_tokens_per_run: u64,
    /// Tokens that are still to be trained on, in all runs.
    pub tokens_left: u64,
    /// Tokens on which losses are still to be measured, in all runs.
    pub evaluation_tokens_left: u64,
    /// Models that are trained at once.
    pub at_once: usize,
    /// Tokens per second of training steps, of all models at once together; absent where
    /// nothing is left.
    pub tokens_per_second: Option<f64>,
    /// The same for evaluations.
    pub evaluation_tokens_per_second: Option<f64>,
    /// Seconds that are left.
    pub seconds: f64,
}

/// Runs of one kind.
struct Kind<'a> {
    name: String,
    /// Its section of `study.toml`.
    config: String,
    section: &'a RunSection,
    /// What its rows of the status are called.
    rows: &'static str,
    /// The folders of its runs in the study, in the order in which they are trained.
    folders: Vec<PathBuf>,
}

/// What is left of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rest {
    tokens: u64,
    evaluation_tokens: u64,
}

/// The proxies, those of other sizes, and the experts of the fit.
pub(crate) fn training(
    study: &Study,
    device: &Device,
    options: TrainOptions,
    cx: Context<'_>,
) -> Result<Estimate> {
    let config = study.config();
    let corpus = study.corpus()?;
    let (proxies, sizes) = match files::DESIGN.require(study.root()) {
        Ok(_) => {
            let mixtures = study.mixtures()?;
            (mixtures.runs().to_vec(), sizes::planned(study, &mixtures)?)
        }
        // It is drawn when they are trained, with these names.
        Err(_) => {
            let runs = config.design.runs;
            let proxies: Vec<String> = (0..runs).map(files::proxy_run).collect();
            let switching = (config.design.switching * runs as f64).round() as usize;
            let fixed = &proxies[switching.min(runs)..];
            let sizes = sizes::planned_for(study, runs, fixed)?;
            (proxies, sizes)
        }
    };
    let of_proxies = proxies
        .iter()
        .map(|run| Path::new(files::PROXIES).join(run));
    let mut kinds = vec![Kind {
        name: PROXIES.to_owned(),
        config: "proxy".to_owned(),
        section: &config.proxy,
        rows: PROXIES,
        folders: of_proxies.collect(),
    }];
    kinds.extend(sizes.iter().map(|planned| Kind {
        name: format!("size {}", planned.size.name),
        config: format!("{}.model", planned.size.section),
        section: planned.size.model,
        rows: SIZES,
        folders: planned.folders().collect(),
    }));
    let of_experts = experts::section(study);
    if config.fit.experts {
        kinds.push(Kind {
            name: EXPERTS.to_owned(),
            config: "proxy".to_owned(),
            section: &of_experts,
            rows: EXPERTS,
            folders: experts::folders(corpus.domains().len()).collect(),
        });
    }
    let compute = Compute {
        corpus: &corpus,
        device,
        options,
    };
    estimate(study, &kinds, compute, cx)
}

/// The targets of the check, with those on `schedules`.
pub(crate) fn targets(
    study: &Study,
    device: &Device,
    options: TrainOptions,
    schedules: &[ScheduleMode],
    cx: Context<'_>,
) -> Result<Estimate> {
    let config = study.config();
    let corpus = study.corpus()?;
    let mut arms: Vec<&str> = config.check.arms().collect();
    for mode in schedules {
        if !arms.contains(&mode.name()) {
            arms.push(mode.name());
        }
    }
    let runs = (1..=config.check.seeds)
        .flat_map(|k| arms.iter().map(move |arm| files::target_run(arm, k)));
    let kind = Kind {
        name: TARGETS.to_owned(),
        config: "target".to_owned(),
        section: &config.target,
        rows: TARGETS,
        folders: runs
            .map(|run| Path::new(files::TARGETS).join(run))
            .collect(),
    };
    let compute = Compute {
        corpus: &corpus,
        device,
        options,
    };
    estimate(study, &[kind], compute, cx)
}

fn estimate(
    study: &Study,
    kinds: &[Kind<'_>],
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<Estimate> {
    let index = Index::open(study.root());
    let plan = Plan::of(study, || Ok(compute.corpus));
    let mut speeds = Speeds::default();
    let mut out = Vec::new();
    for kind in kinds {
        let rows = (kind.folders.iter())
            .map(|folder| {
                let is_outdated = |fingerprint: &str| plan.is_outdated(study, folder, fingerprint);
                RunRow::read(&index, folder, kind.rows, &kind.config, is_outdated)
            })
            .collect::<Result<Vec<_>>>()?;
        out.push(kind.estimate(study, &rows, compute, &mut speeds, cx)?);
    }
    let config = study.config();
    let asks = config.eval.is_some()
        && (kinds.iter()).any(|kind| kind.rows == PROXIES || kind.section.keep_weights);
    let left_out = [
        Some("checkpoints"),
        asks.then_some("the questions of [eval]"),
        Some("other work on the machine"),
        Some("other workers, which share the runs"),
    ];
    Ok(Estimate {
        device: compute.device.spec().to_string(),
        seconds: out.iter().map(|kind| kind.seconds).sum(),
        kinds: out,
        left_out: left_out.into_iter().flatten().collect(),
    })
}

impl Kind<'_> {
    fn estimate(
        &self,
        study: &Study,
        rows: &[RunRow],
        compute: Compute<'_>,
        speeds: &mut Speeds,
        cx: Context<'_>,
    ) -> Result<KindEstimate> {
        let Compute {
            corpus,
            device,
            options,
        } = compute;
        let section = self.section;
        check_precision(study, device, &self.config, section)?;
        let natural = natural_mixture(corpus.manifest())?;
        let spec = Runs::unopened(study, section, corpus).spec("estimate", 0, &natural)?;
        let (model, train) = (&spec.model, &spec.train);
        let length = Length {
            steps: train.steps,
            tokens_per_step: spec.tokens_per_step(),
            eval_every: train.eval_every,
            tokens_per_evaluation: tokens_per_evaluation(corpus, model, train)?,
            evaluated_before: section.from.is_some(),
        };
        let own = (rows.iter().enumerate()).filter(|(place, _)| options.takes(*place));
        let own: Vec<&RunRow> = own.map(|(_, row)| row).collect();
        let in_state = |state| own.iter().filter(|row| row.state == state).count();
        let rest: Vec<Rest> = (own.iter())
            .filter_map(|row| Some(length.after(first_step(row, cx.redo)?)))
            .collect();
        let job = Job::new(spec.clone(), study.path(&self.name), None);
        let at_once = match rest.len() {
            0 => 0,
            open => parallel(&[job], open, compute, cx.monitor)?.clamp(1, open),
        };
        let speed = match at_once {
            0 => None,
            _ => Some(speeds.of((model, train), at_once, device, cx)?),
        };
        let whole = length.after(0);
        Ok(KindEstimate {
            kind: self.name.clone(),
            preset: section.preset.clone(),
            parameters: model.parameters().total() as u64,
            runs: own.len(),
            left: rest.len(),
            failed: in_state(RunState::Failed),
            outdated: in_state(RunState::Outdated),
            tokens_per_run: whole.tokens,
            evaluation_tokens_per_run: whole.evaluation_tokens,
            tokens_left: rest.iter().map(|rest| rest.tokens).sum(),
            evaluation_tokens_left: rest.iter().map(|rest| rest.evaluation_tokens).sum(),
            at_once,
            tokens_per_second: speed.map(|speed| speed.training),
            evaluation_tokens_per_second: speed.map(|speed| speed.evaluation),
            seconds: speed.map_or(0.0, |speed| seconds(&rest, at_once, speed)),
        })
    }
}

/// The step at which a run begins or continues; `None` where it is not trained.
fn first_step(row: &RunRow, redo: bool) -> Option<u64> {
    match row.state {
        RunState::Done => None,
        RunState::Failed | RunState::Outdated => redo.then_some(0),
        RunState::Waiting | RunState::Running | RunState::Stopped | RunState::Stale => {
            Some(row.step)
        }
    }
}

/// The length of a run.
struct Length {
    steps: u64,
    tokens_per_step: u64,
    eval_every: u64,
    tokens_per_evaluation: u64,
    /// Whether losses are also measured before the first step.
    evaluated_before: bool,
}

impl Length {
    /// What is left of a run that has made these steps, of which the last was evaluated.
    fn after(&self, step: u64) -> Rest {
        let step = step.min(self.steps);
        // The last step is always evaluated.
        let evaluations = self.steps.div_ceil(self.eval_every) - step / self.eval_every;
        let before = u64::from(self.evaluated_before && step == 0);
        let evaluations = match step == self.steps {
            true => 0,
            false => evaluations + before,
        };
        Rest {
            tokens: (self.steps - step) * self.tokens_per_step,
            evaluation_tokens: evaluations * self.tokens_per_evaluation,
        }
    }
}

/// Tokens of one evaluation: those of the validation sequences of all domains.
fn tokens_per_evaluation(
    corpus: &TokenCorpus,
    model: &ModelConfig,
    train: &TrainConfig,
) -> Result<u64> {
    let set = ValidationSet::new(corpus.clone(), model.context, train.eval_sequences)
        .map_err(|e| e.in_file(corpus.folder()))?;
    let sequences: usize = (0..corpus.domains().len()).map(|d| set.sequences(d)).sum();
    Ok((sequences * model.context) as u64)
}

/// The time of runs of which so many are trained at once: each takes the place of the one
/// that ends first. `speed` is that of all places together.
fn seconds(rest: &[Rest], at_once: usize, speed: Speed) -> f64 {
    let [training, evaluation] =
        [speed.training, speed.evaluation].map(|speed| speed / at_once as f64);
    let mut ends = vec![0.0_f64; at_once];
    for run in rest {
        let own = run.tokens as f64 / training + run.evaluation_tokens as f64 / evaluation;
        if let Some(first) = ends.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *first += own;
        }
    }
    ends.into_iter().fold(0.0, f64::max)
}

/// The speeds of models that were measured. Experts, for example, are models as the proxies.
#[derive(Default)]
struct Speeds(Vec<(ModelConfig, TrainConfig, usize, Speed)>);

impl Speeds {
    fn of(
        &mut self,
        (model, train): (&ModelConfig, &TrainConfig),
        at_once: usize,
        device: &Device,
        cx: Context<'_>,
    ) -> Result<Speed> {
        let same = |t: &TrainConfig| {
            let kind = |t: &TrainConfig| (t.batch_size, t.micro_batch, t.precision);
            kind(t) == kind(train)
        };
        let known = (self.0.iter()).find(|(m, t, n, _)| m == model && same(t) && *n == at_once);
        if let Some((.., speed)) = known {
            return Ok(*speed);
        }
        cx.monitor.message(&format!(
            "measuring {at_once} at once on `{}`: {}",
            device.spec(),
            model.parameters()
        ));
        let speed = Speed::measure(device, model, train, at_once, cx.monitor)?;
        self.0.push((model.clone(), train.clone(), at_once, speed));
        Ok(speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length() -> Length {
        Length {
            steps: 10,
            tokens_per_step: 100,
            eval_every: 4,
            tokens_per_evaluation: 7,
            evaluated_before: false,
        }
    }

    #[test]
    fn what_is_left_is_counted_step_by_step() {
        // A second, plain count: evaluations after the steps 4, 8 and 10.
        for from in 0..=12 {
            let steps: Vec<u64> = (from + 1..=10).collect();
            let evaluated = steps.iter().filter(|step| [4, 8, 10].contains(*step));
            let expected = Rest {
                tokens: 100 * steps.len() as u64,
                evaluation_tokens: 7 * evaluated.count() as u64,
            };
            assert_eq!(length().after(from), expected, "{from}");
        }
        let continued = Length {
            evaluated_before: true,
            ..length()
        };
        assert_eq!(continued.after(0).evaluation_tokens, 28);
        assert_eq!(continued.after(4), length().after(4));
    }

    #[test]
    fn a_run_takes_the_place_of_the_one_that_ends_first() {
        let run = |tokens| Rest {
            tokens,
            evaluation_tokens: 0,
        };
        let speed = Speed {
            training: 20.0,
            evaluation: 40.0,
        };
        // Two places with 10 tokens a second each.
        assert_eq!(seconds(&[], 2, speed), 0.0);
        assert_eq!(seconds(&[run(100)], 1, speed), 5.0);
        assert_eq!(seconds(&[run(100); 2], 2, speed), 10.0);
        assert_eq!(seconds(&[run(100); 3], 2, speed), 20.0);
        assert_eq!(seconds(&[run(100), run(30), run(40)], 2, speed), 10.0);
        let measured = Rest {
            tokens: 100,
            evaluation_tokens: 100,
        };
        assert_eq!(seconds(&[measured], 2, speed), 15.0);
    }
}

//! How accurate a stage model is on held-out runs.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use regmix_data::table::records::number_or_empty;
use regmix_data::{Monitor, Muted, Result, Unit};
use regmix_regress::metrics::{coverage90, mae, mean_and_sd, spearman};
use regmix_regress::{Folds, Prediction};

use super::StageModel;
use crate::config::DynamicConfig;
use crate::dynamics::Dynamics;
use crate::record::Transitions;

/// The accuracy of f on one stage and target. RegMix-D reports none.
///
/// A model is fitted without a fold of runs and predicts them: `spearman` and
/// `mae` are of the losses at the stage's end, from the measured losses at its
/// beginning. Most of such a loss is known from the loss before, so that both
/// look better than they are; `fall_spearman` is of how much the loss fell,
/// which decides between mixtures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageAccuracy {
    /// The stage, from 0.
    pub stage: usize,
    /// The target.
    pub target: String,
    /// Rows that were predicted.
    pub rows: usize,
    /// Rank correlation of losses; NaN (`null` in JSON) where all are the same.
    #[serde(with = "number_or_empty")]
    pub spearman: f64,
    /// Its standard deviation over folds; NaN where fewer than two have a value.
    #[serde(with = "number_or_empty")]
    pub spearman_sd: f64,
    /// Rank correlation of the falls of losses.
    #[serde(with = "number_or_empty")]
    pub fall_spearman: f64,
    /// Its standard deviation over folds.
    #[serde(with = "number_or_empty")]
    pub fall_spearman_sd: f64,
    /// Mean absolute error, nats.
    pub mae: f64,
    /// Its standard deviation over folds.
    #[serde(with = "number_or_empty")]
    pub mae_sd: f64,
    /// The mean absolute error of predicting the mean fall, nats.
    pub mae_of_mean: f64,
    /// Share of rows inside the 90 % interval.
    pub coverage90: f64,
}

impl StageAccuracy {
    /// Cross-validates by runs: all stages of a run are held out together.
    /// In the order of stages, then targets. Cost: `folds` fits.
    ///
    /// # Errors
    /// When there are fewer than 2 runs or folds, a fit fails, or `monitor`
    /// asks to stop.
    pub fn cross_validate(
        rows: &Transitions,
        config: &DynamicConfig,
        folds: usize,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Self>> {
        let split = Folds::new(rows.runs.len(), folds, config.seed, "stages")?;
        monitor.begin("folds of the stage model", folds as u64, Unit::Items);
        let models = (0..split.count())
            .into_par_iter()
            .map(|fold| {
                let rows = rows.pick(&split.split(fold).0);
                let model = StageModel::fit_monitored(&rows, config, &Muted(monitor))?;
                monitor.advance(1);
                Ok(model)
            })
            .collect::<Result<Vec<_>>>()?;
        monitor.end();
        let predicted: Vec<(Vec<f64>, Vec<f64>)> = (rows.rows.iter())
            .map(|row| {
                let model = &models[split.fold_of(row.run)];
                let at = model.moment(row.stage);
                let next = model.next(at, &row.state, &row.mixture);
                (next, model.sd(at, &row.state, &row.mixture))
            })
            .collect();
        let mut out = Vec::new();
        for stage in 0..rows.grid.stages() {
            for (t, target) in rows.targets.iter().enumerate() {
                let cases: Vec<Case> = (rows.rows.iter().zip(&predicted))
                    .filter(|(row, _)| row.stage == stage)
                    .map(|(row, (mean, sd))| Case {
                        fold: split.fold_of(row.run),
                        before: row.state[t],
                        after: row.next[t],
                        predicted: mean[t],
                        sd: sd[t],
                    })
                    .collect();
                out.push(Self::of(stage, target, &cases, split.count()));
            }
        }
        Ok(out)
    }

    fn of(stage: usize, target: &str, cases: &[Case], folds: usize) -> Self {
        let of = |get: fn(&Case) -> f64| cases.iter().map(get).collect::<Vec<f64>>();
        let falls = of(|c| c.before - c.after);
        let mean = falls.iter().sum::<f64>() / falls.len() as f64;
        let over_folds = |score: fn(&[&Case]) -> f64| {
            let scores: Vec<f64> = (0..folds)
                .map(|fold| score(&cases.iter().filter(|c| c.fold == fold).collect::<Vec<_>>()))
                .filter(|score| score.is_finite())
                .collect();
            match scores.len() {
                0 | 1 => f64::NAN,
                _ => mean_and_sd(&scores).1,
            }
        };
        let all: Vec<&Case> = cases.iter().collect();
        let intervals = cases.iter().map(|c| Prediction {
            mean: c.predicted,
            sd: c.sd,
        });
        Self {
            stage,
            target: target.to_owned(),
            rows: cases.len(),
            spearman: losses_ranked(&all),
            spearman_sd: over_folds(losses_ranked),
            fall_spearman: falls_ranked(&all),
            fall_spearman_sd: over_folds(falls_ranked),
            mae: error(&all),
            mae_sd: over_folds(error),
            mae_of_mean: mae(&falls, &vec![mean; falls.len()]),
            coverage90: coverage90(&of(|c| c.after), &intervals.collect::<Vec<_>>()),
        }
    }
}

/// One row of one target, predicted by a model fitted without its run.
struct Case {
    fold: usize,
    before: f64,
    after: f64,
    predicted: f64,
    sd: f64,
}

fn score(cases: &[&Case], by: fn(&[f64], &[f64]) -> f64, falls: bool) -> f64 {
    let from = |c: &Case| if falls { c.before } else { 0.0 };
    let measured: Vec<f64> = cases.iter().map(|c| c.after - from(c)).collect();
    let predicted: Vec<f64> = cases.iter().map(|c| c.predicted - from(c)).collect();
    by(&measured, &predicted)
}

fn losses_ranked(cases: &[&Case]) -> f64 {
    score(cases, spearman, false)
}

fn falls_ranked(cases: &[&Case]) -> f64 {
    score(cases, spearman, true)
}

fn error(cases: &[&Case]) -> f64 {
    score(cases, mae, false)
}

/// A score over the targets of a stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverTargets {
    /// The mean; NaN where no target has one.
    pub mean: f64,
    /// The lowest of a target.
    pub low: f64,
    /// The highest of a target.
    pub high: f64,
    /// The mean standard deviation over folds.
    pub sd: f64,
}

/// The accuracy of f on one stage, over all targets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageSummary {
    /// The stage, from 0.
    pub stage: usize,
    /// The number of targets.
    pub targets: usize,
    /// Rank correlation of losses.
    pub spearman: OverTargets,
    /// Rank correlation of the falls of losses.
    pub fall_spearman: OverTargets,
    /// Mean absolute error, nats.
    pub mae: OverTargets,
    /// Mean over targets of the mean absolute error of predicting the mean
    /// fall, nats.
    pub mae_of_mean: f64,
    /// Mean over targets of the share of rows inside the 90 % interval.
    pub coverage90: f64,
}

impl StageSummary {
    /// One per stage, in order, of what [`StageAccuracy::cross_validate`]
    /// gives. Scores that are NaN do not count.
    pub fn of(accuracy: &[StageAccuracy]) -> Vec<Self> {
        let stages = accuracy.iter().map(|a| a.stage + 1).max().unwrap_or(0);
        (0..stages)
            .map(|stage| {
                let here: Vec<&StageAccuracy> =
                    accuracy.iter().filter(|a| a.stage == stage).collect();
                let mean = |get: fn(&StageAccuracy) -> f64| {
                    let known: Vec<f64> =
                        (here.iter().map(|a| get(a)).filter(|x| x.is_finite())).collect();
                    known.iter().sum::<f64>() / known.len() as f64
                };
                let over = |get: fn(&StageAccuracy) -> f64, sd| OverTargets {
                    mean: mean(get),
                    low: here.iter().map(|a| get(a)).fold(f64::NAN, f64::min),
                    high: here.iter().map(|a| get(a)).fold(f64::NAN, f64::max),
                    sd: mean(sd),
                };
                Self {
                    stage,
                    targets: here.len(),
                    spearman: over(|a| a.spearman, |a| a.spearman_sd),
                    fall_spearman: over(|a| a.fall_spearman, |a| a.fall_spearman_sd),
                    mae: over(|a| a.mae, |a| a.mae_sd),
                    mae_of_mean: mean(|a| a.mae_of_mean),
                    coverage90: mean(|a| a.coverage90),
                }
            })
            .collect()
    }
}

//! How good a stage model is, on runs that it has not seen.

use serde::{Deserialize, Serialize};

use regmix_data::Result;
use regmix_regress::Folds;
use regmix_regress::metrics::{coverage90, mae, spearman};
use regmix_regress::regressor::Prediction;

use crate::config::Config;
use crate::dynamics::Dynamics;
use crate::stage_model::StageModel;
use crate::transitions::Transitions;

/// The accuracy of f on one stage and target. RegMix-D reports none.
///
/// A model is fitted without a fold of runs and predicts them: `spearman` and
/// `mae` are of the losses at the stage's end, from the measured losses at its
/// beginning. Most of such a loss is known from the one before, so that both
/// flatter; `fall_spearman` is of how much the loss fell, which is what a
/// choice of mixtures rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageAccuracy {
    /// The stage, from 0.
    pub stage: usize,
    /// The target.
    pub target: String,
    /// Rows that were predicted.
    pub rows: usize,
    /// Rank correlation of losses; NaN where all are the same.
    pub spearman: f64,
    /// Rank correlation of the falls of losses.
    pub fall_spearman: f64,
    /// Mean absolute error, nats.
    pub mae: f64,
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
    /// When there are fewer than 2 runs or folds, or a fit fails.
    pub fn cross_validate(rows: &Transitions, config: &Config, folds: usize) -> Result<Vec<Self>> {
        let split = Folds::new(rows.runs.len(), folds, config.seed, "stages")?;
        let mut predicted: Vec<Option<(Vec<f64>, Vec<f64>)>> = vec![None; rows.rows.len()];
        for fold in 0..split.count() {
            let (train, _) = split.split(fold);
            let model = StageModel::fit(&rows.pick(&train), config)?;
            for (row, out) in rows.rows.iter().zip(&mut predicted) {
                if split.fold_of(row.run) == fold {
                    let at = model.moment(row.stage);
                    let next = model.next(at, &row.state, &row.mixture);
                    *out = Some((next, model.sd(at, &row.state, &row.mixture)));
                }
            }
        }
        let mut out = Vec::new();
        for stage in 0..rows.grid.stages() {
            for (t, target) in rows.targets.iter().enumerate() {
                let (mut measured, mut means, mut before) = (Vec::new(), Vec::new(), Vec::new());
                let mut intervals = Vec::new();
                for (row, predicted) in rows.rows.iter().zip(&predicted) {
                    if let (true, Some((mean, sd))) = (row.stage == stage, predicted) {
                        measured.push(row.next[t]);
                        means.push(mean[t]);
                        before.push(row.state[t]);
                        intervals.push(Prediction {
                            mean: mean[t],
                            sd: sd[t],
                        });
                    }
                }
                let fall = |after: &[f64]| -> Vec<f64> {
                    before.iter().zip(after).map(|(b, a)| b - a).collect()
                };
                let falls = fall(&measured);
                let mean = falls.iter().sum::<f64>() / falls.len() as f64;
                out.push(Self {
                    stage,
                    target: target.clone(),
                    rows: measured.len(),
                    spearman: spearman(&measured, &means),
                    fall_spearman: spearman(&falls, &fall(&means)),
                    mae: mae(&measured, &means),
                    mae_of_mean: mae(&falls, &vec![mean; falls.len()]),
                    coverage90: coverage90(&measured, &intervals),
                });
            }
        }
        Ok(out)
    }
}

//! The size correction that laws of scale give.

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};
use regmix_regress::scale::{ScaleFit, Setting};
use regmix_regress::{Evaluator, Objective};

use super::calibration::{SizeCalibration, states_of_both, usable_goal};
use super::correction::SizeCorrection;
use crate::record::{StageGrid, StageLosses};

/// A model's parameters and the tokens of its whole run.
pub type SizeAndLength = (f64, f64);

/// A translation of losses between two sizes, to be predicted by laws of
/// scale.
#[derive(Debug, Clone, Copy)]
pub struct ScaleTranslation<'a> {
    /// Mixtures that the losses are predicted for.
    pub mixtures: &'a MixtureTable,
    /// Shares of a run at which they are compared.
    pub grid: &'a StageGrid,
    /// The losses, in the order of the state.
    pub targets: &'a [String],
    /// The objective, where its value is the state.
    pub objective: Option<&'a Objective>,
}

impl ScaleTranslation<'_> {
    /// A linear function for every loss, fitted to the predictions of the laws for all
    /// mixtures at all stage points of a small and a large model.
    ///
    /// # Errors
    /// When the laws lack a target or have other domains, an objective is a worst case,
    /// or predicted losses of the two sizes do not rise together.
    pub fn correction(
        &self,
        fit: &ScaleFit,
        small: SizeAndLength,
        large: SizeAndLength,
    ) -> Result<SizeCorrection> {
        let goal = usable_goal(self.objective, self.targets)?;
        let places: Vec<usize> = (self.targets.iter())
            .map(|name| {
                let place = fit.runs().targets().iter().position(|t| t == name);
                place.ok_or_else(|| {
                    Error::input(format!("laws of scale have no target `{name}`")).field("size")
                })
            })
            .collect::<Result<_>>()?;
        let mixtures = self.mixtures.reordered(fit.domains())?;
        let lines = goal.as_ref().map_or(places.len(), |_| 1);
        let mut pairs = vec![Vec::new(); lines];
        for mixture in mixtures.mixtures() {
            for share in self.grid.points() {
                let state = |(parameters, tokens): SizeAndLength| {
                    let predicted = fit.predict_all(&Setting {
                        weights: mixture.weights(),
                        parameters,
                        tokens: tokens * share,
                    });
                    let losses: Vec<f64> = places.iter().map(|t| predicted[*t].mean).collect();
                    state(&losses, goal.as_ref())
                };
                for ((pairs, large), small) in pairs.iter_mut().zip(state(large)).zip(state(small))
                {
                    pairs.push((large, small));
                }
            }
        }
        SizeCorrection::from_pairs(&pairs)
    }
}

fn state(losses: &[f64], goal: Option<&Evaluator>) -> Vec<f64> {
    match goal {
        Some(goal) => vec![goal.sum(losses)],
        None => losses.to_vec(),
    }
}

impl SizeCalibration {
    /// A size correction that laws of scale give for the target, and the error of the
    /// same on the largest size: `held_out` is the correction for that size by laws
    /// that were fitted without it. `small` are the proxies, `large` the runs of the
    /// largest size with the same names and mixtures.
    ///
    /// # Errors
    /// When no run is in both, stage points or losses differ, or an objective is a
    /// worst case.
    pub fn by_scale(
        correction: SizeCorrection,
        held_out: &SizeCorrection,
        [small, large]: [&StageLosses; 2],
        objective: Option<&Objective>,
    ) -> Result<Self> {
        let goal = usable_goal(objective, &small.targets)?;
        let all = states_of_both(small, large, goal.as_ref())?;
        let (mut error, mut uncorrected, mut count) = (0.0, 0.0, 0.0);
        for [l, s] in all.iter().flatten() {
            for ((c, l), s) in held_out.corrected(l, None)?.iter().zip(l).zip(s) {
                error += (c - s).abs();
                uncorrected += (l - s).abs();
                count += 1.0;
            }
        }
        if count == 0.0 {
            return Err(Error::input("no run is in both sizes").field("sizes"));
        }
        Ok(Self {
            correction,
            runs: all.len(),
            error: error / count,
            uncorrected: uncorrected / count,
            by_scale: true,
        })
    }
}

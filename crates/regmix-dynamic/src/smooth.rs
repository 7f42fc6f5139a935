//! A smooth stage model: ridge regression on the logarithm of the ratio of
//! losses before and after a stage.

use serde::{Deserialize, Serialize};

use regmix_data::Result;

use crate::dynamics::Slopes;
use crate::ridge::Ridge;
use crate::transitions::{Beginning, Transition};

/// Weights below this are hardly told apart.
const RESOLUTION: f64 = 1e-3;

/// What the ridge sees of a mixture and a state, for D domains and T targets:
/// D weights, D square roots of weights, T logarithms of losses, and D square
/// roots times the mean logarithm. Losses fall by powers of tokens, steepest
/// near weight 0, which roots follow; the products let what a domain is worth
/// change with how far training has come.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shape {
    domains: usize,
    targets: usize,
}

impl Shape {
    fn inputs(self) -> usize {
        3 * self.domains + self.targets
    }

    fn of(self, mixture: &[f64], state: &[f64]) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.inputs());
        let level = level(state);
        out.extend_from_slice(mixture);
        out.extend(mixture.iter().map(|w| root(*w)));
        out.extend(state.iter().map(|l| l.ln()));
        out.extend(mixture.iter().map(|w| level * root(*w)));
        out
    }
}

fn root(weight: f64) -> f64 {
    (weight.max(0.0) + RESOLUTION).sqrt()
}

fn level(state: &[f64]) -> f64 {
    state.iter().map(|l| l.ln()).sum::<f64>() / state.len() as f64
}

/// One ridge per stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Smooth {
    domains: usize,
    targets: usize,
    stages: Vec<Ridge>,
}

impl Smooth {
    /// Fits; `like` gives the strengths, for a bootstrap.
    pub(crate) fn fit(rows: &[Transition], stages: usize, like: Option<&Self>) -> Result<Self> {
        let shape = Shape {
            domains: rows[0].mixture.len(),
            targets: rows[0].state.len(),
        };
        let fit = |stage: usize| {
            let here = || rows.iter().filter(move |r| r.stage == stage);
            let x: Vec<Vec<f64>> = here().map(|r| shape.of(&r.mixture, &r.state)).collect();
            let ratio = |r: &Transition| -> Vec<f64> {
                (r.state.iter().zip(&r.next))
                    .map(|(a, b)| (b / a).ln())
                    .collect()
            };
            let y: Vec<Vec<f64>> = here().map(ratio).collect();
            Ridge::fit(&x, &y, like.map(|s| s.stages[stage].strength()))
        };
        Ok(Self {
            domains: shape.domains,
            targets: shape.targets,
            stages: (0..stages).map(fit).collect::<Result<_>>()?,
        })
    }

    fn shape(&self) -> Shape {
        Shape {
            domains: self.domains,
            targets: self.targets,
        }
    }

    pub(crate) fn next(&self, stage: usize, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        let ratios = self.stages[stage].mean(&self.shape().of(mixture, state));
        state.iter().zip(ratios).map(|(l, r)| l * r.exp()).collect()
    }

    pub(crate) fn sd(&self, stage: usize, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        let x = self.shape().of(mixture, state);
        let ridge = &self.stages[stage];
        let next = state.iter().zip(ridge.mean(&x)).map(|(l, r)| l * r.exp());
        next.zip(ridge.sd(&x)).map(|(l, sd)| l * sd).collect()
    }

    pub(crate) fn slopes(&self, stage: usize, state: &[f64], mixture: &[f64]) -> Slopes {
        let (d, targets) = (self.domains, self.targets);
        let ridge = &self.stages[stage];
        let next = self.next(stage, state, mixture);
        let level = level(state);
        let by_root = |t: usize, j: usize| {
            ridge.slope(t, d + j) + level * ridge.slope(t, 2 * d + targets + j)
        };
        let by_mixture = (0..targets)
            .map(|t| {
                (mixture.iter().enumerate())
                    .map(|(j, w)| next[t] * (ridge.slope(t, j) + by_root(t, j) / (2.0 * root(*w))))
                    .collect()
            })
            .collect();
        let by_state = (0..targets)
            .map(|t| {
                let by_level: f64 = (mixture.iter().enumerate())
                    .map(|(j, w)| ridge.slope(t, 2 * d + targets + j) * root(*w))
                    .sum::<f64>()
                    / targets as f64;
                (state.iter().enumerate())
                    .map(|(i, l)| {
                        let itself = if i == t { next[t] / l } else { 0.0 };
                        itself + next[t] * (ridge.slope(t, 2 * d + i) + by_level) / l
                    })
                    .collect()
            })
            .collect();
        Slopes {
            by_mixture,
            by_state,
        }
    }

    pub(crate) fn is_sound(&self, domains: usize, targets: usize, stages: usize) -> bool {
        let inputs = self.shape().inputs();
        (self.domains, self.targets, self.stages.len()) == (domains, targets, stages)
            && self.stages.iter().all(|r| r.is_sound(inputs, targets))
    }
}

/// The losses at the first stage point by the first mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartModel {
    /// The mean over the proxies, as RegMix-D has it.
    mean: Vec<f64>,
    ridge: Ridge,
}

impl StartModel {
    pub(crate) fn fit(rows: &[Beginning]) -> Result<Self> {
        let x: Vec<Vec<f64>> = rows.iter().map(|r| inputs(&r.mixture)).collect();
        let y: Vec<Vec<f64>> = (rows.iter())
            .map(|r| r.state.iter().map(|l| l.ln()).collect())
            .collect();
        let mut mean = vec![0.0; rows[0].state.len()];
        for row in rows {
            for (m, l) in mean.iter_mut().zip(&row.state) {
                *m += l / rows.len() as f64;
            }
        }
        Ok(Self {
            mean,
            ridge: Ridge::fit(&x, &y, None)?,
        })
    }

    pub(crate) fn mean(&self) -> &[f64] {
        &self.mean
    }

    pub(crate) fn at(&self, mixture: &[f64]) -> Vec<f64> {
        let logs = self.ridge.mean(&inputs(mixture));
        logs.into_iter().map(f64::exp).collect()
    }

    pub(crate) fn sd(&self, mixture: &[f64]) -> Vec<f64> {
        let relative = self.ridge.sd(&inputs(mixture));
        self.at(mixture)
            .iter()
            .zip(relative)
            .map(|(l, sd)| l * sd)
            .collect()
    }

    pub(crate) fn is_sound(&self, domains: usize, targets: usize) -> bool {
        self.mean.len() == targets
            && self.mean.iter().all(|l| *l > 0.0 && l.is_finite())
            && self.ridge.is_sound(2 * domains, targets)
    }
}

/// What the first losses are regressed on.
fn inputs(mixture: &[f64]) -> Vec<f64> {
    let roots = mixture.iter().map(|w| root(*w));
    mixture.iter().copied().chain(roots).collect()
}

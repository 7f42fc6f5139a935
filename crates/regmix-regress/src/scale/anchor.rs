//! A regression on the runs of one size, by which laws of scale are corrected.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use regmix_data::{Monitor, Result};

use crate::numeric::slices::add;
use crate::registry::regressor;
use crate::regressor::interface::FitContext;
use crate::regressor::model::Model;
use crate::samples::Samples;
use crate::scale::fitted::FittedLaw;
use crate::scale::runs::ScaleRuns;
use crate::scale::units::Setting;

/// Fewer mixtures of one size are left to the laws.
const MIXTURES: usize = 9;
/// The regression: the laws of one size have members that the laws of scale lack,
/// and the process sees what no law describes.
const REGRESSOR: &str = "law1+law2+gp";
/// The process costs the third power of the runs; with many runs laws do nearly as
/// well, and the blend has a process of its own.
const WITHOUT_PROCESS: &str = "law1+law2";
const MANY: usize = 200;

/// A regression by which laws are corrected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MovedTo {
    /// The share of the difference of the logarithms that is added to the laws.
    pub share: f64,
    /// The size of the runs that it was fitted to.
    pub parameters: f64,
    /// Their length.
    pub tokens: f64,
}

/// What a regression says about every target at one size and length. Laws of
/// scale have to describe size, length and mixture by one form; at a size with
/// many mixtures a regression describes the mixture better, and what it knows of
/// one mixture against another holds at other sizes as far as ranks do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Anchor {
    parameters: f64,
    tokens: f64,
    /// The part of its runs that was left, as [`ScaleRuns::left`].
    left: f64,
    /// The share of the difference to the laws that is added to them.
    share: f64,
    /// By target; none where it was not measured often enough.
    models: Vec<Option<Model>>,
    /// The weights of its runs.
    rows: Vec<Vec<f64>>,
}

impl Anchor {
    /// Fits the regression to the last points of the size and length that has most
    /// mixtures; `None` where that has few.
    ///
    /// # Errors
    /// When the monitor asks to stop.
    pub(crate) fn fit(runs: &ScaleRuns, monitor: &dyn Monitor) -> Result<Option<Self>> {
        let Some(members) = most_mixtures(runs) else {
            return Ok(None);
        };
        let last = |r: usize| runs.runs()[r].points.len() - 1;
        let model = |target: usize| -> Result<Option<Model>> {
            let value = |&r: &usize| runs.runs()[r].points[last(r)].values[target];
            let measured = members.iter().filter(|r| value(r).is_finite());
            let (rows, values): (Vec<&[f64]>, Vec<f64>) = measured
                .map(|r| (&runs.runs()[*r].weights[..], value(r)))
                .unzip();
            if rows.len() < MIXTURES {
                return Ok(None);
            }
            let own = runs.domains().position(&runs.targets()[target]);
            let samples = Samples::new(rows, values)?.with_own_domain(own);
            let name = match samples.len() > MANY {
                true => WITHOUT_PROCESS,
                false => REGRESSOR,
            };
            let found = regressor(name)?.fit_with(&samples, FitContext::new(42, monitor));
            monitor.check()?;
            // Laws describe what the regression does not.
            Ok(found.ok())
        };
        let models = (0..runs.targets().len()).into_par_iter().map(model);
        let first = members[0];
        Ok(Some(Self {
            parameters: runs.runs()[first].parameters,
            tokens: runs.runs()[first].points[last(first)].tokens,
            left: runs.left(first, last(first)),
            share: 1.0,
            models: models.collect::<Result<_>>()?,
            rows: (members.iter())
                .map(|&r| runs.runs()[r].weights.clone())
                .collect(),
        }))
    }

    /// With so much of the difference.
    pub(crate) fn with_share(self, share: f64) -> Self {
        Self { share, ..self }
    }

    /// The share, and the size and length of the regression.
    pub(crate) fn moved_to(&self) -> MovedTo {
        MovedTo {
            share: self.share,
            parameters: self.parameters,
            tokens: self.tokens,
        }
    }

    /// The regression less the laws of a target, in the logarithm; its derivative by
    /// the weights, times the share, is added to `slopes` where there are some.
    /// `None` where the target has no regression.
    fn apart(
        &self,
        target: usize,
        laws: &[FittedLaw],
        weights: &[f64],
        mut slopes: Option<&mut [f64]>,
    ) -> Option<f64> {
        // A regression is unbounded where it extrapolates.
        const LEAST: f64 = 1e-3;
        let model = self.models[target].as_ref()?;
        let at = Setting {
            weights,
            parameters: self.parameters,
            tokens: self.tokens,
        };
        let (value, by) = match slopes {
            Some(_) => model.value_and_gradient(weights),
            None => (model.mean(weights), None),
        };
        if let (Some(slopes), Some(by)) = (&mut slopes, by.filter(|_| value > LEAST)) {
            add(slopes, self.share / value, &by);
        }
        let mut apart = value.max(LEAST).ln();
        let part = 1.0 / laws.len() as f64;
        for law in laws {
            let form = law.form();
            let ln = match &mut slopes {
                Some(slopes) => {
                    let (ln, _, by) = law.ln_loss(&at);
                    add(slopes, -self.share * part, &by);
                    ln
                }
                None => law.ln_value(&form, &at),
            };
            apart -= part * (ln + law.excess(&form, self.left));
        }
        Some(apart)
    }

    /// How far the regression lies above the laws of a target in the mean of its
    /// runs: a level, which size and length decide, is left to the laws.
    pub(crate) fn level(&self, target: usize, laws: &[FittedLaw]) -> f64 {
        let each = (self.rows.iter()).filter_map(|w| self.apart(target, laws, w, None));
        each.sum::<f64>() / self.rows.len() as f64
    }

    /// What is added to the mean of the laws of a target; its derivative by the
    /// weights is added to `slopes` where there are some.
    pub(crate) fn correction(
        &self,
        target: usize,
        (laws, level): (&[FittedLaw], f64),
        weights: &[f64],
        slopes: Option<&mut [f64]>,
    ) -> f64 {
        (self.apart(target, laws, weights, slopes))
            .map_or(0.0, |apart| self.share * (apart - level))
    }

    /// Whether what was read fits some runs.
    pub(crate) fn is_sound(&self, domains: usize, targets: usize) -> bool {
        let numbers = [self.parameters, self.tokens, self.left, self.share];
        numbers.iter().all(|x| x.is_finite())
            && self.models.len() == targets
            && self.rows.iter().all(|r| r.len() == domains)
            && (self.models.iter().flatten()).all(|m| m.check(domains).is_ok())
    }
}

/// The runs of the size and length with most mixtures; among equals, of the
/// larger and longer.
fn most_mixtures(runs: &ScaleRuns) -> Option<Vec<usize>> {
    let mixture = {
        let mut of = vec![0; runs.runs().len()];
        for (place, members) in runs.by_mixture().iter().enumerate() {
            members.iter().for_each(|&r| of[r] = place);
        }
        of
    };
    let mut groups: BTreeMap<(u64, i64), Vec<usize>> = BTreeMap::new();
    for (r, run) in runs.runs().iter().enumerate() {
        let tokens = run.points.last()?.tokens;
        // Lengths that differ by a batch are one; positive numbers are in the
        // order of their bits.
        let length = (100.0 * tokens.ln()).round() as i64;
        let key = (run.parameters.to_bits(), length);
        groups.entry(key).or_default().push(r);
    }
    let mixtures = |members: &[usize]| {
        let mut all: Vec<usize> = members.iter().map(|&r| mixture[r]).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    };
    let most = groups
        .into_values()
        .max_by_key(|members| mixtures(members))?;
    (mixtures(&most) >= MIXTURES).then_some(most)
}

//! Some laws together, with a process on what they leave: the model of all
//! targets.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use regmix_data::{Monitor, Result};

use crate::scale::anchor::Anchor;
use crate::scale::fitted::{FittedLaw, Fitting};
use crate::scale::form::LawName;
use crate::scale::process::{Factored, Kernel, Place, covariances, expected};
use crate::scale::runs::{ScaleRuns, steps_back};
use crate::scale::units::{Setting, Units};

/// Measurements that a process holds at most.
const PLACES: usize = 700;

/// The laws of one target, and the process on their residuals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetBlend {
    pub(crate) laws: Vec<FittedLaw>,
    /// Measured places of this target, by place among those of the blend.
    places: Vec<usize>,
    weights: Vec<f64>,
    /// How large residuals are, in units of the kernel; without one, in
    /// logarithms.
    amplitude: f64,
    /// What a regression says above the laws in the mean of its runs.
    level: f64,
}

/// The mean of the logarithms of some laws, for every target, corrected by a
/// process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blend {
    pub(crate) targets: Vec<TargetBlend>,
    pub(crate) kernel: Option<Kernel>,
    places: Vec<Place>,
    /// The largest size and the greatest length that were fitted.
    reach: (f64, f64),
    /// A factor on what the parameters of the laws leave open.
    open: f64,
    /// The regression that corrects the laws for mixtures.
    pub(crate) anchor: Option<Anchor>,
    /// Factors of the covariance per target; made when they are first needed.
    #[serde(skip)]
    factors: OnceLock<Vec<Arc<Factored>>>,
}

impl TargetBlend {
    /// The laws alone.
    pub(crate) fn of(laws: Vec<FittedLaw>) -> Self {
        Self {
            laws,
            places: Vec::new(),
            weights: Vec::new(),
            amplitude: 0.0,
            level: 0.0,
        }
    }

    /// The standard deviation of single measurements around the laws.
    pub(crate) fn misfit(&self) -> f64 {
        let all = self.laws.iter().map(FittedLaw::residual_sd);
        all.sum::<f64>() / self.laws.len() as f64
    }

    /// The mean of the laws, and of what their parameters leave open.
    pub(crate) fn ln_laws(&self, at: &Setting<'_>) -> (f64, f64) {
        let (mut mean, mut sd) = (0.0, 0.0);
        for law in &self.laws {
            let (ln, open, _) = law.ln_loss(at);
            mean += ln;
            sd += open;
        }
        let count = self.laws.len() as f64;
        (mean / count, sd / count)
    }

    /// What a regression adds to the mean of the laws; its derivative by the weights
    /// is added to `slopes` where there are some.
    fn moved(
        &self,
        anchor: &Anchor,
        target: usize,
        weights: &[f64],
        slopes: Option<&mut [f64]>,
    ) -> f64 {
        anchor.correction(target, (&self.laws, self.level), weights, slopes)
    }
}

/// A prediction of the logarithm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LnPrediction {
    pub(crate) mean: f64,
    /// The standard deviation of a measurement, as far as residuals near the data
    /// tell.
    pub(crate) base: f64,
    /// How far single measurements of the target lie from its laws.
    pub(crate) misfit: f64,
    /// The mean of that over targets.
    pub(crate) shared: f64,
    /// The distance beyond the fitted sizes, in logarithms.
    pub(crate) larger: f64,
    /// The same beyond the fitted lengths.
    pub(crate) longer: f64,
}

impl Blend {
    /// Fits the laws to all targets.
    pub(crate) fn laws(
        names: &[LawName],
        runs: &ScaleRuns,
        units: &Units,
        fitting: Fitting,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Vec<FittedLaw>>> {
        let own = |t: usize| runs.domains().position(&runs.targets()[t]).is_some();
        let jobs: Vec<(usize, LawName)> = (0..runs.targets().len())
            .flat_map(|t| names.iter().map(move |n| (t, *n)))
            .filter(|(t, n)| own(*t) || !n.needs_own_domain())
            .collect();
        let fitted: Vec<FittedLaw> = (jobs.par_iter())
            .map(|&(target, name)| FittedLaw::fit(name, runs, target, units, fitting, monitor))
            .collect::<Result<_>>()?;
        let fitted = pool(&jobs, fitted, runs, fitting.alike, monitor)?;
        let mut out = vec![Vec::new(); runs.targets().len()];
        for ((target, _), law) in jobs.into_iter().zip(fitted) {
            out[target].push(law);
        }
        Ok(out)
    }

    /// Joins fitted laws, and fits a process to what they leave.
    pub(crate) fn join(
        laws: Vec<Vec<FittedLaw>>,
        runs: &ScaleRuns,
        kernel: Option<Kernel>,
        anchor: Option<Anchor>,
        open: f64,
    ) -> Result<Self> {
        let points = places(runs);
        let settings: Vec<Setting<'_>> = points.iter().map(|&(r, p)| setting(runs, r, p)).collect();
        let mut out = Self {
            targets: Vec::new(),
            kernel,
            places: settings.iter().map(Place::of).collect(),
            reach: (
                runs.sizes().last().copied().unwrap_or(1.0),
                runs.token_range().1,
            ),
            open,
            anchor,
            factors: OnceLock::new(),
        };
        for (target, laws) in laws.into_iter().enumerate() {
            let mut one = TargetBlend::of(laws);
            one.amplitude = one.misfit();
            if let Some(anchor) = &out.anchor {
                one.level = anchor.level(target, &one.laws);
            }
            if kernel.is_some() {
                let value = |i: usize| runs.runs()[points[i].0].points[points[i].1].values[target];
                one.places = (0..points.len())
                    .filter(|&i| value(i).is_finite())
                    .collect();
                let mut residuals: Vec<f64> = one.places.iter().map(|&i| value(i).ln()).collect();
                for law in &one.laws {
                    let form = law.form();
                    for (residual, &i) in residuals.iter_mut().zip(&one.places) {
                        let (run, point) = points[i];
                        let ln = law.ln_value(&form, &settings[i])
                            + law.excess(&form, runs.left(run, point));
                        *residual -= ln / one.laws.len() as f64;
                    }
                }
                if let Some(anchor) = &out.anchor {
                    for (residual, &i) in residuals.iter_mut().zip(&one.places) {
                        *residual -= one.moved(anchor, target, settings[i].weights, None);
                    }
                }
                one.weights = residuals;
            }
            out.targets.push(one);
        }
        if kernel.is_some() {
            let factors = out.factored()?;
            for (target, factor) in out.targets.iter_mut().zip(&factors) {
                let residuals = std::mem::take(&mut target.weights);
                target.weights = factor.weights_of(&residuals);
                let squares = crate::numeric::slices::dot(&residuals, &target.weights);
                target.amplitude = (squares / residuals.len().max(1) as f64).max(0.0).sqrt();
            }
            out.factors = OnceLock::from(factors);
        }
        Ok(out)
    }

    /// The factors of all targets; targets that are measured at the same places
    /// share one.
    fn factored(&self) -> Result<Vec<Arc<Factored>>> {
        let Some(kernel) = self.kernel else {
            return Ok(Vec::new());
        };
        let mut made: BTreeMap<&[usize], Arc<Factored>> = BTreeMap::new();
        (self.targets.iter())
            .map(|target| {
                if let Some(factored) = made.get(&target.places[..]) {
                    return Ok(Arc::clone(factored));
                }
                let factored = Arc::new(Factored::of(kernel, &self.places, &target.places)?);
                made.insert(&target.places, Arc::clone(&factored));
                Ok(factored)
            })
            .collect()
    }

    /// ln L of a target, and its derivative by the weights.
    pub(crate) fn ln_mean(&self, target: usize, at: &Setting<'_>) -> (f64, Vec<f64>) {
        let one = &self.targets[target];
        let share = 1.0 / one.laws.len() as f64;
        let mut mean = 0.0;
        let mut slopes = vec![0.0; at.weights.len()];
        for law in &one.laws {
            let (ln, _, by) = law.ln_loss(at);
            mean += share * ln;
            crate::numeric::slices::add(&mut slopes, share, &by);
        }
        if let Some(anchor) = &self.anchor {
            mean += one.moved(anchor, target, at.weights, Some(&mut slopes));
        }
        if let Some(kernel) = &self.kernel {
            let data = (&one.places[..], &one.weights[..]);
            mean += expected(kernel, &self.places, data, &Place::of(at), &mut slopes);
        }
        (mean, slopes)
    }

    /// ln L of all targets with what their standard deviations are made of.
    pub(crate) fn predict(&self, at: &Setting<'_>) -> Vec<LnPrediction> {
        let beyond = |x: f64, limit: f64| (x / limit).ln().max(0.0);
        let (larger, longer) = (
            beyond(at.parameters, self.reach.0),
            beyond(at.tokens, self.reach.1),
        );
        // What the parameters say about other mixtures; about other sizes and
        // lengths, validation says more.
        let near = Setting {
            parameters: at.parameters.min(self.reach.0),
            tokens: at.tokens.min(self.reach.1),
            ..*at
        };
        let near = [at, &near];
        let corrections = self.corrections(at);
        let sds = self.sds(at);
        let noise = self.kernel.map_or(1.0, |k| k.noise);
        let misfits = self.targets.iter().map(TargetBlend::misfit);
        let shared = misfits.sum::<f64>() / self.targets.len() as f64;
        (self.targets.iter().enumerate())
            .map(|(target, one)| {
                let [mean, own] = near.map(|at| one.ln_laws(at));
                LnPrediction {
                    mean: mean.0 + corrections[target],
                    base: (self.open * own.1.min(0.1))
                        .hypot(one.amplitude * sds[target].hypot(noise)),
                    misfit: one.misfit(),
                    shared,
                    larger,
                    longer,
                }
            })
            .collect()
    }

    /// What the regression and the process add to ln L, by target.
    pub(crate) fn corrections(&self, at: &Setting<'_>) -> Vec<f64> {
        let of_anchor = |(target, one): (usize, &TargetBlend)| {
            let anchor = self.anchor.as_ref();
            anchor.map_or(0.0, |a| one.moved(a, target, at.weights, None))
        };
        let mut out: Vec<f64> = self.targets.iter().enumerate().map(of_anchor).collect();
        if let Some(kernel) = &self.kernel {
            let all = covariances(kernel, &self.places, &Place::of(at));
            for (out, one) in out.iter_mut().zip(&self.targets) {
                let each = one.places.iter().zip(&one.weights);
                *out += each
                    .map(|(&place, weight)| all[place] * weight)
                    .sum::<f64>();
            }
        }
        out
    }

    /// The standard deviation of the process without noise, by target, in units
    /// of its amplitude.
    fn sds(&self, at: &Setting<'_>) -> Vec<f64> {
        let Some(kernel) = &self.kernel else {
            return vec![0.0; self.targets.len()];
        };
        let factors = (self.factors).get_or_init(|| self.factored().unwrap_or_default());
        let all = covariances(kernel, &self.places, &Place::of(at));
        // Targets that are measured at the same places share a factor.
        let mut known: Vec<(&Arc<Factored>, f64)> = Vec::new();
        let mut of = |factor, picks: &[usize]| match known.iter().find(|k| Arc::ptr_eq(k.0, factor))
        {
            Some(known) => known.1,
            None => {
                let sd = factor.sd(picks, &all);
                known.push((factor, sd));
                sd
            }
        };
        (self.targets.iter().enumerate())
            .map(|(t, one)| factors.get(t).map_or(0.0, |f| of(f, &one.places)))
            .collect()
    }

    /// Whether what was read fits some runs.
    pub(crate) fn is_sound(&self, runs: &ScaleRuns) -> bool {
        let domains = runs.domains().len();
        self.targets.len() == runs.targets().len()
            && self.open.is_finite()
            && (self.anchor.as_ref()).is_none_or(|a| a.is_sound(domains, self.targets.len()))
            && self.targets.iter().all(|t| {
                !t.laws.is_empty()
                    && t.laws.iter().all(|l| l.is_sound(domains))
                    && t.places.len() == t.weights.len()
                    && t.places.iter().all(|p| *p < self.places.len())
                    && t.weights.iter().all(|w| w.is_finite())
                    && t.amplitude.is_finite()
                    && t.level.is_finite()
            })
    }
}

/// Pulls the exponents of every law to what all targets say together, where
/// there are enough of them.
fn pool(
    jobs: &[(usize, LawName)],
    fitted: Vec<FittedLaw>,
    runs: &ScaleRuns,
    alike: f64,
    monitor: &dyn Monitor,
) -> Result<Vec<FittedLaw>> {
    /// The median of fewer targets says too little.
    const ENOUGH: usize = 4;
    let mut together: BTreeMap<LawName, Vec<&FittedLaw>> = BTreeMap::new();
    for law in &fitted {
        together.entry(law.law()).or_default().push(law);
    }
    let exponents: BTreeMap<LawName, Vec<Option<f64>>> = (together.into_iter())
        .filter(|(_, laws)| laws.len() >= ENOUGH)
        .map(|(name, laws)| (name, FittedLaw::exponents(&laws)))
        .collect();
    (jobs.par_iter().zip(fitted))
        .map(|(&(target, name), law)| match exponents.get(&name) {
            Some(exponents) => law.pulled(runs, target, exponents, alike, monitor),
            None => Ok(law),
        })
        .collect()
}

/// The setting of a measurement.
pub(crate) fn setting(runs: &ScaleRuns, run: usize, point: usize) -> Setting<'_> {
    let run = &runs.runs()[run];
    Setting {
        weights: &run.weights,
        parameters: run.parameters,
        tokens: run.points[point].tokens,
    }
}

/// The measurements that a process holds: as many of every run, up to the last.
fn places(runs: &ScaleRuns) -> Vec<(usize, usize)> {
    let each = (PLACES / runs.runs().len()).max(1);
    let mut out = Vec::new();
    for (r, run) in runs.runs().iter().enumerate() {
        out.extend(steps_back(run.points.len(), each).map(|p| (r, p)));
    }
    if out.len() > PLACES {
        // More runs than places: the largest and longest.
        out.sort_by(|a, b| {
            let scale = |&(r, p): &(usize, usize)| {
                let at = setting(runs, r, p);
                at.parameters * at.tokens
            };
            scale(b).total_cmp(&scale(a))
        });
        out.truncate(PLACES);
    }
    out
}

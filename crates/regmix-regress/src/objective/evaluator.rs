//! The value of an objective, and its slopes, from losses.

use regmix_data::{Error, Result};

use crate::objective::{Baseline, Objective};
use crate::search::soft_max::{largest, log_sum_exp, log_sum_exp_shares};

/// The width, in nats, over which [`Evaluator::smooth_cost`] rounds the
/// corners of a worst case.
const ROUNDING: f64 = 0.005;

/// An objective over the losses of named targets.
///
/// Made by [`Objective::evaluator`]. Losses are given as slices with one entry
/// per name, in the order of those names, in the unit of the targets (nats per
/// token). Targets that do not take part may be missing (NaN).
///
/// A *cost* is always to be made small; a *value* has the objective's own
/// sign: `value = sign · cost`, with sign -1 for [`Objective::Maximize`].
/// A worst case is the largest of the losses above a baseline: those that the
/// same targets have at a reference mixture ([`Evaluator::baseline`] says
/// which). Without a baseline, losses count as they are.
///
/// ```
/// use regmix_regress::{Baseline, Objective};
///
/// let names = ["web".to_owned(), "code".to_owned()];
/// let mean = Objective::Mean.evaluator(&names)?;
/// assert_eq!(mean.cost(&[3.0, 2.0], None), 2.5);
///
/// let worst = Objective::Worst(Baseline::Natural).evaluator(&names)?;
/// assert_eq!(worst.baseline(), Some(Baseline::Natural));
/// // `code` is 0.5 above its baseline, `web` only 0.25.
/// assert_eq!(worst.cost(&[3.0, 2.0], Some(&[2.75, 1.5])), 0.5);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluator {
    /// Places and weights of the targets that take part. The weights make a
    /// cost: their sign is turned for an objective that is maximised.
    terms: Vec<(usize, f64)>,
    worst: Option<Baseline>,
    sign: f64,
    /// Whether all targets count alike, as in a mean or a worst case.
    alike: bool,
}

/// The place of a target among all.
pub(crate) fn target_place<'a>(
    name: &str,
    targets: impl Iterator<Item = &'a str> + Clone,
) -> Result<usize> {
    targets.clone().position(|t| t == name).ok_or_else(|| {
        let known: Vec<&str> = targets.collect();
        Error::input(format!(
            "unknown target `{name}`: expected one of {}",
            known.join(", ")
        ))
    })
}

impl Evaluator {
    pub(super) fn new(objective: &Objective, names: &[String]) -> Result<Self> {
        let place = |name: &String| target_place(name, names.iter().map(String::as_str));
        let all = |weight: f64| (0..names.len()).map(|t| (t, weight)).collect();
        let (terms, worst, alike) = match objective {
            Objective::Target(name) => (vec![(place(name)?, 1.0)], None, false),
            Objective::Mean => (all(1.0 / names.len() as f64), None, true),
            Objective::Weighted(weights) => {
                let used = weights.iter().filter(|(_, w)| **w != 0.0);
                let terms = used.map(|(name, w)| Ok((place(name)?, *w)));
                (terms.collect::<Result<_>>()?, None, false)
            }
            Objective::Worst(baseline) => (all(1.0), Some(*baseline), true),
            Objective::Maximize(inner) => {
                let mut out = Self::new(inner, names)?;
                for term in &mut out.terms {
                    term.1 = -term.1;
                }
                out.sign = -out.sign;
                return Ok(out);
            }
        };
        Ok(Self {
            terms,
            worst,
            sign: 1.0,
            alike,
        })
    }

    /// For a single "loss" that is the objective's value itself; `sign` is
    /// that of the objective.
    pub fn of_value(sign: f64) -> Self {
        Self {
            terms: vec![(0, sign)],
            worst: None,
            sign,
            alike: false,
        }
    }

    /// 1 where the objective is to be small, -1 where it is to be large.
    pub fn sign(&self) -> f64 {
        self.sign
    }

    /// Whether it is a worst case over targets.
    pub fn is_worst(&self) -> bool {
        self.worst.is_some()
    }

    /// The baseline that a worst case compares with; `None` for objectives
    /// that are sums.
    pub fn baseline(&self) -> Option<Baseline> {
        self.worst
    }

    /// What is to be made small: a weighted sum of losses, or the largest of
    /// the losses above `baseline`. NaN if a loss that takes part is NaN.
    pub fn cost(&self, losses: &[f64], baseline: Option<&[f64]>) -> f64 {
        self.join(&self.weighted(losses, baseline), largest)
    }

    /// [`Evaluator::cost`] in the objective's own sign.
    pub fn value(&self, losses: &[f64], baseline: Option<&[f64]>) -> f64 {
        self.sign * self.cost(losses, baseline)
    }

    /// The cost with the corners of a worst case rounded:
    /// `s ln Σ exp(x / s)` with s = 0.005 nats, at most `s ln n` above the
    /// largest of n. A search would not leave a corner, and where all losses
    /// are at the baseline there is one.
    pub fn smooth_cost(&self, losses: &[f64], baseline: Option<&[f64]>) -> f64 {
        self.join(&self.weighted(losses, baseline), |x| {
            log_sum_exp(x, ROUNDING)
        })
    }

    /// The derivative of [`Evaluator::smooth_cost`] by every loss.
    pub fn slopes(&self, losses: &[f64], baseline: Option<&[f64]>) -> Vec<f64> {
        let shares = self.shares(&self.weighted(losses, baseline), |x| {
            log_sum_exp_shares(x, ROUNDING)
        });
        let mut out = vec![0.0; losses.len()];
        for (&(target, weight), share) in self.terms.iter().zip(shares) {
            out[target] += share * weight;
        }
        out
    }

    /// The standard deviation of the cost from those of the losses, `sds`.
    /// Errors of targets are taken as fully correlated, which is the cautious
    /// side for weights of one sign.
    pub fn sd(&self, sds: &[f64], losses: &[f64], baseline: Option<&[f64]>) -> f64 {
        let slopes = self.slopes(losses, baseline);
        slopes.iter().zip(sds).map(|(g, s)| (g * s).abs()).sum()
    }

    /// The weighted sum of losses in the objective's own sign, without any
    /// baseline.
    pub fn sum(&self, losses: &[f64]) -> f64 {
        self.sign * self.terms.iter().map(|&(t, w)| w * losses[t]).sum::<f64>()
    }

    /// As [`Evaluator::sum`]; where all targets count alike, the sum of the
    /// losses over their number (also for a worst case). For measured losses,
    /// whose mean a reader can check; it differs by rounding only.
    pub fn mean_or_sum(&self, losses: &[f64]) -> f64 {
        match self.alike {
            true => losses.iter().sum::<f64>() / losses.len() as f64,
            false => self.sum(losses),
        }
    }

    /// The cost of measured losses, see [`Evaluator::mean_or_sum`].
    pub fn measured_cost(&self, losses: &[f64], baseline: Option<&[f64]>) -> f64 {
        match self.worst {
            Some(_) => self.cost(losses, baseline),
            None => self.sign * self.mean_or_sum(losses),
        }
    }

    /// Places and weights of the targets that take part.
    pub(crate) fn terms(&self) -> &[(usize, f64)] {
        &self.terms
    }

    /// The weighted loss of every target that takes part, above its baseline
    /// in a worst case.
    fn weighted(&self, losses: &[f64], baseline: Option<&[f64]>) -> Vec<f64> {
        let baseline = baseline.filter(|_| self.is_worst());
        let one = |&(t, w): &(usize, f64)| w * (losses[t] - baseline.map_or(0.0, |b| b[t]));
        self.terms.iter().map(one).collect()
    }

    /// The cost of weighted losses: their sum, or their maximum by `maximum`.
    pub(crate) fn join(&self, weighted: &[f64], maximum: impl FnOnce(&[f64]) -> f64) -> f64 {
        match self.worst {
            None => weighted.iter().sum(),
            Some(_) => maximum(weighted),
        }
    }

    /// How much the cost moves with each weighted loss: 1 in a sum, the
    /// `shares` of a maximum, which sum to 1, in a worst case.
    pub(crate) fn shares(
        &self,
        weighted: &[f64],
        shares: impl FnOnce(&[f64]) -> Vec<f64>,
    ) -> Vec<f64> {
        match self.worst {
            None => vec![1.0; weighted.len()],
            Some(_) => shares(weighted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluator(objective: &Objective) -> Evaluator {
        objective
            .evaluator(&["web", "code"].map(str::to_owned))
            .unwrap()
    }

    #[test]
    fn costs_are_to_be_made_small_and_values_have_the_objectives_sign() {
        let losses = [3.0, 2.0];
        let cost = |o: &Objective| evaluator(o).cost(&losses, None);
        assert_eq!(cost(&Objective::parse("code")), 2.0);
        assert_eq!(cost(&Objective::Mean), 2.5);
        assert_eq!(cost(&Objective::parse("web").maximize()), -3.0);
        let two = Objective::weighted([("web".into(), 0.5), ("code".into(), -1.0)].into()).unwrap();
        assert_eq!(cost(&two), -0.5);
        assert_eq!(cost(&Objective::Worst(Baseline::None)), 3.0);
        let turned = evaluator(&Objective::parse("web").maximize());
        assert_eq!((turned.sign(), turned.sum(&losses)), (-1.0, 3.0));
        assert_eq!(turned.value(&losses, None), 3.0);
        let names = ["web", "code"].map(str::to_owned);
        let err = Objective::parse("law").evaluator(&names).unwrap_err();
        assert!(
            err.to_string().contains("expected one of web, code"),
            "{err}"
        );
    }

    #[test]
    fn targets_without_weight_may_be_missing() {
        let one = Objective::weighted([("web".into(), 2.0), ("law".into(), 0.0)].into()).unwrap();
        assert_eq!(evaluator(&one).sum(&[3.0, f64::NAN]), 6.0);
    }

    #[test]
    fn measured_losses_are_averaged_as_a_reader_would() {
        let losses = [2.9, 2.2];
        let mean = (2.9 + 2.2) / 2.0;
        let measured = |o: Objective| evaluator(&o).measured_cost(&losses, Some(&[2.5, 2.0]));
        assert_eq!(measured(Objective::Mean), mean);
        assert_eq!(measured(Objective::Mean.maximize()), -mean);
        let worst = Objective::Worst(Baseline::Uniform);
        assert_eq!(evaluator(&worst).mean_or_sum(&losses), mean);
        assert_eq!(measured(worst.clone()), 2.9 - 2.5);
        assert_eq!(measured(worst.maximize()), -(2.2 - 2.0));
    }

    #[test]
    fn a_worst_case_counts_from_its_baseline() {
        let worst = evaluator(&Objective::Worst(Baseline::Natural));
        let (losses, baseline) = ([3.0, 2.0], [2.9, 1.5]);
        assert_eq!(worst.cost(&losses, Some(&baseline)), 0.5);
        let slopes = worst.slopes(&losses, Some(&baseline));
        assert!(slopes[0] < 1e-9 && slopes[1] > 1.0 - 1e-9);
        let soft = |losses: &[f64]| worst.smooth_cost(losses, Some(&baseline));
        let level = [2.91, 1.512];
        for (i, slope) in worst.slopes(&level, Some(&baseline)).iter().enumerate() {
            let moved = |by: f64| {
                let mut losses = level;
                losses[i] += by;
                soft(&losses)
            };
            assert!(((moved(1e-6) - moved(-1e-6)) / 2e-6 - slope).abs() < 1e-5);
        }
        assert!(soft(&level) - worst.cost(&level, Some(&baseline)) < ROUNDING * 2f64.ln());
        assert!(
            worst.cost(&[f64::NAN, 9.0], None).is_nan()
                || worst.cost(&[9.0, f64::NAN], None).is_nan()
        );
    }
}

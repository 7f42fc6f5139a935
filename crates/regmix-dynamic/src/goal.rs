//! An objective over a state: the losses of all targets.

use regmix_data::{Error, Result};
use regmix_regress::{Baseline, Objective};

/// How round the corners of a worst case are for searches, nats.
const SOFT: f64 = 0.005;

/// An objective bound to the targets of a state, always to be made small.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Goal {
    terms: Vec<(usize, f64)>,
    worst: Option<Baseline>,
    sign: f64,
}

impl Goal {
    pub(crate) fn new(objective: &Objective, targets: &[String]) -> Result<Self> {
        let place = |name: &String| {
            targets.iter().position(|t| t == name).ok_or_else(|| {
                Error::input(format!(
                    "unknown target `{name}`: expected one of {}",
                    targets.join(", ")
                ))
                .field("objective")
            })
        };
        let all = |weight: f64| (0..targets.len()).map(|t| (t, weight)).collect();
        let (terms, worst) = match objective {
            Objective::Target(name) => (vec![(place(name)?, 1.0)], None),
            Objective::Mean => (all(1.0 / targets.len() as f64), None),
            Objective::Weighted(weights) => {
                let terms = weights.iter().map(|(name, w)| Ok((place(name)?, *w)));
                (terms.collect::<Result<Vec<_>>>()?, None)
            }
            Objective::Worst(baseline) => (all(1.0), Some(*baseline)),
            Objective::Maximize(inner) => {
                let mut goal = Self::new(inner, targets)?;
                for term in &mut goal.terms {
                    term.1 = -term.1;
                }
                goal.sign = -goal.sign;
                return Ok(goal);
            }
        };
        Ok(Self {
            terms,
            worst,
            sign: 1.0,
        })
    }

    /// The goal of a state that is the objective's value itself.
    pub(crate) fn itself(sign: f64) -> Self {
        Self {
            terms: vec![(0, sign)],
            worst: None,
            sign,
        }
    }

    pub(crate) fn is_worst(&self) -> bool {
        self.worst.is_some()
    }

    pub(crate) fn worst(&self) -> Option<Baseline> {
        self.worst
    }

    /// 1 where the objective is to be small, -1 where it is to be large.
    pub(crate) fn sign(&self) -> f64 {
        self.sign
    }

    /// The weighted sum in the objective's own direction, whatever it is.
    pub(crate) fn sum(&self, state: &[f64]) -> f64 {
        self.sign * self.terms.iter().map(|&(t, w)| w * state[t]).sum::<f64>()
    }

    /// The same; a loss that does not take part may be missing.
    pub(crate) fn needed_sum(&self, state: &[f64]) -> f64 {
        let part = |&(t, w): &(usize, f64)| if w == 0.0 { 0.0 } else { w * state[t] };
        self.sign * self.terms.iter().map(part).sum::<f64>()
    }

    /// What is to be made small. `baseline` are the losses that a worst case
    /// is against; without one, zeros.
    pub(crate) fn value(&self, state: &[f64], baseline: Option<&[f64]>) -> f64 {
        match self.worst {
            None => self.terms.iter().map(|&(t, w)| w * state[t]).sum(),
            Some(_) => highest(&self.above(state, baseline)),
        }
    }

    /// The same for searches: a worst case has its corners rounded, `s ln Σ
    /// exp(x / s)`, at most `s ln n` above the highest of n. A search would
    /// not leave a corner, and where all losses are at the baseline is one.
    pub(crate) fn smooth_value(&self, state: &[f64], baseline: Option<&[f64]>) -> f64 {
        if self.worst.is_none() {
            return self.value(state, baseline);
        }
        let above = self.above(state, baseline);
        let top = highest(&above);
        top + SOFT
            * above
                .iter()
                .map(|x| ((x - top) / SOFT).exp())
                .sum::<f64>()
                .ln()
    }

    /// The derivative of [`Goal::smooth_value`] by the state.
    pub(crate) fn slopes(&self, state: &[f64], baseline: Option<&[f64]>) -> Vec<f64> {
        let mut out = vec![0.0; state.len()];
        let shares = match self.worst {
            None => vec![1.0; self.terms.len()],
            Some(_) => {
                let above = self.above(state, baseline);
                let top = highest(&above);
                let parts: Vec<f64> = above.iter().map(|x| ((x - top) / SOFT).exp()).collect();
                let sum: f64 = parts.iter().sum();
                parts.iter().map(|p| p / sum).collect()
            }
        };
        for (&(target, weight), share) in self.terms.iter().zip(shares) {
            out[target] += share * weight;
        }
        out
    }

    /// The standard deviation of the value, with targets' errors taken as
    /// equal in sign and size: the cautious side for weights of one sign.
    pub(crate) fn sd(&self, sd: &[f64], state: &[f64], baseline: Option<&[f64]>) -> f64 {
        let slopes = self.slopes(state, baseline);
        slopes.iter().zip(sd).map(|(g, s)| (g * s).abs()).sum()
    }

    /// How much every weighted loss is above its baseline.
    fn above(&self, state: &[f64], baseline: Option<&[f64]>) -> Vec<f64> {
        let one = |&(t, w): &(usize, f64)| w * (state[t] - baseline.map_or(0.0, |b| b[t]));
        self.terms.iter().map(one).collect()
    }
}

/// The highest; NaN if there is one, so that it is not hidden by others.
fn highest(above: &[f64]) -> f64 {
    (above.iter().copied()).fold(f64::NEG_INFINITY, |top, x| {
        if x > top || x.is_nan() { x } else { top }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["web", "code"].map(str::to_owned).to_vec()
    }

    #[test]
    fn objectives_become_goals() {
        let state = [3.0, 2.0];
        let value = |o: &Objective| Goal::new(o, &names()).unwrap().value(&state, None);
        assert_eq!(value(&Objective::parse("code")), 2.0);
        assert_eq!(value(&Objective::Mean), 2.5);
        assert_eq!(value(&Objective::parse("web").maximize()), -3.0);
        let two = Objective::weighted([("web".into(), 0.5), ("code".into(), -1.0)].into()).unwrap();
        assert_eq!(value(&two), -0.5);
        assert_eq!(value(&Objective::Worst(Baseline::None)), 3.0);
        let err = Goal::new(&Objective::parse("law"), &names()).unwrap_err();
        assert!(
            err.to_string().contains("expected one of web, code"),
            "{err}"
        );
    }

    #[test]
    fn a_worst_case_counts_from_its_baseline() {
        let goal = Goal::new(&Objective::Worst(Baseline::Natural), &names()).unwrap();
        let (state, baseline) = ([3.0, 2.0], [2.9, 1.5]);
        assert_eq!(goal.value(&state, Some(&baseline)), 0.5);
        let slopes = goal.slopes(&state, Some(&baseline));
        assert!(slopes[0] < 1e-9 && slopes[1] > 1.0 - 1e-9);
        let soft = |state: &[f64]| goal.smooth_value(state, Some(&baseline));
        let level = [2.91, 1.512];
        for (i, slope) in goal.slopes(&level, Some(&baseline)).iter().enumerate() {
            let moved = |by: f64| {
                let mut state = level;
                state[i] += by;
                soft(&state)
            };
            assert!(((moved(1e-6) - moved(-1e-6)) / 2e-6 - slope).abs() < 1e-5);
        }
        assert!(soft(&level) - goal.value(&level, Some(&baseline)) < SOFT * 2f64.ln());
        assert!(
            goal.value(&[f64::NAN, 9.0], None).is_nan()
                || goal.value(&[9.0, f64::NAN], None).is_nan()
        );
        let turned = Goal::new(&Objective::parse("web").maximize(), &names()).unwrap();
        assert_eq!((turned.sign(), turned.sum(&state)), (-1.0, 3.0));
    }
}

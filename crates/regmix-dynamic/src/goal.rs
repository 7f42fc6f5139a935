//! An objective over a state: the losses of all targets.

use regmix_data::{Error, Result};
use regmix_regress::{Baseline, Objective};

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
            Some(_) => self.top(state, baseline).1,
        }
    }

    /// The derivative by the state; for a worst case that of the worst target.
    pub(crate) fn slopes(&self, state: &[f64], baseline: Option<&[f64]>) -> Vec<f64> {
        let mut out = vec![0.0; state.len()];
        if self.worst.is_some() {
            let (term, _) = self.top(state, baseline);
            let (target, weight) = self.terms[term];
            out[target] = weight;
        } else {
            for &(target, weight) in &self.terms {
                out[target] += weight;
            }
        }
        out
    }

    /// The standard deviation of the value, with targets' errors taken as
    /// equal in sign and size: the cautious side for weights of one sign.
    pub(crate) fn sd(&self, sd: &[f64], state: &[f64], baseline: Option<&[f64]>) -> f64 {
        let slopes = self.slopes(state, baseline);
        slopes.iter().zip(sd).map(|(g, s)| (g * s).abs()).sum()
    }

    fn top(&self, state: &[f64], baseline: Option<&[f64]>) -> (usize, f64) {
        let above = |&(t, w): &(usize, f64)| w * (state[t] - baseline.map_or(0.0, |b| b[t]));
        let mut top = (0, f64::NEG_INFINITY);
        for (i, term) in self.terms.iter().enumerate() {
            let here = above(term);
            // A missing value is not hidden by the others.
            if here > top.1 || here.is_nan() {
                top = (i, here);
            }
        }
        top
    }
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
        assert_eq!(goal.slopes(&state, Some(&baseline)), [0.0, 1.0]);
        assert!(
            goal.value(&[f64::NAN, 9.0], None).is_nan()
                || goal.value(&[9.0, f64::NAN], None).is_nan()
        );
        let turned = Goal::new(&Objective::parse("web").maximize(), &names()).unwrap();
        assert_eq!((turned.sign(), turned.sum(&state)), (-1.0, 3.0));
    }
}

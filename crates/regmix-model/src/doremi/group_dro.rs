//! The weights of domains: exponentiated gradient on their excess losses.

use regmix_data::{Error, Result};
use serde::{Deserialize, Serialize};

/// The settings of [`GroupDro`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DoremiOptions {
    /// Step size η of the exponentiated gradient; 1 in the paper. Smaller ones,
    /// such as 0.1, keep the weights from collapsing to one domain.
    pub step_size: f64,
    /// The share c of the uniform mixture in the weights; 1e-3 in the paper.
    pub smoothing: f64,
    /// What a domain's excess loss is where a batch does not have it.
    pub absent: Absent,
}

impl Default for DoremiOptions {
    fn default() -> Self {
        Self {
            step_size: 1.0,
            smoothing: 1e-3,
            absent: Absent::Keeps,
        }
    }
}

impl DoremiOptions {
    /// # Errors
    /// When a setting is out of range.
    pub fn check(&self) -> Result<()> {
        if !(self.step_size > 0.0 && self.step_size.is_finite()) {
            return Err(
                Error::input(format!("{}, expected a number above 0", self.step_size))
                    .field("step_size"),
            );
        }
        if !(0.0..1.0).contains(&self.smoothing) {
            return Err(Error::input(format!(
                "{}, expected a number from 0 to below 1",
                self.smoothing
            ))
            .field("smoothing"));
        }
        Ok(())
    }
}

/// What a domain's excess loss is where a batch does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Absent {
    /// That of the last batch that had it, as in the published code.
    Keeps,
    /// 0: its weight changes only by what others gain.
    Zero,
}

/// The weights of domains in the loss of DoReMi's proxy.
///
/// After each batch, with λ_d the mean over the tokens of domain d of
/// `max(loss - reference's loss, 0)`:
/// `α_d ← (1 - c) α_d exp(η λ_d) / Σ_j α_j exp(η λ_j) + c / domains`
/// (arXiv 2305.10429, algorithm 1). They start uniform.
///
/// ```
/// use regmix_model::doremi::{DoremiOptions, GroupDro};
///
/// let mut dro = GroupDro::new(2, DoremiOptions { smoothing: 0.0, ..DoremiOptions::default() });
/// // The first domain is ln 3 nats behind the reference, the second is not.
/// dro.update(&[Some(3f64.ln()), Some(0.0)]);
/// assert!((dro.weights()[0] - 0.75).abs() < 1e-12);
/// dro.update(&[Some(0.0), Some(0.0)]);
/// assert!((dro.mean()[0] - 0.75).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GroupDro {
    options: DoremiOptions,
    weights: Vec<f64>,
    /// The last excess loss of every domain.
    excess: Vec<f64>,
    sum: Vec<f64>,
    updates: u64,
}

impl GroupDro {
    /// Uniform weights.
    pub fn new(domains: usize, options: DoremiOptions) -> Self {
        Self {
            options,
            weights: vec![1.0 / domains as f64; domains],
            excess: vec![0.0; domains],
            sum: vec![0.0; domains],
            updates: 0,
        }
    }

    /// Takes the excess losses of a batch, in nats per token; `None` for domains
    /// that it does not have.
    pub fn update(&mut self, excess: &[Option<f64>]) {
        for (kept, new) in self.excess.iter_mut().zip(excess) {
            *kept = match (new, self.options.absent) {
                (Some(new), _) => *new,
                (None, Absent::Keeps) => *kept,
                (None, Absent::Zero) => 0.0,
            };
        }
        // Only differences count; the greatest exponent is 0.
        let greatest = self.excess.iter().copied().fold(f64::MIN, f64::max);
        for (weight, excess) in self.weights.iter_mut().zip(&self.excess) {
            *weight *= (self.options.step_size * (excess - greatest)).exp();
        }
        let total: f64 = self.weights.iter().sum();
        let even = self.options.smoothing / self.weights.len() as f64;
        for (weight, sum) in self.weights.iter_mut().zip(&mut self.sum) {
            *weight = (1.0 - self.options.smoothing) * *weight / total + even;
            *sum += *weight;
        }
        self.updates += 1;
    }

    /// Continues after an update that gave these weights and excess losses.
    pub(super) fn repeat(&mut self, weights: &[f64], excess: &[f64]) {
        self.weights.copy_from_slice(weights);
        self.excess.copy_from_slice(excess);
        for (sum, weight) in self.sum.iter_mut().zip(weights) {
            *sum += weight;
        }
        self.updates += 1;
    }

    /// The weights after the last batch, with sum 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The excess losses that the last update used.
    pub fn excess(&self) -> &[f64] {
        &self.excess
    }

    /// The mean of the weights over all updates, DoReMi's mixture; uniform before
    /// the first.
    pub fn mean(&self) -> Vec<f64> {
        match self.updates {
            0 => self.weights.clone(),
            n => self.sum.iter().map(|sum| sum / n as f64).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand: three domains, η = 1, c = 0.001.
    #[test]
    fn updates_are_those_of_the_algorithm() {
        let mut dro = GroupDro::new(3, DoremiOptions::default());
        dro.update(&[Some(0.2), Some(0.0), None]);
        let e = 0.2f64.exp();
        let expected = |top: f64| 0.999 * top / (e + 2.0) + 0.001 / 3.0;
        for (weight, top) in dro.weights().iter().zip([e, 1.0, 1.0]) {
            assert!((weight - expected(top)).abs() < 1e-15);
        }
        let first = dro.weights().to_vec();
        // The first domain is absent and keeps 0.2.
        dro.update(&[None, Some(0.4), Some(0.1)]);
        let grown: Vec<f64> = (first.iter().zip([0.2f64, 0.4, 0.1]))
            .map(|(w, x)| w * x.exp())
            .collect();
        let total: f64 = grown.iter().sum();
        for (weight, grown) in dro.weights().iter().zip(&grown) {
            assert!((weight - 0.999 * grown / total - 0.001 / 3.0).abs() < 1e-15);
        }
        let mean = 0.5 * (first[1] + dro.weights()[1]);
        assert!((dro.mean()[1] - mean).abs() < 1e-15);
    }

    #[test]
    fn an_absent_domain_may_count_as_level_with_the_reference() {
        let options = DoremiOptions {
            absent: Absent::Zero,
            ..DoremiOptions::default()
        };
        let mut dro = GroupDro::new(2, options);
        dro.update(&[Some(0.5), Some(0.0)]);
        let before = dro.weights()[0];
        dro.update(&[None, Some(0.0)]);
        assert!((dro.weights()[0] - (0.999 * before + 0.0005)).abs() < 1e-12);
    }

    #[test]
    fn no_domain_vanishes_and_large_losses_do_no_harm() {
        let mut dro = GroupDro::new(4, DoremiOptions::default());
        for _ in 0..200 {
            dro.update(&[Some(900.0), Some(0.0), Some(0.0), Some(0.0)]);
        }
        assert!(dro.weights().iter().all(|w| *w >= 0.00025 - 1e-12));
        assert!((dro.weights().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for bad in [0.0, f64::NAN] {
            let options = DoremiOptions {
                step_size: bad,
                ..DoremiOptions::default()
            };
            assert!(options.check().unwrap_err().is_input());
        }
    }
}

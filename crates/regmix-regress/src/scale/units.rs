//! How size and data are counted.

use serde::{Deserialize, Serialize};

use crate::repetition::effective_tokens::{effective_tokens, effective_tokens_slope};
use crate::scale::form::LawName;
use crate::scale::runs::ScaleRuns;

/// Epochs of smaller weights are those of this one.
const FINEST: f64 = 1e-5;

/// A mixture at a size and a length: where a law of scale is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting<'a> {
    /// Weights over the domains.
    pub weights: &'a [f64],
    /// Parameters of the model.
    pub parameters: f64,
    /// Tokens of the whole run.
    pub tokens: f64,
}

/// The units of a fit, and how much data a token of each domain is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Units {
    /// Sizes are counted in this many parameters.
    pub parameters: f64,
    /// Lengths are counted in this many tokens.
    pub tokens: f64,
    /// Tokens that there are of every domain; empty where that is not known, and
    /// nothing counts as repeated.
    pub available: Vec<f64>,
    /// How much data a token of every domain is, for example bytes; empty where
    /// all tokens count alike.
    pub per_token: Vec<f64>,
    /// Whether last points of runs were measured after the learning rate had
    /// decayed: points before the end of a run then have an excess of their own.
    pub decayed: bool,
}

impl Units {
    /// Units in the middle of the logarithms of sizes and lengths, where
    /// exponents and levels disturb each other least.
    pub(crate) fn of(runs: &ScaleRuns, available: &[f64], per_token: &[f64]) -> Self {
        let mut sizes = Vec::new();
        let mut tokens = Vec::new();
        for run in runs.runs() {
            for point in &run.points {
                sizes.push(run.parameters.ln());
                tokens.push(point.tokens.ln());
            }
        }
        let middle = |x: &[f64]| (x.iter().sum::<f64>() / x.len() as f64).exp();
        let mean = per_token.iter().sum::<f64>() / per_token.len().max(1) as f64;
        Self {
            parameters: middle(&sizes),
            tokens: middle(&tokens),
            available: available.to_vec(),
            per_token: per_token.iter().map(|x| x / mean).collect(),
            decayed: false,
        }
    }

    /// ln N and ln D in these units.
    pub(crate) fn scales(&self, parameters: f64, tokens: f64) -> (f64, f64) {
        (
            (parameters / self.parameters).ln(),
            (tokens / self.tokens).ln(),
        )
    }

    /// Whether the weights that a law sees depend on the length.
    pub(crate) fn repeats(&self) -> bool {
        !self.available.is_empty()
    }

    /// What a law sees in the place of weights: epochs, or effective weights.
    pub(crate) fn seen(&self, law: LawName, weights: &[f64], tokens: f64) -> Vec<f64> {
        match law.needs_available() {
            true => (weights.iter().zip(&self.available))
                .map(|(w, unique)| w.max(FINEST) * tokens / unique)
                .collect(),
            false => self.effective(weights, tokens),
        }
    }

    /// Turns derivatives by what a law sees into derivatives by weights.
    pub(crate) fn chain_seen(&self, law: LawName, weights: &[f64], tokens: f64, by: &mut [f64]) {
        match law.needs_available() {
            true => (by.iter_mut().zip(&self.available)).for_each(|(b, u)| *b *= tokens / u),
            false => self.chain(weights, tokens, by),
        }
    }

    /// The weights as a law sees them: a domain whose tokens repeat counts by its
    /// effective tokens.
    pub(crate) fn effective(&self, weights: &[f64], tokens: f64) -> Vec<f64> {
        (weights.iter().enumerate())
            .map(|(j, &w)| {
                let amount = match self.available.get(j) {
                    Some(&unique) => effective_tokens(w * tokens, unique) / tokens,
                    None => w,
                };
                amount * self.per_token.get(j).copied().unwrap_or(1.0)
            })
            .collect()
    }

    /// Turns derivatives by effective weights into derivatives by weights.
    fn chain(&self, weights: &[f64], tokens: f64, by: &mut [f64]) {
        for (j, by) in by.iter_mut().enumerate() {
            if let Some(&unique) = self.available.get(j) {
                *by *= effective_tokens_slope(weights[j] * tokens, unique);
            }
            *by *= self.per_token.get(j).copied().unwrap_or(1.0);
        }
    }
}

//! What a written file means: tokens and epochs of every domain.

use serde::Serialize;

use super::mapping::Mapping;
use super::shares::{Shares, WHOLE, caps};

/// A domain of an exported mixture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DomainAccount {
    /// Its name.
    pub domain: String,
    /// Its share of tokens, as it was given.
    pub weight: f64,
    /// The mean of the shares that were written, in the trainer's unit.
    pub written: f64,
    /// Its share of tokens that follows from what was written.
    pub implied: f64,
    /// Its tokens in the run, where those of the run are known.
    pub tokens: Option<f64>,
    /// Tokens there are.
    pub available: Option<f64>,
    /// How often the run reads it.
    pub epochs: Option<f64>,
    /// How often it may.
    pub max_epochs: Option<f64>,
}

/// The account of all domains: `planned` are the shares of tokens as they were
/// given.
pub(super) fn account(
    names: &[&str],
    planned: &[f64],
    shares: &Shares,
    mapping: &Mapping,
    tokens: Option<f64>,
) -> Vec<DomainAccount> {
    let implied = shares.implied();
    let caps = caps(mapping, names);
    let steps: u64 = shares.segments.iter().map(|s| s.to - s.from).sum();
    let written = |d: usize| -> f64 {
        let parts = shares.segments.iter();
        let sum: f64 = parts
            .map(|s| (s.to - s.from) as f64 * s.parts[d] as f64)
            .sum();
        sum / steps as f64 / WHOLE as f64
    };
    let of = |d: usize| {
        let own = tokens.map(|t| t * implied[d]);
        let available = mapping.domains.get(names[d]).and_then(|s| s.tokens);
        DomainAccount {
            domain: names[d].to_owned(),
            weight: planned[d],
            written: written(d),
            implied: implied[d],
            tokens: own,
            available,
            epochs: own.zip(available).map(|(own, available)| own / available),
            max_epochs: caps[d],
        }
    };
    (0..names.len()).map(of).collect()
}

//! The options of a fit of laws of scale.

use crate::scale::form::LawName;

/// What laws of scale are fitted with.
///
/// | field | default | range |
/// |---|---|---|
/// | `laws` | additive, multiplicative, dml, slodm_additive | [`LawName::ALL`] |
/// | `starts` | 4 | 1 or more |
/// | `available` | none | tokens per domain, positive |
/// | `per_token` | none | positive, any unit |
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleOptions {
    /// The laws that are compared.
    pub laws: Vec<LawName>,
    /// Points from which each fit starts.
    pub starts: usize,
    /// Tokens that there are of every domain, by place; empty where unknown.
    /// Repeated tokens then count less ([`effective_tokens`](crate::effective_tokens)).
    pub available: Vec<f64>,
    /// How much data a token of every domain is (bytes, or anything else), by
    /// place; empty where all tokens count alike.
    pub per_token: Vec<f64>,
}

impl Default for ScaleOptions {
    fn default() -> Self {
        Self {
            laws: vec![
                LawName::Additive,
                LawName::Multiplicative,
                LawName::Dml,
                LawName::SlodmAdditive,
            ],
            starts: 4,
            available: Vec::new(),
            per_token: Vec::new(),
        }
    }
}

//! The options of a fit of laws of scale.

use crate::scale::ends::LastPoints;
use crate::scale::form::LawName;
use crate::scale::runs::ScaleRuns;

/// What laws of scale are fitted with.
///
/// | field | default | range |
/// |---|---|---|
/// | `laws` | empty: the usual ones, see [`ScaleOptions::laws_for`] | [`LawName::ALL`] |
/// | `nested` | false | |
/// | `starts` | 4 | 1 or more |
/// | `last_points` | auto | auto, same, decayed |
/// | `available` | none | tokens per domain, positive |
/// | `per_token` | none | positive, any unit |
/// | `unit` | none | the unit of the losses |
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleOptions {
    /// The laws that are compared; empty for the usual ones.
    pub laws: Vec<LawName>,
    /// Whether Data Mixing Laws as published
    /// ([`NestedLaw`](crate::scale::NestedLaw)) are judged beside the laws, to
    /// compare with; they are never chosen.
    pub nested: bool,
    /// Points from which each fit starts.
    pub starts: usize,
    /// Where the last points of runs lie.
    pub last_points: LastPoints,
    /// Tokens that there are of every domain, by place; empty where unknown.
    /// Repeated tokens then count less ([`effective_tokens`](crate::effective_tokens)).
    pub available: Vec<f64>,
    /// How much data a token of every domain is (bytes, or anything else), by
    /// place; empty where all tokens count alike.
    pub per_token: Vec<f64>,
    /// The unit of the losses, such as `nats per token`; shown beside results, never used.
    pub unit: Option<String>,
}

impl Default for ScaleOptions {
    fn default() -> Self {
        Self {
            laws: Vec::new(),
            nested: false,
            starts: 4,
            last_points: LastPoints::Auto,
            available: Vec::new(),
            per_token: Vec::new(),
            unit: None,
        }
    }
}

impl ScaleOptions {
    /// The laws that are compared on some runs: those that were named, or
    /// `additive`, `multiplicative`, `dml` and `slodm_additive`, and `repetition`
    /// where the available tokens are known and some run reads a domain more than
    /// once.
    pub fn laws_for(&self, runs: &ScaleRuns) -> Vec<LawName> {
        if !self.laws.is_empty() {
            return self.laws.clone();
        }
        let mut laws = vec![
            LawName::Additive,
            LawName::Multiplicative,
            LawName::Dml,
            LawName::SlodmAdditive,
        ];
        let repeats = (runs.runs().iter()).any(|run| {
            let longest = run.points.last().map_or(0.0, |p| p.tokens);
            let mut read = run.weights.iter().zip(&self.available);
            read.any(|(w, unique)| w * longest > *unique)
        });
        if repeats {
            laws.push(LawName::Repetition);
        }
        laws
    }
}

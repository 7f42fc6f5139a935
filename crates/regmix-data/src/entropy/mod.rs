//! How varied the text of every domain is, and mixtures that follow from it.
//!
//! BiMix (Ge et al., arXiv 2405.14908) compares mixtures that need no training:
//! a domain's weight is `e^H` over the sum of all domains', with one of four
//! entropies H of its tokens. Domains are cut into sequences of
//! [`EntropyOptions::sequence`] tokens; with P the relative frequencies of
//! tokens x and of pairs x, x' that follow each other in a sequence,
//!
//! | entropy | formula |
//! |---|---|
//! | Shannon | `-sum P(x) ln P(x)` |
//! | joint | `-sum P(x, x') ln P(x, x')` |
//! | conditional | `-sum P(x, x') ln P(x' given x)` |
//! | von Neumann | `-Tr R ln R`, with `R = K / n` and K the cosines of n sequences' vectors |
//!
//! The frequencies are those of the tokens that there are, as published. The joint
//! entropy of n pairs is at most `ln n`, so that a small domain has a small one;
//! [`EntropyOptions::tokens`] reads the same number of tokens of every domain.
//!
//! For the von Neumann entropy, the paper takes vectors of a FastText model. Here
//! the vector of a sequence has the square roots of its counts of tokens, reduced to
//! 300 dimensions by random signs, so that a cosine is close to the Bhattacharyya
//! coefficient of two sequences' tokens. No model is needed, and the value differs
//! from the paper's.
//!
//! The counts are exact whatever the number of threads, and so the entropies are the
//! same to the bit.
//!
//! ```
//! use regmix_data::entropy::{EntropyKind, EntropyOptions, entropy_mixture, measure};
//! use regmix_data::manifest::TokenizerEntry;
//! use regmix_data::shard::Split;
//! use regmix_data::{CorpusWriter, DomainSet, Silent, TokenCorpus};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let tokenizer = TokenizerEntry {
//!     kind: "bytes".into(),
//!     hash: "none".into(),
//!     vocab_size: 257,
//!     separator: 256,
//! };
//! let domains = DomainSet::from_names(["even", "one"])?;
//! let mut writer = CorpusWriter::create(folder.path(), domains, tokenizer)?;
//! // Four tokens equally often have an entropy of ln 4, one token has none.
//! writer.push(0, Split::Train, &[1, 2, 3, 256], 3)?;
//! writer.push(1, Split::Train, &[256, 256, 256, 256], 3)?;
//! writer.finish()?;
//!
//! let corpus = TokenCorpus::open(folder.path())?;
//! let measured = measure(&corpus, &EntropyOptions::default(), &Silent)?;
//! assert!((measured[0].shannon - 4f64.ln()).abs() < 1e-12);
//! assert_eq!(measured[1].shannon, 0.0);
//! let mixture = entropy_mixture(&measured, EntropyKind::Shannon, std::f64::consts::E)?;
//! assert!((mixture.weights()[0] - 0.8).abs() < 1e-12);
//! # Ok::<(), regmix_data::Error>(())
//! ```

mod count;
mod pairs;
mod spectrum;
#[cfg(test)]
mod tests;
mod windows;

use serde::{Deserialize, Serialize};

use crate::domain::{Domain, DomainSet};
use crate::error::{Error, Result};
use crate::mixture::Mixture;
use crate::monitor::{Monitor, Unit};
use crate::shard::Split;
use crate::token_corpus::TokenCorpus;

use count::count;
use windows::Windows;

/// How entropies are measured.
///
/// | option | default | range |
/// |---|---|---|
/// | `sequence` | 1024 | at least 2 |
/// | `tokens` | none: all | at least 1 |
/// | `memory` | 1 GiB | any |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntropyOptions {
    /// Tokens of a sequence. Pairs are counted within sequences.
    pub sequence: usize,
    /// About how many tokens of a domain are read, in sequences spread evenly over
    /// it; all of them if `None` or if it has no more.
    pub tokens: Option<u64>,
    /// Bytes that the counts of pairs may take. Where they need more, the tokens are
    /// read several times, and each time other pairs are counted.
    pub memory: usize,
}

impl Default for EntropyOptions {
    fn default() -> Self {
        Self {
            sequence: 1024,
            tokens: None,
            memory: 1 << 30,
        }
    }
}

/// The entropies of one domain's training text, in nats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainEntropy {
    /// The domain.
    pub domain: Domain,
    /// The tokens that were counted. A domain without any has no weight.
    pub tokens: u64,
    /// Of tokens.
    pub shannon: f64,
    /// Of pairs of tokens.
    pub joint: f64,
    /// Of a token when the one before is known.
    pub conditional: f64,
    /// Of sequences.
    pub von_neumann: f64,
}

/// The four entropies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntropyKind {
    /// Of tokens.
    Shannon,
    /// Of pairs of tokens.
    Joint,
    /// Of a token when the one before is known.
    Conditional,
    /// Of sequences.
    VonNeumann,
}

impl EntropyKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Shannon,
        Self::Joint,
        Self::Conditional,
        Self::VonNeumann,
    ];

    /// `shannon`, `joint`, `conditional` or `von_neumann`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shannon => "shannon",
            Self::Joint => "joint",
            Self::Conditional => "conditional",
            Self::VonNeumann => "von_neumann",
        }
    }
}

impl DomainEntropy {
    /// One of the entropies, in nats.
    pub fn get(&self, kind: EntropyKind) -> f64 {
        match kind {
            EntropyKind::Shannon => self.shannon,
            EntropyKind::Joint => self.joint,
            EntropyKind::Conditional => self.conditional,
            EntropyKind::VonNeumann => self.von_neumann,
        }
    }
}

/// Measures the entropies of the training text of all domains, in their order, on
/// all threads of the current pool.
///
/// Every token is read once, and counted as a token and as part of a pair; see
/// [`EntropyOptions::memory`] for many different pairs. The von Neumann entropy is
/// that of at most 4096 sequences, spread evenly.
///
/// # Errors
/// When an option is out of range, a shard is damaged, or `monitor` requests a stop.
pub fn measure(
    corpus: &TokenCorpus,
    options: &EntropyOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<DomainEntropy>> {
    if options.sequence < 2 {
        return Err(Error::input(format!(
            "sequences of {} tokens have no pairs: expected at least 2",
            options.sequence
        ))
        .field("sequence"));
    }
    if options.tokens == Some(0) {
        return Err(Error::input("0 tokens, expected at least 1").field("tokens"));
    }
    let streams = (0..corpus.domains().len()).map(|i| corpus.stream(i, Split::Train));
    let windows: Vec<Windows<'_>> = streams
        .map(|stream| Windows::new(stream, options.sequence, options.tokens))
        .collect();
    let total = windows.iter().map(Windows::tokens).sum();
    monitor.begin("count tokens", total, Unit::Tokens);
    let measured = (windows.iter())
        .map(|windows| {
            let counted = count(windows, corpus.vocab_size(), options.memory, monitor)?;
            Ok(DomainEntropy {
                domain: windows.stream().domain().clone(),
                tokens: windows.tokens(),
                shannon: counted.shannon,
                joint: counted.joint,
                conditional: counted.conditional,
                von_neumann: spectrum::entropy(windows, monitor)?,
            })
        })
        .collect();
    monitor.end();
    measured
}

/// The mixture with weights proportional to `e^H`, for entropies H to the base
/// `log_base`.
///
/// The paper does not state its base; e (natural logarithms) is likely. A larger base
/// makes entropies smaller and the mixture more even: to the base b, weights are the
/// natural ones to the power of `1 / ln b`, rescaled.
///
/// # Errors
/// When the base is not above 1, or no domain has a token.
pub fn entropy_mixture(
    measured: &[DomainEntropy],
    kind: EntropyKind,
    log_base: f64,
) -> Result<Mixture> {
    if !(log_base > 1.0 && log_base.is_finite()) {
        return Err(Error::input(format!(
            "a logarithm to the base {log_base}: expected a number above 1"
        ))
        .field("log_base"));
    }
    let domains = DomainSet::new(measured.iter().map(|m| m.domain.clone()))?;
    let exponent = |m: &DomainEntropy| match m.tokens {
        0 => f64::NEG_INFINITY,
        _ => m.get(kind) / log_base.ln(),
    };
    let largest = (measured.iter().map(exponent)).fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return Err(Error::input(
            "no domain has a token: expected training text in at least one",
        ));
    }
    let weights = measured.iter().map(|m| (exponent(m) - largest).exp());
    Mixture::normalized(domains, weights.collect())
}

//! The sequences that losses are measured on.

use crate::domain::DomainSet;
use crate::error::{Error, Result};
use crate::shard::Split;
use crate::token_corpus::TokenCorpus;

/// A fixed set of validation sequences per domain, spread evenly over the
/// domain's validation tokens. Every run of a study measures on the same ones.
#[derive(Debug, Clone)]
pub struct ValidationSet {
    corpus: TokenCorpus,
    seq_len: usize,
    /// First tokens, `[domain][sequence]`.
    starts: Vec<Vec<u64>>,
}

impl ValidationSet {
    /// Takes up to `per_domain` sequences of `seq_len + 1` tokens from every
    /// domain, at a stride of `seq_len`; all of them where a domain has fewer.
    ///
    /// # Errors
    /// When a domain's validation split is smaller than one sequence, or
    /// `seq_len` or `per_domain` is 0.
    pub fn new(corpus: TokenCorpus, seq_len: usize, per_domain: usize) -> Result<Self> {
        if seq_len == 0 || per_domain == 0 {
            let field = if seq_len == 0 {
                "seq_len"
            } else {
                "per_domain"
            };
            return Err(Error::input("0, expected at least 1").field(field));
        }
        let mut starts = Vec::with_capacity(corpus.domains().len());
        for (d, domain) in corpus.domains().iter().enumerate() {
            let stream = corpus.stream(d, Split::Valid);
            let available = stream.sequences(seq_len);
            if available == 0 {
                return Err(Error::input(format!(
                    "validation smaller than one sequence: {} tokens, expected at least {}",
                    stream.tokens(),
                    seq_len + 1
                ))
                .field(domain.as_str())
                .help(
                    "add validation text to the domain, raise the share that is cut off for \
                     validation, or use shorter sequences",
                ));
            }
            let n = available.min(per_domain as u64);
            let spread = |i: u64| {
                let nth = u128::from(i) * u128::from(available) / u128::from(n);
                nth as u64 * seq_len as u64
            };
            starts.push((0..n).map(spread).collect());
        }
        Ok(Self {
            corpus,
            seq_len,
            starts,
        })
    }

    /// The domains, in the corpus's order.
    pub fn domains(&self) -> &DomainSet {
        self.corpus.domains()
    }

    /// Predicted tokens per sequence; a sequence has one token more.
    pub fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// Number of sequences of a domain, at least 1.
    ///
    /// # Panics
    /// When there is no such domain.
    pub fn sequences(&self, domain: usize) -> usize {
        self.starts[domain].len()
    }

    /// [`TokenCorpus::bytes_per_token`].
    ///
    /// # Panics
    /// When there is no such domain.
    pub fn bytes_per_token(&self, domain: usize) -> f64 {
        self.corpus.bytes_per_token(domain)
    }

    /// Copies sequences `start`, `start + 1`, … of a domain into `tokens`, as
    /// many as fit, and returns how many there were. `tokens` has the shape
    /// `[batch, seq_len + 1]`; what is past the domain's last sequence is left
    /// unchanged.
    ///
    /// # Errors
    /// When `tokens` is not a whole number of sequences or a shard is damaged.
    ///
    /// # Panics
    /// When there is no such domain.
    pub fn fill_batch(&self, domain: usize, start: usize, tokens: &mut [u32]) -> Result<usize> {
        let len = self.seq_len + 1;
        super::check_buffer(tokens, len)?;
        let stream = self.corpus.stream(domain, Split::Valid);
        let starts = self.starts[domain].iter().skip(start);
        let mut filled = 0;
        for (out, &at) in tokens.chunks_exact_mut(len).zip(starts) {
            stream.copy_tokens(at, out)?;
            filled += 1;
        }
        Ok(filled)
    }
}

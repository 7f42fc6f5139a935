//! The tokens of one domain and split, over all its shards.

use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::shard::{Shard, Split};

/// The packed tokens of one domain and split: its documents one after the
/// other, each ended by the separator, over all shards.
#[derive(Debug)]
pub struct TokenStream {
    domain: Domain,
    split: Split,
    shards: Vec<Shard>,
    /// Where each shard starts, and the end of the last.
    starts: Vec<u64>,
}

impl TokenStream {
    pub(super) fn new(domain: Domain, split: Split, shards: Vec<Shard>) -> Self {
        let mut starts = vec![0];
        let mut total = 0;
        for shard in &shards {
            total += shard.header().tokens;
            starts.push(total);
        }
        Self {
            domain,
            split,
            shards,
            starts,
        }
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The split.
    pub fn split(&self) -> Split {
        self.split
    }

    /// Number of tokens, separators included.
    pub fn tokens(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// How many windows of `seq_len + 1` tokens there are at a stride of
    /// `seq_len`: every token but the first is then the target of exactly one
    /// prediction.
    pub fn sequences(&self, seq_len: usize) -> u64 {
        match seq_len as u64 {
            0 => 0,
            len => self.tokens().saturating_sub(1) / len,
        }
    }

    /// Where each document ends, after its separator.
    pub fn document_ends(&self) -> impl Iterator<Item = u64> + '_ {
        let shards = self.shards.iter().zip(&self.starts);
        shards.flat_map(|(shard, start)| shard.document_ends().map(move |end| start + end))
    }

    /// Copies `out.len()` tokens from position `start`.
    ///
    /// # Errors
    /// When the range is not in the stream or a token is not in the
    /// vocabulary.
    pub fn copy_tokens(&self, start: u64, out: &mut [u32]) -> Result<()> {
        let inside = start
            .checked_add(out.len() as u64)
            .is_some_and(|end| end <= self.tokens());
        if !inside {
            return Err(Error::input(format!(
                "{} tokens from position {start} requested, but {} of `{}` has {}",
                out.len(),
                self.split,
                self.domain,
                self.tokens()
            )));
        }
        let mut rest = out;
        let mut at = start;
        // The last shard that starts at or before `at`.
        let mut shard = self.starts.partition_point(|&s| s <= at).saturating_sub(1);
        while !rest.is_empty() {
            let n = ((self.starts[shard + 1] - at) as usize).min(rest.len());
            let (now, later) = rest.split_at_mut(n);
            self.shards[shard].copy_tokens(at - self.starts[shard], now)?;
            rest = later;
            at += n as u64;
            shard += 1;
        }
        Ok(())
    }

    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }
}

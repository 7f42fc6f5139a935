//! The sequences of a domain that are counted.

use crate::error::Result;
use crate::token_corpus::TokenStream;

/// Sequences of a stream that do not overlap: all of them, or some that are spread
/// evenly. The last of the stream may be shorter.
pub(super) struct Windows<'a> {
    stream: &'a TokenStream,
    length: u64,
    /// Of the whole stream.
    all: u64,
    chosen: u64,
}

impl<'a> Windows<'a> {
    pub(super) fn new(stream: &'a TokenStream, length: usize, tokens: Option<u64>) -> Self {
        let length = length as u64;
        let all = stream.tokens().div_ceil(length);
        Self {
            stream,
            length,
            all,
            chosen: tokens.map_or(all, |tokens| tokens.div_ceil(length).min(all)),
        }
    }

    /// At most `limit` of these, spread evenly.
    pub(super) fn at_most(&self, limit: u64) -> Self {
        Self {
            chosen: self.chosen.min(limit),
            ..*self
        }
    }

    pub(super) fn stream(&self) -> &TokenStream {
        self.stream
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.chosen
    }

    /// The tokens of all of them.
    pub(super) fn tokens(&self) -> u64 {
        match self.chosen.checked_sub(1) {
            None => 0,
            Some(last) => last * self.length + self.range(last).1,
        }
    }

    /// The tokens of one, in a buffer that is used again.
    pub(super) fn read<'b>(&self, i: u64, buffer: &'b mut Vec<u32>) -> Result<&'b [u32]> {
        let (start, length) = self.range(i);
        buffer.resize(length as usize, 0);
        self.stream.copy_tokens(start, buffer)?;
        Ok(buffer)
    }

    /// Start and length. Only the last of the stream is shorter than the others.
    fn range(&self, i: u64) -> (u64, u64) {
        let spread = u128::from(i) * u128::from(self.all) / u128::from(self.chosen);
        let start = spread as u64 * self.length;
        (start, self.length.min(self.stream.tokens() - start))
    }
}

//! The header of a shard, and its checks.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::Domain;
use crate::error::{Error, Result};

pub(super) const MAGIC: [u8; 8] = *b"RGMXTOK\n";
pub(super) const VERSION: u32 = 1;
/// Magic, version and header length.
pub(super) const FIXED: usize = 16;
/// The longest header that is read.
pub(super) const MAX_HEADER: usize = 64 << 10;
/// Where tokens start in files written here. The header is known, and written,
/// after the tokens, so space is reserved for it.
pub(super) const TOKENS_AT: usize = 1024;

/// The part of a corpus: for training or for validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Models are trained on it.
    Train,
    /// Losses are measured on it.
    Valid,
}

impl Split {
    /// Both splits.
    pub const ALL: [Self; 2] = [Self::Train, Self::Valid];

    /// The name, which is also the name of the folder: `train` or `valid`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a token is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenWidth {
    /// Two bytes: vocabularies of at most 65,536 entries.
    U16,
    /// Four bytes.
    U32,
}

impl TokenWidth {
    /// The narrowest width for a vocabulary.
    pub fn for_vocab(vocab_size: u32) -> Self {
        if vocab_size <= 1 << 16 {
            Self::U16
        } else {
            Self::U32
        }
    }

    /// Bytes per token.
    pub fn bytes(self) -> usize {
        match self {
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }
}

/// The JSON header of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardHeader {
    /// The domain of every document.
    pub domain: Domain,
    /// The split of every document.
    pub split: Split,
    /// How a token is stored.
    pub dtype: TokenWidth,
    /// Every token is below this.
    pub vocab_size: u32,
    /// Identifies the tokenizer; see [`crate::manifest::TokenizerEntry`].
    pub tokenizer: String,
    /// Number of tokens, separators included.
    pub tokens: u64,
    /// Number of documents.
    pub documents: u64,
    /// Bytes of the UTF-8 text that the tokens stand for.
    pub bytes: u64,
    /// BLAKE3 of everything after the header, in hex.
    pub payload_blake3: String,
}

impl ShardHeader {
    /// The bytes before the tokens.
    pub(super) fn encode(&self, path: &Path) -> Result<[u8; TOKENS_AT]> {
        let json = serde_json::to_vec(self)
            .map_err(|e| Error::failed(format!("the header cannot be written as JSON: {e}")))?;
        if json.len() > TOKENS_AT - FIXED {
            return Err(Error::input(format!(
                "the header has {} bytes, expected at most {}",
                json.len(),
                TOKENS_AT - FIXED
            ))
            .in_file(path)
            .help("give the tokenizer a shorter identifier"));
        }
        let mut out = [b' '; TOKENS_AT];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&((TOKENS_AT - FIXED) as u32).to_le_bytes());
        out[FIXED..FIXED + json.len()].copy_from_slice(&json);
        out[TOKENS_AT - 1] = b'\n';
        Ok(out)
    }

    /// Reads and checks the header of a whole file.
    ///
    /// Returns the header and where its tokens start. `bytes` has exactly the
    /// length that the header claims, so ranges of it computed from the
    /// header's counts do not overflow.
    pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<(Self, usize)> {
        let bad = |problem: String| Error::input(problem).in_file(path);
        let again =
            "it was cut short or damaged: tokenize the corpus again, or copy the file again";
        if bytes.len() < FIXED || bytes[..8] != MAGIC {
            return Err(
                bad("not a token shard: expected it to start with `RGMXTOK`".to_owned())
                    .help("token shards are made by tokenizing a corpus"),
            );
        }
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let version = word(8);
        if version > VERSION {
            return Err(bad(format!(
                "made by a newer regmix: shard format {version}, this one reads up to {VERSION}"
            ))
            .help("update regmix, or tokenize the corpus again with this version"));
        }
        if version == 0 {
            return Err(bad("shard format 0 does not exist".to_owned()).help(again));
        }
        let header_len = word(12) as usize;
        if header_len > MAX_HEADER {
            return Err(bad(format!(
                "the header claims {header_len} bytes, expected at most {MAX_HEADER}"
            ))
            .help(again));
        }
        let tokens_at = FIXED + header_len;
        let Some(json) = bytes.get(FIXED..tokens_at) else {
            return Err(bad(format!(
                "the header claims {header_len} bytes, but the file ends after {}",
                bytes.len()
            ))
            .help(again));
        };
        let header: Self = serde_json::from_slice(json)
            .map_err(|e| bad(format!("the header is not valid: {e}")).help(again))?;
        if header.vocab_size == 0 || TokenWidth::for_vocab(header.vocab_size) != header.dtype {
            return Err(bad(format!(
                "a vocabulary of {} entries is not stored as {:?}",
                header.vocab_size, header.dtype
            ))
            .field("dtype")
            .help(again));
        }
        let expected = (header.tokens)
            .checked_mul(header.dtype.bytes() as u64)
            .and_then(|n| n.checked_add(header.documents.checked_mul(8)?))
            .and_then(|n| n.checked_add(tokens_at as u64));
        if expected != Some(bytes.len() as u64) {
            return Err(bad(format!(
                "the header claims {} tokens and {} documents, which is {} bytes, but the file \
                 has {}",
                header.tokens,
                header.documents,
                expected.map_or("more than any file's".to_owned(), |n| n.to_string()),
                bytes.len()
            ))
            .help(again));
        }
        Ok((header, tokens_at))
    }
}

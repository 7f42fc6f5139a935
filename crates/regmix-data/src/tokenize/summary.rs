//! What tokenizing tells while it runs and when it is done.

use std::path::PathBuf;

use crate::domain::Domain;
use crate::manifest::Manifest;

/// How far tokenizing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the corpus's files read so far, as they are on disk.
    pub file_bytes: u64,
    /// Bytes of all files of the corpus.
    pub file_bytes_total: u64,
    /// Bytes of text so far.
    pub bytes: u64,
    /// Tokens so far.
    pub tokens: u64,
    /// Documents so far.
    pub documents: u64,
}

/// What was tokenized, and how fast.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The manifest that was written.
    pub manifest: Manifest,
    /// One per domain, in order of names.
    pub domains: Vec<DomainSummary>,
    /// Bytes of text.
    pub bytes: u64,
    /// Tokens, separators included.
    pub tokens: u64,
    /// Documents.
    pub documents: u64,
    /// Documents left out because their domain, or a validation split, already
    /// had them.
    pub duplicates: u64,
    /// Documents left out because they were empty.
    pub empty: u64,
    /// Files of a source tree that were passed over because they were not
    /// text or too long.
    pub not_text: Vec<PathBuf>,
    /// Seconds in all.
    pub seconds: f64,
}

/// What was tokenized of one domain, both splits together.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainSummary {
    /// The domain.
    pub domain: Domain,
    /// Bytes of text.
    pub bytes: u64,
    /// Tokens, separators included.
    pub tokens: u64,
    /// Documents.
    pub documents: u64,
    /// Seconds, reading included.
    pub seconds: f64,
}

impl Summary {
    /// Megabytes (10⁶ bytes) of text per second.
    pub fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    /// Tokens per second.
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds
    }
}

impl DomainSummary {
    /// Megabytes (10⁶ bytes) of text per second.
    pub fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    /// Tokens per second.
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds
    }
}

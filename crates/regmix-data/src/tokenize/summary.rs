//! The results of tokenizing.

use std::path::PathBuf;

use crate::domain::Domain;
use crate::manifest::Manifest;

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
    /// Documents left out because their domain, or a validation split, had them
    /// already.
    pub duplicates: u64,
    /// Documents left out because they were empty.
    pub empty: u64,
    /// Files of a source tree that were skipped because they were not text or
    /// too long.
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

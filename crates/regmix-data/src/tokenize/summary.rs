//! The results of tokenizing.

use std::path::PathBuf;

use super::skipped::SkippedDocuments;
use crate::corpus::NotRead;
use crate::domain::Domain;
use crate::manifest::Manifest;
use crate::shard::Split;

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
    /// Documents left out because they could not be read, by cause.
    pub skipped: Vec<SkippedDocuments>,
    /// Text that the tokenizer has no token for, by domain.
    pub lost: Vec<LostText>,
    /// Domains with fewer documents than asked for, which were left out or put
    /// together.
    pub rare: Vec<RareDomain>,
    /// The folder or file of the text.
    pub root: PathBuf,
    /// Where the domain of a document was written, in words.
    pub layout: &'static str,
    /// Every file that was read, in the order of reading.
    pub files: Vec<FileSummary>,
    /// Files and folders that were not read.
    pub not_read: Vec<NotRead>,
    /// What the tokenizer does differently from its file, and domains whose names look alike.
    pub tokenizer_notes: Vec<String>,
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

/// Text of a domain that the tokenizer has no token for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostText {
    /// The domain.
    pub domain: Domain,
    /// Bytes without a token, white space apart.
    pub lost: u64,
    /// Bytes of the domain's text.
    pub bytes: u64,
}

/// A domain of too few documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RareDomain {
    /// The label, or the name of its files.
    pub name: String,
    /// How many documents it has.
    pub documents: u64,
}

/// What was read of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// The file.
    pub path: PathBuf,
    /// The domain of its documents; `None` where each has a label.
    pub domain: Option<Domain>,
    /// The split of the file. Validation may have been cut from training text.
    pub split: Split,
    /// Documents in the file.
    pub documents: u64,
    /// Those that were tokenized: not empty, not repeated, readable.
    pub kept: u64,
    /// What is unusual about it.
    pub note: Option<String>,
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

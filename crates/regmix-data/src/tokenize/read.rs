//! Reading a corpus in a thread of its own, ahead of the encoding: batches of
//! documents, each with its domain and split, without duplicates.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::SyncSender;

use super::TokenizeOptions;
use crate::corpus::{Documents, Source, SourceFile};
use crate::domain::Domain;
use crate::error::Result;
use crate::shard::Split;

/// Text per batch: enough for all cores, and little enough to hold two.
const BATCH_BYTES: usize = 4 << 20;

/// Documents to encode together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) documents: Vec<Labelled>,
    /// The domains found so far; documents refer to them by number.
    pub(super) domains: Vec<Domain>,
}

/// A document with its place.
pub(super) struct Labelled {
    pub(super) domain: usize,
    pub(super) split: Split,
    pub(super) text: String,
}

/// Documents that were left out.
#[derive(Default)]
pub(super) struct LeftOut {
    pub(super) duplicates: u64,
    pub(super) empty: u64,
    pub(super) not_text: Vec<PathBuf>,
}

pub(super) struct Reader<'a> {
    source: &'a Source,
    options: &'a TokenizeOptions,
    consumed: Arc<AtomicU64>,
    domains: Vec<Seen>,
    /// Hashes of all validation documents so far; files of the validation
    /// split are read first. Only searched, never iterated over.
    valid: HashSet<u128>,
    pending: Vec<Labelled>,
    pending_bytes: usize,
    left_out: LeftOut,
}

/// What is known about one domain.
struct Seen {
    name: Domain,
    label: Option<String>,
    /// Hashes of its documents. Only searched, never iterated over.
    hashes: HashSet<u128>,
    /// Whether it has validation files, so that none is cut from training.
    has_valid: bool,
}

/// The receiver of the batches was dropped.
struct Stopped;

impl<'a> Reader<'a> {
    pub(super) fn new(
        source: &'a Source,
        options: &'a TokenizeOptions,
        consumed: Arc<AtomicU64>,
    ) -> Self {
        Self {
            source,
            options,
            consumed,
            domains: Vec::new(),
            valid: HashSet::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            left_out: LeftOut::default(),
        }
    }

    /// Reads everything. An error is sent as the last batch.
    pub(super) fn run(mut self, send: &SyncSender<Result<Batch>>) -> LeftOut {
        for file in self.source.files() {
            match self.read_file(file, send) {
                Ok(Ok(())) => {}
                Ok(Err(Stopped)) => return self.left_out,
                Err(err) => {
                    // If the receiver was dropped, nobody needs the error.
                    let _ = send.send(Err(err));
                    return self.left_out;
                }
            }
        }
        let _ = self.flush(send);
        self.left_out
    }

    fn read_file(
        &mut self,
        file: &SourceFile,
        send: &SyncSender<Result<Batch>>,
    ) -> Result<Result<(), Stopped>> {
        let options = self.source.options().clone();
        let documents = Documents::open_counted(&file.path, options, Arc::clone(&self.consumed))?;
        for document in documents {
            let document = match document {
                Ok(document) => document,
                Err(e) if e.is_input() && self.source.skips_bad_files() => {
                    self.left_out.not_text.push(file.path.clone());
                    break;
                }
                Err(e) => return Err(e),
            };
            let domain = match (&file.domain, document.label) {
                (Some(domain), _) => self.domain(domain),
                (None, label) => self
                    .labelled(label.unwrap_or_default())
                    .map_err(|e| e.in_file(&file.path))?,
            };
            self.take(domain, file.split, document.text);
            if self.pending_bytes >= BATCH_BYTES && self.flush(send).is_err() {
                return Ok(Err(Stopped));
            }
        }
        Ok(Ok(()))
    }

    fn domain(&mut self, name: &Domain) -> usize {
        // Documents of one domain mostly follow each other.
        let last = self.domains.iter().rposition(|d| d.name == *name);
        last.unwrap_or_else(|| {
            self.domains.push(Seen {
                name: name.clone(),
                label: None,
                hashes: HashSet::new(),
                has_valid: false,
            });
            self.domains.len() - 1
        })
    }

    fn labelled(&mut self, label: String) -> Result<usize> {
        let known = |d: &Seen| d.label.as_deref() == Some(&*label);
        if let Some(domain) = self.domains.iter().position(known) {
            return Ok(domain);
        }
        let domain = self.domain(&Domain::from_label(&label)?);
        self.domains[domain].label = Some(label);
        Ok(domain)
    }

    fn take(&mut self, domain: usize, split: Split, text: String) {
        if text.is_empty() {
            self.left_out.empty += 1;
            return;
        }
        let hash = blake3::hash(text.as_bytes());
        let half =
            |at: usize| u128::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[at + i]));
        let (key, coin) = (half(0), half(16));
        let threshold = (self.options.valid_share * u128::MAX as f64) as u128;
        let seen = &mut self.domains[domain];
        let split = match split {
            Split::Valid => {
                seen.has_valid = true;
                self.valid.insert(key);
                Split::Valid
            }
            Split::Train if !seen.has_valid && coin < threshold => {
                self.valid.insert(key);
                Split::Valid
            }
            Split::Train if self.valid.contains(&key) => {
                self.left_out.duplicates += 1;
                return;
            }
            Split::Train => Split::Train,
        };
        if self.options.drop_duplicates && !seen.hashes.insert(key) {
            self.left_out.duplicates += 1;
            return;
        }
        self.pending_bytes += text.len();
        self.pending.push(Labelled {
            domain,
            split,
            text,
        });
    }

    fn flush(&mut self, send: &SyncSender<Result<Batch>>) -> Result<(), Stopped> {
        self.pending_bytes = 0;
        let batch = Batch {
            documents: std::mem::take(&mut self.pending),
            domains: self.domains.iter().map(|d| d.name.clone()).collect(),
        };
        send.send(Ok(batch)).map_err(|_| Stopped)
    }
}

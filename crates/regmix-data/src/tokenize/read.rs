//! Reading a corpus in a thread of its own, ahead of the encoding: batches of
//! documents, each with its domain and split, without duplicates.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use super::TokenizeOptions;
use super::skipped::Skipped;
use super::summary::{FileSummary, RareDomain};
use crate::corpus::{Cause, Document, Documents, Meters, Source, SourceFile};
use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::shard::Split;

/// Text per batch: enough for all cores, and little enough to hold two.
const BATCH_BYTES: usize = 4 << 20;

/// Documents to encode together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) documents: Vec<Labelled>,
    /// The domains that were found since the last batch. Documents refer to all
    /// domains so far by number.
    pub(super) new_domains: Vec<Domain>,
}

/// A document with its place.
pub(super) struct Labelled {
    pub(super) domain: usize,
    pub(super) split: Split,
    pub(super) text: String,
    /// The number of its file among the files of the source.
    pub(super) file: usize,
}

/// What was read, apart from the documents themselves.
#[derive(Default)]
pub(super) struct Account {
    pub(super) duplicates: u64,
    pub(super) empty: u64,
    pub(super) skipped: Skipped,
    pub(super) files: Vec<FileSummary>,
}

pub(super) struct Reader<'a> {
    source: &'a Source,
    options: &'a TokenizeOptions,
    consumed: Arc<AtomicU64>,
    stop: &'a AtomicBool,
    domains: Vec<Seen>,
    /// Numbers of domains. Only searched, never iterated over.
    by_name: HashMap<Domain, usize>,
    /// Numbers of the domains of labels; none for those that are left out.
    by_label: HashMap<String, Option<usize>>,
    rare: HashSet<String>,
    /// Hashes of all validation documents so far; files of the validation
    /// split are read first. Only searched, never iterated over.
    valid: HashSet<u128>,
    pending: Vec<Labelled>,
    pending_bytes: usize,
    /// Domains that were sent already.
    sent_domains: usize,
    read: u64,
    account: Account,
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

/// The receiver of the batches was dropped, or wants no more.
struct Stopped;

impl<'a> Reader<'a> {
    pub(super) fn new(
        source: &'a Source,
        options: &'a TokenizeOptions,
        rare: &[RareDomain],
        consumed: Arc<AtomicU64>,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            source,
            options,
            consumed,
            stop,
            domains: Vec::new(),
            by_name: HashMap::new(),
            by_label: HashMap::new(),
            rare: rare.iter().map(|r| r.name.clone()).collect(),
            valid: HashSet::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            sent_domains: 0,
            read: 0,
            account: Account::default(),
        }
    }

    /// Reads everything. An error is sent as the last batch.
    pub(super) fn run(mut self, send: &SyncSender<Result<Batch>>) -> Account {
        let source = self.source;
        for (number, file) in source.files().enumerate() {
            self.account.files.push(FileSummary {
                path: file.path.clone(),
                domain: file.domain.clone(),
                split: file.split,
                documents: 0,
                kept: 0,
                note: None,
            });
            match self.read_file(number, file, send) {
                Ok(Ok(())) => {}
                Ok(Err(Stopped)) => return self.account,
                Err(err) => {
                    // If the receiver was dropped, nobody needs the error.
                    let _ = send.send(Err(err));
                    return self.account;
                }
            }
        }
        let _ = self.flush(send);
        self.account
    }

    fn read_file(
        &mut self,
        number: usize,
        file: &SourceFile,
        send: &SyncSender<Result<Batch>>,
    ) -> Result<Result<(), Stopped>> {
        let options = self.source.options().clone();
        let meters = Meters {
            consumed: Arc::clone(&self.consumed),
            ..Meters::default()
        };
        let padding = Arc::clone(&meters.padding);
        let of_tree = self.source.skips_bad_files();
        let mut documents = match Documents::open_named(&file.path, &file.content, options, meters)
        {
            Ok(documents) => documents,
            Err(e) if e.is_input() && of_tree => {
                self.account.files[number].note = Some(e.problem().to_owned());
                return Ok(Ok(()));
            }
            Err(e) => return Err(e),
        };
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Err(Stopped));
            }
            let outcome = match documents.next_outcome() {
                Ok(Some(outcome)) => outcome,
                Ok(None) => break,
                Err(e) if e.is_input() && of_tree => {
                    self.account.files[number].note = Some(e.problem().to_owned());
                    break;
                }
                Err(e) => return Err(e),
            };
            self.account.files[number].documents += 1;
            let placed = match outcome {
                Ok(document) => {
                    self.read += 1;
                    self.place(file, document)?
                }
                Err(unreadable) if of_tree => {
                    self.account.files[number].note = Some(unreadable.error.problem().to_owned());
                    continue;
                }
                Err(unreadable) => Err(unreadable),
            };
            match placed {
                Ok(Some((domain, text))) => self.take(domain, number, file.split, text),
                Ok(None) => {}
                Err(unreadable) => {
                    let (read, most) = (self.read, self.options.max_skipped);
                    self.account.skipped.add(unreadable, read, most)?;
                }
            }
            if self.pending_bytes >= BATCH_BYTES && self.flush(send).is_err() {
                return Ok(Err(Stopped));
            }
        }
        let padding = padding.load(Ordering::Relaxed);
        if padding > 0 {
            self.account.files[number].note =
                Some(format!("{padding} zeros after the gzip data were ignored"));
        }
        Ok(Ok(()))
    }

    /// The domain of a document; none if it is left out.
    #[allow(clippy::type_complexity)] // An error of the corpus, or of this document.
    fn place(
        &mut self,
        file: &SourceFile,
        document: Document,
    ) -> Result<std::result::Result<Option<(usize, String)>, crate::corpus::Unreadable>> {
        if document.text.is_empty() {
            self.account.empty += 1;
            return Ok(Ok(None));
        }
        let domain = match (&file.domain, document.label) {
            (Some(domain), _) if self.rare.contains(domain.as_str()) => self.rare_domain(),
            (Some(domain), _) => Some(self.domain(domain)),
            (None, label) => {
                let label = label.unwrap_or_default();
                match self.labelled(label.trim(), file)? {
                    Ok(domain) => domain,
                    Err(e) => {
                        let field = self.source.options().label_field.as_deref();
                        let error = e.in_file(&file.path).field(field.unwrap_or("label"));
                        return Ok(Err(Cause::NoLabel.error(error)));
                    }
                }
            }
        };
        Ok(Ok(domain.map(|domain| (domain, document.text))))
    }

    fn domain(&mut self, name: &Domain) -> usize {
        if let Some(&known) = self.by_name.get(name) {
            return known;
        }
        let number = self.domains.len();
        self.by_name.insert(name.clone(), number);
        self.domains.push(Seen {
            name: name.clone(),
            label: None,
            hashes: HashSet::new(),
            has_valid: false,
        });
        number
    }

    /// The domain of rare ones, unless they are left out.
    fn rare_domain(&mut self) -> Option<usize> {
        let name = self.options.rare_domain.clone()?;
        Some(self.domain(&name))
    }

    /// The domain of a label, if it is not left out.
    fn labelled(&mut self, label: &str, file: &SourceFile) -> Result<Result<Option<usize>>> {
        if let Some(&known) = self.by_label.get(label) {
            return Ok(Ok(known));
        }
        let domain = match self.rare.contains(label) {
            true => self.rare_domain(),
            false => {
                let name = match self.source.domain_of_label(label) {
                    Ok(name) => name,
                    Err(e) => return Ok(Err(e)),
                };
                let domain = self.domain(&name);
                let seen = &mut self.domains[domain];
                if let Some(other) = seen.label.replace(label.to_owned()) {
                    return Err(Error::input(format!(
                        "the labels `{other}` and `{label}` both name the domain `{name}`"
                    ))
                    .in_file(&file.path)
                    .help("give one of them another label in the text"));
                }
                Some(domain)
            }
        };
        self.by_label.insert(label.to_owned(), domain);
        Ok(Ok(domain))
    }

    fn take(&mut self, domain: usize, file: usize, split: Split, text: String) {
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
                self.account.duplicates += 1;
                return;
            }
            Split::Train => Split::Train,
        };
        if self.options.drop_duplicates && !seen.hashes.insert(key) {
            self.account.duplicates += 1;
            return;
        }
        self.pending_bytes += text.len();
        self.pending.push(Labelled {
            domain,
            split,
            text,
            file,
        });
    }

    fn flush(&mut self, send: &SyncSender<Result<Batch>>) -> Result<(), Stopped> {
        self.pending_bytes = 0;
        let new = &self.domains[self.sent_domains..];
        let batch = Batch {
            documents: std::mem::take(&mut self.pending),
            new_domains: new.iter().map(|d| d.name.clone()).collect(),
        };
        self.sent_domains = self.domains.len();
        send.send(Ok(batch)).map_err(|_| Stopped)
    }
}

//! From batches of documents to shards.

use std::collections::BTreeMap;
use std::time::Instant;

use rayon::prelude::*;

use super::TokenizeOptions;
use super::read::{Account, Batch};
use super::skipped::Skipped;
use super::summary::{DomainSummary, LostText, RareDomain, Summary};
use crate::corpus::{Cause, Source};
use crate::error::{Error, Result};
use crate::manifest::DomainEntry;
use crate::monitor::Monitor;
use crate::shard::Split;
use crate::token_corpus::CorpusWriter;
use crate::tokenizer::Tokenizer;

/// The tokens of a document, and how many of its bytes have none.
type Encoded = Result<(Vec<u32>, u64)>;

/// Encodes batches and writes them to a corpus.
pub(super) struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    source: &'a Source,
    options: &'a TokenizeOptions,
    writer: CorpusWriter,
    /// Numbers of the writer, by numbers of the reader.
    places: Vec<usize>,
    skipped: Skipped,
    /// Documents written per file.
    kept: BTreeMap<usize, u64>,
    /// Bytes without a token, per domain of the writer.
    lost: BTreeMap<usize, u64>,
    bytes: u64,
    tokens: u64,
    documents: u64,
    started: Instant,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(
        tokenizer: &'a Tokenizer,
        source: &'a Source,
        options: &'a TokenizeOptions,
        writer: CorpusWriter,
    ) -> Self {
        Self {
            tokenizer,
            source,
            options,
            writer,
            places: Vec::new(),
            skipped: Skipped::default(),
            kept: BTreeMap::new(),
            lost: BTreeMap::new(),
            bytes: 0,
            tokens: 0,
            documents: 0,
            started: Instant::now(),
        }
    }

    /// Encodes a batch on all cores and writes its documents in order.
    pub(super) fn write(&mut self, batch: &Batch, monitor: &dyn Monitor) -> Result<()> {
        for domain in &batch.new_domains {
            self.places.push(self.writer.add_domain(domain));
        }
        let tokenizer = self.tokenizer;
        let tokens: Vec<Option<Encoded>> = (batch.documents.par_iter())
            .map(|document| {
                (!monitor.stop_requested())
                    .then(|| tokenizer.encode_document_counted(&document.text, monitor))
            })
            .collect();
        for (document, tokens) in batch.documents.iter().zip(tokens) {
            let Some(tokens) = tokens else {
                return Ok(());
            };
            let (tokens, lost) = match tokens {
                Ok(encoded) => encoded,
                Err(e) if e.is_interrupted() => return Ok(()),
                Err(e) => {
                    let path = self.source.files().nth(document.file).map(|f| &f.path);
                    let error = match path {
                        Some(path) => e.in_file_if_none(path),
                        None => e,
                    };
                    let (unreadable, most) =
                        (Cause::NotTokenized.error(error), self.options.max_skipped);
                    self.skipped.add(unreadable, self.documents, most)?;
                    continue;
                }
            };
            let domain = self.places[document.domain];
            let bytes = document.text.len() as u64;
            self.writer.push(domain, document.split, &tokens, bytes)?;
            *self.kept.entry(document.file).or_default() += 1;
            if lost > 0 {
                *self.lost.entry(domain).or_default() += lost;
            }
            self.bytes += bytes;
            self.tokens += tokens.len() as u64;
            self.documents += 1;
        }
        Ok(())
    }

    /// Checks that not too many documents were skipped and no split is empty,
    /// and completes the corpus.
    pub(super) fn finish(
        self,
        mut account: Account,
        rare: Vec<RareDomain>,
        monitor: &dyn Monitor,
    ) -> Result<Summary> {
        account.skipped.merge(self.skipped);
        let total = account.files.iter().map(|f| f.documents).sum();
        let skipped = account.skipped.check(total, self.options.max_skipped)?;
        let entries = self.writer.entries();
        if entries.is_empty() {
            return Err(Error::input("no documents in the whole corpus"));
        }
        for split in Split::ALL {
            let empty: Vec<&DomainEntry> = (entries.iter())
                .filter(|entry| entry.split(split).documents == 0)
                .collect();
            if !empty.is_empty() {
                return Err(without_documents(&empty, split));
            }
        }
        let lost = lost_text(&self.lost, entries, self.options.max_lost)?;
        let mut domains: Vec<DomainSummary> = (entries.iter())
            .map(|entry| DomainSummary {
                domain: entry.name.clone(),
                bytes: entry.train.bytes + entry.valid.bytes,
                tokens: entry.train.tokens + entry.valid.tokens,
                documents: entry.train.documents + entry.valid.documents,
            })
            .collect();
        domains.sort_by(|a, b| a.domain.cmp(&b.domain));
        let alike = crate::alike::notes("domains", domains.iter().map(|d| d.domain.as_str()));
        for (number, kept) in self.kept {
            account.files[number].kept = kept;
        }
        Ok(Summary {
            manifest: self.writer.finish_monitored(monitor)?,
            domains,
            bytes: self.bytes,
            tokens: self.tokens,
            documents: self.documents,
            duplicates: account.duplicates,
            empty: account.empty,
            skipped,
            lost,
            rare,
            root: self.source.root().to_path_buf(),
            layout: self.source.layout().describe(),
            files: account.files,
            not_read: self.source.not_read().to_vec(),
            tokenizer_notes: [self.tokenizer.notes().to_vec(), alike].concat(),
            seconds: self.started.elapsed().as_secs_f64(),
        })
    }
}

/// The text without tokens of every domain that has such.
///
/// # Errors
/// When it is more than a share of the domain's text.
fn lost_text(
    lost: &BTreeMap<usize, u64>,
    entries: &[DomainEntry],
    most: f64,
) -> Result<Vec<LostText>> {
    let mut out: Vec<LostText> = (lost.iter())
        .map(|(&domain, &lost)| LostText {
            domain: entries[domain].name.clone(),
            lost,
            bytes: entries[domain].train.bytes + entries[domain].valid.bytes,
        })
        .collect();
    out.sort_by(|a, b| a.domain.cmp(&b.domain));
    let share = |text: &LostText| text.lost as f64 / text.bytes.max(1) as f64;
    let worst = out.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    if let Some(worst) = worst.filter(|text| share(text) > most) {
        return Err(Error::input(format!(
            "the tokenizer has no token for {} of the {} bytes of text of `{}` ({:.1} %), expected \
             at most {} % (`max_lost`)",
            worst.lost,
            worst.bytes,
            worst.domain,
            100.0 * share(worst),
            100.0 * most
        ))
        .field("tokenizer.path")
        .help(format!(
            "choose a tokenizer of bytes or with byte fallback; or allow it with `max_lost = \
             {:.3}` under [corpus] of study.toml",
            (1000.0 * share(worst)).ceil() / 1000.0
        )));
    }
    Ok(out)
}

/// The error for domains that have no documents in a split.
fn without_documents(domains: &[&DomainEntry], split: Split) -> Error {
    const SHOWN: usize = 5;
    let documents = |d: &DomainEntry| d.train.documents + d.valid.documents;
    let error = match domains {
        [one] => {
            Error::input(format!("empty domain: no {split} documents")).field(one.name.as_str())
        }
        _ => {
            let mut names: Vec<String> = (domains.iter().take(SHOWN))
                .map(|d| format!("`{}` ({} in all)", d.name, documents(d)))
                .collect();
            if domains.len() > SHOWN {
                names.push(format!("and {} more", domains.len() - SHOWN));
            }
            Error::input(format!(
                "{} domains have no {split} documents: {}",
                domains.len(),
                names.join(", ")
            ))
        }
    };
    if split == Split::Train {
        return error.help("add text to the domain, or remove its files");
    }
    let largest = domains.iter().map(|d| documents(d)).max().unwrap_or(0);
    let raise = match largest {
        // One document is in one split, whatever the share.
        0 | 1 => "",
        _ => ", or raise the share that is cut off for validation (`valid_share`)",
    };
    error.help(format!(
        "add a file to `valid/`{raise}; or leave small domains out with `min_documents = {}` under \
         [corpus] of study.toml, or put them together with `rare_domain = \"other\"`, too",
        largest + 1
    ))
}

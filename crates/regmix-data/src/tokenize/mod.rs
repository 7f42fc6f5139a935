//! From a corpus of text to a corpus of tokens.

mod read;
mod summary;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use rayon::prelude::*;

use crate::corpus::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::Monitor;
use crate::shard::Split;
use crate::token_corpus::CorpusWriter;
use crate::tokenizer::Tokenizer;
use read::{Batch, Reader};

pub use summary::{DomainSummary, Progress, Summary};

/// How a corpus is tokenized.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenizeOptions {
    /// Share of documents that become the validation split of a domain that
    /// has none of its own, in (0, 1). Which ones is decided by a hash of the
    /// text, so equal documents are on the same side. Default 0.05.
    pub valid_share: f64,
    /// Whether a document that a domain already has is left out. Takes about
    /// 32 bytes of memory per document. Default true.
    pub drop_duplicates: bool,
    /// Bytes of tokens after which the next shard is begun. Default 1 GiB.
    pub shard_bytes: u64,
}

impl Default for TokenizeOptions {
    fn default() -> Self {
        Self {
            valid_share: 0.05,
            drop_duplicates: true,
            shard_bytes: CorpusWriter::SHARD_BYTES,
        }
    }
}

/// Reads every document of `source`, makes tokens of it on all cores, and
/// writes shards, `tokenizer.json` and the manifest to `folder`.
///
/// The result does not depend on the number of cores. A document of a
/// validation file is never in a training split, whatever its domain; nor is
/// one that was cut off for validation, among the domains whose validation is
/// cut off. Nothing appears under its final name before all is done.
///
/// `watch` is told of progress after every few megabytes. A stop that
/// `monitor` asks for takes effect at the next such point.
///
/// # Errors
/// When a document cannot be read, a domain has no training or no validation
/// document, the disk refuses, or `monitor` asked to stop
/// ([`ErrorKind::Interrupted`]).
pub fn tokenize(
    source: &Source,
    tokenizer: &Tokenizer,
    folder: impl AsRef<Path>,
    options: &TokenizeOptions,
    watch: &mut dyn FnMut(&Progress),
    monitor: &dyn Monitor,
) -> Result<Summary> {
    if !(options.valid_share > 0.0 && options.valid_share < 1.0) {
        return Err(Error::input(format!(
            "{}, expected more than 0 and less than 1",
            options.valid_share
        ))
        .field("valid_share"));
    }
    let entry = tokenizer.entry();
    let writer = match source.domains() {
        Some(domains) => CorpusWriter::create(folder, domains.clone(), entry)?,
        None => CorpusWriter::without_domains(folder.as_ref(), entry)?,
    };
    let mut writer = writer
        .with_shard_bytes(options.shard_bytes)
        .with_tokenizer_json(tokenizer.to_json());

    let start = Instant::now();
    let consumed = Arc::new(AtomicU64::new(0));
    let total = source.files().map(|f| f.bytes).sum();
    let (mut all_bytes, mut all_tokens, mut all_documents) = (0, 0, 0);
    let mut seconds: Vec<f64> = Vec::new();
    let reader = Reader::new(source, options, Arc::clone(&consumed));
    let left_out = std::thread::scope(|scope| {
        // Reading runs ahead of encoding by at most one batch.
        let (send, batches) = mpsc::sync_channel::<Result<Batch>>(1);
        let reading = scope.spawn(move || reader.run(&send));
        let mut last = Instant::now();
        for batch in batches {
            if monitor.stop_requested() {
                return Err(
                    Error::new(ErrorKind::Interrupted, "interrupted while tokenizing")
                        .help("nothing was written; run the same command again"),
                );
            }
            let batch = batch?;
            let places: Vec<usize> = batch.domains.iter().map(|d| writer.add_domain(d)).collect();
            let tokens = batch
                .documents
                .par_iter()
                .map(|d| {
                    let mut tokens = tokenizer.encode(&d.text)?;
                    tokens.push(tokenizer.separator());
                    Ok(tokens)
                })
                .collect::<Result<Vec<_>>>()?;
            for (document, tokens) in batch.documents.iter().zip(&tokens) {
                let domain = places[document.domain];
                let bytes = document.text.len() as u64;
                writer.push(domain, document.split, tokens, bytes)?;
                all_bytes += bytes;
                all_tokens += tokens.len() as u64;
                all_documents += 1;
            }
            // A batch's time is shared out by bytes of text.
            let spent = last.elapsed().as_secs_f64();
            last = Instant::now();
            let bytes: usize = batch.documents.iter().map(|d| d.text.len()).sum();
            seconds.resize(writer.entries().len(), 0.0);
            for document in &batch.documents {
                let share = document.text.len() as f64 / bytes.max(1) as f64;
                seconds[places[document.domain]] += spent * share;
            }
            watch(&Progress {
                file_bytes: consumed.load(Ordering::Relaxed).min(total),
                file_bytes_total: total,
                bytes: all_bytes,
                tokens: all_tokens,
                documents: all_documents,
            });
        }
        reading
            .join()
            .map_err(|_| Error::failed("reading the corpus failed"))
    })?;
    if writer.entries().is_empty() {
        return Err(Error::input("no documents in the whole corpus"));
    }
    let mut domains = Vec::new();
    for (entry, seconds) in writer
        .entries()
        .iter()
        .zip(seconds.into_iter().chain(std::iter::repeat(0.0)))
    {
        for split in Split::ALL {
            if entry.split(split).documents == 0 {
                return Err(empty(entry.name.as_str(), split));
            }
        }
        domains.push(DomainSummary {
            domain: entry.name.clone(),
            bytes: entry.train.bytes + entry.valid.bytes,
            tokens: entry.train.tokens + entry.valid.tokens,
            documents: entry.train.documents + entry.valid.documents,
            seconds,
        });
    }
    domains.sort_by(|a: &DomainSummary, b| a.domain.cmp(&b.domain));
    Ok(Summary {
        manifest: writer.finish()?,
        domains,
        bytes: all_bytes,
        tokens: all_tokens,
        documents: all_documents,
        duplicates: left_out.duplicates,
        empty: left_out.empty,
        not_text: left_out.not_text,
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn empty(domain: &str, split: Split) -> Error {
    let err = Error::input(format!("empty domain: no {split} documents")).field(domain);
    match split {
        Split::Train => err.help("add text to the domain, or remove its files"),
        Split::Valid => err.help(
            "add a file to `valid/`, or raise the share that is cut off for validation \
             (`valid_share`)",
        ),
    }
}

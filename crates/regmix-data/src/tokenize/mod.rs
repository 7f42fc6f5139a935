//! From a corpus of text to a corpus of tokens.

mod encode;
mod rare;
mod read;
mod skipped;
mod summary;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::corpus::Source;
use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::monitor::{Monitor, Unit};
use crate::token_corpus::CorpusWriter;
use crate::tokenizer::Tokenizer;
use encode::Encoder;
use read::{Batch, Reader};

pub use skipped::SkippedDocuments;
pub use summary::{DomainSummary, FileSummary, LostText, RareDomain, Summary};

/// How a corpus is tokenized.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenizeOptions {
    /// Share of documents that become the validation split of a domain that
    /// has no validation files, in (0, 1). They are chosen by a hash of the text,
    /// so that equal documents are in the same split. Default 0.05.
    pub valid_share: f64,
    /// Whether a document that a domain already has is left out. Takes about
    /// 32 bytes of memory per document. Default true.
    pub drop_duplicates: bool,
    /// Bytes of tokens after which the next shard begins. Default 1 GiB.
    pub shard_bytes: u64,
    /// The greatest share of documents that may be skipped because they cannot
    /// be read. 0: the first one ends the work. Default 0.001.
    pub max_skipped: f64,
    /// The greatest share of a domain's text that the tokenizer may have no token
    /// for. Default 0.01.
    pub max_lost: f64,
    /// Domains with fewer documents are left out, or put into `rare_domain`.
    /// More than 0 reads the corpus twice. Default 0.
    pub min_documents: u64,
    /// The domain of the documents of domains with fewer than `min_documents`.
    /// Default none: they are left out.
    pub rare_domain: Option<Domain>,
}

impl Default for TokenizeOptions {
    fn default() -> Self {
        Self {
            valid_share: 0.05,
            drop_duplicates: true,
            shard_bytes: CorpusWriter::SHARD_BYTES,
            max_skipped: 0.001,
            max_lost: 0.01,
            min_documents: 0,
            rare_domain: None,
        }
    }
}

/// Reads every document of `source`, turns it into tokens on all cores, and
/// writes shards, `tokenizer.json` and the manifest to `folder`.
///
/// The result does not depend on the number of cores. A document of a
/// validation file is never in a training split of any domain. The same holds
/// for a document that was chosen for validation, among the domains whose
/// validation split is chosen by hash. Nothing appears under its final name
/// before all is done.
///
/// A document that cannot be read or encoded is skipped and counted, as far as
/// [`TokenizeOptions::max_skipped`] allows.
///
/// `monitor` counts the bytes of the source's files, and can stop the work at
/// any time.
///
/// # Errors
/// When a file or too many documents cannot be read, the tokenizer has no token
/// for too much of a domain's text, a domain has no training or no validation
/// document, a file cannot be written, or `monitor` requested
/// a stop.
pub fn tokenize(
    source: &Source,
    tokenizer: &Tokenizer,
    folder: impl AsRef<Path>,
    options: &TokenizeOptions,
    monitor: &dyn Monitor,
) -> Result<Summary> {
    if !(options.valid_share > 0.0 && options.valid_share < 1.0) {
        return Err(Error::input(format!(
            "{}, expected more than 0 and less than 1",
            options.valid_share
        ))
        .field("valid_share"));
    }
    let rare = rare::rare_domains(source, options.min_documents, monitor)?;
    let entry = tokenizer.entry();
    let writer = match source.domains() {
        Some(domains) if rare.is_empty() => CorpusWriter::create(folder, domains.clone(), entry)?,
        _ => CorpusWriter::without_domains(folder.as_ref(), entry)?,
    };
    let writer = writer
        .with_shard_bytes(options.shard_bytes)
        .with_tokenizer_json(tokenizer.to_json());
    let mut encoder = Encoder::new(tokenizer, source, options, writer);
    let consumed = Arc::new(AtomicU64::new(0));
    let total = source.files().map(|f| f.bytes).sum();
    let stop = AtomicBool::new(false);
    let reader = Reader::new(source, options, &rare, Arc::clone(&consumed), &stop);
    monitor.begin("tokenize", total, Unit::Bytes);
    let account = std::thread::scope(|scope| {
        // Reading is ahead of encoding by at most one batch.
        let (send, batches) = mpsc::sync_channel::<Result<Batch>>(1);
        let reading = scope.spawn(move || reader.run(&send));
        let encoded = encode_all(&batches, &mut encoder, monitor, || {
            monitor.at(consumed.load(Ordering::Relaxed).min(total));
        });
        stop.store(encoded.is_err(), Ordering::Relaxed);
        drop(batches);
        let account = reading
            .join()
            .map_err(|_| Error::failed("reading the corpus failed"));
        encoded.and(account)
    });
    monitor.end();
    encoder.finish(account?, rare, monitor)
}

/// Encodes batches until there are no more.
fn encode_all(
    batches: &mpsc::Receiver<Result<Batch>>,
    encoder: &mut Encoder<'_>,
    monitor: &dyn Monitor,
    progress: impl Fn(),
) -> Result<()> {
    loop {
        if monitor.stop_requested() {
            return Err(interrupted());
        }
        match batches.recv_timeout(Duration::from_millis(100)) {
            Ok(batch) => encoder.write(&batch?, monitor)?,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        progress();
    }
}

fn interrupted() -> Error {
    Error::interrupted("interrupted while tokenizing")
        .help("nothing was written; run the same command again")
}

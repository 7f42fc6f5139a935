//! From a corpus of text to a corpus of tokens.

mod encode;
mod read;
mod summary;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use crate::corpus::Source;
use crate::error::{Error, Result};
use crate::monitor::{Monitor, Unit};
use crate::token_corpus::CorpusWriter;
use crate::tokenizer::Tokenizer;
use encode::Encoder;
use read::{Batch, Reader};

pub use summary::{DomainSummary, Summary};

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

/// Reads every document of `source`, turns it into tokens on all cores, and
/// writes shards, `tokenizer.json` and the manifest to `folder`.
///
/// The result does not depend on the number of cores. A document of a
/// validation file is never in a training split of any domain. The same holds
/// for a document that was cut off for validation, among the domains whose
/// validation split is cut off. Nothing appears under its final name before all
/// is done.
///
/// `monitor` counts the bytes of the source's files, and can stop the work
/// after every few megabytes.
///
/// # Errors
/// When a document cannot be read, a domain has no training or no validation
/// document, a file cannot be written, or `monitor` requested a stop.
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
    let entry = tokenizer.entry();
    let writer = match source.domains() {
        Some(domains) => CorpusWriter::create(folder, domains.clone(), entry)?,
        None => CorpusWriter::without_domains(folder.as_ref(), entry)?,
    };
    let writer = writer
        .with_shard_bytes(options.shard_bytes)
        .with_tokenizer_json(tokenizer.to_json());
    let consumed = Arc::new(AtomicU64::new(0));
    let total = source.files().map(|f| f.bytes).sum();
    let reader = Reader::new(source, options, Arc::clone(&consumed));
    let mut encoder = Encoder::new(tokenizer, writer);
    monitor.begin("tokenize", total, Unit::Bytes);
    let left_out = std::thread::scope(|scope| {
        // Reading is ahead of encoding by at most one batch.
        let (send, batches) = mpsc::sync_channel::<Result<Batch>>(1);
        let reading = scope.spawn(move || reader.run(&send));
        for batch in batches {
            if monitor.stop_requested() {
                return Err(Error::interrupted("interrupted while tokenizing")
                    .help("nothing was written; run the same command again"));
            }
            encoder.write(&batch?)?;
            monitor.at(consumed.load(Ordering::Relaxed).min(total));
        }
        reading
            .join()
            .map_err(|_| Error::failed("reading the corpus failed"))
    });
    monitor.end();
    encoder.finish(left_out?)
}

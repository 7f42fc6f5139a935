//! From batches of documents to shards.

use std::time::Instant;

use rayon::prelude::*;

use super::read::{Batch, LeftOut};
use super::summary::{DomainSummary, Summary};
use crate::error::{Error, Result};
use crate::shard::Split;
use crate::token_corpus::CorpusWriter;
use crate::tokenizer::Tokenizer;

/// Encodes batches and writes them to a corpus.
pub(super) struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    writer: CorpusWriter,
    bytes: u64,
    tokens: u64,
    documents: u64,
    started: Instant,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, writer: CorpusWriter) -> Self {
        Self {
            tokenizer,
            writer,
            bytes: 0,
            tokens: 0,
            documents: 0,
            started: Instant::now(),
        }
    }

    /// Encodes a batch on all cores and writes its documents in order.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<()> {
        let places: Vec<usize> = (batch.domains.iter())
            .map(|d| self.writer.add_domain(d))
            .collect();
        let tokenizer = self.tokenizer;
        let tokens = (batch.documents.par_iter())
            .map(|d| {
                let mut tokens = tokenizer.encode(&d.text)?;
                tokens.push(tokenizer.separator());
                Ok(tokens)
            })
            .collect::<Result<Vec<_>>>()?;
        for (document, tokens) in batch.documents.iter().zip(&tokens) {
            let domain = places[document.domain];
            let bytes = document.text.len() as u64;
            self.writer.push(domain, document.split, tokens, bytes)?;
            self.bytes += bytes;
            self.tokens += tokens.len() as u64;
        }
        self.documents += batch.documents.len() as u64;
        Ok(())
    }

    /// Checks that no split is empty, and completes the corpus.
    pub(super) fn finish(self, left_out: LeftOut) -> Result<Summary> {
        let entries = self.writer.entries();
        if entries.is_empty() {
            return Err(Error::input("no documents in the whole corpus"));
        }
        let mut domains = Vec::with_capacity(entries.len());
        for entry in entries {
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
            });
        }
        domains.sort_by(|a, b| a.domain.cmp(&b.domain));
        Ok(Summary {
            manifest: self.writer.finish()?,
            domains,
            bytes: self.bytes,
            tokens: self.tokens,
            documents: self.documents,
            duplicates: left_out.duplicates,
            empty: left_out.empty,
            not_text: left_out.not_text,
            seconds: self.started.elapsed().as_secs_f64(),
        })
    }
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

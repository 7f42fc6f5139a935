//! Writing shards.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::format::{ShardHeader, Split, TOKENS_AT, TokenWidth};
use crate::artefact::temporary_beside;
use crate::domain::Domain;
use crate::error::{Error, Result};

/// The properties of a shard that are known before its first token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardLabel {
    /// The domain of every document.
    pub domain: Domain,
    /// The split of every document.
    pub split: Split,
    /// Every token is below this; it decides how tokens are stored.
    pub vocab_size: u32,
    /// Identifies the tokenizer.
    pub tokenizer: String,
}

/// Writes one shard, document by document, under a temporary name. A writer
/// that is dropped unfinished leaves nothing behind.
#[derive(Debug)]
pub struct ShardWriter {
    path: PathBuf,
    label: ShardLabel,
    file: BufWriter<NamedTempFile>,
    hasher: blake3::Hasher,
    ends: Vec<u64>,
    tokens: u64,
    bytes: u64,
    encoded: Vec<u8>,
}

/// A shard that is complete on disk but still has its temporary name.
#[derive(Debug)]
pub(crate) struct SealedShard {
    temp: TempPath,
    summary: ShardSummary,
}

/// A shard that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardSummary {
    /// The file.
    pub path: PathBuf,
    /// Its header.
    pub header: ShardHeader,
    /// As [`super::Shard::digest`].
    pub digest: String,
}

impl ShardWriter {
    /// Begins a shard that will be at `path`. Missing folders are made.
    ///
    /// # Errors
    /// When the vocabulary is empty or the folder cannot be written.
    pub fn create(path: impl AsRef<Path>, label: ShardLabel) -> Result<Self> {
        let path = path.as_ref();
        if label.vocab_size == 0 {
            return Err(
                Error::input("a vocabulary of 0 entries, expected at least 1").in_file(path),
            );
        }
        let temp = temporary_beside(path)?;
        let mut file = BufWriter::with_capacity(1 << 18, temp);
        file.write_all(&[b' '; TOKENS_AT])
            .map_err(|e| Error::io(path, e))?;
        Ok(Self {
            path: path.to_path_buf(),
            label,
            file,
            hasher: blake3::Hasher::new(),
            ends: Vec::new(),
            tokens: 0,
            bytes: 0,
            encoded: Vec::new(),
        })
    }

    /// Adds one document. `tokens` are taken as they are, so they should end
    /// with the separator; `bytes` is the length of the text they stand for.
    ///
    /// # Errors
    /// When there are no tokens, a token is not in the vocabulary, or the file
    /// cannot be written.
    pub fn push_document(&mut self, tokens: &[u32], bytes: u64) -> Result<()> {
        let max = tokens.iter().copied().max().ok_or_else(|| {
            Error::input("a document without tokens: expected at least the separator")
                .in_file(&self.path)
        })?;
        if max >= self.label.vocab_size {
            return Err(Error::input(format!(
                "token {max}, but the vocabulary has {} entries",
                self.label.vocab_size
            ))
            .in_file(&self.path));
        }
        self.encoded.clear();
        match TokenWidth::for_vocab(self.label.vocab_size) {
            TokenWidth::U16 => {
                let narrow = tokens.iter().flat_map(|&t| (t as u16).to_le_bytes());
                self.encoded.extend(narrow);
            }
            TokenWidth::U32 => self
                .encoded
                .extend(tokens.iter().flat_map(|t| t.to_le_bytes())),
        }
        self.hasher.update(&self.encoded);
        self.file
            .write_all(&self.encoded)
            .map_err(|e| Error::io(&self.path, e))?;
        self.tokens += tokens.len() as u64;
        self.bytes += bytes;
        self.ends.push(self.tokens);
        Ok(())
    }

    /// Bytes of tokens written so far.
    pub(crate) fn token_bytes(&self) -> u64 {
        self.tokens * TokenWidth::for_vocab(self.label.vocab_size).bytes() as u64
    }

    /// Completes the file and renames it to its final name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> Result<ShardSummary> {
        self.seal()?.publish()
    }

    /// Completes the file but leaves its temporary name, so that many shards
    /// can appear together.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn seal(mut self) -> Result<SealedShard> {
        let io = |e| Error::io(&self.path, e);
        for end in &self.ends {
            let end = end.to_le_bytes();
            self.hasher.update(&end);
            self.file.write_all(&end).map_err(io)?;
        }
        let header = ShardHeader {
            dtype: TokenWidth::for_vocab(self.label.vocab_size),
            domain: self.label.domain,
            split: self.label.split,
            vocab_size: self.label.vocab_size,
            tokenizer: self.label.tokenizer,
            tokens: self.tokens,
            documents: self.ends.len() as u64,
            bytes: self.bytes,
            payload_blake3: self.hasher.finalize().to_hex().to_string(),
        };
        let front = header.encode(&self.path)?;
        let temp = self.file.into_inner().map_err(|e| io(e.into_error()))?;
        let mut file: &File = temp.as_file();
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        file.write_all(&front).map_err(io)?;
        file.sync_all().map_err(io)?;
        Ok(SealedShard {
            temp: temp.into_temp_path(),
            summary: ShardSummary {
                digest: blake3::hash(&front).to_hex().to_string(),
                path: self.path,
                header,
            },
        })
    }
}

impl SealedShard {
    /// Its path, header and digest.
    pub(crate) fn summary(&self) -> &ShardSummary {
        &self.summary
    }

    /// Renames the shard to its final name.
    ///
    /// # Errors
    /// When the file cannot be renamed; the shard is then removed.
    pub(crate) fn publish(self) -> Result<ShardSummary> {
        self.temp
            .persist(&self.summary.path)
            .map_err(|e| Error::io(&self.summary.path, e.error))?;
        Ok(self.summary)
    }
}

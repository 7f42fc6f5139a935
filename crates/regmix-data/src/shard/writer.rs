//! Writing shards.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

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

/// Bytes that are held in memory before they are written to the file.
const PENDING: usize = 1 << 18;

/// Writes one shard, document by document, under a temporary name. A writer
/// that is dropped unfinished leaves nothing behind.
///
/// Its file is open only while it is written to, so that there can be more
/// writers than a process may have open files.
#[derive(Debug)]
pub struct ShardWriter {
    path: PathBuf,
    label: ShardLabel,
    /// The file and the hash of the tokens in it, once there are some.
    file: Option<Box<Begun>>,
    /// Tokens that are not in the file yet.
    pending: Vec<u8>,
    ends: Vec<u64>,
    tokens: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Begun {
    temp: TempPath,
    hasher: blake3::Hasher,
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
    /// When the vocabulary is empty.
    pub fn create(path: impl AsRef<Path>, label: ShardLabel) -> Result<Self> {
        let path = path.as_ref();
        if label.vocab_size == 0 {
            return Err(
                Error::input("a vocabulary of 0 entries, expected at least 1").in_file(path),
            );
        }
        Ok(Self {
            path: path.to_path_buf(),
            label,
            file: None,
            pending: Vec::new(),
            ends: Vec::new(),
            tokens: 0,
            bytes: 0,
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
        match TokenWidth::for_vocab(self.label.vocab_size) {
            TokenWidth::U16 => {
                let narrow = tokens.iter().flat_map(|&t| (t as u16).to_le_bytes());
                self.pending.extend(narrow);
            }
            TokenWidth::U32 => self
                .pending
                .extend(tokens.iter().flat_map(|t| t.to_le_bytes())),
        }
        self.tokens += tokens.len() as u64;
        self.bytes += bytes;
        self.ends.push(self.tokens);
        match self.pending.len() >= PENDING {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Bytes in memory that [`ShardWriter::flush`] would write.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Writes what is in memory to the file, and frees the memory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (mut file, mut begun) = self.open()?;
        file.write_all(&self.pending)
            .map_err(|e| Error::io(&self.path, e))?;
        begun.hasher.update(&self.pending);
        self.file = Some(begun);
        self.pending = Vec::new();
        Ok(())
    }

    /// Opens the file at its end. A new one gets room for the header.
    fn open(&mut self) -> Result<(File, Box<Begun>)> {
        let io = |e| Error::io(&self.path, e);
        if let Some(begun) = self.file.take() {
            let mut options = OpenOptions::new();
            let mut file = options
                .read(true)
                .write(true)
                .open(&begun.temp)
                .map_err(io)?;
            file.seek(SeekFrom::End(0)).map_err(io)?;
            return Ok((file, begun));
        }
        let (mut file, temp) = temporary_beside(&self.path)?.into_parts();
        file.write_all(&[b' '; TOKENS_AT]).map_err(io)?;
        let hasher = blake3::Hasher::new();
        Ok((file, Box::new(Begun { temp, hasher })))
    }

    /// Bytes of tokens written so far.
    pub(crate) fn token_bytes(&self) -> u64 {
        self.tokens * TokenWidth::for_vocab(self.label.vocab_size).bytes() as u64
    }

    /// Leaves the temporary file to [`sweep`](crate::artefact::sweep).
    pub(crate) fn leave(self) {
        if let Some(begun) = self.file {
            // One that cannot be kept is removed.
            begun.temp.keep().ok();
        }
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
        let (mut file, mut begun) = self.open()?;
        let io = |e| Error::io(&self.path, e);
        let mut rest = std::mem::take(&mut self.pending);
        rest.extend(self.ends.iter().flat_map(|end| end.to_le_bytes()));
        begun.hasher.update(&rest);
        file.write_all(&rest).map_err(io)?;
        let header = ShardHeader {
            dtype: TokenWidth::for_vocab(self.label.vocab_size),
            domain: self.label.domain,
            split: self.label.split,
            vocab_size: self.label.vocab_size,
            tokenizer: self.label.tokenizer,
            tokens: self.tokens,
            documents: self.ends.len() as u64,
            bytes: self.bytes,
            payload_blake3: begun.hasher.finalize().to_hex().to_string(),
        };
        let front = header.encode(&self.path)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        file.write_all(&front).map_err(io)?;
        file.sync_all().map_err(io)?;
        Ok(SealedShard {
            temp: begun.temp,
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

    /// Leaves the temporary file to [`sweep`](crate::artefact::sweep).
    pub(crate) fn leave(self) {
        // One that cannot be kept is removed.
        self.temp.keep().ok();
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

//! Reading shards.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::format::{ShardHeader, TokenWidth};
use super::map::Map;
use crate::error::{Error, Result};
use crate::monitor::{Monitor, Silent};

const DAMAGED: &str = "the shard is damaged: tokenize the corpus again (`regmix tokenize --redo`), or copy \
     the file again";

/// A shard, mapped into memory.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    header: ShardHeader,
    tokens_at: usize,
    map: Map,
}

impl Shard {
    /// Opens a shard and checks that its header covers the file exactly. The
    /// tokens themselves are checked as they are read, and all of them by
    /// [`Shard::verify`].
    ///
    /// # Errors
    /// When the file cannot be read, is not a shard, was made by a newer
    /// version, or has another length than its header claims.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let map = Map::open(path)?;
        let (header, tokens_at) = ShardHeader::decode(&map, path)?;
        let shard = Self {
            path: path.to_path_buf(),
            header,
            tokens_at,
            map,
        };
        let last = shard.document_ends().next_back().unwrap_or(0);
        if last != shard.header.tokens {
            return Err(shard.damaged(format!(
                "the last document ends at token {last}, expected {}",
                shard.header.tokens
            )));
        }
        Ok(shard)
    }

    /// The header.
    pub fn header(&self) -> &ShardHeader {
        &self.header
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of the bytes before the tokens, in hex. They hold the hash of
    /// the tokens, so this identifies the whole shard and takes no time.
    pub fn digest(&self) -> String {
        blake3::hash(&self.map[..self.tokens_at])
            .to_hex()
            .to_string()
    }

    /// Copies `out.len()` tokens from position `start`.
    ///
    /// # Errors
    /// When the range is not in the shard or a token is not in the vocabulary.
    pub fn copy_tokens(&self, start: u64, out: &mut [u32]) -> Result<()> {
        let bytes = self.token_bytes(start..start.saturating_add(out.len() as u64))?;
        let mut max = 0;
        match self.header.dtype {
            TokenWidth::U16 => {
                for (o, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    *o = u32::from(u16::from_le_bytes([b[0], b[1]]));
                    max = max.max(*o);
                }
            }
            TokenWidth::U32 => {
                for (o, b) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                    *o = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                    max = max.max(*o);
                }
            }
        }
        if max >= self.header.vocab_size && !out.is_empty() {
            let at = out.iter().position(|&t| t == max).unwrap_or(0) as u64;
            return Err(self.damaged(format!(
                "token {max} at position {}, but the vocabulary has {} entries",
                start + at,
                self.header.vocab_size
            )));
        }
        Ok(())
    }

    /// The tokens of a range of positions.
    ///
    /// # Errors
    /// As [`Shard::copy_tokens`].
    pub fn tokens(&self, range: Range<u64>) -> Result<Vec<u32>> {
        // Checked before a buffer of that length is made.
        self.token_bytes(range.clone())?;
        let mut out = vec![0; (range.end - range.start) as usize];
        self.copy_tokens(range.start, &mut out)?;
        Ok(out)
    }

    /// For each document the number of tokens up to its end.
    pub fn document_ends(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + '_ {
        let at = self.tokens_at + self.header.tokens as usize * self.header.dtype.bytes();
        self.map[at..]
            .chunks_exact(8)
            .map(|b| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
    }

    /// Reads the whole shard and checks it: the hash, every token against the
    /// vocabulary, and that document ends increase.
    ///
    /// # Errors
    /// When one of these does not hold.
    pub fn verify(&self) -> Result<()> {
        self.verify_monitored(&Silent)
    }

    /// As [`Shard::verify`]; stops when `monitor` requests it.
    pub(crate) fn verify_monitored(&self, monitor: &dyn Monitor) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        let mut at = 0;
        while at < self.header.tokens {
            monitor.check()?;
            let n = buffer.len().min((self.header.tokens - at) as usize);
            self.copy_tokens(at, &mut buffer[..n])?;
            at += n as u64;
        }
        let mut last = 0;
        for (i, end) in self.document_ends().enumerate() {
            if end <= last || end > self.header.tokens {
                return Err(self.damaged(format!(
                    "document {} ends at token {end}, expected more than {last} and at most {}",
                    i + 1,
                    self.header.tokens
                )));
            }
            last = end;
        }
        let mut hasher = blake3::Hasher::new();
        for part in self.map[self.tokens_at..].chunks(1 << 20) {
            monitor.check()?;
            hasher.update(part);
        }
        let hash = hasher.finalize().to_hex();
        if *hash != *self.header.payload_blake3 {
            return Err(self.damaged(format!(
                "the tokens hash to {hash}, expected {}",
                self.header.payload_blake3
            )));
        }
        Ok(())
    }

    fn token_bytes(&self, range: Range<u64>) -> Result<&[u8]> {
        if range.start > range.end || range.end > self.header.tokens {
            return Err(Error::input(format!(
                "tokens {} to {} requested, but the shard has {}",
                range.start, range.end, self.header.tokens
            ))
            .in_file(&self.path));
        }
        // Both ends are within the file, so the products fit.
        let width = self.header.dtype.bytes();
        let at = |n: u64| self.tokens_at + n as usize * width;
        Ok(&self.map[at(range.start)..at(range.end)])
    }

    fn damaged(&self, problem: String) -> Error {
        Error::input(problem).in_file(&self.path).help(DAMAGED)
    }
}

//! Detecting compression by a file's first bytes, and decompressing.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

const BUFFER: usize = 1 << 18;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Zstd,
    Gzip,
}

impl Compression {
    fn detect(front: &[u8], path: &Path) -> Result<Self> {
        let unsupported = [
            (&b"BZh"[..], "bzip2"),
            (b"\xfd7zXZ\0", "xz"),
            (b"\x04\x22\x4d\x18", "lz4"),
            (b"PK\x03\x04", "zip"),
            (b"7z\xbc\xaf\x27\x1c", "7-zip"),
        ];
        if let Some((_, name)) = unsupported
            .iter()
            .find(|(magic, _)| front.starts_with(magic))
        {
            return Err(Error::input(format!(
                "unknown compression: this is {name}, expected zstd, gzip or none"
            ))
            .in_file(path)
            .help("decompress the file, or compress it with zstd"));
        }
        // A zstd stream may begin with a skippable frame.
        let skippable = matches!(front, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        if front.starts_with(b"\x28\xb5\x2f\xfd") || skippable {
            return Ok(Self::Zstd);
        }
        if front.starts_with(b"\x1f\x8b") {
            return Ok(Self::Gzip);
        }
        Ok(Self::None)
    }

    /// Opens a file and decompresses it. `consumed` counts the bytes of the file
    /// as they are read.
    pub(super) fn open(
        path: &Path,
        consumed: Arc<AtomicU64>,
    ) -> Result<(Self, Box<dyn BufRead + Send>)> {
        let io = |e| Error::io(path, e);
        let file = File::open(path).map_err(io)?;
        let mut raw = BufReader::with_capacity(
            BUFFER,
            Counted {
                inner: file,
                consumed,
            },
        );
        let this = Self::detect(raw.fill_buf().map_err(io)?, path)?;
        let input: Box<dyn BufRead + Send> = match this {
            Self::None => Box::new(raw),
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(io)?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            Self::Gzip => {
                let decoder = flate2::bufread::MultiGzDecoder::new(raw);
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
        };
        Ok((this, input))
    }

    /// The error for a read that failed after `documents` documents.
    pub(super) fn explain(self, err: std::io::Error, path: &Path, documents: u64) -> Error {
        let name = match self {
            Self::None => return Error::io(path, err),
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        };
        let what = match err.kind() {
            std::io::ErrorKind::UnexpectedEof => format!("the {name} data ends too early"),
            _ => format!("the {name} data is damaged ({err})"),
        };
        Error::input(format!("{what}; {documents} documents were read before"))
            .in_file(path)
            .help("download or copy the file again")
            .caused_by(err)
    }
}

struct Counted<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.consumed.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

//! Detecting compression by a file's first bytes, and decompressing.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;

use crate::error::{Error, Result};

const BUFFER: usize = 1 << 18;

/// What is counted while a file is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meters {
    /// Bytes of the file so far, compressed as they are.
    pub(crate) consumed: Arc<AtomicU64>,
    /// Zeros after the end of the compressed data, which are no text.
    pub(crate) padding: Arc<AtomicU64>,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Zstd,
    Gzip,
}

impl Compression {
    fn detect(front: &[u8], path: &Path) -> Result<Self> {
        refuse_pointer(front, path)?;
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

    /// Opens a file and decompresses it. `meters` count its bytes as they are
    /// read.
    pub(super) fn open(path: &Path, meters: &Meters) -> Result<(Self, Box<dyn BufRead + Send>)> {
        let io = |e| Error::io(path, e);
        let file = File::open(path).map_err(io)?;
        let mut raw = BufReader::with_capacity(
            BUFFER,
            Counted {
                inner: file,
                consumed: Arc::clone(&meters.consumed),
            },
        );
        let this = Self::detect(raw.fill_buf().map_err(io)?, path)?;
        let input: Box<dyn BufRead + Send> = match this {
            Self::None => Box::new(raw),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(io)?;
                // Files of `zstd --long=31` refer back by up to 2 GiB. The memory
                // is used as far as the text goes.
                decoder.window_log_max(31).map_err(io)?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            Self::Gzip => {
                let members = Members {
                    member: Some(GzDecoder::new(raw)),
                    padding: Arc::clone(&meters.padding),
                };
                Box::new(BufReader::with_capacity(BUFFER, members))
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

/// The members of a gzip file, one after the other. Zeros after the last one
/// are padding, as tapes and block devices leave it.
struct Members<R> {
    member: Option<GzDecoder<R>>,
    padding: Arc<AtomicU64>,
}

impl<R: BufRead> Members<R> {
    /// Begins the next member, if there is one.
    fn next(&mut self, mut inner: R) -> std::io::Result<()> {
        let mut zeros = 0;
        loop {
            let front = inner.fill_buf()?;
            let Some(nonzero) = front.iter().position(|&b| b != 0) else {
                if front.is_empty() {
                    self.padding.fetch_add(zeros, Ordering::Relaxed);
                    return Ok(());
                }
                zeros += front.len() as u64;
                let length = front.len();
                inner.consume(length);
                continue;
            };
            if front[nonzero] != 0x1f {
                let problem = format!("byte {:#04x} after the last member", front[nonzero]);
                return Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    problem,
                ));
            }
            inner.consume(nonzero);
            self.member = Some(GzDecoder::new(inner));
            return Ok(());
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buf)?;
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
            if let Some(member) = self.member.take() {
                self.next(member.into_inner())?;
            }
        }
        Ok(0)
    }
}

/// An error if a file stands for another one that was not downloaded.
pub(super) fn refuse_pointer(front: &[u8], path: &Path) -> Result<()> {
    if front.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Err(
            Error::input("a Git LFS pointer: the content of the file was not downloaded")
                .in_file(path)
                .help("run `git lfs pull` in the repository that it comes from"),
        );
    }
    Ok(())
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

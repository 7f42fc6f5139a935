//! The documents of one file.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::Compression;
use super::document::{Document, ReadOptions, not_utf8};
use super::file_type::FileType;
use super::lines::Lines;
use super::parquet::Parquet;
use crate::error::{Error, Result};

/// The documents of one file, in order. The first error ends the sequence.
///
/// ```
/// use regmix_data::corpus::{Documents, ReadOptions};
///
/// let file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
/// std::fs::write(file.path(), "{\"text\":\"one\"}\n{\"id\":7}\n").unwrap();
/// let mut documents = Documents::open(file.path(), ReadOptions::default())?;
/// assert_eq!(documents.next().unwrap()?.text, "one");
/// let err = documents.next().unwrap().unwrap_err();
/// assert_eq!((err.line_number(), err.field_name()), (Some(2), Some("text")));
/// # Ok::<(), regmix_data::Error>(())
/// ```
pub struct Documents {
    path: PathBuf,
    options: ReadOptions,
    consumed: Arc<AtomicU64>,
    kind: Kind,
}

enum Kind {
    Lines(Lines),
    Parquet(Parquet),
    /// The whole file is one document.
    Whole,
    Done,
}

impl Documents {
    /// Opens a `.jsonl`, `.parquet` or text file, by its name without a
    /// compression suffix. Any other file is taken as text.
    ///
    /// # Errors
    /// When the file cannot be opened, its compression is unknown, or a
    /// parquet file lacks a column.
    pub fn open(path: impl AsRef<Path>, options: ReadOptions) -> Result<Self> {
        Self::open_counted(path.as_ref(), options, Arc::default())
    }

    /// As [`Documents::open`], adding the bytes read from the file to `consumed`.
    pub(crate) fn open_counted(
        path: &Path,
        options: ReadOptions,
        consumed: Arc<AtomicU64>,
    ) -> Result<Self> {
        let kind = match FileType::of(path) {
            Some(FileType::Lines) => {
                let (compression, input) = Compression::open(path, Arc::clone(&consumed))?;
                Kind::Lines(Lines::new(compression, input))
            }
            Some(FileType::Parquet) => Kind::Parquet(Parquet::open(path, &options)?),
            Some(FileType::Text) | None => Kind::Whole,
        };
        Ok(Self {
            path: path.to_path_buf(),
            options,
            consumed,
            kind,
        })
    }

    fn advance(&mut self) -> Result<Option<Document>> {
        match &mut self.kind {
            Kind::Lines(lines) => lines.next(&self.path, &self.options),
            Kind::Parquet(parquet) => {
                let next = parquet.next(&self.path, &self.options)?;
                if next.is_none() {
                    let size = std::fs::metadata(&self.path).map_or(0, |m| m.len());
                    self.consumed.fetch_add(size, Ordering::Relaxed);
                }
                Ok(next)
            }
            Kind::Whole => {
                self.kind = Kind::Done;
                self.read_whole().map(Some)
            }
            Kind::Done => Ok(None),
        }
    }

    fn read_whole(&self) -> Result<Document> {
        let path = &self.path;
        if let Some(field) = &self.options.label_field {
            return Err(Error::input("a text file has no domain label")
                .in_file(path)
                .field(field)
                .help("use a layout that takes the domain from names of files or folders"));
        }
        let cap = self.options.max_document_bytes;
        let (compression, input) = Compression::open(path, Arc::clone(&self.consumed))?;
        let mut bytes = Vec::new();
        let mut limited = input.take(cap as u64 + 1);
        limited
            .read_to_end(&mut bytes)
            .map_err(|e| compression.explain(e, path, 0))?;
        if bytes.len() > cap {
            return Err(Error::input(format!("a document of more than {cap} bytes"))
                .in_file(path)
                .help("split the document, or raise the limit `max_document_bytes`"));
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            let valid = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|&&b| b == b'\n').count() as u64;
            not_utf8(&e.utf8_error()).in_file(path).line(line)
        })?;
        Ok(Document { text, label: None })
    }
}

impl Iterator for Documents {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.kind = Kind::Done;
        }
        next
    }
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

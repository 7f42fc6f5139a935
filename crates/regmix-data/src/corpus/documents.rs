//! The documents of one file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::compression::{Compression, Meters, refuse_pointer};
use super::document::{Cause, Document, Outcome, ReadOptions, not_utf8, too_long};
use super::file_type::FileType;
use super::lines::Lines;
use super::parquet::Parquet;
use crate::error::{Error, Result};

/// The documents of one file, in order. Where one of them cannot be read, the
/// sequence has an error in its place and continues after it. An error of the
/// whole file, such as damaged compression, ends the sequence.
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
    meters: Meters,
    kind: Kind,
}

enum Kind {
    Lines(Lines),
    Parquet(Box<Parquet>),
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
        let path = path.as_ref();
        Self::open_named(path, path, options, Meters::default())
    }

    /// Opens `path`, whose type is that of `name`, counting with `meters`.
    pub(crate) fn open_named(
        name: &Path,
        path: &Path,
        options: ReadOptions,
        meters: Meters,
    ) -> Result<Self> {
        let kind = match FileType::of(name) {
            Some(FileType::Lines) => {
                let (compression, input) = Compression::open(path, &meters)?;
                Kind::Lines(Lines::new(compression, input))
            }
            Some(FileType::Parquet) => {
                let mut front = Vec::new();
                let file = File::open(path).map_err(|e| Error::io(path, e))?;
                (file.take(64).read_to_end(&mut front)).map_err(|e| Error::io(path, e))?;
                refuse_pointer(&front, path)?;
                Kind::Parquet(Box::new(Parquet::open(path, &options)?))
            }
            Some(FileType::Text) | None => Kind::Whole,
        };
        Ok(Self {
            path: path.to_path_buf(),
            options,
            meters,
            kind,
        })
    }

    /// The next document, or why it cannot be read. An error is about the whole
    /// file and ends the sequence.
    pub(crate) fn next_outcome(&mut self) -> Result<Option<Outcome>> {
        let next = self.advance();
        if !matches!(next, Ok(Some(_))) {
            self.kind = Kind::Done;
        }
        next
    }

    fn advance(&mut self) -> Result<Option<Outcome>> {
        match &mut self.kind {
            Kind::Lines(lines) => lines.next(&self.path, &self.options),
            Kind::Parquet(parquet) => {
                let next = parquet.next(&self.path, &self.options)?;
                if next.is_none() {
                    let size = std::fs::metadata(&self.path).map_or(0, |m| m.len());
                    self.meters.consumed.fetch_add(size, Ordering::Relaxed);
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

    fn read_whole(&self) -> Result<Outcome> {
        let path = &self.path;
        if let Some(field) = &self.options.label_field {
            return Err(Error::input("a text file has no domain label")
                .in_file(path)
                .field(field)
                .help("use a layout that takes the domain from names of files or folders"));
        }
        let cap = self.options.max_document_bytes;
        let (compression, input) = Compression::open(path, &self.meters)?;
        let mut bytes = Vec::new();
        let mut limited = input.take((cap as u64).saturating_add(1));
        limited
            .read_to_end(&mut bytes)
            .map_err(|e| compression.explain(e, path, 0))?;
        if bytes.len() > cap {
            let error = too_long("document", cap).in_file(path);
            return Ok(Err(Cause::TooLong.error(error)));
        }
        Ok(String::from_utf8(bytes)
            .map(|text| Document { text, label: None })
            .map_err(|e| {
                let valid = &e.as_bytes()[..e.utf8_error().valid_up_to()];
                let line = 1 + valid.iter().filter(|&&b| b == b'\n').count() as u64;
                Cause::NotUtf8.error(not_utf8(&e.utf8_error()).in_file(path).line(line))
            }))
    }
}

impl Iterator for Documents {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_outcome() {
            Ok(next) => next.map(|outcome| outcome.map_err(|unreadable| unreadable.error)),
            Err(error) => Some(Err(error)),
        }
    }
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

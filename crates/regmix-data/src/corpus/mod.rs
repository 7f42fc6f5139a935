//! Reading corpora: their files, the domain and split of each file, and the
//! documents in them.
//!
//! One document is held at a time, of parquet a few row groups, so a file of a
//! hundred gigabytes needs no more memory than a small one.
//!
//! | layout | domain from | split from |
//! |---|---|---|
//! | [`Layout::Files`] | file name, `train/<domain>-<n>.jsonl.zst` | folder or file name |
//! | [`Layout::Labels`] | a field of each document, `meta.pile_set_name` | folder or file name, `val.jsonl.zst` |
//! | [`Layout::Folders`] | folder, `<domain>/…`, `train/<domain>/…` | folder or file name, `<domain>/train-00000-of-00003.parquet` |
//! | [`Layout::Tree`] | file extension, anywhere below a folder | cut by hash |
//!
//! Where no validation split is found, documents are assigned to it by their
//! hash.
//!
//! Documents come from `.jsonl`, `.parquet` and `.txt` files (one document
//! each), the first and last also compressed with zstd or gzip, which is
//! detected by a file's first bytes, not by its name.

mod compression;
mod document;
mod documents;
mod field;
mod file_type;
mod lenient;
mod lines;
mod parquet;
mod source;

#[cfg(test)]
mod tests;

pub(crate) use compression::Meters;
pub(crate) use document::{Cause, Unreadable};
pub use document::{Document, ReadOptions};
pub use documents::Documents;
pub use source::{Layout, NotRead, Source, SourceFile};

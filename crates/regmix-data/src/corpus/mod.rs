//! Reading corpora: their files, the domain and split of each file, and the
//! documents in them.
//!
//! One document is held at a time, of parquet one row group, so a file of a
//! hundred gigabytes needs no more memory than a small one.
//!
//! | layout | domain from | split from |
//! |---|---|---|
//! | [`Layout::Files`] | file name, `train/<domain>-<n>.jsonl.zst` | folder, `train` or `valid` |
//! | [`Layout::Labels`] | a field of each document, `meta.pile_set_name` | `train/…`, and `val.jsonl.zst` beside it |
//! | [`Layout::Folders`] | folder, `<domain>/…` | cut by hash |
//! | [`Layout::Tree`] | file extension, anywhere below a folder | cut by hash |
//!
//! Documents come from `.jsonl`, `.parquet` and `.txt` files (one document
//! each), the first and last also compressed with zstd or gzip, which is
//! detected by a file's first bytes, not by its name.

mod compression;
mod document;
mod documents;
mod file_type;
mod lines;
mod parquet;
mod source;

#[cfg(test)]
mod tests;

pub use document::{Document, ReadOptions};
pub use documents::Documents;
pub use source::{Layout, Source, SourceFile};

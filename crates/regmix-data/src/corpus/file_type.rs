//! How a file holds documents, by its name.

use std::path::Path;

/// How a file holds documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileType {
    Lines,
    Parquet,
    Text,
}

impl FileType {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        Self::split_name(name).map(|(_, this)| this)
    }

    /// A file name without its suffixes, and the type that they mean.
    pub(super) fn split_name(name: &str) -> Option<(&str, Self)> {
        let bare = [".zst", ".zstd", ".gz"]
            .iter()
            .find_map(|s| name.strip_suffix(s))
            .unwrap_or(name);
        let (stem, extension) = bare.rsplit_once('.')?;
        let this = match extension {
            "jsonl" | "ndjson" | "json" => Self::Lines,
            "parquet" => Self::Parquet,
            "txt" => Self::Text,
            _ => return None,
        };
        Some((stem, this))
    }
}

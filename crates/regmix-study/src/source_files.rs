//! Whether the text of a corpus is still the text that was tokenized.
//!
//! The contents of every file are hashed once. A file that keeps its size and
//! its time of change is not read again, so that later checks of a large corpus
//! are cheap.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use regmix_data::corpus::Source;
use regmix_data::{Error, Monitor, Result, Unit, artefact};
use serde::{Deserialize, Serialize};

/// One file as it was when it was last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    bytes: u64,
    /// As [`artefact::time_of_change`].
    modified: String,
    blake3: String,
}

/// The files of a corpus with the hashes of their contents.
#[derive(Debug)]
pub(crate) struct SourceFiles {
    record: PathBuf,
    known: BTreeMap<String, Seen>,
    files: BTreeMap<String, Seen>,
}

impl SourceFiles {
    /// Looks at the files of a source, and reads those that are not as the
    /// record has them. The record need not exist.
    ///
    /// # Errors
    /// When a file cannot be read, or the user stops.
    pub(crate) fn of(
        source: &Source,
        root: &Path,
        record: &Path,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        // A damaged record only costs time.
        let known: BTreeMap<String, Seen> = artefact::read_json(record).unwrap_or_default();
        let mut files = BTreeMap::new();
        let mut unread = Vec::new();
        for file in source.files() {
            let name = match file.path.strip_prefix(root) {
                Ok(inside) if !inside.as_os_str().is_empty() => inside,
                _ => &file.path,
            };
            let name = name.display().to_string();
            let metadata = std::fs::metadata(&file.content);
            let metadata = metadata.map_err(|e| Error::io(&file.content, e))?;
            let modified = artefact::time_of_change(&metadata, &file.content)?;
            match known.get(&name) {
                Some(seen) if seen.bytes == file.bytes && seen.modified == modified => {
                    files.insert(name, seen.clone());
                }
                _ => unread.push((name, file, modified)),
            }
        }
        if !unread.is_empty() {
            let total = unread.iter().map(|(_, file, _)| file.bytes).sum();
            monitor.begin("read corpus", total, Unit::Bytes);
            let hashed = unread.into_iter().try_for_each(|(name, file, modified)| {
                let blake3 = hash(&file.content, monitor)?;
                let bytes = file.bytes;
                let seen = Seen {
                    bytes,
                    modified,
                    blake3,
                };
                files.insert(name, seen);
                Ok(())
            });
            monitor.end();
            hashed?;
        }
        Ok(Self {
            record: record.to_path_buf(),
            known,
            files,
        })
    }

    /// One name for all names and contents.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (name, seen) in &self.files {
            hasher.update(format!("{name}\n{}\n", seen.blake3).as_bytes());
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }

    /// Writes the record; call it when the corpus made of the files is complete.
    pub(crate) fn write(&self) -> Result<()> {
        if self.files == self.known {
            return Ok(());
        }
        artefact::write_json(&self.record, &self.files)
    }
}

fn hash(path: &Path, monitor: &dyn Monitor) -> Result<String> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut buffer = vec![0; 1 << 20];
    let mut hasher = blake3::Hasher::new();
    loop {
        monitor.check()?;
        let n = file.read(&mut buffer).map_err(|e| Error::io(path, e))?;
        if n == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&buffer[..n]);
        monitor.advance(n as u64);
    }
}

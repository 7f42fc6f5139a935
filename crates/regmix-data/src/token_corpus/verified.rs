//! The record of shards whose contents were checked, so that a large corpus is
//! read once and not before every run.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TokenCorpus;
use crate::artefact::{read_json, time_of_change, write_json};
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::monitor::{Monitor, Unit};
use crate::shard::Shard;

/// The name of the record in a corpus folder.
const RECORD: &str = "verified.json";

/// A shard as it was when it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Checked {
    bytes: u64,
    /// As [`time_of_change`].
    modified: String,
    /// The file's number in its file system; 0 where there is none.
    inode: u64,
    /// [`Shard::digest`].
    digest: String,
}

impl TokenCorpus {
    /// Checks the contents of all shards against their hashes, as
    /// [`TokenCorpus::verify`] does, but passes over shards that were checked
    /// before and have the same size, time of change and inode since.
    ///
    /// A check reads the whole corpus, on all processors: about a second per
    /// gigabyte and processor. `verified.json` in the corpus folder records the
    /// result; where the folder cannot be written, the next call checks again.
    /// [`CorpusWriter`](crate::CorpusWriter) hashes what it writes, so that a
    /// corpus that stays where it was made needs no check.
    ///
    /// # Errors
    /// At the first damaged shard, and when `monitor` requests a stop.
    pub fn verify_changed(&self, monitor: &dyn Monitor) -> Result<()> {
        let record = self.folder().join(RECORD);
        // A damaged record only costs time.
        let known: BTreeMap<String, Checked> = read_json(&record).unwrap_or_default();
        let mut checked = BTreeMap::new();
        let mut unread = Vec::new();
        for shard in self.shards() {
            let path = shard.path();
            let name = path.strip_prefix(self.folder()).unwrap_or(path);
            let name = name.display().to_string();
            let state = Checked::now(path, shard.digest())?;
            if known.get(&name) != Some(&state) {
                unread.push((shard, state.bytes));
            }
            checked.insert(name, state);
        }
        if unread.is_empty() {
            return Ok(());
        }
        let total = unread.iter().map(|(_, bytes)| bytes).sum();
        monitor.begin("check shards", total, Unit::Bytes);
        let result = verify_all(&unread, monitor);
        monitor.end();
        result?;
        write_json(&record, &checked).ok();
        Ok(())
    }
}

/// Verifies shards with their sizes on all processors.
fn verify_all(shards: &[(&Shard, u64)], monitor: &dyn Monitor) -> Result<()> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let next = AtomicUsize::new(0);
    let worker = || -> Result<()> {
        while let Some((shard, bytes)) = shards.get(next.fetch_add(1, Ordering::Relaxed)) {
            let checked = shard.verify_monitored(monitor);
            if checked.is_err() {
                next.store(shards.len(), Ordering::Relaxed);
            }
            checked?;
            monitor.advance(*bytes);
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(shards.len()))
            .map(|_| scope.spawn(worker))
            .collect();
        (workers.into_iter()).try_for_each(|worker| {
            (worker.join())
                .unwrap_or_else(|_| Err(Error::failed("a thread that checked shards failed")))
        })
    })
}

/// Records the shards of a corpus that was just written.
pub(super) fn record_written(folder: &Path, manifest: &Manifest) {
    let splits = (manifest.domains.iter()).flat_map(|domain| [&domain.train, &domain.valid]);
    let checked: Result<BTreeMap<String, Checked>> = (splits.flat_map(|split| &split.shards))
        .map(|shard| {
            let state = Checked::now(&folder.join(&shard.file), shard.blake3.clone())?;
            Ok((shard.file.clone(), state))
        })
        .collect();
    // Without a record the corpus is checked before it is used.
    if let Ok(checked) = checked {
        write_json(folder.join(RECORD), &checked).ok();
    }
}

impl Checked {
    /// The state of a file whose shard has this digest.
    fn now(path: &Path, digest: String) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        Ok(Self {
            bytes: metadata.len(),
            modified: time_of_change(&metadata, path)?,
            inode: inode(&metadata),
            digest,
        })
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

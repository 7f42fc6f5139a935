//! Files of a dataset, into the cache.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::explain::explain;
use super::{HubDataset, HubFile, Progress, patiently, repo};
use crate::artefact;
use crate::corpus::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::{Monitor, Unit, size_in_words, unless_stopped};

/// What a name may not hold in an address. The library puts names into addresses as
/// they are.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

impl HubDataset {
    /// Fetches the files that `source`, which [`HubDataset::source`] made, reads, and
    /// returns their folder. Files in the cache are not fetched again, and a download
    /// that broke off is resumed.
    ///
    /// `monitor` counts bytes, and can stop the work at any time.
    ///
    /// # Errors
    /// When the disk has no room for them, the hub cannot be reached or does not give
    /// them, a file has another size than the hub states, a file cannot be written, or
    /// `monitor` requested a stop.
    pub fn fetch(&self, source: &Source, monitor: &dyn Monitor) -> Result<PathBuf> {
        let wanted = self.read_by(source);
        self.check_space(&wanted)?;
        let sizes = wanted.iter().filter_map(|f| f.bytes);
        monitor.begin("fetch", sizes.sum(), Unit::Bytes);
        let fetched = self.fetch_all(&wanted, monitor);
        monitor.end();
        fetched.map(|()| self.folder())
    }

    /// Bytes of the files that `source` reads and that are not in the cache.
    pub fn missing_bytes(&self, source: &Source) -> u64 {
        self.missing(&self.read_by(source))
    }

    fn read_by(&self, source: &Source) -> Vec<&HubFile> {
        let folder = self.folder();
        let paths: std::collections::BTreeSet<&Path> =
            source.files().map(|f| f.path.as_path()).collect();
        let is_read = |f: &&HubFile| paths.contains(&*folder.join(&f.path));
        self.files().iter().filter(is_read).collect()
    }

    fn missing(&self, files: &[&HubFile]) -> u64 {
        let missing = files.iter().filter(|f| self.cached(&f.path).is_none());
        missing.filter_map(|f| f.bytes).sum()
    }

    /// An error where the disk cannot hold what is to be fetched.
    fn check_space(&self, files: &[&HubFile]) -> Result<()> {
        let blobs = self.hub.folder(&self.id).join("blobs");
        let begun = std::fs::read_dir(blobs).into_iter().flatten().flatten();
        let begun = begun.filter(|e| e.path().extension().is_some_and(|e| e == "part"));
        let begun: u64 = begun.filter_map(|e| Some(e.metadata().ok()?.len())).sum();
        let needed = self.missing(files).saturating_sub(begun);
        let there = self.hub.cache().ancestors().find(|p| p.exists());
        // What is not known is no reason to refuse.
        let Some(free) = there.and_then(|path| fs4::available_space(path).ok()) else {
            return Ok(());
        };
        if needed <= free {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Io,
            format!(
                "`{}` needs {} more, {} are free on this disk",
                self.id,
                size_in_words(needed),
                size_in_words(free)
            ),
        )
        .in_file(self.hub.cache())
        .help(
            "free some space, name a folder on another disk in HF_HOME, or fetch fewer files \
             with `files` under [corpus] of study.toml",
        ))
    }

    fn fetch_all(&self, wanted: &[&HubFile], monitor: &dyn Monitor) -> Result<()> {
        let mut fetched = 0;
        for (i, file) in wanted.iter().enumerate() {
            if monitor.stop_requested() {
                return Err(interrupted());
            }
            monitor.note(&format!(
                "{}, {} of {} files",
                file.path,
                i + 1,
                wanted.len()
            ));
            let path = self.fetch_one(file, fetched, monitor)?;
            fetched += std::fs::metadata(&path).map_or(0, |m| m.len());
            monitor.at(fetched);
        }
        Ok(())
    }

    fn fetch_one(&self, file: &HubFile, before: u64, monitor: &dyn Monitor) -> Result<PathBuf> {
        let path = match self.cached(&file.path) {
            Some(path) => path,
            // Servers have no part of an empty file to give.
            None if file.bytes == Some(0) => self.put_empty(&file.path)?,
            None => self.download(file, before, monitor)?,
        };
        let size = std::fs::metadata(&path)
            .map_err(|e| Error::io(&path, e))?
            .len();
        if let Some(expected) = file.bytes.filter(|&n| n != size) {
            // The name is a link to the content: both are removed, or the file
            // would be found again.
            if let Ok(content) = std::fs::canonicalize(&path) {
                std::fs::remove_file(content).ok();
            }
            std::fs::remove_file(&path).ok();
            return Err(Error::failed(format!(
                "`{}` of `{}` came with {size} bytes, expected {expected}",
                file.path, self.id
            ))
            .help("run the same command again; the file was removed from the cache"));
        }
        Ok(path)
    }

    fn put_empty(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder().join(name);
        artefact::write_atomic(&path, b"")?;
        Ok(path)
    }

    fn download(&self, file: &HubFile, before: u64, monitor: &dyn Monitor) -> Result<PathBuf> {
        let escaped = utf8_percent_encode(&file.path, &ESCAPED).to_string();
        let mut attempt = 0;
        loop {
            let repo = self.hub.api.repo(repo(&self.id, &self.commit));
            let progress = Progress::default();
            let (meter, name) = (Meter::new(before, &progress), escaped.clone());
            let answer = patiently(monitor, &progress, &file.path, move || {
                repo.download_with_progress(&name, meter)
            });
            match answer.map_err(stopped)? {
                Ok(path) => return self.put_in_place(&path, &escaped, &file.path),
                Err(err) => {
                    let (err, transient) = explain(err, &self.hub, &self.id, &file.path);
                    if !transient || attempt >= self.hub.retries {
                        return Err(err);
                    }
                    let pause = Duration::from_millis(500) * 2u32.pow(attempt.min(6));
                    unless_stopped(monitor, move || std::thread::sleep(pause), || Ok(()))
                        .map_err(stopped)?;
                    attempt += 1;
                }
            }
        }
    }

    /// Gives a file that came under its name in an address its own name.
    fn put_in_place(&self, path: &Path, escaped: &str, name: &str) -> Result<PathBuf> {
        let folder = self.folder();
        if path != folder.join(escaped) {
            return Err(Error::failed(format!(
                "the hub gave `{name}` of another commit than {}",
                self.commit
            )));
        }
        let place = folder.join(name);
        if escaped == name {
            return Ok(place);
        }
        // As deep as before, so that the link to the content stays right.
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
        }
        std::fs::rename(path, &place).map_err(|e| Error::io(&place, e))?;
        for parent in path.ancestors().skip(1) {
            // Of the folders with escaped names, those that are empty now.
            if parent == folder || std::fs::remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(place)
    }
}

/// Says what is kept, in an error that may be that of a stop.
fn stopped(error: Error) -> Error {
    match error.is_interrupted() {
        true => interrupted(),
        false => error,
    }
}

fn interrupted() -> Error {
    Error::interrupted("interrupted while fetching").help("what was fetched is kept; continue with")
}

/// Passes the library's progress on.
struct Meter {
    /// Bytes of earlier files.
    before: u64,
    progress: Progress,
}

impl Meter {
    fn new(before: u64, progress: &Progress) -> Self {
        progress.done.store(before, Ordering::Relaxed);
        Self {
            before,
            progress: progress.clone(),
        }
    }
}

impl hf_hub::api::Progress for Meter {
    /// Also called when a download continues, which then counts from its start.
    fn init(&mut self, _: usize, _: &str) {
        self.progress.done.store(self.before, Ordering::Relaxed);
    }

    fn update(&mut self, bytes: usize) {
        if self.progress.left_alone.load(Ordering::Relaxed) {
            // The library takes no other answer. Its files and locks are released.
            resume_unwind(Box::new("the download was stopped"));
        }
        (self.progress.done).fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn finish(&mut self) {}
}

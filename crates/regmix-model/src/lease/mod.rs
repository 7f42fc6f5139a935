//! Leases: which worker trains which run, without a server.
//!
//! Workers are processes on any number of hosts that share a folder. A worker
//! claims a run by making a file `lease.<n>` in the run's folder, which fails if
//! the file is there already, and writes into it again and again while it trains
//! (a *beat*). When the beats of a worker stop, another one takes the run over by
//! making `lease.<n + 1>`. The lease with the highest number is valid; numbers
//! only grow while a lease exists, so that a worker which was suspended and wakes
//! up notices that it has lost its run.
//!
//! Whether beats have stopped is decided without comparing clocks of hosts. Times
//! of change are compared with the time that the file system gives to a file
//! written now, and no lease is taken over before it was watched for some beats,
//! by this worker's own clock, and did not change. A worker on the same host whose
//! process has ended is known to be gone at once.

mod judge;
#[cfg(test)]
mod tests;
mod worker;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use regmix_data::process::Process;
use regmix_data::{Error, Result, artefact};
use serde::{Deserialize, Serialize};

pub(crate) use worker::{Claim, Lease, Worker};

/// How the names of lease files begin; a number follows.
const PREFIX: &str = "lease.";

/// The length of a lease file: each beat replaces the whole content, so that it
/// must not grow or shrink.
const LENGTH: usize = 640;

/// Beats are counted from here, so that their number always has as many digits: a
/// reader who sees a half of two contents sees a whole one nevertheless.
const FIRST_BEAT: u64 = 1_000_000_000;

/// How workers share the runs of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// After how long without a beat a worker counts as gone, and its run is taken
    /// over.
    pub stale_after: Duration,
    /// Whether to wait for runs that other workers train, and take them over
    /// should these workers stop. Otherwise a worker leaves as soon as it has seen
    /// that the others are alive.
    pub wait: bool,
}

impl Default for Sharing {
    /// A minute; wait.
    fn default() -> Self {
        Self {
            stale_after: Duration::from_secs(60),
            wait: true,
        }
    }
}

/// What is written in a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    /// Tells workers apart.
    worker: String,
    host: String,
    process: Option<Process>,
    device: String,
    /// regmix's version.
    version: String,
    /// Seconds since 1970 by the clock of the worker's host; only shown.
    since: u64,
    /// The time between beats.
    beat_milliseconds: u64,
    /// Counted from [`FIRST_BEAT`].
    beats: u64,
}

impl Content {
    /// The text of the file, always of the same length.
    fn render(&self) -> Result<String> {
        let text = serde_json::to_string(self).map_err(|e| Error::failed(e.to_string()))?;
        Ok(format!("{text:<width$}\n", width = LENGTH - 1))
    }
}

/// A lease as others see it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseInfo {
    /// The file.
    pub path: PathBuf,
    /// The host of the worker; empty where the file cannot be understood.
    pub host: String,
    /// The number of its process, where its system gave one.
    pub process: Option<u32>,
    /// The device on which it trains.
    pub device: String,
    /// The version of regmix that it runs.
    pub version: String,
    /// When it took the run, seconds since 1970 by its own host's clock.
    pub since: u64,
    /// The time since the last beat by the clock of the file system; `None` if that
    /// lies in the future.
    pub age: Option<Duration>,
    /// Whether it is known that the process has ended, which is so only on its own
    /// host.
    pub has_ended: bool,
}

impl LeaseInfo {
    fn new(found: &Found, now: SystemTime) -> Self {
        let content = found.content.as_ref();
        let text = |of: fn(&Content) -> &String| content.map(of).cloned().unwrap_or_default();
        let process = content.and_then(|c| c.process.as_ref());
        Self {
            path: found.path.clone(),
            host: text(|c| &c.host),
            process: process.map(Process::id),
            device: text(|c| &c.device),
            version: text(|c| &c.version),
            since: content.map_or(0, |c| c.since),
            age: now.duration_since(found.changed).ok(),
            has_ended: process.and_then(Process::has_ended) == Some(true),
        }
    }

    /// The worker in words: its host and process.
    pub fn owner(&self) -> String {
        match (self.host.as_str(), self.process) {
            ("", _) => "an unknown worker".to_owned(),
            (host, Some(id)) => format!("process {id} on {host}"),
            (host, None) => format!("a process on {host}"),
        }
    }

    /// Whether the worker is gone, as far as one look can tell: its process has
    /// ended, or its last beat is too old.
    pub fn is_stale(&self, stale_after: Duration) -> bool {
        self.has_ended || self.age.is_some_and(|age| age > stale_after)
    }
}

/// The lease that holds in a run's folder, if any. `now` is the time of the file
/// system, see [`file_system_time`].
///
/// # Errors
/// When the folder is there but cannot be read.
pub fn read(folder: &Path, now: SystemTime) -> Result<Option<LeaseInfo>> {
    let found = list(folder)?;
    Ok(found.last().map(|found| LeaseInfo::new(found, now)))
}

/// The time that the file system of a folder gives to a file that is written now,
/// or that of this host where none can be written.
pub fn file_system_time(folder: &Path) -> SystemTime {
    artefact::time_of_writing(folder).unwrap_or_else(|_| SystemTime::now())
}

/// A lease file.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    number: u64,
    path: PathBuf,
    changed: SystemTime,
    /// `None` where it cannot be understood, for example while it is made.
    content: Option<Content>,
}

/// The lease files of a folder, by number.
fn list(folder: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (number, path) in paths(folder)? {
        // One that is removed at this moment is not there.
        match look(number, path) {
            Ok(lease) => found.push(lease),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(folder, e)),
        }
    }
    found.sort_by_key(|lease| lease.number);
    Ok(found)
}

/// Whether there is any lease file in a folder.
pub(crate) fn exists(folder: &Path) -> Result<bool> {
    Ok(!paths(folder)?.is_empty())
}

fn paths(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(folder, e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if let Some(number) = number.and_then(|n| n.parse().ok()) {
            paths.push((number, entry.path()));
        }
    }
    Ok(paths)
}

/// Reads a lease file. It is opened before its time is asked for: network file
/// systems bring their knowledge up to date when a file is opened.
fn look(number: u64, path: PathBuf) -> std::io::Result<Found> {
    use std::io::Read;
    let file = std::fs::File::open(&path)?;
    let changed = file.metadata()?.modified()?;
    let mut bytes = Vec::with_capacity(LENGTH);
    // Whatever the length of a file in this place, no more than a lease is read.
    file.take(2 * LENGTH as u64).read_to_end(&mut bytes)?;
    Ok(Found {
        number,
        path,
        changed,
        content: serde_json::from_slice(&bytes).ok(),
    })
}

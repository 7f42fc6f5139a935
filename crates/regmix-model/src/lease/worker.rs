//! A worker, its leases and their beats.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use regmix_data::process::{Process, host_name};
use regmix_data::{Error, Result};

use super::judge::{Judge, Verdict};
use super::{Content, FIRST_BEAT, Found, LeaseInfo, PREFIX, file_system_time, list, look};

/// The longest time between two beats.
const SLOWEST_BEAT: Duration = Duration::from_secs(5);
/// Beats in the time after which a worker counts as gone.
const BEATS: u32 = 6;
/// How often a claim is tried when other workers claim the same run.
const TRIES: u64 = 8;

/// A process that trains runs of shared folders.
#[derive(Debug)]
pub(crate) struct Worker {
    content: Content,
    judge: Judge,
    beats: Arc<Beats>,
    thread: Option<JoinHandle<()>>,
}

/// What a claim came to.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The run is this worker's.
    Held(Lease),
    /// Another worker has it. `seen` tells whether a beat of it was observed.
    Busy {
        /// The other worker's lease.
        by: LeaseInfo,
        /// Whether it was seen to beat.
        seen: bool,
    },
}

/// The right to train a run. It is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Held>);

#[derive(Debug)]
struct Held {
    folder: PathBuf,
    path: PathBuf,
    number: u64,
    content: Mutex<Content>,
    lost: AtomicBool,
}

/// The leases that the thread of a worker keeps alive.
#[derive(Debug, Default)]
struct Beats {
    held: Mutex<(Vec<Weak<Held>>, bool)>,
    stop: Condvar,
}

impl Worker {
    /// A worker of this process that trains on `device`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(device: &str, stale_after: Duration) -> Result<Self> {
        let beat = (stale_after / BEATS).clamp(Duration::from_millis(10), SLOWEST_BEAT);
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let short = |text: String| text.chars().take(64).collect();
        let content = Content {
            worker: format!("{:016x}", RandomState::new().build_hasher().finish()),
            host: short(host_name()),
            process: Process::this(),
            device: short(device.to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: since.unwrap_or_default().as_secs(),
            beat_milliseconds: beat.as_millis() as u64,
            beats: FIRST_BEAT,
        };
        let beats = Arc::new(Beats::default());
        let kept = Arc::clone(&beats);
        let thread = std::thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || kept.keep(beat))
            .map_err(|e| Error::failed(format!("cannot start a thread: {e}")))?;
        Ok(Self {
            content,
            judge: Judge::new(stale_after),
            beats,
            thread: Some(thread),
        })
    }

    /// Claims the run of a folder, which must exist.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or is being trained by another
    /// version of regmix.
    pub(crate) fn claim(&self, folder: &Path) -> Result<Claim> {
        for attempt in 0.. {
            let found = list(folder)?;
            for lease in &found {
                let verdict = self.judge.judge(lease, || file_system_time(folder));
                if let Verdict::Alive { seen } = verdict {
                    return self.busy(lease, seen);
                }
            }
            if attempt == TRIES
                && let Some(lease) = found.last()
            {
                return self.busy(lease, false);
            }
            let number = found.last().map_or(0, |last| last.number + 1);
            if let Some(held) = self.make(folder, number, &found)? {
                for old in &found {
                    self.judge.forget(old);
                    remove(&old.path)?;
                }
                return Ok(Claim::Held(held));
            }
            // So that two workers that gave way to each other do not meet again.
            let hasher = RandomState::new().build_hasher().finish();
            std::thread::sleep(Duration::from_micros(hasher % (500 << attempt.min(6))));
        }
        unreachable!("the loop ends by itself")
    }

    /// Makes the lease file of this number; `None` where another worker was
    /// faster. `gone` are the leases of workers that are gone.
    fn make(&self, folder: &Path, number: u64, gone: &[Found]) -> Result<Option<Lease>> {
        let path = folder.join(format!("{PREFIX}{number}"));
        let io = |e| Error::io(&path, e);
        let made = std::fs::File::options()
            .write(true)
            .create_new(true)
            .open(&path);
        let mut file = match made {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(None),
            Err(e) => return Err(io(e)),
        };
        let written =
            (self.content.render()).and_then(|text| file.write_all(text.as_bytes()).map_err(io));
        if let Err(e) = written {
            // On a full disk, for example. An empty lease would keep others away.
            remove(&path).ok();
            return Err(e);
        }
        // Of two workers that made files of different numbers at least one sees
        // the other's here; whoever does gives way.
        let others = |lease: &Found| lease.number != number && !gone.contains(lease);
        if list(folder)?.iter().any(others) {
            remove(&path)?;
            return Ok(None);
        }
        let held = Arc::new(Held {
            folder: folder.to_owned(),
            path,
            number,
            content: Mutex::new(self.content.clone()),
            lost: AtomicBool::new(false),
        });
        self.beats.add(&held);
        Ok(Some(Lease(held)))
    }

    fn busy(&self, lease: &Found, seen: bool) -> Result<Claim> {
        let folder = lease.path.parent().unwrap_or(Path::new("."));
        let by = LeaseInfo::new(lease, file_system_time(folder));
        match &lease.content {
            Some(other) if other.version != self.content.version => Err(Error::input(format!(
                "{} trains this run with regmix {}, this is regmix {}",
                by.owner(),
                other.version,
                self.content.version
            ))
            .in_file(folder)
            .help("run the same version everywhere; runs of two versions may differ")),
            _ => Ok(Claim::Busy { by, seen }),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.beats.lock().1 = true;
        self.beats.stop.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Lease {
    /// Whether the run was taken over by another worker. As found at the
    /// last look at the files; costs nothing.
    pub(crate) fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Makes sure that the run is still this worker's, before something is written.
    ///
    /// # Errors
    /// When it is not, or that cannot be found out.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.holds()? {
            true => Ok(()),
            false => Err(Error::failed(
                "another worker took this run over while this process was suspended or cut off \
                 from its files",
            )
            .in_file(&self.0.folder)),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.0.holds().unwrap_or(false) {
            remove(&self.0.path).ok();
        }
        // From now on it does not beat.
        self.0.lost.store(true, Ordering::Relaxed);
    }
}

impl Held {
    /// Whether the file is there, this worker's, and the one of the highest number.
    fn holds(&self) -> Result<bool> {
        if self.lost.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let own = match look(self.number, self.path.clone()) {
            Ok(found) => found.content.map(|c| c.worker),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io(&self.path, e)),
        };
        let is_own = own.is_some_and(|own| own == self.lock().worker);
        let highest = super::paths(&self.folder)?
            .into_iter()
            .map(|(n, _)| n)
            .max();
        let holds = is_own && highest == Some(self.number);
        if !holds {
            self.lost.store(true, Ordering::Relaxed);
        }
        Ok(holds)
    }

    fn beat(&self) -> Result<()> {
        if !self.holds()? {
            return Ok(());
        }
        let mut content = self.lock();
        content.beats += 1;
        let io = |e| Error::io(&self.path, e);
        // Not made anew: if it was removed, this worker has lost its run.
        let mut file = std::fs::File::options()
            .write(true)
            .open(&self.path)
            .map_err(io)?;
        file.rewind().map_err(io)?;
        file.write_all(content.render()?.as_bytes()).map_err(io)?;
        file.sync_data().map_err(io)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beats {
    fn lock(&self) -> std::sync::MutexGuard<'_, (Vec<Weak<Held>>, bool)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, held: &Arc<Held>) {
        let mut held_now = self.lock();
        held_now.0.retain(|old| old.strong_count() > 0);
        held_now.0.push(Arc::downgrade(held));
    }

    /// Keeps all leases alive until it is stopped.
    fn keep(&self, every: Duration) {
        let mut held = self.lock();
        while !held.1 {
            let waited = self.stop.wait_timeout(held, every);
            held = waited.unwrap_or_else(PoisonError::into_inner).0;
            let now: Vec<_> = held.0.iter().filter_map(Weak::upgrade).collect();
            drop(held);
            for lease in now {
                // What cannot be written now may be written next time. Others take
                // the run over if that lasts.
                lease.beat().ok();
            }
            held = self.lock();
        }
    }
}

fn remove(path: &Path) -> Result<()> {
    regmix_data::artefact::withdraw(path)
}

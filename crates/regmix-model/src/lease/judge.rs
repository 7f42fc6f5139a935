//! Whether the worker that holds a lease is alive.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use regmix_data::process::Process;

use super::Found;

/// A lease that is not taken over before it was watched for so many beats.
const BEATS_WATCHED: u32 = 3;

/// What is known of the worker that holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be alive. `seen` tells whether a beat was observed.
    Alive { seen: bool },
    /// It is gone.
    Gone,
}

/// Remembers leases, and for how long they have not changed by this process's
/// clock.
#[derive(Debug)]
pub(super) struct Judge {
    stale_after: Duration,
    watched: Mutex<BTreeMap<PathBuf, Watched>>,
}

#[derive(Debug)]
struct Watched {
    last: Found,
    unchanged_since: Instant,
    seen: bool,
}

impl Judge {
    pub(super) fn new(stale_after: Duration) -> Self {
        Self {
            stale_after,
            watched: Mutex::default(),
        }
    }

    /// Judges a lease that was read just now. `time` gives the time of the file
    /// system; it is asked only where it matters.
    pub(super) fn judge(&self, found: &Found, time: impl FnOnce() -> SystemTime) -> Verdict {
        let process = found.content.as_ref().and_then(|c| c.process.as_ref());
        if process.and_then(Process::has_ended) == Some(true) {
            return Verdict::Gone;
        }
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let entry = watched
            .entry(found.path.clone())
            .or_insert_with(|| Watched {
                last: found.clone(),
                unchanged_since: now,
                seen: false,
            });
        if entry.last != *found {
            let same = |of: &Found| of.content.as_ref().map(|c| c.worker.clone());
            entry.seen = same(&entry.last) == same(found);
            entry.last = found.clone();
            entry.unchanged_since = now;
        }
        let unchanged = now - entry.unchanged_since;
        let beat = found.content.as_ref().map(|c| c.beat_milliseconds);
        let beat = beat.map_or(self.stale_after, Duration::from_millis);
        // What a file says is no reason to wait for longer than without it.
        let watched_enough =
            unchanged >= (beat.saturating_mul(BEATS_WATCHED)).min(self.stale_after);
        let is_old = || {
            let age = time().duration_since(found.changed);
            age.is_ok_and(|age| age > self.stale_after)
        };
        match unchanged >= self.stale_after || (watched_enough && is_old()) {
            true => Verdict::Gone,
            false => Verdict::Alive { seen: entry.seen },
        }
    }

    /// Forgets a lease that is gone.
    pub(super) fn forget(&self, found: &Found) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.remove(&found.path);
    }
}

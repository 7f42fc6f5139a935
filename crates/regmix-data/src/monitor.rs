//! How a long computation reports its progress, and learns that it should stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::run_event::RunEvent;

/// The unit in which a part of a computation is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of files.
    Bytes,
    /// Tokens trained on.
    Tokens,
    /// Anything else.
    Items,
}

/// Receives the progress of a long computation and can ask it to stop.
///
/// Everything in regmix that may take more than a second accepts one. A
/// computation is a sequence of parts; each part begins, counts up to its
/// total, and ends. Methods are called from several threads. All of them do
/// nothing by default.
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// use regmix_data::Monitor;
///
/// // A flag is the simplest monitor: silent, and able to stop.
/// let stop = AtomicBool::new(false);
/// assert!(stop.check().is_ok());
/// stop.store(true, std::sync::atomic::Ordering::Relaxed);
/// assert!(stop.check().unwrap_err().is_interrupted());
/// ```
pub trait Monitor: Sync {
    /// A part named `what` begins; it has `total` of `unit`.
    fn begin(&self, what: &str, total: u64, unit: Unit) {
        let _ = (what, total, unit);
    }

    /// `done` of the part's total is finished.
    fn at(&self, done: u64) {
        let _ = done;
    }

    /// A further `by` of the part's total is finished.
    fn advance(&self, by: u64) {
        let _ = by;
    }

    /// A few words on the state of the current part.
    fn note(&self, text: &str) {
        let _ = text;
    }

    /// The current part is over.
    fn end(&self) {}

    /// A message of one line, independent of parts.
    fn message(&self, line: &str) {
        let _ = line;
    }

    /// Something happened to a training run of this name.
    fn run(&self, run: &str, event: &RunEvent<'_>) {
        let _ = (run, event);
    }

    /// Whether the computation should save what it has and stop.
    fn stop_requested(&self) -> bool {
        false
    }

    /// The error with which a computation ends when it was asked to stop.
    /// Computations call this between their units of work.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`](crate::ErrorKind) when [`stop_requested`](Self::stop_requested).
    fn check(&self) -> Result<()> {
        if self.stop_requested() {
            return Err(Error::interrupted("interrupted; what was finished is kept"));
        }
        Ok(())
    }
}

/// A monitor that shows nothing and never asks to stop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {}

/// Shows nothing; asks to stop when it becomes true.
impl Monitor for AtomicBool {
    fn stop_requested(&self) -> bool {
        self.load(Ordering::Relaxed)
    }
}

/// Shows nothing; asks to stop when the monitor inside does.
#[derive(Clone, Copy)]
pub struct Muted<'a>(pub &'a dyn Monitor);

impl Monitor for Muted<'_> {
    fn stop_requested(&self) -> bool {
        self.0.stop_requested()
    }
}

impl std::fmt::Debug for Muted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Muted").finish()
    }
}

/// Calls `work` on a thread of its own and returns its result. When `monitor`
/// requests a stop, or `look`, which is called all the time meanwhile, ends with
/// an error, the thread is left alone: for what cannot be interrupted, such as an
/// answer from the network.
///
/// ```
/// use regmix_data::{Silent, unless_stopped};
///
/// let sum = unless_stopped(&Silent, || 1 + 1, || Ok(()))?;
/// assert_eq!(sum, 2);
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When a stop is requested, `look` fails, or `work` panics.
pub fn unless_stopped<T: Send + 'static>(
    monitor: &dyn Monitor,
    work: impl FnOnce() -> T + Send + 'static,
    mut look: impl FnMut() -> Result<()>,
) -> Result<T> {
    let (send, done) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody receives it where the user has stopped.
        send.send(work()).ok();
    });
    loop {
        monitor.check()?;
        match done.recv_timeout(Duration::from_millis(50)) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => look()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::failed("the computation ended without a result"));
            }
        }
    }
}

/// A number of bytes for a person: `1.50 GB`.
pub fn size_in_words(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e9 => format!("{:.2} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} kB", b / 1e3),
    }
}

//! What a back-end of burn says when it fails, as an error.
//!
//! burn reports a missing driver, a kernel that does not compile, memory that
//! is out and a device that is gone by panics: in the calling thread, in a
//! thread of its own, or in both. [`caught`] turns them into text without a
//! word on stderr, and [`Failure::error`] says what to do.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use regmix_data::{Error, ErrorKind};

use crate::device::DeviceSpec;

/// What a back-end said, in the order in which its threads said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(String);

/// Why a back-end failed, as far as its words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The device's memory is out.
    Memory,
    /// The device is gone: a driver reset, a time-out, a card that was pulled.
    Lost,
    /// Something else.
    Other,
}

impl Failure {
    pub(crate) fn cause(&self) -> Cause {
        let text = self.0.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|w| text.contains(w));
        if says(&[
            "out of memory",
            "out of device memory",
            "out_of_memory",
            "outofmemory",
            "not enough memory",
            "can't allocate buffer",
        ]) {
            Cause::Memory
        } else if says(&[
            "poisoned",
            "device is lost",
            "device was lost",
            "device lost",
            "devicelost",
            "device_lost",
            "illegal_address",
            "unspecified launch failure",
        ]) {
            Cause::Lost
        } else {
            Cause::Other
        }
    }

    /// The first line with something in it: what follows are backtraces.
    pub(crate) fn first_line(&self) -> &str {
        let line = self.0.lines().map(str::trim).find(|l| !l.is_empty());
        line.unwrap_or("no message")
    }

    /// The failure of a device while a model was on it.
    pub(crate) fn error(&self, device: DeviceSpec) -> Error {
        let (problem, help) = match self.cause() {
            Cause::Memory => (
                format!("the memory of device `{device}` is out"),
                "train fewer models at once (`--parallel 1`), or set a smaller `micro_batch` in \
                 study.toml; the same command goes on from the last checkpoints"
                    .to_owned(),
            ),
            Cause::Lost => (
                format!("device `{device}` was lost"),
                "the same command goes on from the last checkpoints once it is back, or on \
                 another device with `--device`, for example `--device cpu`"
                    .to_owned(),
            ),
            Cause::Other => (
                format!("the back-end of device `{device}` failed"),
                "the same command goes on from the last checkpoints, on another device with \
                 `--device`, for example `--device cpu`"
                    .to_owned(),
            ),
        };
        let kind = ErrorKind::Failed;
        Error::new(kind, format!("{problem}: {}", self.first_line())).help(help)
    }
}

/// Calls of [`caught`] in progress.
static WATCHED: AtomicUsize = AtomicUsize::new(0);
/// What panics said meanwhile in threads that back-ends made.
static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    static OURS: Cell<bool> = const { Cell::new(false) };
}

/// Does work that may panic; what it panicked with if it did. Nothing of what
/// the work changes may be used afterwards, unless it is whole at every step.
///
/// The first call sets a panic hook around the one that is there, which
/// stays: panics elsewhere in the program are printed as before.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> std::result::Result<T, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !hushed(info) {
                before(info);
            }
        }));
    });
    let outer = OURS.replace(true);
    WATCHED.fetch_add(1, Ordering::SeqCst);
    // The callers drop what the work held, or never look at it again.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    OURS.set(outer);
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    let last = WATCHED.fetch_sub(1, Ordering::SeqCst) == 1;
    let failure = result.map_err(|own| {
        // A thread of the back-end knows the reason; the caller often only
        // that the thread is gone.
        let mut text = heard.clone();
        text.push(said(own.as_ref()).to_owned());
        Failure(text.join("\n"))
    });
    if last {
        heard.clear();
    }
    failure
}

/// Whether a panic is kept from stderr; what threads of a back-end said is
/// noted.
fn hushed(info: &PanicHookInfo<'_>) -> bool {
    if OURS.get() {
        return true;
    }
    let thread = std::thread::current();
    // cubecl's threads are called DSU-… and DSD-…, others have no name.
    let theirs = thread.name().is_none_or(|n| n.starts_with("DS"));
    if !theirs || WATCHED.load(Ordering::SeqCst) == 0 {
        return false;
    }
    let text = said(info.payload()).to_owned();
    (HEARD.lock().unwrap_or_else(PoisonError::into_inner)).push(text);
    true
}

fn said(panic: &(dyn Any + Send)) -> &str {
    (panic.downcast_ref::<String>().map(String::as_str))
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_of_the_back_end_said_comes_first() {
        let failure = caught(|| {
            let thread = std::thread::spawn(|| panic!("out of device memory allocating 12 bytes"));
            assert!(thread.join().is_err());
            panic!("RecvError");
        });
        let failure: Failure = failure.unwrap_err();
        assert!(failure.first_line().starts_with("out of device memory"));
        assert_eq!(failure.cause(), Cause::Memory);
        let error = failure.error(DeviceSpec::Cuda(0));
        assert!(
            error
                .to_string()
                .contains("memory of device `cuda:0` is out")
        );
        let help = error.help_text().unwrap();
        assert!(
            help.contains("--parallel 1") && help.contains("micro_batch"),
            "{help}"
        );
        let lost = Failure("wgpu error: Parent device is lost".to_owned());
        assert_eq!(lost.cause(), Cause::Lost);
        let error = lost.error(DeviceSpec::Wgpu(0));
        assert!(error.help_text().unwrap().contains("--device cpu"));
        assert_eq!(caught(|| 3), Ok(3));
    }
}

//! Panics of a back-end of burn, turned into errors.
//!
//! burn panics when a driver is missing, a kernel does not compile, memory has
//! run out or a device was lost: in the calling thread, in a thread of its
//! own, or in both. [`catch_panics`] keeps their messages and prints nothing on
//! stderr; [`Failure::error`] adds what to do.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use regmix_data::{Error, ErrorKind};

use super::spec::DeviceSpec;

/// The panic messages of a back-end, in the order in which its threads
/// panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(String);

/// Why a back-end failed, as far as its messages tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The device has no memory left.
    Memory,
    /// The device was lost: a driver reset, a time-out, a card that was removed.
    Lost,
    /// Something else.
    Other,
}

impl Failure {
    pub(crate) fn cause(&self) -> Cause {
        let text = self.0.to_lowercase();
        let has_one_of = |words: &[&str]| words.iter().any(|w| text.contains(w));
        if has_one_of(&[
            "out of memory",
            "out of device memory",
            "out_of_memory",
            "outofmemory",
            "not enough memory",
            "can't allocate buffer",
        ]) {
            Cause::Memory
        } else if has_one_of(&[
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

    /// What to install or update, where the messages tell.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        const KNOWN: [(&[&str], &str); 3] = [
            (
                &["\"nvrtc\"", "libnvrtc"],
                "install NVRTC: CUDA's toolkit, or the package nvidia-cuda-nvrtc of PyPI, with the \
                 folder of libnvrtc.so in LD_LIBRARY_PATH",
            ),
            (
                &["cuda installation not found", "cuda_fp16.h", "cuda_bf16.h"],
                "install CUDA's headers: its toolkit, or the packages nvidia-cuda-runtime and \
                 nvidia-cuda-cccl of PyPI, and set CUDA_PATH to the folder above their `include`",
            ),
            (
                &[
                    "insufficient_driver",
                    "driver version is insufficient",
                    "driver_mismatch",
                    "unsupported_ptx_version",
                    "unsupported toolchain",
                    "undefined symbol",
                ],
                "update NVIDIA's driver: it is older than this binary needs",
            ),
        ];
        let text = self.0.to_lowercase();
        let matches = |words: &[&str]| words.iter().any(|w| text.contains(w));
        let known = KNOWN.into_iter().find(|(words, _)| matches(words));
        known.map(|(_, remedy)| remedy)
    }

    /// The line that says most: the one after the last `Caused by:`, which the
    /// back-ends write above each cause, or the first that is not empty.
    pub(crate) fn reason(&self) -> &str {
        let text = self.0.rsplit("Caused by:").next().unwrap_or_default();
        let line = text.lines().map(str::trim).find(|l| !l.is_empty());
        line.unwrap_or("no message")
    }

    /// The error for a device that failed while a model was on it.
    pub(crate) fn error(&self, device: DeviceSpec) -> Error {
        let (problem, help) = match self.cause() {
            Cause::Memory => (
                format!("the memory of device `{device}` is out"),
                "train fewer models at once (`--parallel 1`), or set a smaller `micro_batch` in \
                 study.toml; the same command continues from the last checkpoints"
                    .to_owned(),
            ),
            Cause::Lost => (
                format!("device `{device}` was lost"),
                "the same command continues from the last checkpoints once it is back, or on \
                 another device with `--device`, for example `--device cpu`"
                    .to_owned(),
            ),
            Cause::Other if let Some(remedy) = self.remedy() => (
                format!("the back-end of device `{device}` failed"),
                format!("{remedy}; the same command continues from the last checkpoints"),
            ),
            Cause::Other => (
                format!("the back-end of device `{device}` failed"),
                "the same command continues from the last checkpoints, on another device with \
                 `--device`, for example `--device cpu`"
                    .to_owned(),
            ),
        };
        let kind = ErrorKind::Failed;
        Error::new(kind, format!("{problem}: {}", self.reason())).help(help)
    }
}

/// Calls of [`catch_panics`] in progress.
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// The messages of panics during these calls in threads of back-ends.
static MESSAGES: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether this thread is inside a call.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` and returns the messages if it panics. Values that `work`
/// changes must not be used after a panic, unless they are valid at every step.
///
/// The first call wraps the panic hook that is set, for the rest of the
/// process: panics elsewhere in the program are printed as before.
pub(crate) fn catch_panics<T>(work: impl FnOnce() -> T) -> std::result::Result<T, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !keep_quiet(info) {
                before(info);
            }
        }));
    });
    let outer = INSIDE.replace(true);
    CALLS.fetch_add(1, Ordering::SeqCst);
    // The callers drop what `work` changed, or never use it again.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    let mut messages = MESSAGES.lock().unwrap_or_else(PoisonError::into_inner);
    let last = CALLS.fetch_sub(1, Ordering::SeqCst) == 1;
    let failure = result.map_err(|own| {
        // A thread of the back-end reports the reason; the caller's thread often
        // only that the other thread has ended.
        let mut text = messages.clone();
        text.push(panic_message(own.as_ref()).to_owned());
        Failure(text.join("\n"))
    });
    if last {
        messages.clear();
    }
    failure
}

/// Whether a panic is not printed. The messages of threads of a back-end are
/// kept.
fn keep_quiet(info: &PanicHookInfo<'_>) -> bool {
    if INSIDE.get() {
        return true;
    }
    let thread = std::thread::current();
    // cubecl's threads are called DSU-… and DSD-…, others have no name.
    let theirs = thread.name().is_none_or(|n| n.starts_with("DS"));
    if !theirs || CALLS.load(Ordering::SeqCst) == 0 {
        return false;
    }
    let text = panic_message(info.payload()).to_owned();
    (MESSAGES.lock().unwrap_or_else(PoisonError::into_inner)).push(text);
    true
}

/// The text that a panic was raised with.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    (panic.downcast_ref::<String>().map(String::as_str))
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_back_ends_threads_come_first() {
        let failure = catch_panics(|| {
            let thread = std::thread::spawn(|| panic!("out of device memory allocating 12 bytes"));
            assert!(thread.join().is_err());
            panic!("RecvError");
        });
        let failure: Failure = failure.unwrap_err();
        assert!(failure.reason().starts_with("out of device memory"));
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
        assert_eq!(catch_panics(|| 3), Ok(3));
    }

    #[test]
    fn the_last_cause_says_most() {
        let text = "An error happened during execution\nCaused by:\n  A launch error happened\n\
                    Caused by:\n  Compilation error: 3 arguments\nBacktrace:\nnone";
        let failure = Failure(text.to_owned());
        assert_eq!(failure.reason(), "Compilation error: 3 arguments");
        assert_eq!(Failure("\n one\ntwo".to_owned()).reason(), "one");
    }

    #[test]
    fn what_is_missing_or_too_old_is_named() {
        let help = |text: &str| {
            let error = Failure(text.to_owned()).error(DeviceSpec::Cuda(0));
            error.help_text().unwrap().to_owned()
        };
        let found = help(
            "Unable to dynamically load the \"nvrtc\" shared library - searched for library names: \
             [\"libnvrtc.so\"].",
        );
        assert_eq!(
            found,
            "install NVRTC: CUDA's toolkit, or the package nvidia-cuda-nvrtc of PyPI, with the \
             folder of libnvrtc.so in LD_LIBRARY_PATH; the same command continues from the last \
             checkpoints"
        );
        let found = help("\n        CUDA installation not found.\n        Please ensure that");
        assert!(found.starts_with("install CUDA's headers"), "{found}");
        let found = help("DriverError(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, \"the provided PTX\")");
        assert!(found.starts_with("update NVIDIA's driver"), "{found}");
        assert!(help("index out of bounds").contains("--device cpu"));
    }
}

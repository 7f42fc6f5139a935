//! Panics of a back-end of burn, turned into errors.
//!
//! burn panics when a driver is missing, a kernel does not compile, memory has
//! run out or a device was lost: in the calling thread, in a thread of its
//! own, or in both. [`catch_panics`] keeps their messages and prints nothing on
//! stderr; [`Failure::error`] adds what to do.
//!
//! A thread of CubeCL that panics drops the work that it was given and continues.
//! What the work should have written is then read as it was before: such a panic is
//! a failure of the call in which it happens, also where the call returns a result,
//! and of the next call of every model that is on a device ([`Watch`]).

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

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
    /// The messages.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

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
        const KNOWN: [(&[&str], &str); 4] = [
            (
                &["\"nvrtc\"", "libnvrtc"],
                "install NVRTC: CUDA's toolkit, or the package nvidia-cuda-nvrtc of PyPI, with the \
                 folder of libnvrtc.so in LD_LIBRARY_PATH",
            ),
            (
                &["cuda installation not found", "cannot open source file"],
                "install CUDA's headers: its toolkit, or the packages nvidia-cuda-nvrtc, \
                 nvidia-cuda-runtime, nvidia-cuda-crt and nvidia-cuda-cccl of PyPI, and set \
                 CUDA_PATH to the folder that holds `include`",
            ),
            (
                &["invalid value for --gpu-architecture"],
                "update NVRTC (CUDA's toolkit, or the package nvidia-cuda-nvrtc of PyPI): it is \
                 older than the card",
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

    /// The line that says most: the first error in the log of a compiler, else the one
    /// after the last `Caused by:`, which the back-ends write above each cause, or the
    /// first that is not empty.
    pub(crate) fn reason(&self) -> String {
        if let Some((_, log)) = self.0.split_once(COMPILER) {
            let is_error = |l: &&str| l.contains("error: ") || l.contains("error : ");
            let mut lines = log.lines().map(str::trim).filter(|l| !l.is_empty());
            if let Some(line) = lines.clone().find(is_error).or_else(|| lines.next()) {
                // The name of the source and the line say nothing to a user.
                let line = (line.split_once("): ")).map_or(line, |(_, message)| message);
                return format!("a kernel did not compile: {line}");
            }
        }
        let text = self.0.rsplit("Caused by:").next().unwrap_or_default();
        let line = text.lines().map(str::trim).find(|l| !l.is_empty());
        let line = line.unwrap_or("no message");
        // cudarc names every file that it has tried.
        line.split(" - searched for")
            .next()
            .unwrap_or_default()
            .to_owned()
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

/// What CubeCL writes above the log of NVRTC, and above the source after it.
const COMPILER: &str = "[Compilation Error]";
const SOURCE: &str = "[Source]";

/// A message without the source of the kernel, whose words are no reasons.
fn without_source(message: &str) -> &str {
    message.split(SOURCE).next().unwrap_or_default()
}

/// Calls of [`catch_panics`] in progress.
static CALLS: AtomicUsize = AtomicUsize::new(0);
static MESSAGES: Mutex<Messages> = Mutex::new(Messages {
    first: 0,
    kept: Vec::new(),
});

/// The messages of panics in threads of back-ends, during calls and between them.
struct Messages {
    /// How many came before those that are kept.
    first: usize,
    kept: Vec<Message>,
}

struct Message {
    text: String,
    /// Of the thread; those of CubeCL, which continue after a panic, have one.
    name: Option<String>,
    /// Whether the panic was raised again in the thread that had asked for the work.
    reported: bool,
}

/// How the names of CubeCL's threads begin: DSU-… and DSD-….
const THEIR_THREADS: &str = "DS";
/// Threads of tests, whose panics are no concern of other tests.
#[cfg(test)]
const TEST_THREADS: &str = "TEST-DS";

impl Messages {
    /// More than one failure has to say.
    const MOST: usize = 64;

    fn lock() -> MutexGuard<'static, Self> {
        MESSAGES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> usize {
        self.first + self.kept.len()
    }

    fn push(&mut self, message: Message) {
        if self.kept.len() == Self::MOST {
            self.kept.remove(0);
            self.first += 1;
        }
        self.kept.push(message);
    }

    /// Those from a number on.
    fn since(&mut self, number: usize) -> &mut [Message] {
        let at = number.saturating_sub(self.first).min(self.kept.len());
        &mut self.kept[at..]
    }
}

thread_local! {
    /// Whether this thread is inside a call.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Which panics of the back-ends' threads the calls for one model have seen. What a
/// thread drops between two calls is a failure of the next.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: usize,
    threads: &'static str,
}

impl Watch {
    /// Nothing that happened before is of interest.
    pub(crate) fn new() -> Self {
        Self {
            seen: Messages::lock().next(),
            threads: THEIR_THREADS,
        }
    }

    /// As [`catch_panics`]; also fails where a thread of CubeCL has panicked since the
    /// last call.
    pub(crate) fn catch_panics<T>(
        &mut self,
        work: impl FnOnce() -> T,
    ) -> std::result::Result<T, Failure> {
        let result = catch(work);
        let mut messages = Messages::lock();
        let theirs = messages.since(self.seen);
        let continues =
            |m: &Message| (m.name.as_ref()).is_some_and(|n| n.starts_with(self.threads));
        let failure = |theirs: &[Message], own: Option<&str>| {
            // A thread of the back-end reports the reason; the caller's thread often
            // only that the other thread has ended.
            let theirs = (theirs.iter()).filter(|m| m.name.is_none() || continues(m));
            let texts = theirs.map(|m| m.text.as_str()).chain(own);
            Failure(texts.map(without_source).collect::<Vec<_>>().join("\n"))
        };
        let lost = |m: &Message| !m.reported && continues(m);
        let result = match result {
            Err(own) => {
                let own = panic_message(own.as_ref());
                let failure = failure(theirs, Some(own));
                for message in theirs.iter_mut().filter(|m| m.text == own) {
                    message.reported = true;
                }
                Err(failure)
            }
            Ok(_) if theirs.iter().any(lost) => Err(failure(theirs, None)),
            Ok(done) => Ok(done),
        };
        self.seen = messages.next();
        result
    }
}

/// Runs `work` and returns the messages if it panics, or a thread of a back-end
/// drops its work. Values that `work` changes must not be used after a panic, unless
/// they are valid at every step.
///
/// The first call wraps the panic hook that is set, for the rest of the
/// process: panics elsewhere in the program are printed as before.
pub(crate) fn catch_panics<T>(work: impl FnOnce() -> T) -> std::result::Result<T, Failure> {
    Watch::new().catch_panics(work)
}

fn catch<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
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
    CALLS.fetch_sub(1, Ordering::SeqCst);
    result
}

/// Whether a panic is not printed. The messages of threads of a back-end are
/// kept.
fn keep_quiet(info: &PanicHookInfo<'_>) -> bool {
    if INSIDE.get() {
        return true;
    }
    let thread = std::thread::current();
    let name = thread.name().map(str::to_owned);
    let theirs = |name: &str| name.starts_with(THEIR_THREADS);
    #[cfg(test)]
    let theirs = |name: &str| theirs(name) || name.starts_with(TEST_THREADS);
    let in_call = CALLS.load(Ordering::SeqCst) > 0;
    // Threads of other back-ends have no name.
    if !name.as_deref().map_or(in_call, theirs) {
        return false;
    }
    let text = panic_message(info.payload()).to_owned();
    Messages::lock().push(Message {
        text,
        name,
        reported: false,
    });
    in_call
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

    /// Nothing shows whose thread it is that has no name: its message would be part of
    /// failures in other tests of the same process.
    #[test]
    fn messages_of_the_back_ends_threads_come_first() {
        let test = "device::failure::tests::alone_in_its_process";
        let done = std::process::Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--ignored"])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{printed}");
        assert!(printed.contains("1 passed"), "{printed}");
    }

    #[test]
    #[ignore = "run by the test before it"]
    fn alone_in_its_process() {
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
        let text = "Unable to dynamically load the \"nvrtc\" shared library - searched for library \
                    names: [\"libnvrtc.so\"]";
        assert_eq!(
            Failure(text.to_owned()).reason(),
            "Unable to dynamically load the \"nvrtc\" shared library"
        );
    }

    #[test]
    fn the_log_of_the_compiler_says_why_a_kernel_did_not_compile() {
        let text = "Error while reading data: An error happened during execution\nCaused by:\n  \
                    A compilation error happened during launch\nCaused by:\n  \
                    [Compilation Error] \n    default_program(2): catastrophic error: cannot open \
                    source file \"mma.h\"\n      #include <mma.h>\n                    ^\n    1 \
                    catastrophic error detected in the compilation of \"default_program\".\n\
                    [Source]  \n#include <cuda_fp16.h> // out of memory, libnvrtc\n";
        let failure = catch_panics(|| panic!("{text}")).unwrap_err();
        assert_eq!(
            failure.reason(),
            "a kernel did not compile: catastrophic error: cannot open source file \"mma.h\""
        );
        assert_eq!(failure.cause(), Cause::Other);
        let error = failure.error(DeviceSpec::Cuda(0));
        let help = error.help_text().unwrap();
        assert!(
            help.starts_with("install CUDA's headers") && help.contains("nvidia-cuda-crt"),
            "{help}"
        );

        let text = "[Compilation Error] \n    nvrtc: error: invalid value for --gpu-architecture \
                    (-arch)\n[Source]  \n";
        let failure = catch_panics(|| panic!("{text}")).unwrap_err();
        assert!(failure.reason().contains("invalid value"));
        assert!(failure.remedy().unwrap().starts_with("update NVRTC"));
        // A kernel that is wrong is not a matter of what is installed.
        let text = "[Compilation Error] \n    default_program(12): error: identifier \"x\" is \
                    undefined\n[Source]  \n#include <mma.h>\n";
        let failure = catch_panics(|| panic!("{text}")).unwrap_err();
        let expected = "a kernel did not compile: error: identifier \"x\" is undefined";
        assert_eq!(failure.reason(), expected);
        assert_eq!(failure.remedy(), None);
    }

    #[test]
    fn work_that_a_thread_of_the_back_end_dropped_is_a_failure() {
        let lose = |text: &'static str| {
            let thread = std::thread::Builder::new().name(format!("{TEST_THREADS}U-0-0"));
            let thread = thread.spawn(move || panic!("{text}")).unwrap();
            thread.join().unwrap_err()
        };
        let new = || Watch {
            threads: TEST_THREADS,
            ..Watch::new()
        };
        let (mut one, mut other) = (new(), new());
        assert_eq!(one.catch_panics(|| 1), Ok(1));
        let failure = one.catch_panics(|| drop(lose("in a call"))).unwrap_err();
        assert!(failure.reason().contains("in a call"));
        assert_eq!(one.catch_panics(|| 2), Ok(2));
        // Nobody knows whose work it was.
        assert!(other.catch_panics(|| 3).is_err());
        drop(lose("between two calls"));
        let failure = one.catch_panics(|| 4).unwrap_err();
        assert!(failure.reason().contains("between two calls"));
        // The thread that waits for a result is the one that is concerned.
        let mut third = new();
        let raised = one.catch_panics(|| std::panic::resume_unwind(lose("in a read")));
        assert!(raised.is_err());
        assert_eq!(third.catch_panics(|| 5), Ok(5));
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

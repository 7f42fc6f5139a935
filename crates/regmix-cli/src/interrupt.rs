//! Ctrl-C and SIGTERM: the first signal asks the command to stop, a second one
//! ends it at once. A time limit stops it as SIGTERM does.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A further SIGTERM that comes this soon is the same request. Slurm sends it to
/// every process of a job that it ends; the job's shell and a container's starter
/// pass theirs on, so that regmix gets it twice, and still has its work to save.
const SAME_REQUEST: Duration = Duration::from_secs(10);

/// The first signal, and when it came.
static BEGUN: OnceLock<(Signal, Instant)> = OnceLock::new();

/// Exit code of the signal that came first, 0 before any.
static FIRST: AtomicU8 = AtomicU8::new(0);

/// When the time given by `--max-time` is over.
static END: OnceLock<Instant> = OnceLock::new();

/// What stops a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C, SIGINT.
    Interrupt,
    /// SIGTERM, which clusters send before they take a machine away.
    Terminate,
    /// The time given by `--max-time` is over.
    TimeLimit,
}

impl Signal {
    /// As shells have it for Ctrl-C; "try again" (EX_TEMPFAIL) for the others.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate | Self::TimeLimit => 75,
        }
    }

    /// The line that is shown when it arrives.
    pub(crate) fn first_message(self) -> &'static str {
        match self {
            Self::Interrupt => "stopping; press Ctrl-C again to stop at once",
            Self::Terminate => "stopping because of SIGTERM; a second signal stops at once",
            // Nothing arrives: work sees it when it asks.
            Self::TimeLimit => "the time of `--max-time` is over",
        }
    }
}

/// The signal that came first, if any; else whether the time is over.
pub(crate) fn received() -> Option<Signal> {
    let code = FIRST.load(Ordering::Relaxed);
    let signal = [Signal::Interrupt, Signal::Terminate]
        .into_iter()
        .find(|signal| signal.exit_code() == code);
    let is_over = || END.get().is_some_and(|end| Instant::now() >= *end);
    signal.or_else(|| is_over().then_some(Signal::TimeLimit))
}

/// From this moment on the command is asked to stop.
pub(crate) fn stop_at(end: Instant) {
    // A process runs one command.
    END.set(end).ok();
}

/// Handles both signals from now on; `on_first` is called once.
pub(crate) fn install(on_first: impl Fn(Signal) + Send + Sync + 'static) {
    let on_first = Arc::new(on_first);
    let on_interrupt = Arc::clone(&on_first);
    // Without a handler Ctrl-C still ends the program, as the system does it.
    ctrlc::set_handler(move || receive(Signal::Interrupt, &*on_interrupt)).ok();
    #[cfg(unix)]
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]) {
        std::thread::spawn(move || {
            for _ in signals.forever() {
                receive(Signal::Terminate, &*on_first);
            }
        });
    }
}

/// Runs in an ordinary thread, so it may lock and print.
fn receive(signal: Signal, on_first: &dyn Fn(Signal)) {
    if BEGUN.set((signal, Instant::now())).is_err() {
        let repeated = BEGUN
            .get()
            .is_some_and(|(first, begun)| *first == signal && begun.elapsed() < SAME_REQUEST);
        if repeated && signal == Signal::Terminate {
            return;
        }
        #[allow(clippy::exit)] // The user insists; files are written whole or not at all.
        std::process::exit(i32::from(signal.exit_code()));
    }
    // Before anything stops, so that this line comes first.
    on_first(signal);
    FIRST.store(signal.exit_code(), Ordering::Relaxed);
}

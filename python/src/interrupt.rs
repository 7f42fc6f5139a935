//! Ctrl-C, other threads of Python, and faults in long computations.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::raised::raised;

/// How often Python is asked for signals.
const PERIOD: Duration = Duration::from_millis(50);

/// Where the last panic was, and its message.
static FAULT: Mutex<Option<String>> = Mutex::new(None);

/// Keeps the message of a panic for the exception, in place of writing it to stderr,
/// where a notebook does not show it.
pub(crate) fn keep_faults() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("no message");
        let place = info.location().map(|at| format!(" ({at})"));
        let fault = format!("{message}{}", place.unwrap_or_default());
        *FAULT.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }));
}

/// Computes on a thread of its own. This one lets other threads of Python work meanwhile,
/// and notices signals, which Python delivers to its main thread only. A panic becomes a
/// `RuntimeError`.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    compute: impl FnOnce(&AtomicBool) -> regmix_data::Result<T> + Send,
) -> PyResult<T> {
    let stop = AtomicBool::new(false);
    py.detach(|| {
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            let stop = &stop;
            scope.spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(|| compute(stop)));
                sender.send(result).ok();
            });
            let mut signal = None;
            let result = loop {
                if let Ok(result) = receiver.recv_timeout(PERIOD) {
                    break result;
                }
                if signal.is_none()
                    && let Err(error) = Python::attach(|py| py.check_signals())
                {
                    stop.store(true, Ordering::Relaxed);
                    signal = Some(error);
                }
            };
            match (signal, result) {
                (Some(signal), _) => Err(signal),
                (None, Ok(result)) => result.map_err(raised),
                (None, Err(_)) => Err(fault()),
            }
        })
    })
}

fn fault() -> PyErr {
    let kept = FAULT.lock().unwrap_or_else(PoisonError::into_inner).take();
    PyRuntimeError::new_err(format!(
        "a fault in regmix: {}\nhelp: please report it with this message and what was given",
        kept.as_deref().unwrap_or("no message")
    ))
}

/// Panics, so that the tests see what becomes of a fault.
#[pyfunction]
pub(crate) fn _fault(py: Python<'_>) -> PyResult<()> {
    interruptible(py, |_| panic!("asked for"))
}

//! Calls of the tokenizer library, whose errors have no common type and which
//! panics on some files.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    /// Whether this thread is in a call.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call of the library; an error or a panic of it becomes our error.
/// Nothing is printed on stderr.
///
/// The first call wraps the panic hook that is set, for the rest of the
/// process: panics elsewhere in the program are printed as before.
pub(super) fn call<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                before(info);
            }
        }));
    });
    let outer = INSIDE.replace(true);
    // The library's values are read only, or dropped after a panic.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    match result {
        Ok(result) => result.map_err(error),
        Err(panic) => {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let message = message.and_then(|m| m.lines().next());
            Err(error(message.unwrap_or("no message")))
        }
    }
}

/// An error of the library.
pub(super) fn error(err: impl std::fmt::Display) -> Error {
    Error::failed(format!("the tokenizer failed: {err}"))
}

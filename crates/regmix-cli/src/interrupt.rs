//! Ctrl-C: the first asks to save and stop, the second stops at once.

use std::sync::atomic::{AtomicBool, Ordering};

static CANCEL: AtomicBool = AtomicBool::new(false);

/// Whether the user asked to stop.
pub(crate) fn requested() -> bool {
    CANCEL.load(Ordering::Relaxed)
}

pub(crate) fn install() {
    let handler = || {
        if CANCEL.swap(true, Ordering::Relaxed) {
            #[allow(clippy::exit)] // The user insists; files are written whole or not at all.
            std::process::exit(130);
        }
        crate::output::say("stopping after this step; Ctrl-C again stops at once");
    };
    // Without a handler Ctrl-C still ends the program, as it always did.
    ctrlc::set_handler(handler).ok();
}

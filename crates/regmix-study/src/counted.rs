//! Progress of computations that count their units of work.

use std::sync::Once;

use regmix_data::{Monitor, Unit};

/// Runs something that counts its units of work, `(done, all)`, and reports
/// them to the monitor.
pub(crate) fn counted<T>(
    monitor: &dyn Monitor,
    what: &str,
    run: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> T,
) -> T {
    let begun = Once::new();
    let out = run(&|_, all| {
        begun.call_once(|| monitor.begin(what, all as u64, Unit::Items));
        monitor.advance(1);
    });
    monitor.end();
    out
}

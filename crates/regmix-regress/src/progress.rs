//! Parts of a computation, as a monitor shows them.

use regmix_data::{Monitor, Unit};

/// A part that has begun; it ends when this is dropped, after an error too.
pub(crate) struct Part<'a>(&'a dyn Monitor);

impl<'a> Part<'a> {
    /// Begins a part with the given number of units of work.
    pub(crate) fn begin(monitor: &'a dyn Monitor, what: &str, total: usize) -> Self {
        monitor.begin(what, total as u64, Unit::Items);
        Self(monitor)
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

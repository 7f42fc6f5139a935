//! Lines of the log between those for a person.

use std::io::Write;
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

use super::progress::Display;

/// Writes lines on stderr, above the bar of a part that is in progress.
pub(crate) struct AboveBar(pub(crate) Arc<Display>);

impl<'a> MakeWriter<'a> for AboveBar {
    type Writer = Lines<'a>;

    fn make_writer(&'a self) -> Lines<'a> {
        Lines(&self.0)
    }
}

pub(crate) struct Lines<'a>(&'a Display);

impl Write for Lines<'_> {
    /// An event is written in one piece.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.line(String::from_utf8_lossy(bytes).trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

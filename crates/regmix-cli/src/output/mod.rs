//! What the user sees.

pub(crate) mod above_bar;
pub(crate) mod command_line;
pub(crate) mod error;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod progress;
pub(crate) mod table;

use std::io::{ErrorKind, Write};
use std::sync::Mutex;

use regmix_data::{Error, Result};

/// A line on stderr and in the log.
pub(crate) fn message(line: &str) {
    log::event!(info, "{line}");
    on_stderr(line);
}

/// A line on stderr, where that is for a person.
fn on_stderr(line: &str) {
    if !log::is_json_on_stderr() {
        // A closed stderr is no reason to fail.
        writeln!(std::io::stderr(), "{line}").ok();
    }
}

/// The first failure to write a result.
static FAILURE: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// A result on stdout. Whether it could be written is known at the end, see [`finish`].
pub(crate) fn print(text: &str) {
    note(write!(std::io::stdout(), "{text}"));
}

/// Writes what is left of the results on stdout.
///
/// # Errors
/// When a result could not be written, for example to a full disk.
pub(crate) fn finish() -> Result<()> {
    note(std::io::stdout().flush());
    match FAILURE.lock().ok().and_then(|mut failure| failure.take()) {
        Some(e) => Err(Error::io("stdout", e)
            .help("the output is incomplete; files that the command wrote are not affected")),
        None => Ok(()),
    }
}

fn note(written: std::io::Result<()>) {
    match written {
        // A reader such as `head` may close the pipe when it has seen enough.
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            if let Ok(mut failure) = FAILURE.lock() {
                failure.get_or_insert(e);
            }
        }
        _ => {}
    }
}

/// A result on stdout, as JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::failed(format!("cannot be written as JSON: {e}")))?;
    print(&format!("{text}\n"));
    Ok(())
}

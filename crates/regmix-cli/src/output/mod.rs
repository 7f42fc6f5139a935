//! What the user sees.

pub(crate) mod above_bar;
pub(crate) mod command_line;
pub(crate) mod error;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod progress;
pub(crate) mod table;

use std::io::Write;

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

/// A result on stdout.
pub(crate) fn print(text: &str) {
    // A reader such as `head` may close the pipe when it has seen enough.
    write!(std::io::stdout(), "{text}").ok();
}

/// A result on stdout, as JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> regmix_data::Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| regmix_data::Error::failed(format!("cannot be written as JSON: {e}")))?;
    print(&format!("{text}\n"));
    Ok(())
}

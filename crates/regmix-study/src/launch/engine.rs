//! The programs of engines: `sbatch`, `kubectl`, `hq`.

use std::io::Write;
use std::process::{Command, Stdio};

use regmix_data::{Error, Result};

/// Runs a program with `input` on stdin, and returns what it writes to stdout.
///
/// # Errors
/// When the program is missing, which `without` describes, or fails: the error
/// has what it wrote to stderr.
pub(super) fn call(
    program: &str,
    arguments: &[String],
    input: Option<&str>,
    without: &str,
) -> Result<String> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(match input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::input(format!("there is no `{program}` on PATH")).help(without)
        }
        _ => Error::failed(format!("`{program}` cannot be run: {e}")),
    })?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that fails early closes its stdin; its message says why.
        stdin.write_all(text.as_bytes()).ok();
    }
    let output = child.wait_with_output();
    let output = output.map_err(|e| Error::failed(format!("`{program}` cannot be run: {e}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = match said.trim() {
        "" => output.status.to_string(),
        said => said.to_owned(),
    };
    Err(Error::failed(format!("`{program}` failed: {said}")))
}

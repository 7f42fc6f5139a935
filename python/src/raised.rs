//! Errors as Python raises them.

use std::error::Error as _;
use std::io::{Error as IoError, ErrorKind as IoErrorKind};

use pyo3::exceptions::{
    PyFileExistsError, PyFileNotFoundError, PyKeyboardInterrupt, PyOSError, PyPermissionError,
    PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;
use regmix_data::ErrorKind;

pyo3::create_exception!(
    _regmix,
    Error,
    PyValueError,
    "What was given is wrong: the message says what was found, what was expected, and what helps."
);

/// An error with its help, as text.
pub(crate) fn text(error: &regmix_data::Error) -> String {
    match error.help_text() {
        Some(help) => format!("{error}\nhelp: {help}"),
        None => error.to_string(),
    }
}

/// The exception of an error: of Python's own kind where it has one.
pub(crate) fn raised(error: regmix_data::Error) -> PyErr {
    let text = text(&error);
    match error.kind() {
        ErrorKind::Input => Error::new_err(text),
        ErrorKind::Stale => PyFileExistsError::new_err(text),
        ErrorKind::Interrupted => PyKeyboardInterrupt::new_err(text),
        ErrorKind::Io => {
            let cause = error.source().and_then(|e| e.downcast_ref::<IoError>());
            match cause.map(IoError::kind) {
                Some(IoErrorKind::NotFound) => PyFileNotFoundError::new_err(text),
                Some(IoErrorKind::PermissionDenied) => PyPermissionError::new_err(text),
                _ => PyOSError::new_err(text),
            }
        }
        _ => PyRuntimeError::new_err(text),
    }
}

/// For `map_err` of what has no better words: results that cannot be written as JSON.
pub(crate) fn not_json(error: serde_json::Error) -> regmix_data::Error {
    regmix_data::Error::failed(format!("cannot be written as JSON: {error}"))
}

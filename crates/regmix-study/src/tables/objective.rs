//! An objective that a user names, or writes into a file with its limits.

use std::path::Path;

use regmix_data::{Error, Result};
use regmix_regress::Objective;

use crate::config::ObjectiveFile;

/// What an argument such as `--objective` gives.
pub(super) enum ObjectiveArgument<'a> {
    /// The name of a `.toml` file.
    File(&'a Path, ObjectiveFile),
    /// An objective in words.
    Named(Objective),
}

impl<'a> ObjectiveArgument<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self> {
        if text.ends_with(".toml") {
            let path = Path::new(text);
            return Ok(Self::File(path, ObjectiveFile::load(path)?));
        }
        Ok(Self::Named(Objective::parse(text)))
    }
}

/// Names the argument at fault, unless the error names a field already.
pub(super) fn with_field_if_none(e: Error, field: &str) -> Error {
    match e.field_name() {
        Some(_) => e,
        None => e.field(field),
    }
}

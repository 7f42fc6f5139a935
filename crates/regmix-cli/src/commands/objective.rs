//! The argument of `--objective`: a name, or a file.

use std::path::Path;

use regmix_data::{Error, Result};
use regmix_regress::Objective;
use regmix_study::config::ObjectiveFile;

/// What `--objective` names.
pub(super) enum ObjectiveArgument<'a> {
    File(&'a Path, ObjectiveFile),
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

/// Names the flag at fault, unless the error names a field already.
pub(super) fn with_field_if_none(e: Error, field: &str) -> Error {
    match e.field_name() {
        Some(_) => e,
        None => e.field(field),
    }
}

//! Results outside of a study are overwritten only on request.

use std::path::Path;

use regmix_data::{Error, ErrorKind, Result};

/// An error if there is a file already and `--redo` was not given.
pub(super) fn refuse_to_overwrite(path: &Path, redo: bool) -> Result<()> {
    if path.exists() && !redo {
        return Err(Error::new(ErrorKind::Stale, "it is there already")
            .in_file(path)
            .help("choose another place with `--out`, or overwrite it with `--redo`"));
    }
    Ok(())
}

//! A lock, so that only one process at a time uses a state file.

use std::fs::File;
use std::path::{Path, PathBuf};

use regmix_data::Result;
use regmix_data::artefact::{lock, sweep};

/// Keeps other processes, and other controllers of this one, from a state file until
/// it is dropped.
#[derive(Debug)]
pub struct StateLock {
    path: PathBuf,
    _file: File,
}

impl StateLock {
    /// Takes the lock of a state file, the file `<state>.lock`.
    ///
    /// # Errors
    /// When another has it, or the file cannot be made.
    pub fn take(state: &Path) -> Result<Self> {
        let mut path = state.to_path_buf().into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        let busy = "another process keeps the state of a run in this file";
        let file = lock(&path, busy).map_err(|e| e.in_file(state))?;
        // What a killed process left while it wrote the state.
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        sweep(folder.unwrap_or(Path::new(".")), false);
        Ok(Self { path, _file: file })
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // A file that stays does no harm: it is not locked any more.
        std::fs::remove_file(&self.path).ok();
    }
}

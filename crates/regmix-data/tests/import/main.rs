//! Logs of trackers and evaluation harnesses become tables.

mod hostile;
mod json;
mod long;
mod olmix;
mod tensorboard;
mod trainers;
mod wandb;

use std::path::PathBuf;

use regmix_data::exchange::{Imported, RunNames, Selection, find_logs, read_logs};
use regmix_data::{Result, Silent};
use tempfile::TempDir;

/// A folder of logs.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn with(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn import(&self, selection: &Selection) -> Result<Imported> {
        let files = find_logs(&[self.0.path().to_path_buf()])?;
        let logs = read_logs(&files, &RunNames::Differing, selection, &Silent)?;
        Imported::of(logs, selection)
    }

    /// The error, without the folder.
    fn refused(&self, selection: &Selection) -> String {
        let error = self.import(selection).unwrap_err().to_string();
        error.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// Targets and weights by patterns.
fn select(targets: &[&str], weights: &[&str]) -> Selection {
    let patterns = |of: &[&str]| of.iter().map(|p| p.parse().unwrap()).collect();
    Selection {
        targets: patterns(targets),
        weights: patterns(weights),
        ..Selection::default()
    }
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|n| (*n).to_owned()).collect()
}

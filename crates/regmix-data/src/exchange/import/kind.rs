//! Kinds of logs, by the names of their files.

use std::path::Path;

/// The name of a file, without the ending of gzip.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".gz").unwrap_or(&name).to_owned()
}

/// Events of TensorBoard.
pub(super) fn is_events(path: &Path) -> bool {
    file_name(path).contains("tfevents")
}

fn is_results(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with("results") && name.ends_with(".json")
}

/// The history of Hugging Face's Trainer, in the folder of a run and in those of its
/// checkpoints.
pub(super) fn is_trainer_state(path: &Path) -> bool {
    file_name(path) == "trainer_state.json"
}

/// Whether every run has a folder with such a file.
pub(super) fn stands_for_its_folder(path: &Path) -> bool {
    is_events(path)
        || is_results(path)
        || is_trainer_state(path)
        || file_name(path) == "wandb-summary.json"
}

/// What the name of a file in a folder of logs says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByName {
    Log,
    /// A log if its content is a list of objects.
    Json,
    Other,
}

impl ByName {
    pub(super) fn of(path: &Path) -> Self {
        let name = file_name(path);
        // Those compressed by zstd are refused by name when they are read, not passed over.
        let name = name.strip_suffix(".zst").unwrap_or(&name);
        let end = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        if stands_for_its_folder(path) {
            return Self::Log;
        }
        // lm-eval writes answers to single questions beside its results.
        if name.starts_with("samples_") {
            return Self::Other;
        }
        match end(&[".csv", ".tsv", ".jsonl", ".ndjson"]) {
            true => Self::Log,
            false if end(&[".json"]) => Self::Json,
            false => Self::Other,
        }
    }
}

//! Kinds of logs, by the names of their files.

use std::path::Path;

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Events of TensorBoard.
pub(super) fn is_events(path: &Path) -> bool {
    file_name(path).contains("tfevents")
}

fn is_results(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with("results") && name.ends_with(".json")
}

/// Whether every run has a folder with such a file.
pub(super) fn stands_for_its_folder(path: &Path) -> bool {
    is_events(path) || is_results(path) || file_name(path) == "wandb-summary.json"
}

/// Whether a file in a folder of logs is one.
pub(super) fn is_log(path: &Path) -> bool {
    let name = file_name(path);
    // lm-eval writes answers to single questions beside its results.
    let samples = name.starts_with("samples_");
    // Compressed ones are refused by name when they are read, not passed over.
    let name = name
        .strip_suffix(".gz")
        .or(name.strip_suffix(".zst"))
        .unwrap_or(&name);
    let end = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    stands_for_its_folder(path) || !samples && end(&[".csv", ".tsv", ".jsonl", ".ndjson"])
}

//! TinyLlama, and RegMix's version of it: domains are beginnings of file names.

use std::fmt::Write;

use super::text::{quoted, yaml};
use super::{Job, one_file};
use crate::error::{Error, Result};
use crate::exchange::exported_file::ExportedFile;

/// `train_data_config`, a list of beginnings and weights.
pub(super) fn data_config(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    let train = beginnings(job, "")?;
    let lines: String = (train.iter())
        .map(|(prefix, weight)| format!("    ({}, {weight}),\n", quoted(prefix)))
        .collect();
    Ok(one_file(
        "data_config.py",
        format!("train_data_config = [\n{lines}]\n"),
    ))
}

/// The configuration of RegMix's trainer: files of a key are `<key>-*`.
pub(super) fn regmix(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    let train = beginnings(job, "-")?;
    let valid = job.held_out(|s| &s.valid);
    if valid.is_empty() {
        return Err(Error::input(
            "no domain has `valid`: RegMix's trainer measures losses of the keys under `valid`",
        )
        .help("add `valid = \"valid_...\"` to a domain of the mapping"));
    }
    let mut text = String::from("train:\n");
    for (prefix, weight) in train {
        let _ = writeln!(text, "  {}: {weight}", yaml(prefix));
    }
    text.push_str("valid:\n");
    for prefix in valid {
        let _ = writeln!(text, "  {}: 1.0", yaml(prefix));
    }
    text.push_str("model_name: tinyllama_1_1b\n");
    Ok(one_file("mixture.yaml", text))
}

/// Beginnings with their weights, none of which takes the files of another one;
/// `end` stands between a beginning and what follows.
fn beginnings<'a>(job: &'a Job<'_>, end: &str) -> Result<Vec<(&'a str, String)>> {
    for entry in &job.entries {
        let prefix = format!("{}{end}", entry.path());
        let taken = (job.entries.iter()).find(|other| {
            other.name != entry.name && format!("{}{end}", other.path()).starts_with(&prefix)
        });
        if let Some(other) = taken {
            let problem = format!(
                "{}: files of `{}`, whose names begin with {}, would be read as well",
                quoted(entry.path()),
                other.account.domain,
                quoted(other.path())
            );
            let error = entry.error("path", problem);
            return Err(error.help("rename the files so that no name is the beginning of another"));
        }
        if entry.path().contains(['*', '?', '[']) {
            let problem = format!(
                "{}: expected the beginning of file names, without a pattern",
                quoted(entry.path())
            );
            return Err(entry.error("path", problem));
        }
    }
    Ok(job.drawn(0).map(|e| (e.path(), e.weight(0))).collect())
}

//! MosaicML Streaming with llm-foundry, and Megatron Energon: lists of places.

use std::fmt::Write;

use super::text::{count, quoted, yaml};
use super::{Job, one_file};
use crate::error::Result;
use crate::exchange::exported_file::ExportedFile;

/// `train_loader` of llm-foundry: every stream with its proportion, and none with
/// `repeat` or `choose`, which must not stand beside it.
pub(super) fn streams(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    let mut text = String::from("train_loader:\n  dataset:\n");
    // The whole run is one epoch.
    if let Some(samples) = job.samples {
        let _ = writeln!(text, "    epoch_size: {}", count(samples));
    }
    text.push_str("    streams:\n");
    let mut folders: Vec<&str> = Vec::new();
    for entry in job.drawn(0) {
        let remote = entry.path().contains("://");
        let local = match (&entry.source.local, remote) {
            (Some(local), _) => Some(local.as_str()),
            (None, true) => None,
            (None, false) => Some(entry.path()),
        };
        if let Some(local) = local {
            if folders.contains(&local) {
                let problem = format!(
                    "{}: another stream has the same folder, and they would overwrite each other",
                    quoted(local)
                );
                return Err(entry.error("local", problem));
            }
            folders.push(local);
        }
        let _ = writeln!(text, "      {}:", yaml(&entry.name));
        if remote {
            let _ = writeln!(text, "        remote: {}", quoted(entry.path()));
        }
        if let Some(local) = local {
            let _ = writeln!(text, "        local: {}", quoted(local));
        }
        let _ = writeln!(
            text,
            "        split: train\n        proportion: {}",
            entry.weight(0)
        );
    }
    Ok(one_file("train_loader.yaml", text))
}

/// A metadata set of version 2.
pub(super) fn energon(job: &Job<'_>) -> Vec<ExportedFile> {
    let mut text = String::from(
        "__module__: megatron.energon\n__class__: MetadatasetV2\nsplits:\n  train:\n    blend:\n",
    );
    for entry in job.drawn(0) {
        let path = quoted(entry.path());
        let _ = writeln!(
            text,
            "      - weight: {}\n        path: {path}",
            entry.weight(0)
        );
    }
    let valid = job.held_out(|s| &s.valid);
    if !valid.is_empty() {
        text.push_str("  val:\n    blend_epochized:\n");
        for path in valid {
            let _ = writeln!(
                text,
                "      - repetitions: 1\n        path: {}",
                quoted(path)
            );
        }
    }
    one_file("metadataset.yaml", text)
}

//! Levanter, and Marin.

use std::fmt::Write;

use super::text::{quoted, quoted_list, yaml};
use super::{Job, one_file};
use crate::error::Result;
use crate::exchange::exported_file::ExportedFile;

/// Data sets by name, and their weights, from a step on where they change.
pub(super) fn levanter(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    let mut text = String::from("data:\n  configs:\n");
    for entry in &job.entries {
        let _ = writeln!(text, "    {}:", yaml(&entry.name));
        let urls = quoted_list(entry.source.places());
        let _ = writeln!(text, "      train_urls: {urls}");
        if let Some(valid) = &entry.source.valid {
            let _ = writeln!(text, "      validation_urls: [{}]", quoted(valid));
        }
    }
    text.push_str("  train_weights:\n");
    for (place, span) in job.spans.iter().enumerate() {
        let weights: Vec<String> = (job.drawn(place))
            .map(|e| format!("{}: {}", yaml(&e.name), e.weight(place)))
            .collect();
        let _ = match job.spans.len() {
            1 => writeln!(text, "    {}", weights.join("\n    ")),
            _ => writeln!(text, "    - [{}, {{{}}}]", span.from, weights.join(", ")),
        };
    }
    Ok(one_file("data.yaml", text))
}

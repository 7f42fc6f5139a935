//! OLMo-core, and Olmix.

use std::fmt::Write;

use super::text::{count, object, quoted, yaml};
use super::{Entry, Job, file, one_file};
use crate::error::Result;
use crate::exchange::exported_file::ExportedFile;

/// A `SourceMixtureList` for every stage.
pub(super) fn sources(job: &Job<'_>, force: bool) -> Result<Vec<ExportedFile>> {
    for entry in &job.entries {
        if let Some(other) = entry.source.places().find(|p| !p.ends_with(".npy")) {
            let problem = format!(
                "{}: OLMo-core reads arrays of tokens, expected a path or a pattern that ends in `.npy`",
                quoted(other)
            );
            return Err(entry.error("path", problem));
        }
    }
    let mut files = Vec::with_capacity(job.spans.len());
    for (place, span) in job.spans.iter().enumerate() {
        let mut text = String::from(
            "# OLMo-core: SourceMixtureList.from_yaml. Ratios are shares of tokens.\n",
        );
        if let Some(tokens) = span.tokens {
            let _ = writeln!(
                text,
                "# SourceMixtureDatasetConfig(requested_tokens={}, ...)",
                count(tokens)
            );
        }
        text.push_str("sources:\n");
        for entry in job.drawn(place) {
            let _ = writeln!(text, "  - source_name: {}", yaml(&entry.name));
            let _ = writeln!(
                text,
                "    target_ratio: {}\n    paths:",
                entry.weight(place)
            );
            for path in entry.source.places() {
                let _ = writeln!(text, "      - {}", quoted(path));
            }
            let _ = writeln!(
                text,
                "    max_repetition_ratio: {}\n    max_source_fraction: 1.0",
                repetition(entry, force)?
            );
        }
        files.push(match job.spans.len() {
            1 => file("sources.yaml", text),
            _ => file(format!("stage-{place}.yaml"), text),
        });
    }
    Ok(files)
}

/// The mix of a launch.
pub(super) fn mix(job: &Job<'_>, force: bool) -> Result<Vec<ExportedFile>> {
    let mut topics = Vec::with_capacity(job.entries.len());
    for entry in job.drawn(0) {
        let values = [
            ("weight", entry.weight(0)),
            ("repetition_factor", repetition(entry, force)?),
        ];
        topics.push((&entry.name, object("  ", values)));
    }
    Ok(one_file("mix.json", object("", topics) + "\n"))
}

/// How often the trainer may read a domain: what it refuses to exceed.
fn repetition(entry: &Entry<'_>, force: bool) -> Result<String> {
    let epochs = entry.account.epochs.unwrap_or(1.0);
    let cap = entry.account.max_epochs.unwrap_or(1.0);
    // Rounded up, so that the trainer's own count, in whole instances, stays below.
    let needed = (epochs * 1.001 * 100.0).ceil() / 100.0;
    if epochs <= cap * (1.0 + 1e-9) {
        return Ok(format!("{cap:?}"));
    }
    if force {
        return Ok(format!("{needed:?}"));
    }
    Err(entry
        .error(
            "max_epochs",
            format!(
                "the run reads the domain {epochs:.2} times, and the trainer refuses to repeat data \
                 unless it is given a limit"
            ),
        )
        .help(format!("add `max_epochs = {needed}` to the mapping, or give `--force`")))
}

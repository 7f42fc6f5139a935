//! Which files and documents of a corpus were read, and which were not.

use std::collections::BTreeMap;

use regmix_data::tokenize::Summary;

/// How many names a line shows.
const SHOWN: usize = 10;

/// Lines on what was left out, and what else a user should know.
pub(crate) fn left_out(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    if !summary.not_read.is_empty() {
        let names = summary.not_read.iter().map(|left| {
            let path = left.path.strip_prefix(&summary.root).unwrap_or(&left.path);
            format!("{} ({})", path.display(), left.why)
        });
        lines.push(format!(
            "{} not read: {}",
            are(summary.not_read.len(), "file"),
            some_of(names)
        ));
    }
    let noted = (summary.files.iter()).filter_map(|file| Some((file, file.note.as_ref()?)));
    let notes = noted.map(|(file, note)| {
        let path = file.path.strip_prefix(&summary.root).unwrap_or(&file.path);
        format!("{} ({note})", path.display())
    });
    let notes = some_of(notes);
    if !notes.is_empty() {
        lines.push(format!("noticed: {notes}"));
    }
    if summary.empty > 0 {
        let empty = are(summary.empty as usize, "document");
        lines.push(format!("{empty} left out, without text"));
    }
    for skipped in &summary.skipped {
        lines.push(format!(
            "{} skipped: {}; the first is {}",
            are(skipped.documents as usize, "document"),
            skipped.cause,
            skipped.first
        ));
    }
    if !summary.rare.is_empty() {
        let names = (summary.rare.iter()).map(|r| format!("{} ({})", r.name, r.documents));
        lines.push(format!(
            "{} below `min_documents`: {}",
            are(summary.rare.len(), "domain"),
            some_of(names)
        ));
    }
    lines.extend(summary.lost.iter().map(|text| {
        format!(
            "{} of the {} bytes of text of {} are lost: the tokenizer has no token for them",
            text.lost, text.bytes, text.domain
        )
    }));
    lines.extend(summary.tokenizer_notes.iter().cloned());
    lines
}

/// What was read as what.
pub(crate) fn read_files(summary: &Summary) -> String {
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for file in &summary.files {
        let name = file.domain.as_ref().map_or("all labels", |d| d.as_str());
        counts.entry(name).or_default()[file.split as usize] += 1;
    }
    let parts = counts
        .into_iter()
        .map(|(name, [train, valid])| match valid {
            0 => format!("{name} {train} train"),
            _ => format!("{name} {train} train + {valid} valid"),
        });
    format!(
        "{} read, {}: {} (all in corpus/sources.csv)",
        are(summary.files.len(), "file"),
        summary.layout,
        some_of(parts)
    )
}

/// `1 file is`, `2 files are`.
fn are(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what} is"),
        _ => format!("{count} {what}s are"),
    }
}

/// The first names, and how many more there are.
fn some_of(names: impl Iterator<Item = String>) -> String {
    let mut names = names.fuse();
    let mut shown: Vec<String> = names.by_ref().take(SHOWN).collect();
    let more = names.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

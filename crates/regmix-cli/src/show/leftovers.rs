//! What can be removed from a study.

use regmix_data::size_in_words;
use regmix_study::{Leftover, LeftoverKind};

use crate::output::table::table;

/// A line for each with its size, and the sum.
pub(crate) fn leftovers(found: &[Leftover], removed: bool) -> String {
    if found.is_empty() {
        return "nothing can go\n".to_owned();
    }
    let rows = found.iter().map(|leftover| {
        let kind = match leftover.kind {
            LeftoverKind::SetAside => "set aside",
            LeftoverKind::Checkpoint => "checkpoint of a finished run",
            LeftoverKind::Weights => "weights of a finished run",
        };
        let path = leftover.path.display().to_string();
        vec![path, size_in_words(leftover.bytes), kind.to_owned()]
    });
    let bytes = found.iter().map(|leftover| leftover.bytes).sum();
    format!(
        "{}\n{} in all{}\n",
        table(&["path", "size", "what"], rows),
        size_in_words(bytes),
        if removed { ", removed" } else { "" }
    )
}

//! What can go from a study.

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
        vec![path, size(leftover.bytes), kind.to_owned()]
    });
    let bytes = found.iter().map(|leftover| leftover.bytes).sum();
    format!(
        "{}\n{} in all{}\n",
        table(&["path", "size", "what"], rows),
        size(bytes),
        if removed { ", removed" } else { "" }
    )
}

fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e9 => format!("{:.2} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} kB", b / 1e3),
    }
}

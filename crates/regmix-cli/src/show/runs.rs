//! Runs of a study.

use std::path::Path;

use regmix_study::{RunRow, RunState};

use super::curve::sparkline;
use crate::output::command_line;
use crate::output::progress::duration;
use crate::output::table::table;

/// Runs of a state that are shown where all are not asked for.
const SHOWN: usize = 12;

/// The width of a curve in a line.
const CURVE: usize = 16;

/// Every run.
pub(crate) fn all_runs(runs: &[RunRow]) -> String {
    let rows = runs.iter().map(|row| {
        let mut cells = vec![
            row.folder.display().to_string(),
            state(row.state).to_owned(),
        ];
        cells.extend(figures(row));
        cells.push(place(row));
        cells
    });
    table(
        &["run", "state", "step", "loss", "tokens/s", "ETA", "where"],
        rows,
    )
}

/// The runs that are being trained, and those that need a person: some of each, and
/// how many there are besides.
pub(crate) fn notable_runs(study: &Path, runs: &[RunRow]) -> String {
    let of = |state| -> Vec<&RunRow> { runs.iter().filter(|r| r.state == state).collect() };
    let mut text = String::new();
    let running = of(RunState::Running);
    if !running.is_empty() {
        let rows = running.iter().take(SHOWN).map(|row| {
            let mut cells = vec![row.folder.display().to_string()];
            cells.extend(figures(row));
            // Curves begin below each other.
            let curve = format!("{:<CURVE$}", sparkline(&row.curve, CURVE));
            cells.extend([curve, place(row)]);
            cells
        });
        let header = [
            "running", "step", "loss", "tokens/s", "ETA", "curve", "where",
        ];
        text.push_str(&format!("\n{}", table(&header, rows)));
        text.push_str(&more(running.len()));
    }
    for (state, title) in [(RunState::Failed, "failed"), (RunState::Stale, "stale")] {
        let rows = of(state);
        if rows.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{title}:\n"));
        for row in rows.iter().take(SHOWN) {
            let why = match (&row.reason, &row.owner) {
                (Some(reason), _) => reason.clone(),
                (None, Some(owner)) => format!(
                    "{} has been silent for {}",
                    owner.words(),
                    duration(owner.silent_seconds)
                ),
                (None, None) => String::new(),
            };
            text.push_str(&format!("  {}: {why}\n", row.folder.display()));
        }
        text.push_str(&more(rows.len()));
        // Runs of a state mostly have the same remedy.
        if let Some(remedy) = rows.iter().find_map(|row| row.remedy.as_ref()) {
            let remedy = command_line::commands_in_study(study, remedy);
            text.push_str(&format!("  help: {remedy}\n"));
        }
    }
    text
}

fn more(n: usize) -> String {
    match n.saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!("  and {n} more (`--runs` shows all)\n"),
    }
}

/// Step, loss, speed and time left.
pub(super) fn figures(row: &RunRow) -> [String; 4] {
    let or_empty = |value: Option<String>| value.unwrap_or_default();
    [
        match row.steps {
            Some(steps) => format!("{}/{steps}", row.step),
            None => String::new(),
        },
        or_empty(row.loss.map(|loss| format!("{loss:.4}"))),
        or_empty((row.tokens_per_second).map(|speed| format!("{speed:.0}"))),
        or_empty(row.eta_seconds.map(duration)),
    ]
}

/// Where a run is trained, as `host:process device`, or was finished.
pub(super) fn place(row: &RunRow) -> String {
    match (&row.owner, &row.device) {
        (Some(owner), _) => {
            let process = owner.process.map(|id| format!(":{id}"));
            let process = process.unwrap_or_default();
            format!("{}{process} {}", owner.host, owner.device)
        }
        (None, device) => device.clone().unwrap_or_default(),
    }
}

pub(super) fn state(state: RunState) -> &'static str {
    match state {
        RunState::Waiting => "waiting",
        RunState::Running => "running",
        RunState::Stopped => "stopped",
        RunState::Stale => "stale",
        RunState::Failed => "failed",
        RunState::Outdated => "outdated",
        RunState::Done => "done",
    }
}

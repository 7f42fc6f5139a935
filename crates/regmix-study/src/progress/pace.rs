//! How fast the runs of a section go.

use serde::Serialize;

use super::row::{RunRow, RunState};

/// How fast the runs of a section go that are being trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pace {
    /// All of them together.
    pub tokens_per_second: f64,
    /// Seconds until every run of the section is over at this speed.
    pub eta_seconds: f64,
}

impl Pace {
    /// The pace of the rows of a section; `None` where none is being trained or has a
    /// speed yet.
    pub(crate) fn of<'a>(rows: impl Iterator<Item = &'a RunRow> + Clone) -> Option<Self> {
        let running = rows.clone().filter(|row| row.state == RunState::Running);
        let speeds: Vec<f64> = running
            .clone()
            .filter_map(|r| r.tokens_per_second)
            .collect();
        // A run without an evaluation in this attempt is taken as fast as the others.
        let mean = speeds.iter().sum::<f64>() / speeds.len() as f64;
        let tokens_per_second = mean * running.count() as f64;
        // Runs of a section have the same length; that of one that was not started
        // is not in its files yet.
        let whole = (rows.clone()).find_map(|r| Some(r.steps? * r.tokens_per_step?))?;
        let left: u64 = rows
            .filter(|row| !matches!(row.state, RunState::Done | RunState::Failed))
            .map(|row| whole.saturating_sub(row.step * row.tokens_per_step.unwrap_or(0)))
            .sum();
        (tokens_per_second > 0.0).then(|| Self {
            tokens_per_second,
            eta_seconds: left as f64 / tokens_per_second,
        })
    }
}

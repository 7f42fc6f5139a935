//! States of runs, as trackers write them beside results.

/// Columns and keys of states.
const NAMES: [&str; 2] = ["state", "status"];

/// States of runs whose last values are not those of their end: of Weights & Biases,
/// MLflow and Slurm.
const UNFINISHED: [&str; 14] = [
    "crashed",
    "failed",
    "killed",
    "running",
    "preempting",
    "preempted",
    "pending",
    "scheduled",
    "queued",
    "aborted",
    "canceled",
    "cancelled",
    "timeout",
    "out_of_memory",
];

/// Whether a column or key may hold states.
pub(crate) fn is_state(name: &str) -> bool {
    NAMES.iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// Whether a run in this state has not finished.
pub(crate) fn is_unfinished(state: &str) -> bool {
    UNFINISHED.iter().any(|s| s.eq_ignore_ascii_case(state))
}

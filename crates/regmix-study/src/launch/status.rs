//! How far launched jobs are.

use serde::Serialize;

use super::record::{Engine, Job};

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobStatus {
    /// Who has it.
    pub engine: Engine,
    /// What it does.
    pub step: String,
    /// What the engine calls it.
    pub id: String,
    /// Its tasks.
    pub workers: u32,
    /// Tasks that wait.
    pub waiting: u32,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that ended with exit code 0.
    pub succeeded: u32,
    /// Tasks that ended otherwise.
    pub failed: u32,
    /// Tasks that ended, and the engine does not say how.
    pub ended: u32,
    /// The tasks that the engine describes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskStatus>,
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskStatus {
    /// Its index in the array; empty for a job of one task.
    pub task: String,
    /// Its state.
    pub state: TaskState,
    /// Where it runs or ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// For how long it has run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What it waits for, or how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// States of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It waits.
    Waiting,
    /// It runs, or is about to end.
    Running,
    /// It ended with exit code 0.
    Succeeded,
    /// It ended otherwise.
    Failed,
}

impl TaskState {
    /// The state that Slurm has this word for.
    pub(super) fn of_slurm(word: &str) -> Self {
        match word {
            "PENDING" | "SUSPENDED" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED"
            | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => Self::Waiting,
            "RUNNING" | "COMPLETING" | "CONFIGURING" | "RESIZING" | "SIGNALING" | "STAGE_OUT"
            | "STOPPED" => Self::Running,
            "COMPLETED" => Self::Succeeded,
            _ => Self::Failed,
        }
    }
}

impl JobStatus {
    /// The status of a job whose other tasks have ended.
    pub(super) fn new(job: &Job, tasks: Vec<TaskStatus>) -> Self {
        let count = |state| tasks.iter().filter(|task| task.state == state).count() as u32;
        let known = tasks.len() as u32;
        Self {
            waiting: count(TaskState::Waiting),
            running: count(TaskState::Running),
            succeeded: count(TaskState::Succeeded),
            failed: count(TaskState::Failed),
            ended: job.workers.saturating_sub(known),
            ..Self::of(job, tasks)
        }
    }

    /// A status without any task.
    pub(super) fn of(job: &Job, tasks: Vec<TaskStatus>) -> Self {
        Self {
            engine: job.engine,
            step: job.step.clone(),
            id: job.id.clone(),
            workers: job.workers,
            waiting: 0,
            running: 0,
            succeeded: 0,
            failed: 0,
            ended: 0,
            tasks,
        }
    }

    /// Whether tasks wait or run.
    pub fn is_active(&self) -> bool {
        self.waiting + self.running > 0
    }
}

/// How many indexes a list such as `0,3-5` has.
pub(super) fn indexes(list: &str) -> u32 {
    let count = |part: &str| -> Option<u32> {
        match part.trim().split_once('-') {
            Some((from, to)) => {
                let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
                to.checked_sub(from)?.checked_add(1)
            }
            None => part.trim().parse::<u32>().ok().map(|_| 1),
        }
    };
    list.split(',').filter_map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_indexes_are_counted() {
        for (list, count) in [("", 0), ("3", 1), ("0,3-5", 4), ("1-x,2", 1), ("5-3", 0)] {
            assert_eq!(indexes(list), count, "{list}");
        }
    }
}

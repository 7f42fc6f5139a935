//! Jobs of engines.

use regmix_study::RunCounts;
use regmix_study::launch::{Job, JobStatus, TaskState};

use crate::output::table::table;

/// The jobs that were launched now.
pub(crate) fn launched(jobs: &[Job]) -> String {
    let rows = jobs
        .iter()
        .map(|job| vec![job.step.clone(), job.id.clone(), job.workers.to_string()]);
    let engine = jobs.first().map_or("", |job| job.engine.name());
    format!(
        "queued on {engine}\n{}",
        table(&["step", "job", "workers"], rows)
    )
}

/// The jobs that were cancelled.
pub(crate) fn cancelled(jobs: &[Job]) -> String {
    match jobs.is_empty() {
        true => "no job was queued or running\n".to_owned(),
        false => (jobs.iter())
            .map(|job| {
                format!(
                    "cancelled {} ({} {})\n",
                    job.step,
                    job.engine.name(),
                    job.id
                )
            })
            .collect(),
    }
}

/// How far jobs are, with the tasks that did not simply succeed.
pub(crate) fn launch_status(jobs: &[JobStatus]) -> String {
    let rows = jobs.iter().map(|job| {
        let counts = [
            job.workers,
            job.waiting,
            job.running,
            job.succeeded,
            job.failed,
            job.ended,
        ];
        let names = [job.step.clone(), job.id.clone()];
        names
            .into_iter()
            .chain(counts.map(|n| n.to_string()))
            .collect()
    });
    let header = [
        "step", "job", "workers", "waiting", "running", "done", "failed", "ended",
    ];
    let mut text = table(&header, rows);
    let mut ended = false;
    for job in jobs {
        ended |= job.ended > 0;
        for task in &job.tasks {
            if task.state == TaskState::Succeeded {
                continue;
            }
            let state = match task.state {
                TaskState::Waiting => "waits",
                TaskState::Running => "runs",
                TaskState::Succeeded | TaskState::Failed => "failed",
            };
            let name = match task.task.as_str() {
                "" => job.step.clone(),
                index => format!("{} {index}", job.step),
            };
            // A task that waits has a time of zero.
            let ran = (task.time.as_ref()).filter(|_| task.state != TaskState::Waiting);
            let details = [
                task.place.as_ref().map(|place| format!("on {place}")),
                ran.map(|time| format!("for {time}")),
                task.reason.clone(),
            ];
            let details: Vec<String> = details.into_iter().flatten().collect();
            text.push_str(&format!("{name} {state}: {}\n", details.join(", ")));
        }
    }
    if ended {
        text.push_str("ended: the engine does not say how; `regmix status` shows the runs\n");
    }
    text
}

/// The proxies after workers of this machine have ended.
pub(crate) fn trained(counts: &RunCounts) -> String {
    let failed = match counts.failed {
        0 => String::new(),
        n => format!(", {n} failed"),
    };
    format!(
        "{} of {} proxies finished{failed}\n",
        counts.done, counts.planned
    )
}

//! Kubernetes: an Indexed Job, through `kubectl`.

mod manifest;

use regmix_data::{Error, Result};
use serde::Deserialize;

use super::engine::call;
use super::record::{Engine, Job};
use super::request::Rendered;
use super::status::{JobStatus, TaskState, TaskStatus, indexes};
use crate::study::Study;

pub(super) use manifest::manifest;

const WITHOUT: &str = "install kubectl and choose a cluster with it, or add `--dry-run`, which \
                       prints the manifest";

/// Gives a manifest to the cluster.
pub(super) fn apply(study: &Study, job: &Rendered) -> Result<Job> {
    let section = manifest::section(study)?;
    let arguments = ["apply", "-f", "-"].map(str::to_owned);
    call("kubectl", &arguments, Some(&job.text), WITHOUT)?;
    Ok(Job {
        engine: Engine::Kubernetes,
        step: job.step.clone(),
        id: job.name.clone(),
        workers: job.workers,
        place: section.namespace.clone(),
    })
}

/// The part of a Job's status that is used.
#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    status: Counts,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Counts {
    active: u32,
    ready: Option<u32>,
    succeeded: u32,
    failed_indexes: String,
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// How far a job is.
pub(super) fn status(job: &Job) -> Result<JobStatus> {
    let mut arguments = ["get", "job", &job.id, "-o", "json"]
        .map(str::to_owned)
        .to_vec();
    arguments.extend(in_namespace(job));
    let answer = match call("kubectl", &arguments, None, WITHOUT) {
        Ok(answer) => answer,
        // Finished jobs are removed where they have a time to live.
        Err(e) if e.problem().contains("NotFound") => {
            let mut status = JobStatus::of(job, Vec::new());
            status.ended = job.workers;
            return Ok(status);
        }
        Err(e) => return Err(e),
    };
    let described: Described = serde_json::from_str(&answer).map_err(|e| {
        Error::failed(format!(
            "`kubectl get job -o json` printed something else: {e}"
        ))
    })?;
    Ok(in_numbers(job, &described.status))
}

fn in_numbers(job: &Job, counts: &Counts) -> JobStatus {
    let holds = |c: &&Condition| c.status == "True";
    let reasons = counts.conditions.iter().filter(holds).map(|c| {
        let parts = [c.kind.as_str(), &c.reason, &c.message];
        let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        let state = match c.kind.as_str() {
            "Complete" | "SuccessCriteriaMet" => TaskState::Succeeded,
            "Suspended" => TaskState::Waiting,
            _ => TaskState::Failed,
        };
        TaskStatus {
            task: String::new(),
            state,
            place: job.place.clone(),
            time: None,
            reason: Some(parts.join(": ")),
        }
    });
    let mut status = JobStatus::of(job, reasons.collect());
    let over = (counts.conditions.iter())
        .any(|c| c.status == "True" && ["Complete", "Failed"].contains(&c.kind.as_str()));
    status.running = counts.ready.unwrap_or(counts.active).min(counts.active);
    status.succeeded = counts.succeeded;
    status.failed = indexes(&counts.failed_indexes);
    let known = status.running + status.succeeded + status.failed;
    let rest = job.workers.saturating_sub(known);
    match over {
        true => status.ended = rest,
        false => status.waiting = rest,
    }
    status
}

/// Removes a job with its pods, which are asked to stop first.
pub(super) fn cancel(job: &Job) -> Result<()> {
    let mut arguments = [
        "delete",
        "job",
        &job.id,
        "--ignore-not-found",
        "--wait=false",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.extend(in_namespace(job));
    call("kubectl", &arguments, None, WITHOUT).map(drop)
}

fn in_namespace(job: &Job) -> Vec<String> {
    match &job.place {
        Some(namespace) => vec!["-n".to_owned(), namespace.clone()],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job {
            engine: Engine::Kubernetes,
            step: "train".to_owned(),
            id: "regmix-s-train".to_owned(),
            workers: 6,
            place: None,
        }
    }

    #[test]
    fn the_status_of_a_job_is_counted_by_index() {
        let described: Described = serde_json::from_str(
            r#"{"status": {"active": 3, "ready": 2, "succeeded": 1, "failedIndexes": "0,4-4"}}"#,
        )
        .unwrap();
        let status = in_numbers(&job(), &described.status);
        assert_eq!((status.running, status.succeeded, status.failed), (2, 1, 2));
        assert_eq!((status.waiting, status.ended), (1, 0));
        assert!(status.is_active());
    }

    #[test]
    fn a_job_that_is_over_has_nothing_waiting() {
        let described: Described = serde_json::from_str(
            r#"{"status": {"succeeded": 4, "conditions": [
                {"type": "Failed", "status": "True", "reason": "MaxFailedIndexesExceeded",
                 "message": "Job has exceeded the specified maximal number of failed indexes"}]}}"#,
        )
        .unwrap();
        let status = in_numbers(&job(), &described.status);
        assert_eq!((status.waiting, status.ended), (0, 2));
        assert!(!status.is_active());
        assert_eq!(
            status.tasks[0].reason.as_deref(),
            Some(
                "Failed: MaxFailedIndexesExceeded: Job has exceeded the specified maximal number \
                 of failed indexes"
            )
        );
    }
}

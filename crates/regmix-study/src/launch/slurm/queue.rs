//! What Slurm says about jobs. `squeue --json` is younger than many clusters:
//! fields are asked for one by one.

use std::collections::BTreeMap;

use regmix_data::Result;

use super::super::engine::call;
use super::super::record::Job;
use super::super::status::{JobStatus, TaskState, TaskStatus};
use super::WITHOUT;

/// Number of the job, index in the array, state, time, nodes, reason.
const FIELDS: &str = "%F|%K|%T|%M|%N|%r";

/// The tasks of a job: those in the queue, and where Slurm keeps accounts those
/// that ended.
pub(in crate::launch) fn status(job: &Job) -> Result<JobStatus> {
    let mut tasks = ended(job);
    tasks.extend(queued(job)?);
    // Indexes are numbers: 2 comes before 10.
    let mut tasks: Vec<TaskStatus> = tasks.into_values().collect();
    tasks.sort_by_key(|task| task.task.parse::<u32>().ok());
    Ok(JobStatus::new(job, tasks))
}

/// Cancels a job.
pub(in crate::launch) fn cancel(job: &Job) -> Result<()> {
    let mut arguments = on_cluster(job);
    arguments.push(job.id.clone());
    call("scancel", &arguments, None, WITHOUT).map(drop)
}

fn on_cluster(job: &Job) -> Vec<String> {
    match &job.place {
        Some(cluster) => vec![format!("--clusters={cluster}")],
        None => Vec::new(),
    }
}

/// The tasks in the queue, by their index.
fn queued(job: &Job) -> Result<BTreeMap<String, TaskStatus>> {
    let mut arguments = on_cluster(job);
    arguments.extend(["-h", "-r", "-j", &job.id, "-o", FIELDS].map(str::to_owned));
    let answer = match call("squeue", &arguments, None, WITHOUT) {
        Ok(answer) => answer,
        // Slurm forgets jobs some minutes after their end.
        Err(e) if e.problem().contains("Invalid job id") => String::new(),
        Err(e) => return Err(e),
    };
    let tasks = answer.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().splitn(6, '|').collect();
        let [number, index, state, time, nodes, reason] = fields[..] else {
            return None;
        };
        let state = TaskState::of_slurm(state);
        (number == job.id).then(|| {
            let task = TaskStatus {
                task: index_of(index),
                state,
                place: some(nodes),
                time: some(time),
                // Of a running task it is `None`.
                reason: some(reason).filter(|_| state == TaskState::Waiting),
            };
            (task.task.clone(), task)
        })
    });
    Ok(tasks.collect())
}

/// The tasks that accounting knows. Many small clusters have none: then the end of
/// a task is not known.
fn ended(job: &Job) -> BTreeMap<String, TaskStatus> {
    let mut arguments = on_cluster(job);
    let fields = "JobID,State,ExitCode,Elapsed,NodeList";
    arguments.extend(["-n", "-X", "-P", "-j", &job.id, "-o", fields].map(str::to_owned));
    let Ok(answer) = call("sacct", &arguments, None, WITHOUT) else {
        return BTreeMap::new();
    };
    let tasks = answer.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().split('|').collect();
        let [number, state, code, time, nodes] = fields[..] else {
            return None;
        };
        // `CANCELLED by 1000`
        let word = state.split(' ').next().unwrap_or_default();
        let (job_number, index) = number.split_once('_').unwrap_or((number, "N/A"));
        let state = TaskState::of_slurm(word);
        let task = TaskStatus {
            task: index_of(index),
            state,
            place: some(nodes),
            time: some(time),
            reason: (state == TaskState::Failed).then(|| format!("{word}, exit code {code}")),
        };
        // Tasks that have not begun yet are one line, `7_[2-5%2]`.
        (job_number == job.id && !index.starts_with('[')).then(|| (task.task.clone(), task))
    });
    tasks.collect()
}

fn index_of(text: &str) -> String {
    match text {
        "N/A" => String::new(),
        index => index.to_owned(),
    }
}

fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text != "None assigned").then(|| text.to_owned())
}

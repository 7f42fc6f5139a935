//! HyperQueue: a task array, through `hq`.

use regmix_data::{Error, Result};

use super::engine::call;
use super::record::{Engine, Job};
use super::request::{Campaign, Rendered, Request, Worker, folder, plain_name};
use super::shell::command_line;
use super::status::{JobStatus, indexes};
use crate::files;
use crate::study::Study;

const WITHOUT: &str = "install HyperQueue and start its server, or add `--dry-run`, which prints \
                       the command";

/// The arguments of `hq submit`.
fn arguments(study: &Study, request: &Request, campaign: Campaign<'_>) -> Result<Vec<String>> {
    let section = &study.config().launch.hyperqueue;
    let workers = request.workers.unwrap_or(section.workers);
    let folder = folder(study)?;
    if folder.contains(':') || folder.contains("%{") {
        return Err(Error::input(
            "a path with `:` or `%{`, which HyperQueue does not take for logs",
        )
        .in_file(&folder)
        .help("rename the folder"));
    }
    // A task that was lost with its worker has another instance: its log stays.
    let log = |end: &str| {
        let name = "hyperqueue-%{JOB_ID}-%{TASK_ID}-%{INSTANCE_ID}";
        format!("{folder}/{}/logs/{name}.{end}", files::LAUNCH_FOLDER)
    };
    let mut words = vec![
        "--output-mode=quiet".to_owned(),
        "submit".to_owned(),
        format!("--name=regmix-{}", plain_name(study)),
        format!("--array=0-{}", workers - 1),
        format!("--cpus={}", section.cpus),
    ];
    if section.gpus > 0 {
        let (resource, gpus) = (&section.gpu_resource, section.gpus);
        words.push(format!("--resource={resource}={gpus}"));
    }
    words.extend((section.time_limit.as_ref()).map(|t| format!("--time-limit={t}")));
    words.extend(section.crash_limit.map(|n| format!("--crash-limit={n}")));
    words.extend([
        format!("--cwd={folder}"),
        format!("--stdout={}", log("out")),
        format!("--stderr={}", log("err")),
        // The command is no script with options for HyperQueue in it.
        "--directives=off".to_owned(),
        "--".to_owned(),
    ]);
    let worker = Worker {
        program: vec![section.command.clone().unwrap_or(request.program.clone())],
        study: folder,
        nonce: campaign.nonce,
        wait: section.wait,
        arguments: &request.arguments,
    };
    words.extend(worker.shared("train"));
    Ok(words)
}

/// The workers as a command.
pub(super) fn submission(
    study: &Study,
    request: &Request,
    campaign: Campaign<'_>,
) -> Result<Rendered> {
    let arguments = arguments(study, request, campaign)?;
    Ok(Rendered {
        step: "train".to_owned(),
        name: format!("regmix-{}", plain_name(study)),
        workers: (request.workers).unwrap_or(study.config().launch.hyperqueue.workers),
        text: format!("hq {}\n", command_line(&arguments)),
        arguments,
    })
}

/// Submits the workers.
pub(super) fn submit(study: &Study, job: &Rendered) -> Result<Job> {
    let logs = study.path(files::LAUNCH_FOLDER).join("logs");
    std::fs::create_dir_all(&logs).map_err(|e| Error::io(&logs, e))?;
    let answer = call("hq", &job.arguments, None, WITHOUT)?;
    let id = answer.trim();
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_digit()) {
        return Err(Error::failed(format!(
            "`hq submit` printed `{id}`: expected the number of a job"
        ))
        .help("look with `hq job list` whether the job was taken"));
    }
    Ok(Job {
        engine: Engine::HyperQueue,
        step: job.step.clone(),
        id: id.to_owned(),
        workers: job.workers,
        place: None,
    })
}

/// How far a job is.
pub(super) fn status(job: &Job) -> Result<JobStatus> {
    let count = |state: &str| {
        let filter = format!("--filter={state}");
        let arguments = ["job", "task-ids", &job.id, &filter].map(str::to_owned);
        call("hq", &arguments, None, WITHOUT).map(|answer| indexes(answer.trim()))
    };
    let mut status = JobStatus::of(job, Vec::new());
    status.waiting = count("waiting")?;
    status.running = count("running")?;
    status.succeeded = count("finished")?;
    status.failed = count("failed")? + count("canceled")?;
    Ok(status)
}

/// Cancels a job.
pub(super) fn cancel(job: &Job) -> Result<()> {
    let arguments = ["job", "cancel", &job.id].map(str::to_owned);
    call("hq", &arguments, None, WITHOUT).map(drop)
}

//! Scripts for `sbatch`.

use regmix_data::{Error, Result};

use super::super::request::{Campaign, Rendered, Request, Step, Worker, folder, plain_name};
use super::super::shell::command_line;
use crate::config::{ContainerTool, SlurmSection};
use crate::files;
use crate::study::Study;

/// What every script begins its work with.
const FUNCTIONS: &str = r#"
# Slurm sends the request to stop to this shell alone. It goes on to regmix, which
# saves its work within seconds and ends with exit code 75: try again.
pid= stopped=
trap 'interrupted=1 stopped=1; [ -z "$pid" ] || kill -TERM "$pid"' TERM

# Runs a command and returns its exit code. A signal ends `wait` early.
run() {
    [ -z "$stopped" ] || return 75
    "$@" &
    pid=$!
    [ -z "$stopped" ] || kill -TERM "$pid"
    local code
    while :; do
        interrupted=
        wait "$pid"
        code=$?
        [ -n "$interrupted" ] || break
    done
    pid=
    # It was stopped before it could listen.
    if [ -n "$stopped" ] && [ "$code" -eq 143 ]; then code=75; fi
    return "$code"
}
"#;

/// The end of a task whose work is not done. The number of a task is its array's
/// with its index: Slurm takes `$SLURM_JOB_ID` of the last task for the whole
/// array. A task that is being cancelled or preempted is not RUNNING any more,
/// and Slurm itself decides about it.
const AGAIN: &str = r#"
# Puts this task back into the queue.
again() {
    if [ "$(squeue -h -j "$task" -o %T)" = RUNNING ]; then
        scontrol requeue "$task"
    fi
    exit 75
}
"#;

/// The end of a task that is not to be queued again.
const NOT_AGAIN: &str = "
again() { exit 75; }
";

/// Runs one command after the other, as long as they succeed.
const STEP: &str = r#"
step() {
    local code=0
    run "$@" || code=$?
    [ "$code" -ne 75 ] || again
    [ "$code" -eq 0 ] || exit "$code"
}
"#;

/// The scripts of a request, in the order of their submission: each waits for
/// the one before.
pub(in crate::launch) fn scripts(
    study: &Study,
    request: &Request,
    campaign: Campaign<'_>,
) -> Result<Vec<Rendered>> {
    let section = &study.config().launch.slurm;
    let workers = request.workers.unwrap_or(section.workers);
    let study_folder = folder(study)?;
    if study_folder.contains('\\') {
        return Err(
            Error::input("a path with a backslash: Slurm does not take it for logs")
                .in_file(&study_folder)
                .help("rename the folder"),
        );
    }
    let worker = Worker {
        program: program(section, request, &study_folder)?,
        study: study_folder.clone(),
        nonce: campaign.nonce,
        wait: section.wait,
        arguments: &request.arguments,
    };
    let script = |step: &str, array: Option<u32>, work: &str| Rendered {
        step: step.to_owned(),
        name: job_name(study, step),
        workers: array.unwrap_or(1),
        text: [
            head(study, &study_folder, step, array),
            section
                .setup
                .iter()
                .map(|line| format!("{line}\n"))
                .collect(),
            FUNCTIONS.to_owned(),
            match section.requeue {
                true => AGAIN.to_owned(),
                false => NOT_AGAIN.to_owned(),
            },
            work.to_owned(),
        ]
        .concat(),
        arguments: Vec::new(),
    };
    let array = |step: &str| script(step, Some(workers), &shared_work(&worker, step));
    let mut scripts = vec![array("train")];
    let Some(through) = request.through else {
        return Ok(scripts);
    };
    scripts.push(script("fit", None, &fit_work(study, &worker, through)));
    if through >= Step::Target {
        scripts.push(array("target"));
    }
    if through >= Step::Report {
        scripts.push(script("report", None, &report_work(&worker)));
    }
    Ok(scripts)
}

/// The options of `sbatch`.
fn head(study: &Study, folder: &str, step: &str, array: Option<u32>) -> String {
    let section = &study.config().launch.slurm;
    let at_once = section
        .at_once
        .map_or_else(String::new, |n| format!("%{n}"));
    let logs = match array {
        Some(_) => format!("{step}-%A_%a.log"),
        None => format!("{step}-%j.log"),
    };
    // In names of files `%` begins a pattern.
    let logs = format!(
        "{}/{}/logs/{logs}",
        folder.replace('%', "%%"),
        files::LAUNCH_FOLDER
    );
    let text = |name: &str, value: &Option<String>| {
        (value.as_ref()).map(|value| format!("{name}={value}"))
    };
    let options = [
        Some(format!("--job-name={}", job_name(study, step))),
        array.map(|n| format!("--array=0-{}{at_once}", n - 1)),
        Some(format!("--chdir={}", option_text(folder))),
        Some(format!("--output={}", option_text(&logs))),
        Some("--open-mode=append".to_owned()),
        text("--partition", &section.partition),
        text("--account", &section.account),
        text("--qos", &section.qos),
        Some(format!("--cpus-per-task={}", section.cpus)),
        text("--gres", &section.gres),
        text("--mem", &section.memory),
        text("--time", &section.time),
        Some(format!("--signal=B:TERM@{}", section.signal)),
        Some(match section.requeue {
            true => "--requeue".to_owned(),
            false => "--no-requeue".to_owned(),
        }),
        (step != "train").then(|| "--kill-on-invalid-dep=yes".to_owned()),
    ];
    let extra = section.extra.iter().cloned();
    let lines = (options.into_iter().flatten())
        .chain(extra)
        .map(|option| format!("#SBATCH {option}\n"));
    let task = match array {
        Some(_) => "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}",
        None => "$SLURM_JOB_ID",
    };
    format!(
        "#!/bin/bash\n# `{step}` of a regmix study, written by `regmix launch slurm`.\n{}\n\
         task=\"{task}\"\n",
        lines.collect::<String>()
    )
}

fn job_name(study: &Study, step: &str) -> String {
    format!("regmix-{}-{step}", plain_name(study))
}

/// A path as `sbatch` reads it in a script.
fn option_text(path: &str) -> String {
    format!("\"{}\"", path.replace('"', "\\\""))
}

/// What starts regmix in a job.
fn program(section: &SlurmSection, request: &Request, folder: &str) -> Result<Vec<String>> {
    let own = |inside: &str| (section.command.clone()).unwrap_or_else(|| inside.to_owned());
    let Some(container) = &section.container else {
        return Ok(vec![own(&request.program)]);
    };
    if folder.contains([',', ':']) {
        return Err(Error::input(
            "a path with `,` or `:`, which separate the mounts of a container",
        )
        .in_file(folder)
        .help("rename the folder, or leave `[launch.slurm.container]` out"));
    }
    let mounts = std::iter::once(format!("{folder}:{folder}")).chain(container.mounts.clone());
    let mounts: Vec<String> = mounts.collect();
    let options = container.options.iter().cloned();
    let words: Vec<String> = match container.run {
        ContainerTool::Apptainer => {
            let binds = mounts.into_iter().map(|mount| format!("--bind={mount}"));
            ["apptainer".to_owned(), "exec".to_owned()]
                .into_iter()
                .chain(binds)
                .chain(options)
                .chain([container.image.clone()])
                .collect()
        }
        // Since Slurm 22.05 a step does not take over the cores of its job.
        ContainerTool::Pyxis => [
            "srun".to_owned(),
            format!("--cpus-per-task={}", section.cpus),
            format!("--container-image={}", container.image),
            format!("--container-mounts={}", mounts.join(",")),
        ]
        .into_iter()
        .chain(options)
        .collect(),
    };
    Ok(words.into_iter().chain([own("regmix")]).collect())
}

/// Trains what lost workers left, and continues if runs failed for good: later
/// steps leave them out.
fn rest_of(worker: &Worker<'_>, verb: &str) -> String {
    format!(
        "# What lost workers left is trained here; mostly nothing is left. Exit code 1 says that\n\
         # runs failed for good: what follows leaves them out.\n\
         code=0\nrun {} || code=$?\n[ \"$code\" -ne 75 ] || again\n[ \"$code\" -le 1 ] || exit \
         \"$code\"\n",
        command_line(&worker.shared(verb))
    )
}

/// A task of an array whose tasks divide the runs among themselves.
fn shared_work(worker: &Worker<'_>, verb: &str) -> String {
    format!(
        "\ncode=0\nrun {} || code=$?\n[ \"$code\" -ne 75 ] || again\nexit \"$code\"\n",
        command_line(&worker.shared(verb))
    )
}

/// The fit and what follows on it, up to the targets.
fn fit_work(study: &Study, worker: &Worker<'_>, through: Step) -> String {
    let scheduled = !study.config().check.schedules.is_empty();
    let mut verbs = vec!["fit"];
    if through >= Step::Optimize {
        verbs.push("optimize");
    }
    if through == Step::Schedule || (through > Step::Schedule && scheduled) {
        verbs.push("schedule");
    }
    let mut text = format!(
        "{STEP}\n{}step {}\n",
        rest_of(worker, "train"),
        command_line(&worker.verb(&["launch", "ready"])),
    );
    for verb in verbs {
        text.push_str(&format!("step {}\n", command_line(&worker.verb(&[verb]))));
    }
    text
}

/// The report, after what lost workers left of the targets.
fn report_work(worker: &Worker<'_>) -> String {
    format!(
        "{STEP}\n{}step {}\n",
        rest_of(worker, "target"),
        command_line(&worker.verb(&["report"])),
    )
}

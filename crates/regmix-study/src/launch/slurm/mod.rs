//! Slurm: an array of workers, and the steps after as dependent jobs.

mod queue;
mod script;

use regmix_data::{Error, Result, artefact};

use super::engine::call;
use super::record::{Engine, Job};
use super::request::Rendered;
use crate::files;
use crate::study::Study;

pub(super) use queue::{cancel, status};
pub(super) use script::scripts;

/// Where there is no Slurm.
const WITHOUT: &str = "run it on a machine with Slurm's commands, such as the login node, or add \
                       `--dry-run`, which prints the scripts";

/// Writes a script into the study and submits it. It waits until every task of
/// the job `after` has ended.
pub(super) fn submit(study: &Study, script: &Rendered, after: Option<&Job>) -> Result<Job> {
    let folder = study.path(files::LAUNCH_FOLDER);
    // Slurm does not make the folder of the logs.
    let logs = folder.join("logs");
    std::fs::create_dir_all(&logs).map_err(|e| Error::io(&logs, e))?;
    let path = folder.join(format!("{}.sbatch", script.step));
    artefact::write_atomic(&path, script.text.as_bytes())?;
    let mut arguments = vec!["--parsable".to_owned()];
    arguments.extend(after.map(|job| format!("--dependency=afterany:{}", job.id)));
    arguments.push(path.to_string_lossy().into_owned());
    let answer = call("sbatch", &arguments, None, WITHOUT)?;
    // `number`, or `number;cluster`. Sites print lines of their own before it.
    let last = answer.lines().rfind(|line| !line.trim().is_empty());
    let last = last.unwrap_or_default().trim();
    let (id, cluster) = match last.split_once(';') {
        Some((id, cluster)) => (id, Some(cluster.to_owned())),
        None => (last, None),
    };
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_digit()) {
        return Err(Error::failed(format!(
            "`sbatch --parsable` printed `{last}`: expected the number of a job"
        ))
        .help("look with `squeue` whether the job was taken, and cancel it with `scancel`"));
    }
    Ok(Job {
        engine: Engine::Slurm,
        step: script.step.clone(),
        id: id.to_owned(),
        workers: script.workers,
        place: cluster,
    })
}

/// The command of a submission, for `--dry-run`.
pub(super) fn command(step: &str, after: Option<&str>) -> String {
    let after = after.map_or_else(String::new, |step| {
        format!(" --dependency=afterany:<job of {step}>")
    });
    format!("sbatch --parsable{after} {step}.sbatch")
}

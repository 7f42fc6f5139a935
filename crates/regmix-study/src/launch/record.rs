//! What was launched: `launch/jobs.json`.

use regmix_data::{Error, Result, artefact};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::study::Study;

/// The version of the file.
const VERSION: u32 = 1;

/// An engine that keeps a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Slurm.
    Slurm,
    /// Kubernetes.
    Kubernetes,
    /// HyperQueue.
    HyperQueue,
}

impl Engine {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slurm => "slurm",
            Self::Kubernetes => "kubernetes",
            Self::HyperQueue => "hyperqueue",
        }
    }
}

/// A job that an engine has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Who has it.
    pub engine: Engine,
    /// What it does: `train`, `fit`, `target` or `report`.
    pub step: String,
    /// What the engine calls it.
    pub id: String,
    /// Its tasks; each is a worker.
    pub workers: u32,
    /// The cluster of Slurm or the namespace of Kubernetes, where it is not the
    /// usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// What was launched.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    version: u32,
    /// How often.
    pub(super) launches: u32,
    /// The jobs of the last launch, and of those that were added to it.
    pub(super) jobs: Vec<Job>,
}

/// Reads what was launched.
pub(super) fn read(study: &Study) -> Result<Record> {
    let path = study.path(files::LAUNCHED);
    if !path.exists() {
        return Ok(Record {
            version: VERSION,
            launches: 0,
            jobs: Vec::new(),
        });
    }
    let help = "remove the file; jobs that are still queued are then cancelled with the \
                engine's own command only";
    let record: Record = artefact::read_json(&path).map_err(|e| match e.is_input() {
        true => e.help(help),
        false => e,
    })?;
    if record.version != VERSION {
        let problem = format!("version {}: expected {VERSION}", record.version);
        return Err(Error::input(problem)
            .in_file(path)
            .field("version")
            .help(help));
    }
    Ok(record)
}

/// Writes what was launched.
pub(super) fn write(study: &Study, record: &Record) -> Result<()> {
    artefact::write_json(study.path(files::LAUNCHED), record)
}

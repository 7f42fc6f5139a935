//! How far a run is, and what it found.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::{Error, Result, artefact};
use serde::{Deserialize, Serialize};

/// The results of a finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run's name.
    pub run: String,
    /// Fingerprint of its configuration.
    pub fingerprint: String,
    /// Steps made.
    pub steps: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Final loss per domain, nats per token.
    pub loss: BTreeMap<String, f64>,
    /// Final loss per domain, bits per byte of text.
    pub bits_per_byte: BTreeMap<String, f64>,
    /// Device it was finished on.
    pub device: String,
    /// Where it changed from reduced precision to f32, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// Where a run changed from reduced precision to f32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fallback {
    /// The step of the checkpoint that it continued from.
    pub step: u64,
    /// What was wrong, and at which step.
    pub reason: String,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub enum RunStatus {
    /// Not started.
    New,
    /// Started and not finished.
    Started,
    /// Finished.
    Done(RunSummary),
    /// Ended without a result, with the reason.
    Failed(String),
}

impl RunStatus {
    /// Reads the status from a run's folder.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let done = folder.join("DONE");
        if done.exists() {
            return Ok(Self::Done(artefact::read_json(done)?));
        }
        let failed = folder.join("FAILED");
        match std::fs::read_to_string(&failed) {
            Ok(reason) => return Ok(Self::Failed(reason.trim().to_owned())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(failed, e)),
        }
        Ok(if folder.join("run.toml").exists() {
            Self::Started
        } else {
            Self::New
        })
    }
}

//! Who trains a run.

use std::path::Path;
use std::time::SystemTime;

use regmix_data::Result;
use regmix_model::lease::{self, Sharing};
use serde::Serialize;

/// The process that trains a run, or did until it ended without a word.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunOwner {
    /// Its host.
    pub host: String,
    /// Its number there, where that is known.
    pub process: Option<u32>,
    /// The device on which it trains the run.
    pub device: String,
    /// Seconds since it last gave a sign of life.
    pub silent_seconds: f64,
    /// Whether that is so long that another worker takes the run over.
    pub stale: bool,
}

impl RunOwner {
    /// The process in words.
    pub fn words(&self) -> String {
        match (self.host.as_str(), self.process) {
            ("", _) => "an unknown process".to_owned(),
            (host, Some(id)) => format!("process {id} on {host}"),
            (host, None) => format!("a process on {host}"),
        }
    }
}

/// The owner of the run in a folder, if it has one; `now` is the time of the file
/// system.
pub(crate) fn owner(folder: &Path, now: SystemTime) -> Result<Option<RunOwner>> {
    Ok(lease::read(folder, now)?.map(|lease| RunOwner {
        stale: lease.is_stale(Sharing::default().stale_after),
        // A beat of the future is one of now: clocks differ.
        silent_seconds: lease.age.unwrap_or_default().as_secs_f64(),
        host: lease.host,
        process: lease.process,
        device: lease.device,
    }))
}

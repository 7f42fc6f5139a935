//! `[launch]` of a study file: how workers are started on a cluster.

mod kubernetes;
pub(super) mod rules;
mod slurm;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use kubernetes::{KubernetesSection, Toleration};
pub use slurm::{ContainerSection, ContainerTool, SlurmSection};

/// Workers where nothing says how many.
const WORKERS: u32 = 4;

/// `[launch]`: what `regmix launch` asks an engine for. None of it changes a
/// result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LaunchSection {
    /// Slurm.
    pub slurm: SlurmSection,
    /// Kubernetes; its image and its volume have no default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesSection>,
    /// HyperQueue.
    pub hyperqueue: HyperQueueSection,
}

/// `[launch.hyperqueue]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HyperQueueSection {
    /// Tasks of the array.
    pub workers: u32,
    /// Cores a worker.
    pub cpus: u32,
    /// GPUs a worker; 0 for none.
    pub gpus: u32,
    /// What HyperQueue calls the GPUs.
    pub gpu_resource: String,
    /// When HyperQueue ends a task, such as `3h` or `1h30m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,
    /// How often a task may be lost with its HyperQueue worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_limit: Option<u32>,
    /// Whether a worker stays until the runs of the others have ended.
    pub wait: bool,
    /// The command, where the path of this one does not exist on the workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Default for HyperQueueSection {
    fn default() -> Self {
        Self {
            workers: WORKERS,
            cpus: 1,
            gpus: 0,
            gpu_resource: "gpus/nvidia".to_owned(),
            time_limit: None,
            crash_limit: None,
            wait: true,
            command: None,
        }
    }
}

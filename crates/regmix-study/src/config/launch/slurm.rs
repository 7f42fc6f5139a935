//! `[launch.slurm]`

use serde::{Deserialize, Serialize};

use super::WORKERS;

/// `[launch.slurm]`: what `sbatch` is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmSection {
    /// Tasks of the array; each is a worker.
    pub workers: u32,
    /// How many tasks may run at once; all if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// Partition, or several with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Account that is charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Quality of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// Generic resources a worker, such as `gpu:1` or `gpu:a100:1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gres: Option<String>,
    /// Cores a worker.
    pub cpus: u32,
    /// Memory of a worker, such as `8G`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Limit of time, such as `4:00:00` or `1-12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Whether tasks that were stopped before their work was done, by the limit of
    /// time, by preemption or with their node, go back to the queue.
    pub requeue: bool,
    /// Seconds before the limit of time at which a worker is asked to stop.
    pub signal: u32,
    /// Whether a worker stays until the runs of the others have ended.
    pub wait: bool,
    /// An image that workers run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerSection>,
    /// Lines of shell before the worker: modules, environments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Further options of `sbatch`, such as `--constraint=a100`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<String>,
    /// The command, where the path of this one does not exist on the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Default for SlurmSection {
    fn default() -> Self {
        Self {
            workers: WORKERS,
            at_once: None,
            partition: None,
            account: None,
            qos: None,
            gres: None,
            cpus: 1,
            memory: None,
            time: None,
            requeue: true,
            signal: 120,
            wait: true,
            container: None,
            setup: Vec::new(),
            extra: Vec::new(),
            command: None,
        }
    }
}

/// `[launch.slurm.container]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerSection {
    /// The image, as the tool names it.
    pub image: String,
    /// What starts it.
    #[serde(default)]
    pub run: ContainerTool,
    /// Folders of the node that are visible inside, beside that of the study.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// Further options of the tool, such as `--nv`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// What starts a container in a Slurm job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerTool {
    /// `apptainer exec`
    #[default]
    Apptainer,
    /// `srun --container-image`, of the plugin pyxis.
    Pyxis,
}

//! `[launch.kubernetes]`

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::WORKERS;

/// `[launch.kubernetes]`: what an Indexed Job asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSection {
    /// The image, in which `command` is.
    pub image: String,
    /// The PersistentVolumeClaim with the study.
    pub claim: String,
    /// Where the volume is mounted.
    #[serde(default = "default_mount")]
    pub mount: String,
    /// The folder of the study in a pod; that of `mount` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<String>,
    /// The namespace; that of kubectl's context if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Indexes of the job; each is a worker.
    #[serde(default = "default_workers")]
    pub workers: u32,
    /// How many pods may run at once; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// Cores a worker; 0.5 is half of one.
    #[serde(default = "default_cpus")]
    pub cpus: f64,
    /// Memory of a worker, such as `8Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// GPUs a worker; 0 for none.
    #[serde(default)]
    pub gpus: u32,
    /// What the cluster calls the GPUs.
    #[serde(default = "default_gpu_resource")]
    pub gpu_resource: String,
    /// How often a worker may crash before its index counts as failed.
    #[serde(default = "default_backoff_limit")]
    pub backoff_limit_per_index: u32,
    /// How many indexes may fail before the job is ended; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failed_indexes: Option<u32>,
    /// Seconds between the request to stop a pod and its end.
    #[serde(default = "default_grace_period")]
    pub grace_period: u32,
    /// The local queue of Kueue that the job waits in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The service account of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Secrets for the registry of the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the pods accept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Whether a worker stays until the runs of the others have ended.
    #[serde(default = "default_wait")]
    pub wait: bool,
    /// The command in the image.
    #[serde(default = "default_command")]
    pub command: String,
}

/// A taint of nodes that pods accept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toleration {
    /// The key of the taint; every key if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `Exists` or `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Its value, for `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
}

fn default_mount() -> String {
    "/study".to_owned()
}

fn default_workers() -> u32 {
    WORKERS
}

fn default_cpus() -> f64 {
    1.0
}

fn default_gpu_resource() -> String {
    "nvidia.com/gpu".to_owned()
}

fn default_backoff_limit() -> u32 {
    3
}

fn default_grace_period() -> u32 {
    30
}

fn default_wait() -> bool {
    true
}

fn default_command() -> String {
    "regmix".to_owned()
}

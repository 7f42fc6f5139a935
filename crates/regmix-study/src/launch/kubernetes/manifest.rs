//! The manifest of an Indexed Job.

use regmix_data::{Error, Result};
use serde_json::{Map, Value, json};

use super::super::request::{Campaign, Rendered, Request, Worker, plain_name};
use crate::config::KubernetesSection;
use crate::files::STUDY_FILE;
use crate::study::Study;

/// The container and the volume of a pod.
const CONTAINER: &str = "regmix";
const VOLUME: &str = "study";

/// The section of the study.
pub(super) fn section(study: &Study) -> Result<&KubernetesSection> {
    (study.config().launch.kubernetes.as_ref()).ok_or_else(|| {
        Error::input("there is no section `[launch.kubernetes]`")
            .in_file(study.path(STUDY_FILE))
            .help(
                "add it, with the image and the volume of the study: image = \
                 \"registry/regmix:1\", claim = \"studies\"",
            )
    })
}

/// The workers as one Indexed Job.
pub(in crate::launch) fn manifest(
    study: &Study,
    request: &Request,
    campaign: Campaign<'_>,
) -> Result<Rendered> {
    let section = section(study)?;
    let workers = request.workers.unwrap_or(section.workers);
    let worker = Worker {
        program: vec![section.command.clone()],
        study: (section.study.clone()).unwrap_or_else(|| section.mount.clone()),
        nonce: campaign.nonce,
        wait: section.wait,
        arguments: &request.arguments,
    };
    let name = job_name(study, campaign);
    let mut metadata = object(json!({
        "labels": { "app.kubernetes.io/name": "regmix" },
        "name": &name,
    }));
    if let Some(namespace) = &section.namespace {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    if let Some(queue) = &section.queue {
        metadata["labels"]["kueue.x-k8s.io/queue-name"] = json!(queue);
    }
    let at_once = section.at_once.unwrap_or(workers).min(workers);
    let mut spec = object(json!({
        "backoffLimitPerIndex": section.backoff_limit_per_index,
        "completionMode": "Indexed",
        "completions": workers,
        "parallelism": at_once,
        "podFailurePolicy": { "rules": failure_rules() },
        "template": {
            "metadata": { "labels": { "app.kubernetes.io/name": "regmix" } },
            "spec": pod(section, &worker),
        },
    }));
    if let Some(most) = section.max_failed_indexes {
        spec.insert("maxFailedIndexes".to_owned(), json!(most.min(workers)));
    }
    if section.queue.is_some() {
        // Kueue starts the job when it has room for it.
        spec.insert("suspend".to_owned(), json!(true));
    }
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": spec,
    });
    let text = serde_saphyr::to_string(&job)
        .map_err(|e| Error::failed(format!("the manifest cannot be written as YAML: {e}")))?;
    Ok(Rendered {
        step: "train".to_owned(),
        name,
        workers,
        text,
        arguments: Vec::new(),
    })
}

/// What the end of a pod means, the first rule that fits. A pod that a node loses
/// or that was asked to stop (75) is started again and not counted; wrong input
/// (2) and runs that failed for good (1) would be the same again; other ends, such
/// as one for lack of memory, count against the limit of the index.
fn failure_rules() -> Value {
    json!([
        {
            "action": "Ignore",
            "onPodConditions": [{ "status": "True", "type": "DisruptionTarget" }],
        },
        {
            "action": "Ignore",
            "onExitCodes": { "containerName": CONTAINER, "operator": "In", "values": [75] },
        },
        {
            "action": "FailIndex",
            "onExitCodes": { "containerName": CONTAINER, "operator": "In", "values": [1, 2] },
        },
    ])
}

fn pod(section: &KubernetesSection, worker: &Worker<'_>) -> Value {
    let mut requests = object(json!({ "cpu": cores(section.cpus) }));
    let mut limits = Map::new();
    if let Some(memory) = &section.memory {
        limits.insert("memory".to_owned(), json!(memory));
        requests.insert("memory".to_owned(), json!(memory));
    }
    if section.gpus > 0 {
        // Of such resources, requests and limits are the same.
        let gpus = json!(section.gpus.to_string());
        limits.insert(section.gpu_resource.clone(), gpus);
    }
    let mut resources = object(json!({ "requests": requests }));
    if !limits.is_empty() {
        resources.insert("limits".to_owned(), Value::Object(limits));
    }
    let mut pod = object(json!({
        "containers": [{
            "command": worker.shared("train"),
            "image": section.image,
            "name": CONTAINER,
            "resources": resources,
            "volumeMounts": [{ "mountPath": section.mount, "name": VOLUME }],
        }],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": section.grace_period,
        "volumes": [{
            "name": VOLUME,
            "persistentVolumeClaim": { "claimName": section.claim },
        }],
    }));
    if !section.pull_secrets.is_empty() {
        let secrets = section
            .pull_secrets
            .iter()
            .map(|name| json!({ "name": name }));
        pod.insert("imagePullSecrets".to_owned(), secrets.collect());
    }
    if !section.node_selector.is_empty() {
        pod.insert("nodeSelector".to_owned(), json!(section.node_selector));
    }
    if let Some(account) = &section.service_account {
        pod.insert("serviceAccountName".to_owned(), json!(account));
    }
    if !section.tolerations.is_empty() {
        pod.insert("tolerations".to_owned(), json!(section.tolerations));
    }
    Value::Object(pod)
}

/// The name of the job. A Job cannot be changed, so that every launch has a name
/// of its own, and studies of one name differ by their campaigns.
fn job_name(study: &Study, campaign: Campaign<'_>) -> String {
    let name = plain_name(study);
    let nonce: String = campaign.nonce.unwrap_or_default().chars().take(8).collect();
    let parts = ["regmix", &name, &nonce].map(str::to_owned);
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.chain([campaign.launch.to_string()]).collect();
    parts.join("-")
}

/// `4` or `500m`.
fn cores(cpus: f64) -> String {
    match cpus.fract() == 0.0 {
        true => format!("{cpus:.0}"),
        false => format!("{:.0}m", cpus * 1000.0),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

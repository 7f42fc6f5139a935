//! Results of lm-evaluation-harness: `results_<time>.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::log::{Logs, Measured, RunLog, Sources, TaskSetting};
use super::selection::{Role, Selection};
use crate::error::{Error, Result};

/// Metrics that stand for a task where nothing was selected, the first choice
/// first.
const METRICS: [&str; 6] = [
    "acc_norm",
    "acc",
    "exact_match",
    "f1",
    "bits_per_byte",
    "word_perplexity",
];

/// Whether a JSON value is such a file.
pub(super) fn is_results(value: &Value) -> bool {
    let has = |key: &str| value.get(key).is_some();
    value.get("results").is_some_and(Value::is_object)
        && (has("n-shot") || has("versions") || has("configs") || has("lm_eval_version"))
}

/// Reads a file. Metrics are called `<task>/<metric>`, with the filter behind a
/// comma where it is not `none`.
pub(super) fn read(value: &Value, path: &Path, name: &str, selection: &Selection) -> Result<Logs> {
    let mut log = RunLog::new(name, path);
    let mut logs = Logs::default();
    let mut sources = Sources::default();
    let parts = parts_of_groups(value);
    let mut counted = BTreeSet::new();
    for (task, metrics) in value["results"].as_object().into_iter().flatten() {
        let Some(metrics) = metrics.as_object() else {
            continue;
        };
        // Without a choice, a task has one metric, and a group stands for its tasks.
        let chosen = (selection.has_no_targets() && !parts.contains(task.as_str()))
            .then(|| usual_metric(metrics))
            .flatten();
        let target_of = |metric: &str| match selection.has_no_targets() {
            true => (chosen == Some(metric)).then(|| task.clone()),
            false => match selection.role(&format!("{task}/{metric}")) {
                Some(Role::Target(target)) => Some(target),
                _ => None,
            },
        };
        for (key, number) in metrics {
            let (metric, Some(number)) = (plain(key), number.as_f64()) else {
                continue;
            };
            if let Some((base, rest)) = metric.split_once("_stderr") {
                if let Some(target) = target_of(&format!("{base}{rest}")) {
                    log.errors.insert(target, number);
                }
                continue;
            }
            let full = format!("{task}/{metric}");
            let target = target_of(metric);
            let Some(target) = target else {
                logs.skipped.insert(full);
                continue;
            };
            logs.counted.insert(full.clone());
            counted.insert(task);
            (sources.add(&target, &full, "metrics")).map_err(|e| e.in_file(path))?;
            if is_better_high(value, task, metric) {
                logs.higher_is_better.insert(target.clone());
            }
            log.values.push(Measured {
                step: 0.0,
                target: log.targets.len(),
                value: number,
            });
            log.targets.push(target);
        }
    }
    logs.runs.push(log);
    logs.tasks = settings(value, &counted, name, path);
    Ok(logs)
}

/// What is compared of the settings of a task.
const SETTINGS: [&str; 2] = ["n-shot", "version"];

/// The settings of the tasks that count, with those of their groups.
fn settings(
    value: &Value,
    counted: &BTreeSet<&String>,
    run: &str,
    path: &Path,
) -> Vec<TaskSetting> {
    let members = |task: &str| value["group_subtasks"][task].as_array();
    let mut tasks = BTreeSet::new();
    let mut left: Vec<&str> = counted.iter().map(|task| task.as_str()).collect();
    while let Some(task) = left.pop() {
        if tasks.insert(task) {
            let members = members(task).into_iter().flatten();
            left.extend(members.filter_map(Value::as_str));
        }
    }
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) if text == "N/A" => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let of = |task: &str| TaskSetting {
        task: task.to_owned(),
        settings: [
            text(&value["n-shot"][task]).or_else(|| text(&value["configs"][task]["num_fewshot"])),
            text(&value["versions"][task]),
        ],
        run: run.to_owned(),
        file: path.to_path_buf(),
    };
    tasks.into_iter().map(of).collect()
}

/// Refuses values of a task that was asked in two ways: they do not compare.
pub(super) fn check_settings(tasks: &[TaskSetting]) -> Result<()> {
    let mut first: BTreeMap<(&str, usize), (&str, &TaskSetting)> = BTreeMap::new();
    for task in tasks {
        for (which, setting) in task.settings.iter().enumerate() {
            let Some(setting) = setting else { continue };
            let (before, other) = *(first.entry((&task.task, which))).or_insert((setting, task));
            if before != setting {
                return Err(Error::input(format!(
                    "task `{}` has {name} {setting} in run `{}`, and {name} {before} in run `{}` \
                     ({}): expected one, since values of different settings do not compare",
                    task.task,
                    task.run,
                    other.run,
                    other.file.display(),
                    name = SETTINGS[which],
                ))
                .in_file(&task.file)
                .field(SETTINGS[which])
                .help(
                    "evaluate all runs alike, or import the results of every setting apart, into \
                     tables of their own",
                ));
            }
        }
    }
    Ok(())
}

/// The metric that stands for a task; without a filter, where there is a choice.
fn usual_metric(metrics: &Map<String, Value>) -> Option<&str> {
    let keys = || {
        metrics
            .iter()
            .filter(|(_, n)| n.is_number())
            .map(|(k, _)| plain(k))
    };
    METRICS.iter().find_map(|usual| {
        let with_filter = || keys().find(|key| key.split(',').next() == Some(usual));
        keys().find(|key| key == usual).or_else(with_filter)
    })
}

/// Tasks that belong to a group with results of its own, as those of MMLU.
fn parts_of_groups(value: &Value) -> BTreeSet<&str> {
    let groups = value["group_subtasks"].as_object().into_iter().flatten();
    groups
        .filter(|(group, _)| {
            let metrics = value["results"][group.as_str()].as_object();
            metrics.is_some_and(|metrics| usual_metric(metrics).is_some())
        })
        .flat_map(|(group, tasks)| {
            let tasks = tasks.as_array().into_iter().flatten();
            let names = tasks.filter_map(Value::as_str);
            names.filter(move |name| name != group)
        })
        .collect()
}

/// `acc,none` is `acc`.
fn plain(key: &str) -> &str {
    key.strip_suffix(",none").unwrap_or(key)
}

/// As the file says, or else as the name of the metric does.
fn is_better_high(value: &Value, task: &str, metric: &str) -> bool {
    let name = metric.split(',').next().unwrap_or(metric);
    match value["higher_is_better"][task][name].as_bool() {
        Some(given) => given,
        None => ["acc", "acc_norm", "exact_match", "f1", "em", "mc1", "mc2"].contains(&name),
    }
}

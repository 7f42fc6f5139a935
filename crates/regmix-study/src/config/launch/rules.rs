//! What values of `[launch]` must satisfy, so that an engine does not refuse
//! them after the study was handed over.

use regmix_data::{Error, Result};

use super::{HyperQueueSection, KubernetesSection, LaunchSection, SlurmSection, Toleration};
use crate::config::rules::Misplaced;

/// The greatest number of workers. Slurm's own limit, `MaxArraySize`, is lower
/// on most clusters.
const MOST_WORKERS: u32 = 100_000;

/// Seconds before the end that `sbatch --signal` takes at most.
const LONGEST_SIGNAL: u32 = 65_535;

/// Options of `sbatch` that the script sets itself.
const OWN_OPTIONS: [&str; 8] = [
    "--array",
    "-a",
    "--signal",
    "--output",
    "-o",
    "--dependency",
    "-d",
    "--wrap",
];

/// Checks every section.
pub(in crate::config) fn launch(section: &LaunchSection) -> Result<(), Misplaced> {
    slurm(&section.slurm)?;
    if let Some(kubernetes) = &section.kubernetes {
        self::kubernetes(kubernetes)?;
    }
    hyperqueue(&section.hyperqueue)
}

/// A rule of the keys of a section: whether a value is as expected.
struct Rules(&'static str);

impl Rules {
    fn check(&self, key: &str, ok: bool, found: &str, expected: &str) -> Result<(), Misplaced> {
        match ok {
            true => Ok(()),
            false => {
                let error = Error::input(format!("{found}: expected {expected}"));
                Err((self.0, error.field(key)))
            }
        }
    }

    fn text(
        &self,
        key: &str,
        value: Option<&str>,
        ok: impl Fn(&str) -> bool,
        expected: &str,
    ) -> Result<(), Misplaced> {
        let found = value.map_or_else(String::new, |value| format!("`{value}`"));
        self.check(key, value.is_none_or(ok), &found, expected)
    }

    fn number(&self, key: &str, value: u32, least: u32, most: u32) -> Result<(), Misplaced> {
        let ok = (least..=most).contains(&value);
        self.check(key, ok, &value.to_string(), &format!("{least} to {most}"))
    }
}

fn slurm(section: &SlurmSection) -> Result<(), Misplaced> {
    let rules = Rules("launch.slurm");
    rules.number("workers", section.workers, 1, MOST_WORKERS)?;
    rules.number("at_once", section.at_once.unwrap_or(1), 1, MOST_WORKERS)?;
    rules.number("cpus", section.cpus, 1, 65_535)?;
    rules.number("signal", section.signal, 10, LONGEST_SIGNAL)?;
    for (key, value) in [
        ("partition", &section.partition),
        ("account", &section.account),
        ("qos", &section.qos),
        ("gres", &section.gres),
    ] {
        let expected = "a name as Slurm has them, without blanks and quotes";
        rules.text(key, value.as_deref(), is_slurm_name, expected)?;
    }
    let memory = "a number of megabytes, or one with K, M, G or T, such as `8G`";
    rules.text("memory", section.memory.as_deref(), is_slurm_memory, memory)?;
    let time = "minutes, `4:00:00` (hours:minutes:seconds), `1-12` (days-hours), \
                `1-12:30` or `infinite`";
    rules.text("time", section.time.as_deref(), is_slurm_time, time)?;
    for line in &section.extra {
        let named = line.split(['=', ' ']).next().unwrap_or_default();
        let own = OWN_OPTIONS.contains(&named);
        let option = line.starts_with('-') && is_one_line(line);
        let expected = "an option of sbatch on one line, such as `--constraint=a100`";
        rules.text("extra", Some(line), |_| option, expected)?;
        let expected = "an option that regmix does not set itself";
        rules.text("extra", Some(line), |_| !own, expected)?;
    }
    let command = "a command on one line";
    rules.text("command", section.command.as_deref(), is_command, command)?;
    for line in &section.setup {
        rules.text("setup", Some(line), is_one_line, "one line in each entry")?;
    }
    let Some(container) = &section.container else {
        return Ok(());
    };
    let rules = Rules("launch.slurm.container");
    let image = "the name of an image";
    rules.text("image", Some(&container.image), is_word, image)?;
    for mount in &container.mounts {
        let expected = "an absolute path, or `HOST:CONTAINER`, without commas";
        let ok = |m: &str| m.starts_with('/') && is_one_line(m) && !m.contains(',');
        rules.text("mounts", Some(mount), ok, expected)?;
    }
    Ok(())
}

fn kubernetes(section: &KubernetesSection) -> Result<(), Misplaced> {
    let rules = Rules("launch.kubernetes");
    rules.number("workers", section.workers, 1, MOST_WORKERS)?;
    rules.number("at_once", section.at_once.unwrap_or(1), 1, MOST_WORKERS)?;
    let failed = section.max_failed_indexes.unwrap_or(0);
    rules.number("max_failed_indexes", failed, 0, section.workers)?;
    rules.number("grace_period", section.grace_period, 5, 86_400)?;
    let cpus = section.cpus >= 0.001 && section.cpus <= 65_535.0;
    let found = section.cpus.to_string();
    rules.check("cpus", cpus, &found, "a number of cores, at least 0.001")?;
    let image = "the name of an image";
    rules.text("image", Some(&section.image), is_word, image)?;
    let memory = "a quantity such as `8Gi` or `512M`";
    rules.text("memory", section.memory.as_deref(), is_quantity, memory)?;
    let name = "lower-case letters, digits and -, at most 63, as Kubernetes has names";
    for (key, value) in [("namespace", &section.namespace), ("queue", &section.queue)] {
        rules.text(key, value.as_deref(), is_label_name, name)?;
    }
    let name = "lower-case letters, digits, - and ., at most 253, as Kubernetes has names";
    rules.text("claim", Some(&section.claim), is_object_name, name)?;
    let account = section.service_account.as_deref();
    rules.text("service_account", account, is_object_name, name)?;
    for secret in &section.pull_secrets {
        rules.text("pull_secrets", Some(secret), is_object_name, name)?;
    }
    let path = "an absolute path without `:`";
    let absolute = |p: &str| p.starts_with('/') && !p.contains(':') && is_one_line(p);
    rules.text("mount", Some(&section.mount), absolute, path)?;
    let inside = |p: &str| std::path::Path::new(p).starts_with(&section.mount);
    let study = "a folder inside of `mount`";
    rules.text("study", section.study.as_deref(), inside, study)?;
    let resource = "a name such as `nvidia.com/gpu`";
    let gpus = |r: &str| r.contains('/') && is_label_key(r);
    rules.text("gpu_resource", Some(&section.gpu_resource), gpus, resource)?;
    rules.text("command", Some(&section.command), is_command, "a command")?;
    let label = "labels as Kubernetes has them, such as `pool = \"gpu\"`";
    for (key, value) in &section.node_selector {
        let ok = is_label_key(key) && (value.is_empty() || is_label_value(value));
        let found = format!("`{key} = {value}`");
        rules.check("node_selector", ok, &found, label)?;
    }
    (section.tolerations.iter()).try_for_each(|toleration| self::toleration(&rules, toleration))
}

fn toleration(rules: &Rules, toleration: &Toleration) -> Result<(), Misplaced> {
    let key = "tolerations";
    let name = "the key of a taint";
    rules.text(key, toleration.key.as_deref(), is_label_key, name)?;
    let operators = |o: &str| ["Exists", "Equal"].contains(&o);
    let operator = toleration.operator.as_deref();
    rules.text(key, operator, operators, "`Exists` or `Equal`")?;
    let effects = |e: &str| ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&e);
    let expected = "`NoSchedule`, `PreferNoSchedule` or `NoExecute`";
    rules.text(key, toleration.effect.as_deref(), effects, expected)?;
    let exists = operator == Some("Exists");
    let no_value = |_: &str| !exists;
    let value = toleration.value.as_deref();
    rules.text(key, value, no_value, "no value beside `Exists`")?;
    let keyed = toleration.key.is_some() || exists;
    let expected = "a `key`, or the operator `Exists`";
    rules.check(key, keyed, "a toleration without a key", expected)
}

fn hyperqueue(section: &HyperQueueSection) -> Result<(), Misplaced> {
    let rules = Rules("launch.hyperqueue");
    rules.number("workers", section.workers, 1, MOST_WORKERS)?;
    rules.number("cpus", section.cpus, 1, 65_535)?;
    let crashes = section.crash_limit.unwrap_or(1);
    rules.number("crash_limit", crashes, 1, u32::MAX)?;
    let time = "a duration such as `3h` or `1h30m`";
    let is_duration = |text: &str| humantime::parse_duration(text).is_ok();
    rules.text(
        "time_limit",
        section.time_limit.as_deref(),
        is_duration,
        time,
    )?;
    let resource = "the name of a resource, such as `gpus/nvidia`";
    rules.text(
        "gpu_resource",
        Some(&section.gpu_resource),
        is_word,
        resource,
    )?;
    let command = section.command.as_deref();
    rules.text("command", command, is_command, "a command on one line")
}

fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_command(text: &str) -> bool {
    !text.trim().is_empty() && is_one_line(text)
}

/// Visible characters without blanks.
fn is_word(text: &str) -> bool {
    is_one_line(text) && !text.is_empty() && !text.contains(char::is_whitespace)
}

fn is_slurm_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.,:/()[]=*".contains(c);
    !text.is_empty() && text.chars().all(fits)
}

fn is_slurm_memory(text: &str) -> bool {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T', 'k', 'm', 'g', 't']);
    digits.len() + 1 >= text.len() && is_number(digits)
}

fn is_number(text: &str) -> bool {
    (1..=18).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit())
}

/// The forms of `sbatch --time`: minutes, minutes:seconds,
/// hours:minutes:seconds, and days- with hours, hours:minutes or
/// hours:minutes:seconds.
fn is_slurm_time(text: &str) -> bool {
    if ["infinite", "unlimited"].contains(&text.to_ascii_lowercase().as_str()) {
        return true;
    }
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(days), rest),
        None => (None, text),
    };
    let parts: Vec<&str> = rest.split(':').collect();
    days.is_none_or(is_number) && parts.len() <= 3 && parts.into_iter().all(is_number)
}

/// A quantity of Kubernetes.
fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[number.len()..];
    let units = [
        "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    units.contains(&unit)
        && number
            .parse::<f64>()
            .is_ok_and(|n| n > 0.0 && n.is_finite())
}

/// DNS-1123 labels.
fn is_label_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c: Option<char>| c.is_some_and(|c| c != '-');
    text.len() <= 63
        && text.chars().all(fits)
        && ends(text.chars().next())
        && ends(text.chars().last())
}

/// DNS-1123 subdomains.
fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label_name)
}

fn is_label_value(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(fits)
        && ends(text.chars().next())
        && ends(text.chars().last())
}

/// `name`, or `domain/name`.
fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_object_name(domain) && is_label_value(name),
        None => is_label_value(text),
    }
}

//! The configuration of an Olmix fit: which tables, and what is optimised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};
use crate::table::records::read_text;

/// What a configuration says, in regmix's terms.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OlmixFit {
    /// The table of mixtures.
    pub ratios: PathBuf,
    /// The table of values.
    pub metrics: PathBuf,
    /// The natural mixture, before it is rescaled.
    pub sizes: BTreeMap<String, f64>,
    /// Tokens of every domain.
    pub tokens: BTreeMap<String, f64>,
    /// Metrics by family; all of the table count where it is empty.
    pub families: BTreeMap<String, Vec<String>>,
    /// Whether targets are the means of families instead of single metrics.
    pub by_family: bool,
    /// Weights of targets in the objective, 1 for those that are not named; all count
    /// the same where it is empty.
    pub objective: BTreeMap<String, f64>,
    /// Metrics that are left out.
    pub dropped: Vec<String>,
    /// Weights of domains that do not change.
    pub fixed: BTreeMap<String, f64>,
    /// What a nat of divergence from the natural mixture costs.
    pub kl: f64,
    /// Tokens of the run, where repetition is limited.
    pub target_tokens: Option<f64>,
    /// How often a domain may be read, where that is limited.
    pub max_epochs: Option<f64>,
    /// Settings that change a result of Olmix and have no counterpart.
    pub skipped: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    swarm: Swarm,
    #[serde(default)]
    priors: Priors,
    #[serde(default)]
    eval: Eval,
    #[serde(default)]
    regression: Regression,
    #[serde(default)]
    proposer: Proposer,
    #[serde(default)]
    constraints: Limits,
    #[serde(default)]
    filtering: Filtering,
}

#[derive(Deserialize)]
struct Swarm {
    ratios: PathBuf,
    metrics: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Priors {
    relative_sizes: BTreeMap<String, Number>,
    token_counts: BTreeMap<String, Number>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Eval {
    tasks: BTreeMap<String, Tasks>,
}

/// Metrics of a family, with the names of their tasks where they come from W&B.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tasks {
    Metrics(Vec<String>),
    ByTask(BTreeMap<String, String>),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Regression {
    aggregate_task_families: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Proposer {
    kl_reg: Option<Number>,
    temperature: Option<Number>,
    make_worst_mix: bool,
}

#[derive(Deserialize)]
#[serde(default)]
struct Limits {
    enabled: bool,
    target_tokens: Option<Number>,
    repetition_factor: Number,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: false,
            target_tokens: None,
            repetition_factor: Number(5.0),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Filtering {
    keep_sources: Vec<String>,
    support_domains: Vec<String>,
    drop_metrics: Vec<String>,
    fixed_weight: BTreeMap<String, Number>,
    obj_weights: BTreeMap<String, Number>,
}

/// A number; Olmix also reads fractions in text, `7/52.0`, and Python's thousands,
/// `3_000_000`.
#[derive(Clone, Copy)]
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(f64),
            Text(String),
        }
        let text = match Form::deserialize(d)? {
            Form::Number(number) => return Ok(Self(number)),
            Form::Text(text) => text,
        };
        let part = |part: &str| part.trim().replace('_', "").parse::<f64>().ok();
        let number = match text.split_once('/') {
            Some((above, below)) => part(above).zip(part(below)).map(|(a, b)| a / b),
            None => part(&text),
        };
        match number.filter(|n| n.is_finite()) {
            Some(number) => Ok(Self(number)),
            None => Err(serde::de::Error::custom(format!(
                "`{text}` is no number: expected one, or a fraction such as \"7/52\""
            ))),
        }
    }
}

fn plain(numbers: BTreeMap<String, Number>) -> BTreeMap<String, f64> {
    numbers.into_iter().map(|(name, n)| (name, n.0)).collect()
}

/// Reads a configuration. Paths of tables are those beside it.
///
/// # Errors
/// When the file cannot be read, or is no such configuration.
pub fn read_olmix(path: &Path) -> Result<OlmixFit> {
    let text = read_text(path)?;
    let config: Config = serde_saphyr::from_str(&text).map_err(|e| {
        let problem = e.to_string();
        let first = problem.lines().next().unwrap_or_default();
        // The place is named apart.
        let first = first.strip_prefix("error: ").unwrap_or(first);
        let first = match first.split_once(": ") {
            Some((place, rest)) if place.starts_with("line ") => rest,
            _ => first,
        };
        let error = Error::input(format!("no configuration of an Olmix fit: {first}"))
            .in_file(path)
            .help("expected `swarm` with `ratios` and `metrics`");
        match e.location() {
            Some(at) => error.line(at.line()),
            None => error,
        }
    })?;
    let beside = |table: PathBuf| path.parent().unwrap_or(Path::new("")).join(table);
    let (filtering, proposer) = (config.filtering, config.proposer);
    let limits = config.constraints;
    let skipped = [
        (!filtering.keep_sources.is_empty(), "filtering.keep_sources"),
        (
            !filtering.support_domains.is_empty(),
            "filtering.support_domains",
        ),
        (proposer.temperature.is_some(), "proposer.temperature"),
        (proposer.make_worst_mix, "proposer.make_worst_mix"),
    ];
    let metrics = |tasks| match tasks {
        Tasks::Metrics(metrics) => metrics,
        Tasks::ByTask(metrics) => metrics.into_values().collect(),
    };
    Ok(OlmixFit {
        ratios: beside(config.swarm.ratios),
        metrics: beside(config.swarm.metrics),
        sizes: plain(config.priors.relative_sizes),
        tokens: plain(config.priors.token_counts),
        families: (config.eval.tasks.into_iter())
            .map(|(family, tasks)| (family, metrics(tasks)))
            .collect(),
        by_family: config.regression.aggregate_task_families,
        objective: plain(filtering.obj_weights),
        dropped: filtering.drop_metrics,
        fixed: plain(filtering.fixed_weight),
        kl: proposer.kl_reg.map_or(0.0, |n| n.0),
        target_tokens: (limits.target_tokens.filter(|_| limits.enabled)).map(|n| n.0),
        max_epochs: limits.enabled.then_some(limits.repetition_factor.0),
        skipped: (skipped.into_iter())
            .filter(|(is_set, _)| *is_set)
            .map(|(_, name)| name.to_owned())
            .collect(),
    })
}

//! Where the data of every domain lies, and how much there is.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::trainer::Trainer;
use super::unit::SampleUnit;
use crate::domain::{DomainSet, is_printable};
use crate::error::{Error, Result};

/// What a mapping file holds: facts about the run, and about every domain.
///
/// ```toml
/// [run]
/// tokens = 46e9            # so that tokens and epochs are known
/// sequence_length = 4096
/// batch_size = 512         # sequences of a step
/// max_epochs = 4.0         # how often a domain may be read
///
/// [domains.web]
/// path = "/data/web_text_document"
/// tokens = 120e9
/// documents = 80e6         # where weights count documents
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// The run.
    pub run: RunFacts,
    /// The domains by name.
    pub domains: BTreeMap<String, Source>,
}

/// Facts about the run that a mixture is exported for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunFacts {
    /// Its tokens.
    pub tokens: Option<f64>,
    /// Tokens of a sequence.
    pub sequence_length: Option<u64>,
    /// Sequences of a step.
    pub batch_size: Option<u64>,
    /// How often a domain may be read, unless the domain says otherwise.
    pub max_epochs: Option<f64>,
    /// What the trainer draws by weight, where it can be either.
    pub unit: Option<SampleUnit>,
    /// The seed that is written, where the format has one: 42 without it.
    pub seed: Option<u64>,
}

/// The data of a domain.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// Its name in the trainer's file; that of the domain without it.
    pub name: Option<String>,
    /// Where it lies, as the trainer names places.
    pub path: Option<String>,
    /// The same, for several.
    pub paths: Vec<String>,
    /// Where its validation text lies.
    pub valid: Option<String>,
    /// Where its test text lies.
    pub test: Option<String>,
    /// A folder on this machine for data that lies elsewhere (MosaicML Streaming).
    pub local: Option<String>,
    /// Tokens there are.
    pub tokens: Option<f64>,
    /// Documents there are.
    pub documents: Option<f64>,
    /// Bytes there are.
    pub bytes: Option<f64>,
    /// How often it may be read.
    pub max_epochs: Option<f64>,
}

impl Source {
    /// All places of its data.
    pub(super) fn places(&self) -> impl Iterator<Item = &str> {
        (self.path.iter().chain(&self.paths)).map(String::as_str)
    }
}

impl Mapping {
    /// A mapping of all domains by one pattern, in which `{domain}` stands for the
    /// name.
    ///
    /// # Errors
    /// When the pattern has no `{domain}`.
    pub fn from_pattern(domains: &DomainSet, pattern: &str) -> Result<Self> {
        if !pattern.contains("{domain}") {
            return Err(Error::input(format!(
                "`{pattern}` has no `{{domain}}`: expected one, so that domains have data of their own"
            )));
        }
        let source = |name: &str| Source {
            path: Some(pattern.replace("{domain}", name)),
            ..Source::default()
        };
        Ok(Self {
            run: RunFacts::default(),
            domains: (domains.names())
                .map(|name| (name.to_owned(), source(name)))
                .collect(),
        })
    }

    /// Checks everything that does not depend on the trainer.
    pub(super) fn check(&self, domains: &DomainSet) -> Result<()> {
        for name in self.domains.keys() {
            domains.require(name).map_err(|e| {
                e.field(format!("domains.{name}"))
                    .help("remove it, or rename it: names are those of the mixture")
            })?;
        }
        positive("run.tokens", self.run.tokens)?;
        positive("run.max_epochs", self.run.max_epochs)?;
        let whole = |n: Option<u64>| n.map(|n| n as f64);
        positive("run.sequence_length", whole(self.run.sequence_length))?;
        positive("run.batch_size", whole(self.run.batch_size))?;
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, source) in &self.domains {
            let field = |key: &str| format!("domains.{name}.{key}");
            positive(&field("tokens"), source.tokens)?;
            positive(&field("documents"), source.documents)?;
            positive(&field("bytes"), source.bytes)?;
            positive(&field("max_epochs"), source.max_epochs)?;
            if source.path.is_some() && !source.paths.is_empty() {
                return Err(
                    Error::input("both `path` and `paths`: expected one of them")
                        .field(format!("domains.{name}")),
                );
            }
            let held_out = source.valid.iter().chain(&source.test).chain(&source.local);
            for place in source.places().chain(held_out.map(String::as_str)) {
                check_place(place).map_err(|e| e.field(field("path")))?;
            }
            for place in source.places() {
                if let Some(other) = seen.insert(place, name) {
                    return Err(Error::input(format!(
                        "`{place}` is the data of `{other}` as well: expected data of its own"
                    ))
                    .field(field("path")));
                }
            }
        }
        Ok(())
    }

    /// The source of a domain that is written, with its paths.
    pub(super) fn require(&self, domains: &[&str], trainer: Trainer) -> Result<Vec<Source>> {
        let missing: Vec<&str> = (domains.iter().copied())
            .filter(|name| {
                let source = self.domains.get(*name);
                trainer.needs_paths() && source.is_none_or(|s| s.places().next().is_none())
            })
            .collect();
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|n| format!("`{n}`")).collect();
            let header = toml_key(missing[0]);
            return Err(Error::input(format!(
                "no data for {}: {trainer} needs a path for every domain",
                names.join(", ")
            ))
            .help(format!("add `[domains.{header}]` with `path = \"...\"`")));
        }
        let source = |name: &&str| self.domains.get(*name).cloned().unwrap_or_default();
        let sources: Vec<Source> = domains.iter().map(source).collect();
        for (name, source) in domains.iter().zip(&sources) {
            let places = source.places().count();
            if places > 1 && !trainer.takes_several_paths() {
                return Err(Error::input(format!(
                    "{places} paths, expected one: {trainer} gives a weight to every path"
                ))
                .field(format!("domains.{name}.paths"))
                .help("merge the data of the domain, or make its parts domains of their own"));
            }
        }
        Ok(sources)
    }
}

/// A key of TOML.
fn toml_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match name.chars().all(bare) {
        true => name.to_owned(),
        false => format!("{name:?}"),
    }
}

fn positive(field: &str, value: Option<f64>) -> Result<()> {
    match value {
        Some(x) if !(x > 0.0 && x.is_finite()) => {
            Err(Error::input(format!("{x}, expected a number above 0")).field(field))
        }
        _ => Ok(()),
    }
}

fn check_place(place: &str) -> Result<()> {
    if place.is_empty() || place.trim() != place || !place.chars().all(is_printable) {
        return Err(Error::input(format!(
            "{place:?}, expected a path of printable text without blanks at its ends"
        )));
    }
    Ok(())
}

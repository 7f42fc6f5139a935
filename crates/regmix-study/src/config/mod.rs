//! `study.toml`: the only thing a user writes.

mod explain;
mod objective_file;
mod run;
mod sections;
#[cfg(test)]
mod tests;

use std::path::Path;

use regmix_data::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::files::{ARMS, BEST_OBSERVED, NATURAL, UNIFORM};
use explain::explain;
pub(crate) use explain::place;

pub use objective_file::ObjectiveFile;
pub use run::RunSection;
pub use sections::{
    CheckSection, ConstraintSection, CorpusSection, DesignSection, EarlierSection, FitSection,
    GroupSection, LayoutName, ObjectiveSection, SamplerName, ScheduleMode, SecondSizeSection,
    StudySection, TokenizerKind, TokenizerSection, hub_dataset,
};

/// A study's configuration. Every section but `corpus` may be left out; the
/// defaults are those of [`template`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyConfig {
    /// Name and seed.
    #[serde(default)]
    pub study: StudySection,
    /// Where the text is.
    pub corpus: CorpusSection,
    /// How text becomes tokens.
    #[serde(default)]
    pub tokenizer: TokenizerSection,
    /// Which mixtures the proxies are trained on.
    #[serde(default)]
    pub design: DesignSection,
    /// The proxies.
    #[serde(default = "RunSection::proxy")]
    pub proxy: RunSection,
    /// From mixtures to losses.
    #[serde(default)]
    pub fit: FitSection,
    /// What is minimised.
    #[serde(default)]
    pub objective: ObjectiveSection,
    /// Floors, caps, repetition.
    #[serde(default)]
    pub constraints: ConstraintSection,
    /// How schedules are planned.
    #[serde(default)]
    pub dynamic: regmix_dynamic::DynamicConfig,
    /// A second size of proxies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_size: Option<SecondSizeSection>,
    /// The larger model that the mixture is checked on.
    #[serde(default = "RunSection::target")]
    pub target: RunSection,
    /// How the check is made.
    #[serde(default)]
    pub check: CheckSection,
}

impl StudyConfig {
    /// Reads a study file.
    ///
    /// # Errors
    /// When it cannot be read or does not parse; the error marks the place and
    /// names the nearest key it knows.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            let missing = e.kind() == std::io::ErrorKind::NotFound;
            let error = Error::io(path, e);
            if missing {
                error.help(
                    "`regmix init` writes a commented study.toml; `--study DIR` names its folder",
                )
            } else {
                error
            }
        })?;
        Self::parse(&text, path)
    }

    /// Parses a study file; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`StudyConfig::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| explain(&e, text, path))?;
        let second = config.second_size.as_ref();
        let runs = [("proxy", &config.proxy), ("target", &config.target)];
        let models = second.map(|s| ("second_size.model", &s.model));
        for (section, run) in runs.into_iter().chain(models) {
            // A vocabulary of one token is any: the true one is checked later.
            run.model(1)
                .and_then(|_| run.training())
                .map_err(|e| place(e, section, text, path))?;
        }
        config
            .corpus
            .source_options()
            .map_err(|e| e.in_file(path))?;
        config.objective.objective().map_err(|e| e.in_file(path))?;
        (config.dynamic.check()).map_err(|e| place(e, "dynamic", text, path))?;
        let penalty = |x: f64| x >= 0.0 && x.is_finite();
        let rules: [(&str, &str, bool, &str); 13] = [
            (
                "corpus",
                "valid_share",
                config.corpus.valid_share > 0.0 && config.corpus.valid_share < 1.0,
                "a share above 0 and below 1",
            ),
            ("design", "runs", config.design.runs > 0, "at least 1"),
            (
                "design",
                "max_epochs",
                config.design.max_epochs >= 0.0,
                "0 (no limit) or more",
            ),
            (
                "design",
                "floor",
                (0.0..1.0).contains(&config.design.floor),
                "a weight of 0 or more, below 1",
            ),
            (
                "design",
                "switching",
                (0.0..=1.0).contains(&config.design.switching),
                "a share between 0 and 1",
            ),
            (
                "constraints",
                "max_epochs",
                config.constraints.max_epochs > 0.0,
                "a number above 0",
            ),
            (
                "constraints",
                "target_tokens",
                config.constraints.target_tokens.is_none_or(|t| t > 0.0),
                "a number above 0",
            ),
            (
                "objective",
                "kl",
                penalty(config.objective.kl),
                "0 (off) or more",
            ),
            (
                "objective",
                "caution",
                penalty(config.objective.caution),
                "0 (off) or more",
            ),
            (
                "objective",
                "distance",
                penalty(config.objective.distance),
                "0 (off) or more",
            ),
            ("check", "seeds", config.check.seeds > 0, "at least 1"),
            ("fit", "folds", config.fit.folds >= 2, "2 or more"),
            (
                "second_size",
                "runs",
                second.is_none_or(|s| s.runs >= 3),
                "at least 3",
            ),
        ];
        for (section, key, ok, expected) in rules {
            if !ok {
                let e = Error::input(format!("out of range, expected {expected}")).field(key);
                return Err(place(e, section, text, path));
            }
        }
        for name in &config.check.against {
            if ![NATURAL, UNIFORM, BEST_OBSERVED].contains(&name.as_str()) {
                let e = Error::input(format!(
                    "unknown mixture `{name}`: expected natural, uniform or best_observed"
                ))
                .field("against");
                return Err(place(e, "check", text, path));
            }
        }
        // Names of arms are names of folders.
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        for name in config.check.others.keys() {
            if ARMS.contains(&name.as_str()) || name.is_empty() || !name.chars().all(fits) {
                let e = Error::input(format!(
                    "`{name}`: expected letters, digits, _ and -, and none of {}",
                    ARMS.join(", ")
                ))
                .field(name);
                return Err(place(e, "check.others", text, path));
            }
        }
        Ok(config)
    }

    /// `[dynamic]` with the study's seed.
    pub fn stage_config(&self) -> regmix_dynamic::DynamicConfig {
        let seed = self.study.seed.wrapping_add(self.dynamic.seed);
        regmix_dynamic::DynamicConfig {
            seed,
            ..self.dynamic.clone()
        }
    }
}

/// Reads the keys of `[dynamic]` from a file of their own.
///
/// # Errors
/// When it cannot be read or does not parse, or a value is out of range.
pub(crate) fn stage_settings(path: &Path) -> Result<regmix_dynamic::DynamicConfig> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let config: regmix_dynamic::DynamicConfig =
        toml::from_str(&text).map_err(|e| explain(&e, &text, path))?;
    config.check().map_err(|e| e.in_file(path))?;
    Ok(config)
}

/// A commented study file for a corpus: what `regmix init` writes.
pub fn template(name: &str, corpus: &Path) -> String {
    let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
    include_str!("../template.toml")
        .replace("\"{name}\"", &quote(name))
        .replace("\"{corpus}\"", &quote(&corpus.to_string_lossy()))
}

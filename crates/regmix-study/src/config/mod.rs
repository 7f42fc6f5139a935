//! `study.toml` and objective files: what a user writes.

mod compare;
mod corpus;
mod doremi;
mod eval;
mod explain;
mod launch;
mod names;
mod objective_file;
mod rules;
mod run;
mod sections;
mod sizes;
#[cfg(test)]
mod tests;

use std::path::Path;

use regmix_data::{Error, Result};
use regmix_dynamic::peers::{AdoOptions, AioliOptions, OdmOptions};
use serde::{Deserialize, Serialize};

pub(crate) use explain::{explain, place};
pub(crate) use names::check_runs;

pub use compare::CompareSection;
pub use corpus::{CorpusSection, LayoutName, OnError, hub_dataset};
pub use doremi::DoremiSection;
pub use eval::{EvalSection, HeldOutSection, ScoreName, TaskSection};
pub use launch::{
    ContainerSection, ContainerTool, HyperQueueSection, KubernetesSection, LaunchSection,
    SlurmSection, Toleration,
};
pub use objective_file::ObjectiveFile;
pub use run::RunSection;
pub use sections::{
    ApproximateSection, CheckSection, ConstraintSection, DesignSection, EarlierSection, FitSection,
    GroupSection, LogSection, ObjectiveSection, SamplerName, ScheduleMode, SecondSizeSection,
    StudySection, TokenizerKind, TokenizerSection,
};
pub(crate) use sizes::Size;
pub use sizes::{SizeSection, SizesLaw, SizesSection};

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
    /// What the models are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval: Option<EvalSection>,
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
    /// How DoReMi finds a mixture.
    #[serde(default, skip_serializing_if = "is_default")]
    pub doremi: DoremiSection,
    /// ODM, where targets are trained by it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub odm: OdmOptions,
    /// ADO, where targets are trained by it; numbers of steps follow from those of the
    /// target if the section is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ado: Option<AdoOptions>,
    /// Aioli, where targets are trained by it; numbers of steps and rounds follow from the
    /// target if the section is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aioli: Option<AioliOptions>,
    /// Proxies of other sizes and lengths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<SizesSection>,
    /// A single other size, as studies had it before `[sizes]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_size: Option<SecondSizeSection>,
    /// The larger model that the mixture is checked on.
    #[serde(default = "RunSection::target")]
    pub target: RunSection,
    /// How the check is made.
    #[serde(default)]
    pub check: CheckSection,
    /// Which methods are compared.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compare: CompareSection,
    /// How workers are started on a cluster.
    #[serde(default)]
    pub launch: LaunchSection,
    /// What is written about runs besides their results.
    #[serde(default)]
    pub logs: LogSection,
}

fn is_default<T: Default + PartialEq>(section: &T) -> bool {
    *section == T::default()
}

impl StudyConfig {
    /// Reads a study file.
    ///
    /// # Errors
    /// When it cannot be read or does not parse; the error marks the place and
    /// suggests the most similar key.
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
        let at = |(section, e): (&str, Error)| place(e, section, text, path);
        rules::models(&config).map_err(at)?;
        sizes::check(&config).map_err(|(section, e)| place(e, &section, text, path))?;
        (config.corpus.source_options()).map_err(|e| e.in_file(path))?;
        (config.objective.objective()).map_err(|e| e.in_file(path))?;
        (config.dynamic.check()).map_err(|e| at(("dynamic", e)))?;
        rules::ranges(&config).map_err(at)?;
        eval::check(&config).map_err(at)?;
        (config.doremi.options()).map_err(|e| at(("doremi", e)))?;
        (config.compare.chosen()).map_err(|e| at(("compare", e)))?;
        rules::text_shares(&config).map_err(|(section, e)| place(e, &section, text, path))?;
        rules::arms(&config.check).map_err(at)?;
        launch::rules::launch(&config.launch).map_err(at)?;
        Ok(config)
    }

    /// Tokens of the run that the mixture is for.
    ///
    /// # Errors
    /// As [`RunSection::model`].
    pub fn target_tokens(&self) -> Result<f64> {
        match self.constraints.target_tokens {
            Some(tokens) => Ok(tokens),
            None => Ok(self.target.tokens()? as f64),
        }
    }

    /// The share of every domain that models of a section read, so that they repeat
    /// text as the run that the mixture is for will; `None` if they read all of it.
    /// The targets of a check are cut as well where they are shorter than that run.
    ///
    /// # Errors
    /// As [`RunSection::model`].
    pub fn text_share(&self, section: &RunSection) -> Result<Option<f64>> {
        if !self.proxy.match_epochs {
            return Ok(None);
        }
        let share = section.tokens()? as f64 / self.target_tokens()?;
        Ok((share < 1.0).then_some(share))
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

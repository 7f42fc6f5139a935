//! Objectives apart from a study.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::{Error, Result};
use regmix_regress::Objective;
use serde::Deserialize;

use super::explain::explain;
use super::sections::ConstraintSection;

/// What `regmix optimize --objective FILE.toml` reads: an objective with
/// limits, apart from any study.
///
/// ```
/// use regmix_study::config::ObjectiveFile;
///
/// let text = "
/// [weights]
/// web = 0.75
/// code = 0.25
/// [constraints]
/// max_epochs = 4.0
/// target_tokens = 1e9
/// [available]
/// web = 5e8
/// code = 1e8
/// ";
/// let file = ObjectiveFile::parse(text, "goal.toml".as_ref())?;
/// assert_eq!(file.objective()?.to_string(), "0.25 code + 0.75 web");
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveFile {
    /// `mean`, or one target; the default where there are no weights is `mean`.
    pub loss: Option<String>,
    /// Weights per target.
    pub weights: BTreeMap<String, f64>,
    /// Floors, caps, repetition.
    pub constraints: ConstraintSection,
    /// Tokens there are, per domain; with `constraints.target_tokens` they set
    /// the limit of repetition.
    pub available: BTreeMap<String, f64>,
}

impl ObjectiveFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or does not parse.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        Self::parse(&text, path)
    }

    /// Parses a file; `path` is used in errors only.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|e| explain(&e, text, path))
    }

    /// The objective.
    ///
    /// # Errors
    /// When it has both a loss and weights, or the weights are unusable.
    pub fn objective(&self) -> Result<Objective> {
        match (&self.loss, self.weights.is_empty()) {
            (Some(_), false) => Err(Error::input(
                "both `loss` and `weights`: expected one of them",
            )),
            (Some(loss), true) => Ok(Objective::parse(loss)),
            (None, true) => Ok(Objective::Mean),
            (None, false) => Objective::weighted(self.weights.clone()),
        }
    }
}

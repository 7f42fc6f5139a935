//! Objectives apart from a study.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::{Error, Result};
use regmix_regress::{Baseline, Objective};
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
///
/// // Accuracies are better when higher; a group of domains has a cap.
/// let text = "
/// loss = 'hellaswag'
/// maximize = true
/// kl = 0.05
/// [constraints.group.code]
/// domains = ['github', 'stack']
/// cap = 0.3
/// ";
/// let file = ObjectiveFile::parse(text, "goal.toml".as_ref())?;
/// assert_eq!(file.objective()?.to_string(), "hellaswag, maximised");
/// assert_eq!(file.constraints.group["code"].floor, 0.0);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveFile {
    /// `mean`, `worst`, or one target; the default where there are no weights
    /// is `mean`.
    pub loss: Option<String>,
    /// Weights per target.
    pub weights: BTreeMap<String, f64>,
    /// Whether the objective is better when higher, as accuracies are. Where
    /// losses and scores come together, give scores negative weights instead.
    pub maximize: bool,
    /// What targets are compared with for `worst`: `natural` (the default),
    /// `uniform` or `none`.
    pub relative_to: Option<Baseline>,
    /// What a nat of divergence from the natural mixture costs, in the unit of
    /// the objective.
    pub kl: f64,
    /// Standard deviations added to the objective while searching.
    pub caution: f64,
    /// What a unit of total variation beyond what the proxies covered costs,
    /// in the unit of the objective.
    pub distance: f64,
    /// Floors, caps, limits of groups, repetition.
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
    /// When it has both a loss and weights, the weights are unusable, or
    /// `relative_to` has nothing to act on.
    pub fn objective(&self) -> Result<Objective> {
        let objective = match (&self.loss, self.weights.is_empty()) {
            (Some(_), false) => {
                return Err(Error::input(
                    "both `loss` and `weights`: expected one of them",
                ));
            }
            (None, false) => Objective::weighted(self.weights.clone())?,
            (loss, true) => {
                Objective::by_name(loss.as_deref().unwrap_or("mean"), self.relative_to)?
            }
        };
        Ok(match self.maximize {
            true => objective.maximize(),
            false => objective,
        })
    }
}

//! The sections of a study file, apart from its runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use regmix_data::table::Observations;
use regmix_data::{DomainSet, Error, Monitor, Result};
use regmix_regress::{Baseline, Objective};
use serde::{Deserialize, Serialize};

use super::RunSection;
use crate::files::{ADO, AIOLI, FOUND, NATURAL, ODM, OFFLINE, ONLINE, UNIFORM};

/// `[study]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StudySection {
    /// Shown in the report.
    pub name: String,
    /// All random streams come from it.
    pub seed: u64,
}

impl Default for StudySection {
    fn default() -> Self {
        Self {
            name: "study".to_owned(),
            seed: 42,
        }
    }
}

/// `[tokenizer]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizerSection {
    /// Which one.
    pub kind: TokenizerKind,
    /// Entries of a trained vocabulary.
    pub vocab_size: u32,
    /// Megabytes of text that it is trained on, evenly over domains.
    pub sample_mb: usize,
    /// A `tokenizer.json`, for the kind `file`; relative to the study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The token between documents, for the kind `file`.
    pub separator: String,
}

impl Default for TokenizerSection {
    fn default() -> Self {
        Self {
            kind: TokenizerKind::Bpe,
            vocab_size: 4096,
            sample_mb: 16,
            path: None,
            separator: regmix_data::tokenizer::SEPARATOR.to_owned(),
        }
    }
}

/// Kinds of tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerKind {
    /// Byte-level BPE, trained on the corpus.
    Bpe,
    /// One token per byte.
    Bytes,
    /// A given `tokenizer.json`.
    File,
}

/// `[design]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DesignSection {
    /// `regmix`, `floored` or `maximin`.
    pub sampler: SamplerName,
    /// How many proxies.
    pub runs: usize,
    /// Power applied to the natural mixture.
    pub temperature: f64,
    /// Least and greatest Dirichlet strength.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strengths: Option<[f64; 2]>,
    /// Least weight of every domain.
    pub floor: f64,
    /// Greatest number of times that a proxy may see a domain's tokens; 0 for
    /// no limit.
    pub max_epochs: f64,
    /// Whether the natural and the uniform mixture are the first proxies, where
    /// the limits allow them: the found mixture is compared with them, and
    /// draws lie around them rather than on them. The papers leave them out
    /// (`false`).
    pub anchors: bool,
    /// Share of the proxies that change to another mixture during the run. A
    /// schedule learns from them what static proxies cannot show: whether a
    /// loss is due to the current mixture or to the one before. The regression of
    /// `[fit]` leaves them out.
    #[serde(skip_serializing_if = "is_zero")]
    pub switching: f64,
}

impl Default for DesignSection {
    fn default() -> Self {
        Self {
            sampler: SamplerName::Maximin,
            runs: 64,
            temperature: 0.5,
            strengths: None,
            floor: 0.0,
            max_epochs: 0.0,
            anchors: true,
            switching: 0.0,
        }
    }
}

/// Names of the samplers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplerName {
    /// As published.
    Regmix,
    /// Floors without rejection.
    Floored,
    /// Spread out.
    Maximin,
}

/// `[second_size]`: a single other size of proxies, as studies had it before
/// [`SizesSection`](super::SizesSection).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondSizeSection {
    /// How many of the design's mixtures, of those that do not switch.
    #[serde(default = "default_second_runs")]
    pub runs: usize,
    /// The form of the correction.
    #[serde(default)]
    pub law: regmix_dynamic::SizeLaw,
    /// The models and how they are trained.
    pub model: RunSection,
}

fn default_second_runs() -> usize {
    8
}

/// `[fit]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FitSection {
    /// Which regressors are judged.
    pub regressors: Vec<String>,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// Repeats of the cross-validation.
    pub repeats: usize,
    /// Whether losses far outside of all others are fitted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_outliers: bool,
    /// Runs from before a domain was added, split or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier: Option<EarlierSection>,
    /// Whether a model is trained on every domain alone, and the losses of their mixed
    /// predictions are the approximate losses of the fit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub experts: bool,
    /// Approximate losses of many mixtures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approximate: Option<ApproximateSection>,
}

/// `[fit.approximate]`: losses of many mixtures that are near those of the proxies, such as
/// those of smaller proxies, over the same domains. A share of them is taken from the
/// measured losses before those are fitted, and held-out proxies choose it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproximateSection {
    /// The mixtures, a table; relative to the study.
    pub mixtures: PathBuf,
    /// Their approximate losses, a table.
    pub losses: PathBuf,
}

impl ApproximateSection {
    /// Reads the tables.
    ///
    /// # Errors
    /// When one cannot be read, they share no run, or the mixtures are over other domains.
    pub(crate) fn read(&self, domains: &DomainSet, monitor: &dyn Monitor) -> Result<Observations> {
        let mut found = Observations::read_csv(&self.mixtures, &self.losses)?;
        let mixtures = found.mixtures.reordered(domains);
        found.mixtures = mixtures.map_err(|e| e.in_file(&self.mixtures))?;
        found.notes().for_each(|note| monitor.message(note));
        monitor.message(&format!(
            "{} mixtures with approximate losses",
            found.mixtures.len()
        ));
        Ok(found)
    }
}

/// `[fit.earlier]`: runs from before the domains changed, trained as the
/// study's proxies are. They are fitted beside the proxies and never judged.
/// Domains they did not know have weight 0 in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierSection {
    /// Their mixtures, a table; relative to the study. The `fit/mixtures.csv`
    /// of an earlier study is one.
    pub mixtures: PathBuf,
    /// Their losses, a table; `fit/values.csv` of an earlier study.
    pub losses: PathBuf,
    /// Domains that were split since: their parts, with shares of the tokens
    /// that sum to 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub split: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Default for FitSection {
    fn default() -> Self {
        let options = regmix_regress::FitOptions::default();
        Self {
            // `mean` is always judged.
            regressors: (options.regressors.into_iter())
                .filter(|r| r != "mean")
                .collect(),
            folds: options.folds,
            repeats: options.repeats,
            keep_outliers: options.keep_outliers,
            earlier: None,
            experts: false,
            approximate: None,
        }
    }
}

/// `[objective]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveSection {
    /// `mean` over all domains, one domain, or `worst` of all.
    pub loss: String,
    /// Weights per domain, instead of `loss`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
    /// What losses are compared with for `worst`: `natural` (the default),
    /// `uniform` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<Baseline>,
    /// Nats of loss that a nat of divergence from the natural mixture costs.
    #[serde(skip_serializing_if = "is_zero")]
    pub kl: f64,
    /// Standard deviations added to the loss while searching.
    #[serde(skip_serializing_if = "is_zero")]
    pub caution: f64,
    /// Nats of loss that a unit of total variation costs beyond what the
    /// proxies covered.
    #[serde(skip_serializing_if = "is_zero")]
    pub distance: f64,
}

// Serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

impl Default for ObjectiveSection {
    fn default() -> Self {
        Self {
            loss: "mean".to_owned(),
            weights: BTreeMap::new(),
            relative_to: None,
            kl: 0.0,
            caution: 0.0,
            distance: 0.0,
        }
    }
}

impl ObjectiveSection {
    /// The objective.
    ///
    /// # Errors
    /// When the weights are unusable, or `relative_to` has nothing to act on.
    pub fn objective(&self) -> Result<Objective> {
        if self.weights.is_empty() {
            Objective::by_name(&self.loss, self.relative_to)
                .map_err(|e| e.field("objective.relative_to"))
        } else {
            Objective::weighted(self.weights.clone()).map_err(|e| e.field("objective.weights"))
        }
    }
}

/// `[constraints]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConstraintSection {
    /// How often the target may see a domain's tokens.
    pub max_epochs: f64,
    /// Tokens of the run that the mixture is for; those of `[target]` if left
    /// out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_tokens: Option<f64>,
    /// Least weight per domain.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub floor: BTreeMap<String, f64>,
    /// Greatest weight per domain.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cap: BTreeMap<String, f64>,
    /// Limits on the total of several domains, by a name of your own. No
    /// domain may be in two groups.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub group: BTreeMap<String, GroupSection>,
}

/// `[constraints.group.<name>]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSection {
    /// Its domains.
    pub domains: Vec<String>,
    /// Least total weight.
    #[serde(default)]
    pub floor: f64,
    /// Greatest total weight.
    #[serde(default = "default_group_cap")]
    pub cap: f64,
}

fn default_group_cap() -> f64 {
    1.0
}

impl Default for ConstraintSection {
    fn default() -> Self {
        Self {
            max_epochs: 4.0,
            target_tokens: None,
            floor: BTreeMap::new(),
            cap: BTreeMap::new(),
            group: BTreeMap::new(),
        }
    }
}

/// `[check]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckSection {
    /// Targets per mixture, each with its own seed.
    pub seeds: u64,
    /// What the found mixture is compared with: `best_observed`, and the names of
    /// [`PlainMixture`](crate::PlainMixture).
    pub against: Vec<String>,
    /// Schedules that targets are trained on as well: `offline`, `online`, `odm`, `ado`,
    /// `aioli`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleMode>,
    /// Further mixtures, schedules and controllers, by a name of your own:
    /// files that are looked for from the study's folder. A `.csv` of mixtures
    /// (one row, or the row of that name), a `mixture.json`, `schedule.json`
    /// or `controller.json`. The name of a [`PlainMixture`](crate::PlainMixture) is
    /// that mixture.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, PathBuf>,
}

/// Ways to change the mixture of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleMode {
    /// The segments of `schedule.json`.
    Offline,
    /// As the controller decides from the losses of the target.
    Online,
    /// By ODM, from the target's training losses alone (`[odm]`).
    Odm,
    /// By ADO, from the target's training losses alone (`[ado]`).
    Ado,
    /// By Aioli, from the target's validation losses alone (`[aioli]`).
    Aioli,
}

impl ScheduleMode {
    /// The name of its arm in a check.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offline => OFFLINE,
            Self::Online => ONLINE,
            Self::Odm => ODM,
            Self::Ado => ADO,
            Self::Aioli => AIOLI,
        }
    }

    /// Whether it needs `schedule.json`.
    pub(crate) fn is_planned(self) -> bool {
        matches!(self, Self::Offline | Self::Online)
    }

    /// An error for a schedule where a method is expected that needs no plan.
    pub(crate) fn require_peer(self) -> Result<()> {
        match self.is_planned() {
            false => Ok(()),
            true => Err(Error::input(format!(
                "`{}` is planned from proxies: expected {ODM}, {ADO} or {AIOLI}",
                self.name()
            ))),
        }
    }
}

impl CheckSection {
    /// The names of its arms.
    pub(crate) fn arms(&self) -> impl Iterator<Item = &str> {
        let schedules = self.schedules.iter().map(|mode| mode.name());
        (std::iter::once(FOUND).chain(self.against.iter().map(String::as_str)))
            .chain(schedules)
            .chain(self.others.keys().map(String::as_str))
    }
}

impl Default for CheckSection {
    fn default() -> Self {
        Self {
            seeds: 3,
            against: vec![NATURAL.to_owned(), UNIFORM.to_owned()],
            schedules: Vec::new(),
            others: BTreeMap::new(),
        }
    }
}

/// `[logs]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// Whether the metrics of each run are also written as an event file of
    /// TensorBoard into the run's folder.
    pub tensorboard: bool,
}

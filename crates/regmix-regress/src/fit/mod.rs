//! The fit of a study: one chosen model per target, and why.

pub(crate) mod approximate;
mod column;
pub(crate) mod options;
mod prepare;
mod scores;
pub(crate) mod standard_errors;
mod train;
mod warnings;

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use regmix_data::table::{MixtureTable, Observations, ValueTable, records};
use regmix_data::{DomainSet, Error, Mixture, Monitor, Result, Silent, sealed};

use crate::fit::approximate::ApproximateUse;
use crate::fit::options::FitOptions;
use crate::fixed_shares::FixedShares;
use crate::judge::league::League;
use crate::objective::evaluator::target_place;
use crate::prediction::Prediction;
use crate::regressor::model::{Model, score};
use crate::scale::SCALE_FILE;

/// The layout of `fit.json`; raised when older files can no longer be read.
const VERSION: u32 = 2;

/// The model of one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetFit {
    /// The target.
    pub target: String,
    /// The regressor that was chosen.
    pub regressor: String,
    /// Its model, fitted on all rows with a measurement.
    pub model: Model,
    /// Rows with a measurement, earlier runs included.
    pub rows: usize,
    /// How many of them are earlier runs ([`FitOptions::earlier`]).
    #[serde(default)]
    pub earlier: usize,
    /// The cross-validated mean absolute error of the same regressor without
    /// the earlier runs, where there are some and it can be fitted.
    #[serde(default, rename = "alone")]
    pub mae_without_earlier: Option<f64>,
    /// The noise of one run: root mean squared out-of-fold error, unit of the
    /// target. It contains the errors of the model as well.
    pub noise: f64,
    /// The standard deviation between runs of the same mixture, where some
    /// mixture was run more than once: no regressor can be better.
    pub repeat_noise: Option<f64>,
    /// Root mean square of the standard errors of its values, where they were
    /// given ([`FitOptions::errors`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Whether it is better when higher and does not count among the losses
    /// ([`FitOptions::scores`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_score: bool,
}

/// A measurement that was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The run.
    pub run: String,
    /// The target.
    pub target: String,
    /// Why.
    pub reason: String,
}

/// A measurement with the prediction of a model that had not seen it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutOfFold {
    /// The run.
    pub run: String,
    /// The target.
    pub target: String,
    /// The measured value.
    pub measured: f64,
    /// The predicted value.
    pub predicted: f64,
    /// Standard deviation of the prediction.
    pub sd: f64,
}

/// A fitted study: the chosen model of every target, the table of all regressors (the
/// league), and the observations that were fitted.
///
/// ```
/// use regmix_data::table::{MixtureTable, Observations, ValueTable};
/// use regmix_regress::{Fit, FitOptions};
///
/// let mut mixtures = String::from("run,web,code\n");
/// let mut losses = String::from("run,web,code\n");
/// for i in 0..12 {
///     let w = (i as f64 + 0.5) / 12.0;
///     mixtures += &format!("r{i},{},{}\n", w, 1.0 - w);
///     losses += &format!("r{i},{},{}\n", 3.0 - 0.5 * w, 2.0 + 0.25 * w);
/// }
/// let observations = Observations::join(
///     MixtureTable::parse(&mixtures, "mixtures.csv".as_ref())?,
///     ValueTable::parse(&losses, "losses.csv".as_ref())?,
/// )?;
/// let fit = Fit::train(&observations, &FitOptions {
///     regressors: vec!["linear".into()],
///     ..FitOptions::default()
/// })?;
/// let predicted = fit.predict_table(&observations.mixtures)?;
/// assert_eq!(predicted.targets(), ["web", "web_sd", "code", "code_sd"]);
/// assert!((predicted.rows()[0][0] - observations.values.rows()[0][0]).abs() < 1e-4);
/// assert!(fit.league().get("linear", "web").unwrap().spearman > 0.99);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    pub(crate) saved: Saved,
    pub(crate) league: League,
    pub(crate) predictions: Vec<OutOfFold>,
    pub(crate) observations: Observations,
}

/// The content of `fit.json`; the tables are files beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    pub(crate) version: u32,
    pub(crate) domains: DomainSet,
    pub(crate) rows: usize,
    /// How many of the rows are earlier runs; they come last.
    #[serde(default)]
    pub(crate) earlier: usize,
    pub(crate) seed: u64,
    pub(crate) folds: usize,
    pub(crate) repeats: usize,
    pub(crate) natural: Option<BTreeMap<String, f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) dropped: Vec<Dropped>,
    pub(crate) targets: Vec<TargetFit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) approximate: Option<ApproximateUse>,
    /// Checksums of the tables beside it; none in files of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tables: BTreeMap<String, String>,
}

/// The tables that a fit is read from.
const TABLES: [&str; 3] = ["mixtures.csv", "values.csv", "predictions.csv"];
/// The table of judgements. Its checksum leaves out durations, which differ
/// between equal fits.
const LEAGUE: &str = "league.csv";
/// How a damaged fit is made again.
const AGAIN: &str = "run the fit again (`regmix fit`, with `--redo` over a finished one)";

/// The checksum of a table in a fit's folder.
fn table_checksum(dir: &Path, name: &str) -> Result<String> {
    let path = dir.join(name);
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
    Ok(sealed::checksum(&bytes))
}

impl Saved {
    pub(crate) fn new(domains: DomainSet, rows: usize, options: &FitOptions) -> Result<Self> {
        let natural = (options.natural.as_ref())
            .map(|m| m.reordered(&domains))
            .transpose()
            .map_err(|e| e.field("natural"))?
            .map(|m| m.iter().map(|(d, w)| (d.to_string(), w)).collect());
        Ok(Self {
            version: VERSION,
            domains,
            rows,
            earlier: options.earlier.as_ref().map_or(0, |e| e.mixtures.len()),
            seed: options.seed,
            folds: options.folds,
            repeats: options.repeats,
            natural,
            unit: options.unit.clone(),
            warnings: Vec::new(),
            dropped: Vec::new(),
            targets: Vec::new(),
            approximate: None,
            tables: BTreeMap::new(),
        })
    }
}

impl Fit {
    /// The least number of measured rows per target.
    pub const MIN_ROWS: usize = 8;

    /// Judges the regressors by cross-validation on every target, chooses
    /// one per target, and fits it on all rows.
    ///
    /// Measurements that are missing, not finite or far outside of all others
    /// ([`FitOptions::keep_outliers`]) are left out, target by target, and listed
    /// in [`Fit::dropped`]. A target that never varies
    /// gets a constant model and a warning. A regressor that cannot describe
    /// a target (a power law and negative scores) is left out of its league
    /// with a warning. Runs are taken in the order of their names
    /// ([`Observations::sorted_by_run`]): the result depends neither on the order of
    /// the rows nor on the number of threads.
    ///
    /// # Errors
    /// When there is no target, a target has fewer than [`Fit::MIN_ROWS`]
    /// measurements, a regressor is unknown, an option is out of range, or no
    /// regressor can be fitted.
    pub fn train(observations: &Observations, options: &FitOptions) -> Result<Self> {
        Self::train_monitored(observations, options, &Silent)
    }

    /// As [`Fit::train`], with a monitor. It has one part, "judging", counted
    /// in cross-validations of one regressor on one target and in final fits.
    ///
    /// # Errors
    /// As [`Fit::train`], and when the monitor asks to stop.
    pub fn train_monitored(
        observations: &Observations,
        options: &FitOptions,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        scores::train(observations, options, monitor)
    }

    /// Writes `fit.json` (models), `league.csv`, `predictions.csv`
    /// (out-of-fold), `mixtures.csv` and `values.csv` (what was fitted) into
    /// a folder, each atomically, `fit.json` last: where it is, all is. The
    /// `learning.csv` of an earlier fit is removed.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        let learning = dir.join("learning.csv");
        if learning.exists() {
            std::fs::remove_file(&learning).map_err(|e| Error::io(&learning, e))?;
        }
        let runs = &self.observations;
        runs.mixtures.write_csv(dir.join("mixtures.csv"))?;
        runs.values.write_csv(dir.join("values.csv"))?;
        records::write_csv(dir.join("predictions.csv"), &self.predictions)?;
        self.league.write_csv(dir.join(LEAGUE))?;
        let mut saved = self.saved.clone();
        let league = self.league.checksum()?;
        saved.tables.insert(LEAGUE.to_owned(), league);
        for name in TABLES {
            saved
                .tables
                .insert(name.to_owned(), table_checksum(dir, name)?);
        }
        sealed::write_sealed(dir.join("fit.json"), &saved)
    }

    /// Reads what [`Fit::save`] wrote.
    ///
    /// # Errors
    /// When a file is missing, damaged, or of another version.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let path = dir.join("fit.json");
        if !path.exists() && dir.join(SCALE_FILE).exists() {
            return Err(
                Error::input("laws of scale: expected a fit of runs of one size")
                    .in_file(dir.join(SCALE_FILE))
                    .help("say the size and length with --parameters and --tokens"),
            );
        }
        let mut saved: Saved = sealed::read_sealed(&path, VERSION, AGAIN)?;
        let league = League::read_csv(dir.join(LEAGUE))?;
        for (name, checksum) in std::mem::take(&mut saved.tables) {
            let found = match name.as_str() {
                LEAGUE => league.checksum()?,
                name if TABLES.contains(&name) => table_checksum(dir, name)?,
                _ => continue,
            };
            if found != checksum {
                return Err(Error::input(
                    "not the table that the fit was saved with: it was changed since",
                )
                .in_file(dir.join(name))
                .help(AGAIN));
            }
        }
        for target in &saved.targets {
            let checked = target.model.check(saved.domains.len());
            checked.map_err(|e| e.in_file(&path).field(&target.target))?;
        }
        let mixtures = MixtureTable::read_csv(dir.join("mixtures.csv"))?;
        if saved.earlier > mixtures.len() {
            return Err(Error::input(format!(
                "{} earlier runs, but mixtures.csv has {}",
                saved.earlier,
                mixtures.len()
            ))
            .in_file(&path)
            .help(AGAIN));
        }
        let values = ValueTable::read_own_csv(dir.join("values.csv"))?;
        let fitted: Vec<&String> = saved.targets.iter().map(|t| &t.target).collect();
        if values.targets().iter().ne(fitted.iter().copied()) {
            return Err(Error::input(format!(
                "targets {:?}, expected {fitted:?} as in fit.json",
                values.targets()
            ))
            .in_file(dir.join("values.csv"))
            .help(AGAIN));
        }
        Ok(Self {
            league,
            predictions: records::read_csv(dir.join("predictions.csv"))?,
            observations: Observations::join(mixtures.reordered(&saved.domains)?, values)?,
            saved,
        })
    }

    /// The domains, in the order of the models' weights.
    pub fn domains(&self) -> &DomainSet {
        &self.saved.domains
    }

    /// The chosen model of every target, in the order of the values.
    pub fn targets(&self) -> &[TargetFit] {
        &self.saved.targets
    }

    /// How approximate losses were used, where there are some
    /// ([`FitOptions::approximate`]).
    pub fn approximate(&self) -> Option<ApproximateUse> {
        self.saved.approximate
    }

    /// The chosen model of one target.
    ///
    /// # Errors
    /// When there is no such target; the error lists them.
    pub fn target(&self, name: &str) -> Result<&TargetFit> {
        let names = self.targets().iter().map(|t| t.target.as_str());
        Ok(&self.targets()[target_place(name, names)?])
    }

    /// The cross-validated accuracy of every regressor on every target.
    pub fn league(&self) -> &League {
        &self.league
    }

    /// Out-of-fold predictions of the chosen regressors.
    pub fn predictions(&self) -> &[OutOfFold] {
        &self.predictions
    }

    /// The mixtures and values that were fitted: earlier runs, if there are
    /// any, after the others.
    pub fn observations(&self) -> &Observations {
        &self.observations
    }

    /// How many runs there are, earlier ones included.
    pub fn rows(&self) -> usize {
        self.observations.mixtures.len()
    }

    /// How many of them are earlier runs, fitted but never judged.
    pub fn earlier(&self) -> usize {
        self.saved.earlier
    }

    /// Measurements that were left out, and why.
    pub fn dropped(&self) -> &[Dropped] {
        &self.saved.dropped
    }

    /// What to know before trusting the fit.
    pub fn warnings(&self) -> &[String] {
        &self.saved.warnings
    }

    /// The unit of the values, where it was given.
    pub fn unit(&self) -> Option<&str> {
        self.saved.unit.as_deref()
    }

    /// What the runs do not tell, in sentences: shares of domains, or
    /// combinations of them, that are the same in all runs.
    pub fn unidentified(&self) -> Vec<String> {
        FixedShares::of(self.observations.mixtures.mixtures()).warnings(self.domains())
    }

    /// The seed of folds and fits.
    pub fn seed(&self) -> u64 {
        self.saved.seed
    }

    /// The same fit with another natural mixture, which is a start and a
    /// reference for searches.
    ///
    /// # Errors
    /// When the mixture is over other domains.
    pub fn with_natural(mut self, natural: &Mixture) -> Result<Self> {
        let natural = natural.reordered(self.domains())?;
        let weights = natural.iter().map(|(d, w)| (d.as_str().to_owned(), w));
        self.saved.natural = Some(weights.collect());
        Ok(self)
    }

    /// The mixture of the corpus itself, if it was given.
    pub fn natural(&self) -> Option<Mixture> {
        let weights = self.saved.natural.as_ref()?;
        let weight = |domain| weights.get(domain).copied().unwrap_or(0.0);
        let ordered = self.domains().names().map(weight);
        Mixture::normalized(self.domains().clone(), ordered.collect()).ok()
    }

    /// The natural mixture where it is known, else the uniform one.
    pub(crate) fn prior(&self) -> Mixture {
        (self.natural()).unwrap_or_else(|| Mixture::uniform(self.domains().clone()))
    }

    /// Predicts every target at one mixture, in the order of
    /// [`Fit::targets`]. Cost O(targets · D²).
    ///
    /// # Errors
    /// When the mixture is over other domains; the error names one.
    pub fn predict(&self, mixture: &Mixture) -> Result<Vec<Prediction>> {
        let mixture = mixture.reordered(self.domains())?;
        let one = |t: &TargetFit| t.model.predict(mixture.weights());
        Ok(self.targets().iter().map(one).collect())
    }

    /// The expected values of all targets at many mixtures,
    /// `[mixtures][targets]` in one vector: the fastest way to score
    /// candidates. Weights are in the order of [`Fit::domains`]. Beyond its
    /// result it takes a fixed amount of memory per thread.
    pub fn score<W: AsRef<[f64]> + Sync>(&self, rows: &[W]) -> Vec<f64> {
        let models: Vec<&Model> = self.targets().iter().map(|t| &t.model).collect();
        score(&models, rows)
    }

    /// Predicts a table: columns `<target>` and `<target>_sd` for every
    /// target, one row per mixture. Domains are joined by name.
    ///
    /// # Errors
    /// When the table is over other domains; the error names one.
    pub fn predict_table(&self, mixtures: &MixtureTable) -> Result<ValueTable> {
        self.predict_table_monitored(mixtures, &Silent)
    }

    /// As [`Fit::predict_table`], with a monitor, which is checked every 64
    /// mixtures.
    ///
    /// # Errors
    /// As [`Fit::predict_table`], and when the monitor asks to stop.
    pub fn predict_table_monitored(
        &self,
        mixtures: &MixtureTable,
        monitor: &dyn Monitor,
    ) -> Result<ValueTable> {
        let mixtures = mixtures.reordered(self.domains())?;
        let columns = (self.targets().iter())
            .flat_map(|t| [t.target.clone(), format!("{}_sd", t.target)])
            .collect();
        let weights: Vec<&[f64]> = mixtures.mixtures().iter().map(Mixture::weights).collect();
        let rows: Vec<Vec<f64>> = (weights.par_chunks(64))
            .map(|some| {
                monitor.check()?;
                let mut rows = vec![Vec::with_capacity(2 * self.targets().len()); some.len()];
                for target in self.targets() {
                    for (row, p) in rows.iter_mut().zip(target.model.predict_some(some)) {
                        row.extend([p.mean, p.sd]);
                    }
                }
                Ok(rows)
            })
            .collect::<Result<Vec<_>>>()?
            .concat();
        ValueTable::new(columns, mixtures.runs().iter().cloned().zip(rows))
    }
}

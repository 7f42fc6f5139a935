//! Laws of scale from tables of runs of several sizes.

use std::path::Path;

use regmix_data::table::{MixtureTable, RunRows, names_in};
use regmix_data::{DomainSet, Error, Mixture, Monitor, Result, artefact};
use regmix_dynamic::Trajectories;
use regmix_regress::scale::{
    Cmr, CmrRun, SCALE_FILE, ScaleFit, ScaleOptimum, ScaleOptions, ScalePoint, ScaleQuestion,
    ScaleRun, ScaleRuns,
};
use regmix_regress::{Budget, Constraints};

use super::fit::refuse_to_overwrite;
use super::limits::bounded;
use super::objective::{ObjectiveArgument, with_field_if_none};
use super::optimize::warn_of_baseline;
use crate::config::ObjectiveFile;

/// The tables that laws of scale are fitted to.
#[derive(Debug, Clone, Copy)]
pub struct ScaleTables<'a> {
    /// `run,<domain>...`.
    pub mixtures: &'a Path,
    /// `run,step,tokens,<target>...`.
    pub trajectories: &'a Path,
    /// `run,parameters`; without it all runs have one size, which is not known.
    pub sizes: Option<&'a Path>,
}

/// How data is counted, by domain; empty where that is not known.
#[derive(Debug, Clone, Copy)]
pub struct Counting<'a> {
    /// Tokens that there are.
    pub available: &'a [(String, f64)],
    /// How much data a token is.
    pub per_token: &'a [(String, f64)],
}

/// Fits laws of scale to tables, into `scale.json` in the folder `out`.
///
/// # Errors
/// When a table cannot be read or does not fit the others, `out` holds such a fit
/// and `redo` is not set, as [`ScaleFit::train`], and when the monitor asks to
/// stop.
pub fn fit_scale(
    tables: ScaleTables<'_>,
    options: ScaleOptions,
    counting: Counting<'_>,
    (out, redo): (&Path, bool),
    monitor: &dyn Monitor,
) -> Result<ScaleFit> {
    let runs = read_scale_runs(tables, monitor)?;
    let file = out.join(SCALE_FILE);
    refuse_to_overwrite(&file, redo)?;
    let options = ScaleOptions {
        available: by_place(counting.available, runs.domains(), "--available")?,
        per_token: by_place(counting.per_token, runs.domains(), "--per-token")?,
        ..options
    };
    monitor.message(&format!(
        "fitting laws of scale to {} runs of {} sizes, {} targets",
        runs.runs().len(),
        runs.sizes().len(),
        runs.targets().len()
    ));
    let fit =
        ScaleFit::train_monitored(&runs, &options, monitor).map_err(|e| match e.field_name() {
            Some(option) if option.starts_with("--") => e,
            _ => e.in_file_if_none(tables.trajectories),
        })?;
    artefact::withdraw(&file)?;
    fit.save(out)?;
    Ok(fit)
}

/// Numbers by domain in the order of the domains.
fn by_place(given: &[(String, f64)], domains: &DomainSet, field: &str) -> Result<Vec<f64>> {
    if given.is_empty() {
        return Ok(Vec::new());
    }
    if let Some((name, _)) = given
        .iter()
        .find(|(name, _)| domains.position(name).is_none())
    {
        let known: Vec<&str> = domains.names().collect();
        return Err(Error::input(format!(
            "unknown domain `{name}`: expected {}",
            known.join(", ")
        ))
        .field(field));
    }
    (domains.names())
        .map(|domain| {
            let mut all = given.iter().filter(|(name, _)| name == domain);
            let found = all.next();
            if all.next().is_some() {
                return Err(
                    Error::input(format!("`{domain}` comes twice: expected one number"))
                        .field(field),
                );
            }
            found.map(|(_, amount)| *amount).ok_or_else(|| {
                Error::input(format!("no number for `{domain}`: expected one per domain"))
                    .field(field)
            })
        })
        .collect()
}

/// Reads and joins the tables.
pub(crate) fn read_scale_runs(tables: ScaleTables<'_>, monitor: &dyn Monitor) -> Result<ScaleRuns> {
    let mixtures = MixtureTable::read_csv(tables.mixtures)?;
    (mixtures.domains().more_than_one()).map_err(|e| e.in_file(tables.mixtures))?;
    let trajectories = Trajectories::read_csv(tables.trajectories)?
        .named_as(mixtures.runs())
        .sorted_by_run();
    let sizes = match tables.sizes {
        Some(path) => Some((path, Sizes::read(path, mixtures.runs())?)),
        None => None,
    };
    for note in mixtures.notes().iter().chain(trajectories.notes()) {
        monitor.message(note);
    }
    let mut runs = Vec::new();
    let mut restarts = Vec::new();
    for (run, points) in trajectories.iter() {
        let Some(mixture) = mixtures.get(run) else {
            return Err(Error::input(format!(
                "run `{run}` has no row in {}",
                tables.mixtures.display()
            ))
            .in_file(tables.trajectories)
            .help("the tables are joined by run: add its mixture, or remove its rows"));
        };
        let parameters = match &sizes {
            None => 1.0,
            Some((path, sizes)) => sizes.of(run, path)?,
        };
        // Before the first step every model is alike.
        let points: Vec<ScalePoint> = (points.iter().filter(|p| p.tokens > 0))
            .map(|p| ScalePoint {
                tokens: p.tokens as f64,
                values: p.loss.clone(),
            })
            .collect();
        if points.is_empty() {
            return Err(
                Error::input(format!("run `{run}` has no point with tokens"))
                    .in_file(tables.trajectories)
                    .field("tokens")
                    .help("laws of scale take the tokens that were seen at every point"),
            );
        }
        if rises(&points) {
            restarts.push(run.to_owned());
        }
        runs.push(ScaleRun {
            run: run.to_owned(),
            weights: mixture.weights().to_vec(),
            parameters,
            points,
        });
    }
    let without = mixtures
        .runs()
        .iter()
        .filter(|run| trajectories.get(run).is_none());
    let without: Vec<&str> = without.map(String::as_str).collect();
    if let Some(first) = without.first() {
        monitor.message(&format!(
            "{} runs of {} have no trajectory and are left out, the first of them {first}",
            without.len(),
            tables.mixtures.display()
        ));
    }
    if let Some(first) = restarts.first() {
        monitor.message(&format!(
            "the mean loss of {} runs rises by more than 3 % on the way, as after a restart of the \
             learning rate, the first of them {first}: a law of scale expects falling losses",
            restarts.len()
        ));
    }
    let targets = trajectories.domains().names().map(str::to_owned).collect();
    ScaleRuns::new(mixtures.domains().clone(), targets, runs)
        .map_err(|e| e.in_file_if_none(tables.trajectories))
}

/// Whether the mean of the losses rises on the way.
fn rises(points: &[ScalePoint]) -> bool {
    let mean = |p: &ScalePoint| p.values.iter().sum::<f64>() / p.values.len() as f64;
    let mut lowest = f64::INFINITY;
    points.iter().any(|p| {
        let risen = mean(p) > 1.03 * lowest;
        lowest = lowest.min(mean(p));
        risen
    })
}

/// Parameters by run.
struct Sizes(std::collections::BTreeMap<String, f64>);

impl Sizes {
    fn read(path: &Path, runs: &[String]) -> Result<Self> {
        /// Fewer parameters than any model of text has.
        const FEW: f64 = 1000.0;
        let table = RunRows::read_csv(path)?;
        if table.columns != ["parameters"] {
            return Err(Error::input(format!(
                "header `{},{}`: expected `run,parameters`",
                table.key,
                table.columns.join(",")
            ))
            .in_file(path)
            .line(1));
        }
        let own: Vec<String> = table.rows.iter().map(|r| r.run.clone()).collect();
        let names = names_in(&own, runs);
        let mut out = std::collections::BTreeMap::new();
        for row in &table.rows {
            let parameters = row.values[0];
            if !(parameters >= FEW && parameters.is_finite()) {
                return Err(Error::input(format!(
                    "{parameters}: expected a number of parameters, such as 1.2e9"
                ))
                .in_file(path)
                .line(row.line)
                .field("parameters")
                .help("parameters are counted one by one: 12 billion are 12e9"));
            }
            let name = names
                .get(&row.run)
                .cloned()
                .unwrap_or_else(|| row.run.clone());
            if out.insert(name, parameters).is_some() {
                return Err(Error::input(format!(
                    "run `{}` has a second row: expected every run once",
                    row.run
                ))
                .in_file(path)
                .line(row.line)
                .help("a mixture at two sizes is two runs, with a name of its own each"));
            }
        }
        Ok(Self(out))
    }

    fn of(&self, run: &str, path: &Path) -> Result<f64> {
        self.0.get(run).copied().ok_or_else(|| {
            Error::input(format!("run `{run}` has no row: expected its parameters"))
                .in_file(path)
                .help("give the parameters of every run that has a trajectory")
        })
    }
}

/// Searches the best mixture at a size and length, for an objective given as for
/// [`optimize`](super::optimize). Penalties of an objective file are those of
/// proxies and are refused here.
///
/// # Errors
/// As [`ScaleFit::optimum`]; when the file is wrong.
pub fn optimize_scale(
    fit: &ScaleFit,
    objective: &str,
    natural: Option<Mixture>,
    (parameters, tokens): (f64, f64),
    monitor: &dyn Monitor,
) -> Result<ScaleOptimum> {
    let is_known = natural.is_some();
    let question = |objective| ScaleQuestion {
        objective,
        constraints: None,
        budget: None,
        natural,
        parameters,
        tokens,
    };
    match ObjectiveArgument::read(objective)? {
        ObjectiveArgument::Named(objective) => {
            warn_of_baseline(&objective, is_known, monitor);
            (fit.optimum(&question(objective), monitor))
                .map_err(|e| with_field_if_none(e, "--objective"))
        }
        ObjectiveArgument::File(path, file) => limits(fit, &file, tokens)
            .and_then(|(constraints, budget)| {
                let objective = file.objective()?;
                warn_of_baseline(&objective, is_known, monitor);
                let asked = ScaleQuestion {
                    constraints: Some(constraints),
                    budget,
                    ..question(objective)
                };
                fit.optimum(&asked, monitor)
            })
            .map_err(|e| e.in_file_if_none(path)),
    }
}

/// The limits of an objective file; the tokens of the run are those asked for.
fn limits(
    fit: &ScaleFit,
    file: &ObjectiveFile,
    tokens: f64,
) -> Result<(Constraints, Option<Budget>)> {
    for (name, value) in [
        ("kl", file.kl),
        ("caution", file.caution),
        ("distance", file.distance),
    ] {
        if value != 0.0 {
            return Err(Error::input(format!(
                "{value}: expected 0, since searches at a size have no penalties"
            ))
            .field(name)
            .help("limit the mixture by [constraints], or search without --parameters"));
        }
    }
    let free = Constraints::none(fit.domains().clone());
    let constraints = bounded(free, &file.constraints)?;
    let budget = (!file.available.is_empty()).then(|| Budget {
        available: file.available.clone(),
        target_tokens: tokens,
        max_epochs: file.constraints.max_epochs,
    });
    Ok((constraints, budget))
}

/// What [`cmr`] is asked.
#[derive(Debug, Clone)]
pub struct CmrQuestion {
    /// Targets that stand for the general text, with their weights.
    pub general: Vec<(String, f64)>,
    /// The domain of the special text.
    pub special: String,
    /// The target that stands for the special text; by default that of the same
    /// name.
    pub special_target: Option<String>,
    /// How far the general loss may rise, in nats per token.
    pub epsilon: f64,
    /// Tokens of the run; by default those of the last measurement.
    pub tokens: Option<f64>,
}

/// The critical mixture ratio from tables of runs that go on from one model.
///
/// # Errors
/// When a table cannot be read or does not fit the other, a name is unknown, and
/// as [`Cmr::find`].
pub fn cmr(mixtures: &Path, trajectories: &Path, asked: &CmrQuestion) -> Result<Cmr> {
    let table = MixtureTable::read_csv(mixtures)?;
    let curves = Trajectories::read_csv(trajectories)?
        .named_as(table.runs())
        .sorted_by_run();
    let domains: Vec<&str> = table.domains().names().collect();
    let place = |name: &str, known: &[&str], field: &str| {
        known.iter().position(|k| *k == name).ok_or_else(|| {
            Error::input(format!(
                "unknown `{name}`: expected one of {}",
                known.join(", ")
            ))
            .field(field)
        })
    };
    let special = place(&asked.special, &domains, "--special")?;
    let targets: Vec<&str> = curves.domains().names().collect();
    let own = asked.special_target.as_ref().unwrap_or(&asked.special);
    let special_target = place(own, &targets, "--special-target")?;
    let general: Vec<(usize, f64)> = (asked.general.iter())
        .map(|(name, weight)| Ok((place(name, &targets, "--general")?, *weight)))
        .collect::<Result<_>>()?;
    if general.iter().any(|g| g.0 == special_target) {
        return Err(Error::input(format!(
            "`{own}` stands for the special text: expected other targets for general text"
        ))
        .field("--general"));
    }
    let sum: f64 = general.iter().map(|g| g.1).sum();
    if !(sum > 0.0 && general.iter().all(|g| g.1 >= 0.0)) {
        return Err(
            Error::input("weights of general targets: expected positive numbers")
                .field("--general"),
        );
    }
    let mut runs = Vec::new();
    for (run, points) in curves.iter() {
        let Some(mixture) = table.get(run) else {
            return Err(
                Error::input(format!("run `{run}` has no row in {}", mixtures.display()))
                    .in_file(trajectories)
                    .help("the tables are joined by run: add its mixture, or remove its rows"),
            );
        };
        let points = points.iter().map(|p| {
            let general: f64 = general.iter().map(|(t, w)| w / sum * p.loss[*t]).sum();
            (p.tokens as f64, general, p.loss[special_target])
        });
        runs.push(CmrRun {
            run: run.to_owned(),
            special_share: mixture.weights()[special],
            points: points
                .filter(|p| p.1.is_finite() && p.2.is_finite())
                .collect(),
        });
    }
    Cmr::find(&runs, asked.epsilon, asked.tokens).map_err(|e| match e.field_name() {
        Some(_) => e,
        None => e.in_file_if_none(trajectories),
    })
}

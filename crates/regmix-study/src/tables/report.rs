//! The page about a fit of tables.

use std::path::{Path, PathBuf};

use regmix_data::artefact::{read_json, write_atomic};
use regmix_data::{DomainSet, Error, Mixture, Monitor, Result};
use regmix_regress::scale::{SCALE_FILE, ScaleEstimate, ScaleFit, ScaleOptimum, ScaleQuestion};
use regmix_regress::{Fit, Interactions, LearningCurve, Objective, Recommendation};
use serde_json::Value;

use super::fit::refuse_to_overwrite;
use crate::launch::quoted;
use crate::report::{AtTarget, Expected, Report, Subject, count, plural};

/// How far a prediction may be from the same prediction in another file: both are
/// written in full, and other processors round the last digits otherwise.
const ROUNDING: f64 = 1e-6;

/// Writes a page about the fit in a folder, with what `optimize` found with it: a mixture,
/// one at a size by laws of scale, both, or none.
///
/// # Errors
/// When there is no fit in the folder, a file cannot be read or was found with another fit,
/// two files are of one kind, `out` exists and `redo` is not set, and when the monitor asks
/// to stop.
pub fn report(
    folder: &Path,
    found: &[PathBuf],
    (out, redo): (&Path, bool),
    monitor: &dyn Monitor,
) -> Result<()> {
    refuse_to_overwrite(out, redo)?;
    let mut fits = Fits::load(folder)?;
    let found = Found::read(found)?;
    found.check(&fits, folder)?;
    monitor.check()?;
    let page = fits.page(folder, &found)?;
    monitor.check()?;
    write_atomic(out, page.as_bytes())
}

/// What a folder holds.
struct Fits {
    fit: Option<Fit>,
    laws: Option<ScaleFit>,
    learning: Option<LearningCurve>,
}

impl Fits {
    fn load(folder: &Path) -> Result<Self> {
        let there = |name: &str| folder.join(name).exists();
        if !there("fit.json") && !there(SCALE_FILE) {
            let problem = match folder.exists() {
                true => format!("no fit in this folder: expected fit.json or {SCALE_FILE}"),
                false => "there is no such folder: expected one with a fit".to_owned(),
            };
            return Err(Error::input(problem).in_file(folder).help(
                "fit your runs first: `regmix fit --mixtures m.csv --losses l.csv --out DIR`",
            ));
        }
        Ok(Self {
            fit: (there("fit.json").then(|| Fit::load(folder))).transpose()?,
            laws: (there(SCALE_FILE).then(|| ScaleFit::load(folder))).transpose()?,
            learning: (there("learning.csv"))
                .then(|| LearningCurve::read_csv(folder.join("learning.csv")))
                .transpose()?,
        })
    }

    fn page(&mut self, folder: &Path, found: &Found) -> Result<String> {
        let commands = self.next_commands(folder, found);
        let recommendation = found.recommendation.as_ref().map(|(_, found)| found);
        // The natural mixture is an argument of the search, and not part of the fit.
        let natural = recommendation.and_then(natural_of);
        let fit = match (self.fit.take(), natural) {
            (Some(fit), Some(natural)) => Some(fit.with_natural(natural)?),
            (fit, _) => fit,
        };
        let interactions = (fit.as_ref())
            .map(|fit| Interactions::around(fit, &around(fit, recommendation)?))
            .transpose()?;
        let unit = (fit.as_ref().and_then(Fit::unit))
            .or(recommendation.and_then(|found| found.unit.as_deref()))
            .or(self.laws.as_ref().and_then(ScaleFit::unit))
            .map(str::to_owned);
        let unit = unit.as_deref();
        let facts = facts(fit.as_ref(), self.laws.as_ref(), unit);
        let at_target = (self.laws.take())
            .map(|laws| at_target(laws, found))
            .transpose()?;
        Ok(Report {
            subject: Subject::Tables,
            name: &folder.display().to_string(),
            unit,
            recommendation,
            fit: fit.as_ref(),
            learning: self.learning.as_ref(),
            interactions: interactions.as_ref(),
            trajectories: None,
            check: None,
            compared: None,
            at_target: at_target.as_ref(),
            schedule: None,
            scheduled: None,
            decisions: &[],
            corpus: None,
            design: fit.as_ref().map(|fit| &fit.observations().mixtures),
            proxy_epochs: &[],
            facts: &facts,
            stale: &[],
            commands: &commands,
        }
        .html())
    }

    fn next_commands(&self, folder: &Path, found: &Found) -> Vec<(String, String)> {
        let fit = quoted(&folder.to_string_lossy());
        let mut rows = Vec::new();
        let any = found.recommendation.as_ref().map(|f| &f.0);
        let any = any.or(found.optimum.as_ref().map(|f| &f.0));
        if self.fit.is_some() {
            if found.recommendation.is_none() {
                rows.push((
                    "Find the best mixture",
                    format!("regmix optimize --fit {fit} --out mixture.json"),
                ));
            }
            rows.push((
                "Predict the losses of your own mixtures",
                format!("regmix predict --fit {fit} --mixtures mine.csv --out predicted.csv"),
            ));
            rows.push((
                "Choose further runs where they help most",
                format!("regmix design --next 16 --fit {fit} --out next.csv"),
            ));
        }
        if self.laws.is_some() && found.optimum.is_none() {
            rows.push((
                "Find the best mixture at a size and length, such as 1.2 billion parameters and 46 \
                 billion tokens",
                format!(
                    "regmix optimize --fit {fit} --parameters 1.2e9 --tokens 46e9 --out at-size.json"
                ),
            ));
        }
        if let Some(mixture) = any {
            rows.push((
                "Write the mixture for your trainer",
                format!(
                    "regmix export --to megatron --path '/data/{{domain}}' --mixture {}",
                    quoted(&mixture.to_string_lossy())
                ),
            ));
        }
        (rows.into_iter())
            .map(|(what, command)| (what.to_owned(), command))
            .collect()
    }
}

/// What was found with a fit, with the files it was read from.
#[derive(Default)]
struct Found {
    recommendation: Option<(PathBuf, Recommendation)>,
    optimum: Option<(PathBuf, ScaleOptimum)>,
}

impl Found {
    fn read(paths: &[PathBuf]) -> Result<Self> {
        let mut found = Self::default();
        for path in paths {
            let value: Value = read_json(path)?;
            let twice = |first: &Path, what: &str| {
                Err(Error::input(format!(
                    "the second mixture that was found {what}, after {}: expected one",
                    first.display()
                ))
                .in_file(path)
                .help("write a page for each of them, with --out"))
            };
            let has = |key: &str| value.get(key).is_some();
            if has("mixture") && has("predicted") {
                if let Some((first, _)) = &found.recommendation {
                    return twice(first, "with a fit");
                }
                found.recommendation = Some((path.clone(), Recommendation::load(path)?));
            } else if has("mixture") && has("path") {
                if let Some((first, _)) = &found.optimum {
                    return twice(first, "at a size");
                }
                found.optimum = Some((path.clone(), ScaleOptimum::load(path)?));
            } else {
                return Err(Error::input(
                    "not what `regmix optimize` writes: expected a mixture with its predictions",
                )
                .in_file(path)
                .help("search for it: `regmix optimize --fit DIR --out mixture.json`"));
            }
        }
        Ok(found)
    }

    /// An error where something was found with another fit than that of the folder.
    fn check(&self, fits: &Fits, folder: &Path) -> Result<()> {
        if let Some((path, found)) = &self.recommendation {
            let fit = (fits.fit.as_ref()).ok_or_else(|| {
                Error::input(format!(
                    "found with a fit of runs of one size, and {} holds laws of scale only: \
                     expected what `optimize --parameters` found with them",
                    folder.display()
                ))
                .in_file(path)
                .help(of_that_fit(folder))
            })?;
            let mixture = same_domains(path, &found.mixture, fit.domains(), folder)?;
            let own = fit.targets().iter().map(|t| t.target.clone());
            let own = own.zip(fit.predict(&mixture)?.into_iter().map(|p| p.mean));
            let theirs = found.targets.iter();
            let theirs = theirs.map(|t| (t.target.clone(), t.predicted.mean));
            same_predictions(
                path,
                &theirs.collect::<Vec<_>>(),
                &own.collect::<Vec<_>>(),
                folder,
            )?;
        }
        if let Some((path, found)) = &self.optimum {
            let laws = (fits.laws.as_ref()).ok_or_else(|| {
                Error::input(format!(
                    "found at a size by laws of scale, and {} holds none: expected what \
                     `optimize` found without --parameters",
                    folder.display()
                ))
                .in_file(path)
                .help(of_that_fit(folder))
            })?;
            let mixture = same_domains(path, &found.mixture, laws.domains(), folder)?;
            let (_, own) = laws.estimate(&question(Objective::Mean, found), &mixture)?;
            let pairs = |all: &[ScaleEstimate]| -> Vec<(String, f64)> {
                all.iter().map(|e| (e.name.clone(), e.mean)).collect()
            };
            same_predictions(path, &pairs(&found.losses), &pairs(&own), folder)?;
        }
        Ok(())
    }
}

fn of_that_fit(folder: &Path) -> String {
    format!(
        "give the folder of the fit that it was found with, or search again with `--fit {}`",
        quoted(&folder.to_string_lossy())
    )
}

/// The mixture in the order of a fit's domains.
fn same_domains(
    path: &Path,
    found: &Mixture,
    domains: &DomainSet,
    folder: &Path,
) -> Result<Mixture> {
    (found.reordered(domains)).map_err(|e| e.in_file_if_none(path).help(of_that_fit(folder)))
}

/// An error where a file predicts other targets than the fit does, or other values of them.
fn same_predictions(
    path: &Path,
    found: &[(String, f64)],
    own: &[(String, f64)],
    folder: &Path,
) -> Result<()> {
    let names =
        |all: &[(String, f64)]| -> Vec<String> { all.iter().map(|t| t.0.clone()).collect() };
    let (theirs, expected) = (names(found), names(own));
    let problem = match found.iter().zip(own).find(|(a, b)| !near(a.1, b.1)) {
        _ if theirs != expected => format!(
            "found with another fit, of the targets {}: expected {}",
            theirs.join(", "),
            expected.join(", ")
        ),
        Some(((target, found), (_, own))) => format!(
            "found with another fit: it predicts {found:.6} for `{target}`, and that in {} {own:.6}",
            folder.display()
        ),
        None => return Ok(()),
    };
    Err(Error::input(problem)
        .in_file(path)
        .help(of_that_fit(folder)))
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= ROUNDING * a.abs().max(b.abs()).max(1e-3)
}

/// The question that a mixture at a size answered, but for its limits.
fn question(objective: Objective, found: &ScaleOptimum) -> ScaleQuestion {
    ScaleQuestion {
        objective,
        constraints: None,
        budget: None,
        natural: None,
        parameters: found.parameters,
        tokens: found.tokens,
    }
}

/// The natural mixture that a search was given.
fn natural_of(found: &Recommendation) -> Option<&Mixture> {
    let natural = found.references.iter().find(|r| r.name == "natural");
    natural.map(|r| &r.mixture)
}

/// Where slopes are taken: at the natural mixture, else the found one, else the mean of
/// those that were run.
fn around(fit: &Fit, found: Option<&Recommendation>) -> Result<Mixture> {
    if let Some(natural) = fit.natural() {
        return Ok(natural);
    }
    if let Some(found) = found {
        return Ok(found.mixture.clone());
    }
    let mut mean = vec![0.0; fit.domains().len()];
    for mixture in fit.observations().mixtures.mixtures() {
        for (m, w) in mean.iter_mut().zip(mixture.weights()) {
            *m += w;
        }
    }
    Mixture::normalized(fit.domains().clone(), mean)
}

/// What laws of scale say, with what was found at a size.
fn at_target(laws: ScaleFit, found: &Found) -> Result<AtTarget> {
    let Some((_, optimum)) = &found.optimum else {
        return Ok(AtTarget {
            fit: laws,
            optimum: None,
            found: None,
            natural: None,
        });
    };
    let best = &optimum.mixture;
    let recommendation = found.recommendation.as_ref().map(|f| &f.1);
    let expected = |mixture: &Mixture| -> Result<Option<Expected>> {
        let Ok(mixture) = mixture.reordered(laws.domains()) else {
            return Ok(None);
        };
        let (_, losses) = laws.estimate(&question(Objective::Mean, optimum), &mixture)?;
        // A file does not say what was searched at the size. Where the objective of the
        // other mixture gives the same value there, it is the same objective.
        let objective = recommendation.map(|found| question(found.objective.clone(), optimum));
        let objective = objective.and_then(|asked| {
            let (there, _) = laws.estimate(&asked, best).ok()?;
            let same = near(there.mean, optimum.objective.mean);
            same.then(|| laws.estimate(&asked, &mixture).ok().map(|own| own.0))?
        });
        Ok(Some(Expected { objective, losses }))
    };
    let natural = recommendation.and_then(natural_of);
    Ok(AtTarget {
        found: (recommendation.map(|found| expected(&found.mixture)))
            .transpose()?
            .flatten(),
        natural: natural.map(expected).transpose()?.flatten(),
        optimum: Some(optimum.clone()),
        fit: laws,
    })
}

fn facts(fit: Option<&Fit>, laws: Option<&ScaleFit>, unit: Option<&str>) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut add = |label: &str, value: String| rows.push((label.to_owned(), value));
    let unit = unit.unwrap_or("not given (`fit --unit` names it)");
    if let Some(fit) = fit {
        let runs = match fit.earlier() {
            0 => count(fit.rows() as u64),
            earlier => format!(
                "{}, {} of them from before the domains changed",
                count(fit.rows() as u64),
                count(earlier as u64)
            ),
        };
        add("Proxy runs fitted", runs);
        add("Domains", count(fit.domains().len() as u64));
        add("Targets", count(fit.targets().len() as u64));
        add("Unit", unit.to_owned());
        add("Seed of the fit", fit.seed().to_string());
    }
    if let Some(laws) = laws {
        let (runs, sizes) = (laws.runs().runs().len(), laws.runs().sizes().len());
        let what = format!("{} of {}", plural(runs, "run"), plural(sizes, "size"));
        add("Laws of scale fitted to", what);
        if fit.is_none() {
            add("Unit", unit.to_owned());
        }
    }
    add("regmix", env!("CARGO_PKG_VERSION").to_owned());
    rows
}

//! The recommendation: a mixture with everything a person needs to trust it
//! or not.

mod bootstrap;
mod parts;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::artefact::{read_json, write_json};
use regmix_data::{Error, Mixture, Result};

use crate::constraints::{Binding, Constraints};
use crate::fit::Fit;
use crate::objective::{Objective, Scorer};
use crate::search::{DescendOptions, SimulateOptions, Surface, Termination, descend, simulate};
use crate::support::Support;

pub use parts::{Budget, Estimate, Gap, Provenance, Reference, TargetEstimate, WeightSpread};

/// The layout of `mixture.json`.
const VERSION: u32 = 1;

/// How the mixture is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// [`descend`] from the natural, the uniform, the best observed and the
    /// best of some random mixtures.
    #[default]
    Descend,
    /// RegMix's own [`simulate`] around the natural mixture.
    Simulate,
}

/// How to recommend.
///
/// | field | default | range |
/// |---|---|---|
/// | `objective` | mean of all targets | targets of the fit |
/// | `constraints` | none | feasible |
/// | `budget` | none | adds caps and implied epochs |
/// | `method` | descend | |
/// | `caution` | 0 | standard deviations added to the value while searching |
/// | `bootstrap` | 20 | 0 (off) or 2 and more |
/// | `seed` | 0 | any; draws and resampling |
/// | `simulate`, `descend` | their defaults | `simulate.seed` is replaced by `seed` |
#[derive(Debug, Clone, PartialEq)]
pub struct RecommendOptions {
    /// What to minimise.
    pub objective: Objective,
    /// Floors and caps.
    pub constraints: Option<Constraints>,
    /// Tokens there are and tokens wanted.
    pub budget: Option<Budget>,
    /// How to search.
    pub method: Method,
    /// Standard deviations added to the value while searching.
    pub caution: f64,
    /// Refits on resampled runs.
    pub bootstrap: usize,
    /// Seed of draws and resampling.
    pub seed: u64,
    /// Settings of the simulation.
    pub simulate: SimulateOptions,
    /// Settings of the descent.
    pub descend: DescendOptions,
}

impl Default for RecommendOptions {
    fn default() -> Self {
        Self {
            objective: Objective::Mean,
            constraints: None,
            budget: None,
            method: Method::Descend,
            caution: 0.0,
            bootstrap: 20,
            seed: 0,
            simulate: SimulateOptions::default(),
            descend: DescendOptions::default(),
        }
    }
}

/// The content of `mixture.json`.
///
/// How uncertainties combine:
/// - A target's `sd` is that of its model: parameter uncertainty and the
///   noise of one run.
/// - The objective's `sd` joins those of its targets with the correlation of
///   their out-of-fold errors (see [`Scorer`]); it is never less than the
///   spread of the objective over bootstrap refits. Intervals are
///   `mean ± 1.645 sd`, 90 % under a normal distribution.
/// - A gap's `sd` is `√(sd² of one side + sd² of the other)`: what one run
///   of each, compared, would scatter by if their errors were independent.
///   `exceeds_noise` holds when the whole 90 % interval is above zero. Errors
///   that both sides share make this cautious. `model_sd` is the spread of
///   the same gap over bootstrap refits, in which they cancel: how sure the
///   models are, noise of runs aside.
/// - Weights spread as the optimum moves over the bootstrap refits.
///
/// All of it assumes that proxies rank mixtures as the target run does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The layout of this file.
    pub version: u32,
    /// What was minimised.
    pub objective: Objective,
    /// The mixture, shares of tokens.
    pub mixture: Mixture,
    /// The predicted objective there.
    pub predicted: Estimate,
    /// The gap to the natural, the uniform and the best observed mixture.
    pub references: Vec<Reference>,
    /// The predicted value of every target of the fit.
    pub targets: Vec<TargetEstimate>,
    /// Every weight with its spread and what it means in epochs.
    pub weights: Vec<WeightSpread>,
    /// The bounds that the mixture sits on: relaxing them would lower the
    /// objective.
    pub binding: Vec<Binding>,
    /// Whether proxies were trained near the mixture.
    pub support: Support,
    /// How much a refit flatters its own optimum: the mean over the bootstrap
    /// of what this fit predicts there minus what the refit does. Expect the
    /// true value that much above the prediction. Absent without bootstrap.
    pub optimism: Option<f64>,
    /// How the mixture was searched for.
    pub method: Method,
    /// Why the search stopped; absent for a simulation, which always ends.
    pub termination: Option<Termination>,
    /// Values and derivatives computed by the search.
    pub evaluations: usize,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl Recommendation {
    /// Writes `mixture.json`, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_json(path, self)
    }

    /// Reads what [`Recommendation::save`] wrote.
    ///
    /// # Errors
    /// When the file is missing, damaged or of another version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let out: Self = read_json(path)?;
        if out.version != VERSION {
            return Err(
                Error::input(format!("version {}, expected {VERSION}", out.version))
                    .in_file(path)
                    .help("make the recommendation again"),
            );
        }
        Ok(out)
    }
}

/// A search result, whichever the method.
struct Found {
    weights: Vec<f64>,
    termination: Option<Termination>,
    evaluations: usize,
}

impl Fit {
    /// Searches for the best mixture and says how sure it is.
    ///
    /// The same fit and options always give the same result. Cost: one
    /// search, then `bootstrap` refits of the objective's targets with one
    /// search each, in parallel.
    ///
    /// # Errors
    /// When the objective names an unknown target, bounds clash, or an option
    /// is out of range.
    pub fn recommend(&self, options: &RecommendOptions) -> Result<Recommendation> {
        if options.bootstrap == 1 || !(options.caution >= 0.0 && options.caution.is_finite()) {
            return Err(Error::input(format!(
                "bootstrap {} and caution {}: expected 0 or at least 2 refits, and a finite \
                 caution that is not negative",
                options.bootstrap, options.caution
            )));
        }
        let scorer = self
            .scorer(&options.objective)?
            .with_caution(options.caution);
        let constraints = self.constraints(options)?;
        let references = self.reference_mixtures(&options.objective)?;
        let found = self.search(&scorer, &constraints, &references, options)?;
        let mixture = Mixture::normalized(self.domains().clone(), found.weights)?;
        let fixed: Vec<&[f64]> = std::iter::once(mixture.weights())
            .chain(references.iter().map(|r| r.1.weights()))
            .collect();
        let spread = bootstrap::run(self, &scorer, &constraints, &fixed, options)?;
        let estimate = |place: usize| {
            let p = scorer.predict(fixed[place]);
            Estimate::new(p.mean, p.sd.max(spread.value_sd(place)))
        };
        let predicted = estimate(0);
        let references = (references.iter().enumerate())
            .map(|(i, (name, reference))| {
                let there = estimate(i + 1);
                let gap = Gap::new(&there, &predicted, spread.gap_sd(i + 1));
                Reference {
                    name: name.clone(),
                    mixture: reference.clone(),
                    predicted: there,
                    gap,
                }
            })
            .collect();
        let targets = (self.targets().iter().zip(self.predict(&mixture)?))
            .map(|(t, p)| TargetEstimate {
                target: t.target.clone(),
                regressor: t.regressor.clone(),
                predicted: Estimate::new(p.mean, p.sd),
            })
            .collect();
        Ok(Recommendation {
            version: VERSION,
            objective: options.objective.clone(),
            predicted,
            references,
            targets,
            weights: self.spreads(&mixture, &spread, options.budget.as_ref())?,
            binding: constraints.binding(mixture.weights()),
            support: self.support(&mixture)?,
            optimism: spread.optimism(),
            method: options.method,
            termination: found.termination,
            evaluations: found.evaluations,
            provenance: Provenance {
                program: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
                runs: self.rows(),
                fit_seed: self.seed(),
                seed: options.seed,
                caution: options.caution,
                refits: spread.len(),
                regressors: (self.targets().iter())
                    .map(|t| (t.target.clone(), t.regressor.clone()))
                    .collect::<BTreeMap<_, _>>(),
            },
            mixture,
        })
    }

    fn constraints(&self, options: &RecommendOptions) -> Result<Constraints> {
        let given = match &options.constraints {
            Some(constraints) => constraints.reordered(self.domains())?,
            None => Constraints::none(self.domains().clone()),
        };
        match &options.budget {
            Some(budget) => given.and(&budget.caps(self.domains())?),
            None => Ok(given),
        }
    }

    /// What the recommendation is compared with: the natural mixture where
    /// it is known, the uniform one, and the one of the best observed run.
    fn reference_mixtures(&self, objective: &Objective) -> Result<Vec<(String, Mixture)>> {
        let mut out = Vec::new();
        if let Some(natural) = self.natural() {
            out.push(("natural".to_owned(), natural));
        }
        out.push((
            "uniform".to_owned(),
            Mixture::uniform(self.domains().clone()),
        ));
        if let Some(best) = self.best_observed(objective)? {
            out.push(("best_observed".to_owned(), best.1.clone()));
        }
        Ok(out)
    }

    /// The run with the lowest measured objective, among those that have all
    /// its targets.
    ///
    /// # Errors
    /// When the objective names an unknown target.
    pub fn best_observed(&self, objective: &Objective) -> Result<Option<(&str, &Mixture, f64)>> {
        let parts = objective.resolve(self)?;
        let observations = self.observations();
        let values = observations.values.rows().iter();
        let best = (observations.mixtures.iter().zip(values))
            .map(|((run, mixture), row)| {
                (
                    run,
                    mixture,
                    parts.iter().map(|&(t, a)| a * row[t]).sum::<f64>(),
                )
            })
            .filter(|(_, _, value)| value.is_finite())
            .min_by(|a, b| a.2.total_cmp(&b.2));
        Ok(best)
    }

    fn search(
        &self,
        scorer: &Scorer,
        constraints: &Constraints,
        references: &[(String, Mixture)],
        options: &RecommendOptions,
    ) -> Result<Found> {
        let prior = match self.natural() {
            Some(natural) => natural,
            None => Mixture::uniform(self.domains().clone()),
        };
        let mut drawing = SimulateOptions {
            seed: options.seed,
            ..options.simulate
        };
        if options.method == Method::Simulate {
            let found = simulate(scorer, &prior, constraints, &drawing)?;
            return Ok(Found {
                weights: found.mixture.weights().to_vec(),
                termination: None,
                evaluations: found.kept + 1,
            });
        }
        // A few draws are enough for one more start.
        drawing.draws = drawing.draws.min(4096);
        drawing.best = drawing.best.min(drawing.draws);
        let mut starts: Vec<Mixture> = references.iter().map(|r| r.1.clone()).collect();
        let mut evaluations = 0;
        if let Ok(drawn) = simulate(scorer, &prior, constraints, &drawing) {
            evaluations += drawn.kept + 1;
            starts.push(drawn.top);
        }
        let found = descend(scorer, &starts, constraints, &options.descend)?;
        Ok(Found {
            weights: found.mixture.weights().to_vec(),
            termination: Some(found.termination),
            evaluations: evaluations + found.evaluations,
        })
    }

    /// Searches a refit's surface, starting from the optimum of this fit.
    fn search_again(
        &self,
        scorer: &Scorer,
        constraints: &Constraints,
        optimum: &[f64],
        options: &RecommendOptions,
    ) -> Result<Vec<f64>> {
        match options.method {
            Method::Simulate => Ok(self.search(scorer, constraints, &[], options)?.weights),
            Method::Descend => {
                let start = Mixture::normalized(scorer.domains().clone(), optimum.to_vec())?;
                let found = descend(scorer, &[start], constraints, &options.descend)?;
                Ok(found.mixture.weights().to_vec())
            }
        }
    }

    fn spreads(
        &self,
        mixture: &Mixture,
        spread: &bootstrap::Spread,
        budget: Option<&Budget>,
    ) -> Result<Vec<WeightSpread>> {
        let natural = self.natural();
        let mut out = Vec::with_capacity(self.domains().len());
        for (i, (domain, weight)) in mixture.iter().enumerate() {
            let (sd, low, high) = spread.weight(i);
            out.push(WeightSpread {
                domain: domain.to_string(),
                weight,
                natural: natural.as_ref().and_then(|n| n.get(domain.as_str())),
                sd,
                low,
                high,
                epochs: budget
                    .map(|b| b.epochs(domain.as_str(), weight))
                    .transpose()?
                    .flatten(),
            });
        }
        Ok(out)
    }
}

//! The recommendation: a mixture with everything a person needs to trust it
//! or not.

mod bootstrap;
mod parts;
mod search;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::artefact::{read_json, write_json};
use regmix_data::{Error, Mixture, Result};

use crate::constraints::{Binding, Constraints};
use crate::fit::Fit;
use crate::objective::{Objective, divergence};
use crate::search::{DescendOptions, SimulateOptions, Termination};
use crate::support::Support;

pub use parts::{
    Budget, Estimate, Gap, Penalties, Provenance, Pull, Reference, TargetEstimate, WeightSpread,
};

/// The layout of `mixture.json`.
const VERSION: u32 = 2;

/// How the mixture is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// [`descend`](crate::search::descend) from the natural, the uniform, the
    /// best observed and the best of some random mixtures.
    #[default]
    Descend,
    /// RegMix's own [`simulate`](crate::search::simulate) around the natural
    /// mixture. Penalties count; for a worst case the true worst is used.
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
/// | `caution` | 0 | standard deviations added to the value while searching, see [`Scorer::with_caution`](crate::Scorer::with_caution) |
/// | `distance` | 0 | objective per unit of total variation beyond the proxies' reach, see [`Scorer::with_distance`](crate::Scorer::with_distance) |
/// | `kl` | 0 | objective per nat of divergence from the natural mixture (the uniform one where that is not known), see [`Scorer::with_kl`](crate::Scorer::with_kl) |
/// | `bootstrap` | 20 | 0 (off) or 2 and more |
/// | `seed` | 0 | any; draws and resampling |
/// | `simulate`, `descend` | their defaults | `simulate.seed` is replaced by `seed` |
#[derive(Debug, Clone, PartialEq)]
pub struct RecommendOptions {
    /// What to minimise.
    pub objective: Objective,
    /// Floors, caps and limits of groups.
    pub constraints: Option<Constraints>,
    /// Tokens there are and tokens wanted.
    pub budget: Option<Budget>,
    /// How to search.
    pub method: Method,
    /// Standard deviations added to the value while searching.
    pub caution: f64,
    /// What a unit of total variation beyond the proxies' reach costs while
    /// searching.
    pub distance: f64,
    /// What a nat of divergence from the natural mixture costs while
    /// searching.
    pub kl: f64,
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
            distance: 0.0,
            kl: 0.0,
            bootstrap: 20,
            seed: 0,
            simulate: SimulateOptions::default(),
            descend: DescendOptions::default(),
        }
    }
}

impl RecommendOptions {
    pub(crate) fn check(&self) -> Result<()> {
        if self.bootstrap == 1 {
            return Err(Error::input("1 refit: expected 0 or at least 2").field("bootstrap"));
        }
        let penalties = [
            ("caution", self.caution),
            ("distance", self.distance),
            ("kl", self.kl),
        ];
        match penalties
            .iter()
            .find(|(_, x)| !(*x >= 0.0 && x.is_finite()))
        {
            Some((name, x)) => Err(Error::input(format!(
                "{x}, expected a finite number that is not negative"
            ))
            .field(*name)),
            None => Ok(()),
        }
    }
}

/// The content of `mixture.json`.
///
/// Values of the objective are without penalties and in its own direction:
/// for one that is maximised ([`Objective::Maximize`]) higher is better. Gaps
/// are positive where the recommendation is better, in either case.
///
/// How uncertainties combine:
/// - A target's `sd` is that of its model: parameter uncertainty and the
///   noise of one run.
/// - The objective's `sd` joins those of its targets with the correlation of
///   their out-of-fold errors (see [`Scorer`](crate::Scorer)); it is never less than the
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
    /// What was minimised, or maximised.
    pub objective: Objective,
    /// The mixture, shares of tokens.
    pub mixture: Mixture,
    /// The predicted objective there.
    pub predicted: Estimate,
    /// The gap to the natural mixture, the uniform one, UniMax where a
    /// budget makes it another one, and the best observed one.
    pub references: Vec<Reference>,
    /// The predicted value of every target of the fit.
    pub targets: Vec<TargetEstimate>,
    /// Every weight with its spread and what it means in epochs.
    pub weights: Vec<WeightSpread>,
    /// The bounds that the mixture sits on: relaxing them would lower the
    /// objective.
    pub binding: Vec<Binding>,
    /// The pull towards the natural mixture, where one was asked for.
    pub pull: Option<Pull>,
    /// The penalties for leaving what proxies covered, where there were some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalties: Option<Penalties>,
    /// Whether proxies were trained near the mixture.
    pub support: Support,
    /// How much a refit flatters its own optimum: the mean over the bootstrap
    /// of what this fit predicts there minus what the refit does, turned
    /// around for an objective that is maximised. Expect the true value to be
    /// that much worse than the prediction. Absent without bootstrap.
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
        self.recommend_watched(options, &|_, _| ())
    }

    /// As [`Fit::recommend`], telling how far it is: `watch(done, all)` is
    /// called from several threads after every refit.
    ///
    /// # Errors
    /// As [`Fit::recommend`].
    pub fn recommend_watched(
        &self,
        options: &RecommendOptions,
        watch: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Recommendation> {
        options.check()?;
        let scorer = self.penalised(&options.objective, options)?;
        let constraints = self.constraints(options)?;
        let references = self.reference_mixtures(&options.objective, options)?;
        let sign = options.objective.sign();
        let found = self.search(&scorer, &constraints, &references, options)?;
        let mixture = Mixture::normalized(self.domains().clone(), found.weights)?;
        let fixed: Vec<&[f64]> = std::iter::once(mixture.weights())
            .chain(references.iter().map(|r| r.1.weights()))
            .collect();
        let spread = bootstrap::run(self, &scorer, &constraints, &fixed, options, watch)?;
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
                    predicted: there.signed(sign),
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
            predicted: predicted.signed(sign),
            references,
            targets,
            weights: self.spreads(&mixture, &spread, options.budget.as_ref())?,
            binding: constraints.binding(mixture.weights()),
            pull: (options.kl > 0.0).then(|| Pull {
                towards: match self.natural() {
                    Some(_) => "natural".to_owned(),
                    None => "uniform".to_owned(),
                },
                strength: options.kl,
                divergence: divergence(mixture.weights(), self.prior().weights()),
            }),
            penalties: (options.caution > 0.0 || options.distance > 0.0).then(|| {
                let (beyond, cost) = scorer.beyond(mixture.weights());
                Penalties {
                    caution: options.caution,
                    distance: options.distance,
                    beyond,
                    cost,
                }
            }),
            support: self.supported(&mixture, &scorer)?,
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
                effective_tokens: budget
                    .map(|b| b.effective_tokens(domain.as_str(), weight))
                    .transpose()?,
            });
        }
        Ok(out)
    }
}

//! How to recommend.

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Result};

use crate::advise::penalty::check_strength;
use crate::constraints::Constraints;
use crate::objective::Objective;
use crate::repetition::budget::Budget;
use crate::search::options::DescendOptions;
use crate::search::simulate::SimulateOptions;

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
    /// The constraints and the caps of the budget, over the domains of a fit.
    ///
    /// # Errors
    /// When these are over other domains, or no mixture can keep to all of
    /// them.
    pub fn bounds(&self, domains: &DomainSet) -> Result<Constraints> {
        let given = Constraints::or_none(self.constraints.as_ref(), domains)?;
        match &self.budget {
            Some(budget) => given.and(&budget.caps(domains)?),
            None => Ok(given),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.bootstrap == 1 {
            return Err(Error::input("1 refit: expected 0 or at least 2").field("bootstrap"));
        }
        let penalties = [
            ("caution", self.caution),
            ("distance", self.distance),
            ("kl", self.kl),
        ];
        (penalties.into_iter()).try_for_each(|(name, x)| check_strength(name, x))
    }
}

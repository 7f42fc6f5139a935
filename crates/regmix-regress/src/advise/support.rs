//! Where proxies were trained, and whether a mixture is among them.

use serde::{Deserialize, Serialize};

use regmix_data::{Mixture, Result};

use crate::advise::reach::neighbour_distances;
use crate::advise::scorer::Scorer;
use crate::fit::Fit;
use crate::metrics::quantile;
use crate::objective::Objective;

/// Whether a prediction at a mixture is supported by proxies or extrapolated.
///
/// The rule, in one place. A mixture is out of distribution when either
/// holds:
///
/// - **far**: it is further from the nearest proxy than 95 % of the proxies
///   are from theirs, in total variation (`½ Σ |a - b|`, in `[0, 1]`);
/// - **unsure**: the objective's standard deviation there is above the 95th
///   percentile of what it is at the proxies themselves, each predicted by a
///   model that had not seen it. This asks the models, and tells nothing
///   where a model underestimates its uncertainty: a least-squares fit is as
///   sure beyond the proxies as its leverage says.
///
/// Predictions there are extrapolation, their intervals too narrow, and an
/// optimum there may be an artefact of the model. The flag changes nothing. A
/// search can be kept away from such places beforehand, by penalties that are
/// part of the stated objective: [`RecommendOptions::caution`] adds standard
/// deviations to the value, [`RecommendOptions::distance`] a cost of what is
/// far, [`RecommendOptions::kl`] divergence from the natural mixture.
///
/// [`RecommendOptions::distance`]: crate::RecommendOptions::distance
/// [`RecommendOptions::caution`]: crate::RecommendOptions::caution
/// [`RecommendOptions::kl`]: crate::RecommendOptions::kl
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// The run with the nearest mixture.
    pub nearest_run: String,
    /// Distance to it.
    pub distance: f64,
    /// Median distance of a proxy to its nearest neighbour.
    pub typical: f64,
    /// 95th percentile of that distance.
    pub limit: f64,
    /// Whether `distance` is above `limit`.
    pub far: bool,
    /// Standard deviation of the objective, its unit.
    pub sd: f64,
    /// 95th percentile of that over the proxies, out of fold; absent where
    /// fewer than 8 runs have all targets of the objective.
    pub sd_limit: Option<f64>,
    /// Whether `sd` is above `sd_limit`.
    pub unsure: bool,
    /// Whether the mixture is far or the models unsure.
    pub out_of_distribution: bool,
}

impl Support {
    /// How well the proxies support a prediction of an objective at a
    /// mixture. Cost O(n² D) for n runs.
    ///
    /// # Errors
    /// When the mixture is over other domains, or the objective names an
    /// unknown target.
    pub fn at(fit: &Fit, mixture: &Mixture, objective: &Objective) -> Result<Self> {
        Self::of_scorer(fit, mixture, &Scorer::new(fit, objective)?)
    }

    pub(crate) fn of_scorer(fit: &Fit, mixture: &Mixture, scorer: &Scorer) -> Result<Self> {
        let mixture = mixture.reordered(fit.domains())?;
        let proxies = &fit.observations().mixtures;
        let mut nearest = ("", f64::INFINITY);
        for (run, proxy) in proxies.iter() {
            let distance = mixture.tv_distance(proxy);
            if distance < nearest.1 {
                nearest = (run, distance);
            }
        }
        let neighbours = neighbour_distances(proxies.mixtures());
        let limit = quantile(&neighbours, 0.95);
        let sd = scorer.predict(mixture.weights()).sd;
        let sd_limit = scorer.usual_sd(fit);
        let far = nearest.1 > limit;
        // A constant's standard deviation is the same everywhere but for
        // rounding.
        let unsure = sd_limit.is_some_and(|limit| sd > limit * (1.0 + 1e-9));
        Ok(Self {
            nearest_run: nearest.0.to_owned(),
            distance: nearest.1,
            typical: quantile(&neighbours, 0.5),
            limit,
            far,
            sd,
            sd_limit,
            unsure,
            out_of_distribution: far || unsure,
        })
    }
}

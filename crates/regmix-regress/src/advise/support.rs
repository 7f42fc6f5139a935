//! Where proxies were trained, and whether a mixture is among them.

use serde::{Deserialize, Serialize};

use regmix_data::{Mixture, Result};

use crate::advise::coverage::{Coverage, PASS};
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
/// - **far**: its [leverage](Coverage) is above that of the proxies, each
///   computed from the others. This uses the mixtures alone: it shows that no
///   similar mixture was run, not that the prediction is wrong;
/// - **unsure**: the objective's standard deviation there is above what it is
///   at the proxies, each predicted by a model that had not seen it. This uses
///   the models, and is uninformative where a model underestimates its
///   uncertainty.
///
/// The two limits are the 95th percentiles over the proxies, raised by one
/// factor so that 95 % of the proxies pass both: of mixtures drawn as the
/// proxies were, one in twenty is flagged.
///
/// Predictions there are extrapolation, their intervals too narrow, and an
/// optimum there may be an artefact of the model. The flag changes nothing. A
/// search can be kept away from such places beforehand, by penalties that are
/// part of the stated objective: [`RecommendOptions::caution`] adds standard
/// deviations to the value, [`RecommendOptions::distance`] a cost of distance,
/// [`RecommendOptions::kl`] divergence from the natural mixture.
///
/// [`RecommendOptions::distance`]: crate::RecommendOptions::distance
/// [`RecommendOptions::caution`]: crate::RecommendOptions::caution
/// [`RecommendOptions::kl`]: crate::RecommendOptions::kl
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// The run with the nearest mixture.
    pub nearest_run: String,
    /// Distance to it, in total variation: the share of tokens that differ.
    pub distance: f64,
    /// Median distance of a proxy's mixture to the nearest other one.
    pub typical: f64,
    /// 95th percentile of that distance.
    pub limit: f64,
    /// The leverage of the mixture, see [`Coverage`].
    #[serde(default)]
    pub leverage: f64,
    /// The greatest leverage that is not flagged; 0 in files of versions that
    /// flagged by `distance` and `limit`.
    #[serde(default)]
    pub leverage_limit: f64,
    /// Whether `leverage` is above `leverage_limit`.
    pub far: bool,
    /// Standard deviation of the objective, its unit.
    pub sd: f64,
    /// The greatest one that is not flagged; absent where fewer than 8 runs
    /// have all targets of the objective.
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
        let coverage = Coverage::of(proxies.mixtures())?;
        let leverage = coverage.leverage(mixture.weights());
        let (leverage_limit, sd_limit) = limits(fit, scorer, &coverage);
        let far = leverage > leverage_limit;
        // A constant's standard deviation is the same everywhere but for
        // rounding.
        let unsure = sd_limit.is_some_and(|limit| sd > limit * (1.0 + 1e-9));
        Ok(Self {
            nearest_run: nearest.0.to_owned(),
            distance: nearest.1,
            typical: quantile(&neighbours, 0.5),
            limit,
            leverage,
            leverage_limit,
            far,
            sd,
            sd_limit,
            unsure,
            out_of_distribution: far || unsure,
        })
    }
}

/// The limits of leverage and standard deviation that 95 % of the proxies
/// keep together.
fn limits(fit: &Fit, scorer: &Scorer, coverage: &Coverage) -> (f64, Option<f64>) {
    let sds = scorer.out_of_fold_sds(fit);
    let all: Vec<f64> = sds.values().copied().collect();
    let usual = quantile(&all, PASS);
    if all.len() < Fit::MIN_ROWS || usual <= 0.0 {
        return (coverage.limit(), None);
    }
    let runs = fit.observations().mixtures.runs().iter();
    let worse: Vec<f64> = (runs.zip(coverage.of_runs()))
        .filter_map(|(run, leverage)| {
            let sd = sds.get(run.as_str())?;
            Some((leverage / coverage.limit()).max(sd / usual))
        })
        .collect();
    let raised = quantile(&worse, PASS).max(1.0);
    (raised * coverage.limit(), Some(raised * usual))
}

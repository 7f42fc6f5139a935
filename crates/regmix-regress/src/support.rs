//! Where proxies were trained, and whether a mixture is among them.

use serde::{Deserialize, Serialize};

use regmix_data::{Mixture, Result};

use crate::fit::Fit;
use crate::metrics::quantile;

/// How far a mixture is from the nearest proxy, against how far proxies are
/// from each other. Distances are total variation, in `[0, 1]`.
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
    /// Whether `distance` is above `limit`: fewer than 1 proxy in 20 lies as
    /// far from the others. Predictions there are extrapolation, and their
    /// intervals are too narrow.
    pub out_of_distribution: bool,
}

impl Fit {
    /// How well the proxies support a prediction at a mixture. Cost O(n² D)
    /// for n runs.
    ///
    /// # Errors
    /// When the mixture is over other domains.
    pub fn support(&self, mixture: &Mixture) -> Result<Support> {
        let mixture = mixture.reordered(self.domains())?;
        let proxies = &self.observations().mixtures;
        let mut nearest = ("", f64::INFINITY);
        for (run, proxy) in proxies.iter() {
            let distance = mixture.tv_distance(proxy);
            if distance < nearest.1 {
                nearest = (run, distance);
            }
        }
        let all = proxies.mixtures();
        let neighbours: Vec<f64> = (0..all.len())
            .map(|i| {
                let others = (0..all.len()).filter(|&j| j != i);
                others
                    .map(|j| all[i].tv_distance(&all[j]))
                    .fold(f64::INFINITY, f64::min)
            })
            .collect();
        let limit = quantile(&neighbours, 0.95);
        Ok(Support {
            nearest_run: nearest.0.to_owned(),
            distance: nearest.1,
            typical: quantile(&neighbours, 0.5),
            limit,
            out_of_distribution: nearest.1 > limit,
        })
    }
}

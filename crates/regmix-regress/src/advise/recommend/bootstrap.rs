//! The spread of the recommendation over refits on resampled runs.

use rand::RngExt;
use rayon::prelude::*;

use regmix_data::random::stream;
use regmix_data::{Monitor, Result};

use crate::advise::recommend::options::RecommendOptions;
use crate::advise::scorer::Scorer;
use crate::fit::Fit;
use crate::metrics::{mean, mean_and_sd, quantile};
use crate::prediction::Z90;
use crate::progress::Part;
use crate::registry::regressor;
use crate::regressor::interface::FitContext;
use crate::regressor::model::Model;
use crate::samples::{Samples, measured};

/// One refit.
struct Replicate {
    /// Its optimum.
    weights: Vec<f64>,
    /// Its value at the mixtures that all refits are compared at; the
    /// recommendation is the first.
    values: Vec<f64>,
    /// What it predicts at its own optimum.
    lowest: f64,
    /// The fit's prediction at this refit's optimum minus the refit's own.
    optimism: f64,
}

/// A search for the optimum of an objective over other models.
pub(super) type Search<'a> = dyn Fn(&Scorer) -> Result<Vec<f64>> + Sync + 'a;

/// The refits that count.
pub(super) struct Spread {
    all: Vec<Replicate>,
    /// How many were left out, since their predictions cannot be.
    dropped: usize,
}

/// Where values of the objective can be: the range of the measured ones, and of
/// what the fit itself predicts, and as much again on both sides.
struct Range(std::ops::RangeInclusive<f64>);

impl Range {
    fn of(fit: &Fit, scorer: &Scorer, fixed: &[&[f64]]) -> Self {
        let measured = (fit.observations().values.rows().iter())
            .map(|row| scorer.places().iter().map(|&t| row[t]).collect::<Vec<_>>())
            .map(|values| scorer.of_values(&values));
        let predicted = fixed.iter().map(|w| scorer.mean(w));
        let (low, high) = (measured.chain(predicted).filter(|v| v.is_finite()))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            });
        let width = high - low;
        Self(low - width..=high + width)
    }

    fn holds(&self, refit: &Replicate) -> bool {
        (refit.values.iter().chain([&refit.lowest])).all(|v| self.0.contains(v))
    }
}

impl Spread {
    /// Resamples runs with replacement, refits the objective's targets with
    /// their chosen regressors, and searches again. A resample that cannot be
    /// fitted (a target constant by chance) is left out, and so is a refit that
    /// leaves the range of what was measured: with few runs, some do, by any
    /// amount, and would be all that a mean or a spread shows.
    pub(super) fn measure(
        fit: &Fit,
        scorer: &Scorer,
        fixed: &[&[f64]],
        search: &Search<'_>,
        options: &RecommendOptions,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let samples = (scorer.places().iter())
            .map(|&t| measured(fit.observations(), t))
            .collect::<Result<Vec<_>>>()?;
        let replicate = |b: usize| {
            let mut rng = stream(options.seed, &format!("bootstrap-{b}"), "resample");
            // Whole runs are drawn, the same for all targets: their errors may be
            // correlated.
            let mut times = vec![0usize; fit.rows()];
            for _ in 0..fit.rows() {
                times[rng.random_range(0..fit.rows())] += 1;
            }
            let mut models: Vec<Model> = Vec::with_capacity(samples.len());
            for ((&t, (places, samples)), model) in
                (scorer.places().iter().zip(&samples)).zip(scorer.models())
            {
                let drawn: Vec<usize> = (places.iter().enumerate())
                    .flat_map(|(i, &run)| std::iter::repeat_n(i, times[run]))
                    .collect();
                let regressor = regressor(&fit.targets()[t].regressor).ok()?;
                let samples = samples.pick(&drawn).ok()?;
                let (fitted, factor) = model.uncalibrated();
                let refit = |samples: &Samples<'_>, fitted: &Model| {
                    let context = FitContext::new(options.seed, monitor).after(fitted);
                    regressor.fit_with(samples, context).ok()
                };
                let refitted = match fitted {
                    // What is approximate stays: resamples are of the runs.
                    Model::Moved(moved) => {
                        let rest = moved.taken().rest_of(&samples).ok()?;
                        moved.taken().clone().and(refit(&rest, moved.rest())?)
                    }
                    _ => refit(&samples, fitted)?,
                };
                models.push(refitted.calibrated(factor));
            }
            let refitted = scorer.with_models(models);
            let weights = search(&refitted).ok()?;
            let values = fixed.iter().map(|w| refitted.mean(w)).collect();
            let lowest = refitted.mean(&weights);
            Some(Replicate {
                optimism: scorer.mean(&weights) - lowest,
                weights,
                values,
                lowest,
            })
        };
        if options.bootstrap == 0 {
            return Ok(Self {
                all: Vec::new(),
                dropped: 0,
            });
        }
        let _part = Part::begin(monitor, "refitting", options.bootstrap);
        let range = Range::of(fit, scorer, fixed);
        let (all, off): (Vec<Replicate>, Vec<Replicate>) = (0..options.bootstrap)
            .into_par_iter()
            .filter_map(|b| {
                let out = replicate(b);
                monitor.advance(1);
                out
            })
            .partition(|refit| range.holds(refit));
        monitor.check()?;
        Ok(Self {
            all,
            dropped: off.len(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn dropped(&self) -> usize {
        self.dropped
    }

    /// Spread of the objective at a shared mixture; 0 without refits.
    pub(super) fn value_sd(&self, place: usize) -> f64 {
        (self.sd(&self.column(|r| r.values[place]))).unwrap_or(0.0)
    }

    /// Spread of a shared mixture's gap to the recommendation.
    pub(super) fn gap_sd(&self, place: usize) -> Option<f64> {
        self.sd(&self.column(|r| r.values[place] - r.values[0]))
    }

    /// Standard deviation, 5th and 95th percentile of a weight.
    pub(super) fn weight(&self, domain: usize) -> (Option<f64>, Option<f64>, Option<f64>) {
        let column = self.column(|r| r.weights[domain]);
        let sd = self.sd(&column);
        let range = |q| sd.map(|_| quantile(&column, q));
        (sd, range(0.05), range(0.95))
    }

    /// The mean over refits of the optimism of each at its own optimum; never
    /// below 0, since a search can only make predictions too optimistic: a
    /// negative mean is chance.
    pub(super) fn optimism(&self) -> Option<f64> {
        let column = self.column(|r| r.optimism);
        (column.len() >= 2).then(|| mean(&column).max(0.0))
    }

    fn column(&self, of: impl Fn(&Replicate) -> f64) -> Vec<f64> {
        self.all.iter().map(of).collect()
    }

    /// Standard deviation; `None` for fewer than 2 values. Where refits were
    /// left out, others may be far off as well: it is then taken from the 5th
    /// and the 95th percentile, as a normal distribution has them.
    fn sd(&self, values: &[f64]) -> Option<f64> {
        match (values.len(), self.dropped) {
            (0 | 1, _) => None,
            (_, 0) => Some(mean_and_sd(values).1),
            _ => Some((quantile(values, 0.95) - quantile(values, 0.05)) / (2.0 * Z90)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64], dropped: usize) -> Spread {
        let all = (values.iter())
            .map(|v| Replicate {
                weights: vec![1.0],
                values: vec![*v],
                lowest: *v,
                optimism: 0.0,
            })
            .collect();
        Spread { all, dropped }
    }

    #[test]
    fn where_refits_were_dropped_the_spread_is_that_of_quantiles() {
        let values: Vec<f64> = (0..=20).map(|i| f64::from(i * i)).collect();
        assert!((spread(&values, 0).value_sd(0) - mean_and_sd(&values).1).abs() < 1e-9);
        let expected = (361.0 - 1.0) / (2.0 * Z90);
        assert!((spread(&values, 1).value_sd(0) - expected).abs() < 1e-9);
        assert_eq!(spread(&[1.0], 1).value_sd(0), 0.0);
        assert_eq!(spread(&[], 19).optimism(), None);
        let mut chance = spread(&[1.0, 2.0], 0);
        chance.all[0].optimism = -0.3;
        assert_eq!(chance.optimism(), Some(0.0));
    }

    #[test]
    fn a_refit_that_leaves_the_range_does_not_count() {
        let range = Range(1.0..=4.0);
        let of = |value: f64, lowest: f64| Replicate {
            lowest,
            ..spread(&[value], 0).all.remove(0)
        };
        assert!(range.holds(&of(2.0, 1.5)));
        assert!(!range.holds(&of(47_330.0, 1.5)) && !range.holds(&of(2.0, -3.0)));
        assert!(!range.holds(&of(f64::NAN, 2.0)));
    }
}

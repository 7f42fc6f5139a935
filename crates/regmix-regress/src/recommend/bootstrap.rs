//! What the recommendation would have been with other runs.

use std::sync::atomic::{AtomicUsize, Ordering};

use rand::RngExt;
use rayon::prelude::*;

use regmix_data::Result;
use regmix_data::random::stream;

use super::RecommendOptions;
use crate::constraints::Constraints;
use crate::fit::Fit;
use crate::metrics::{mean, quantile, variance};
use crate::objective::Scorer;
use crate::regressor::{Model, regressor};

/// One refit.
struct Replicate {
    /// Its optimum.
    weights: Vec<f64>,
    /// Its value at mixtures that all refits share; the recommendation first.
    values: Vec<f64>,
    /// How much it flatters its own optimum.
    optimism: f64,
}

/// All refits.
pub(super) struct Spread(Vec<Replicate>);

/// Resamples runs with replacement, refits the objective's targets with
/// their chosen regressors, and searches again. A resample that cannot be
/// fitted (a target constant by chance) is left out.
pub(super) fn run(
    fit: &Fit,
    scorer: &Scorer,
    constraints: &Constraints,
    fixed: &[&[f64]],
    options: &RecommendOptions,
    watch: &(dyn Fn(usize, usize) + Sync),
) -> Result<Spread> {
    let samples = (scorer.places().iter())
        .map(|&t| fit.samples(t))
        .collect::<Result<Vec<_>>>()?;
    let again = |b: usize| {
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
            let again = regressor(&fit.targets()[t].regressor).ok()?;
            let samples = samples.pick(&drawn).ok()?;
            let (fitted, factor) = model.uncalibrated();
            let refitted = again.refit(&samples, options.seed, fitted).ok()?;
            models.push(refitted.calibrated(factor));
        }
        let refitted = scorer.with_models(models);
        let weights = fit
            .search_again(&refitted, constraints, fixed[0], options)
            .ok()?;
        let values = fixed.iter().map(|w| refitted.mean(w)).collect();
        let optimism = scorer.mean(&weights) - refitted.mean(&weights);
        Some(Replicate {
            weights,
            values,
            optimism,
        })
    };
    let told = AtomicUsize::new(0);
    let done = (0..options.bootstrap)
        .into_par_iter()
        .filter_map(|b| {
            let replicate = again(b);
            watch(told.fetch_add(1, Ordering::Relaxed) + 1, options.bootstrap);
            replicate
        })
        .collect();
    Ok(Spread(done))
}

impl Spread {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Spread of the objective at a shared mixture; 0 without refits.
    pub(super) fn value_sd(&self, place: usize) -> f64 {
        sd(&self.column(|r| r.values[place])).unwrap_or(0.0)
    }

    /// Spread of a shared mixture's gap to the recommendation.
    pub(super) fn gap_sd(&self, place: usize) -> Option<f64> {
        sd(&self.column(|r| r.values[place] - r.values[0]))
    }

    /// Standard deviation, 5th and 95th percentile of a weight.
    pub(super) fn weight(&self, domain: usize) -> (Option<f64>, Option<f64>, Option<f64>) {
        let column = self.column(|r| r.weights[domain]);
        let sd = sd(&column);
        let range = |q| sd.map(|_| quantile(&column, q));
        (sd, range(0.05), range(0.95))
    }

    pub(super) fn optimism(&self) -> Option<f64> {
        let column = self.column(|r| r.optimism);
        sd(&column).map(|_| mean(&column))
    }

    fn column(&self, of: impl Fn(&Replicate) -> f64) -> Vec<f64> {
        self.0.iter().map(of).collect()
    }
}

/// Standard deviation with divisor n - 1; `None` for fewer than 2 values.
fn sd(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    (values.len() >= 2).then(|| (variance(values) * n / (n - 1.0)).sqrt())
}

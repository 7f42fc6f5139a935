//! The spread of the recommendation over refits on resampled runs.

use rand::RngExt;
use rayon::prelude::*;

use regmix_data::random::stream;
use regmix_data::{Monitor, Result};

use crate::advise::recommend::options::RecommendOptions;
use crate::advise::recommend::search::search_again;
use crate::advise::scorer::Scorer;
use crate::constraints::Constraints;
use crate::fit::Fit;
use crate::metrics::{mean, quantile, variance};
use crate::progress::Part;
use crate::registry::regressor;
use crate::regressor::interface::FitContext;
use crate::regressor::model::Model;
use crate::samples::measured;

/// One refit.
struct Replicate {
    /// Its optimum.
    weights: Vec<f64>,
    /// Its value at the mixtures that all refits are compared at; the
    /// recommendation is the first.
    values: Vec<f64>,
    /// The fit's prediction at this refit's optimum minus the refit's own.
    optimism: f64,
}

/// All refits.
pub(super) struct Spread(Vec<Replicate>);

impl Spread {
    /// Resamples runs with replacement, refits the objective's targets with
    /// their chosen regressors, and searches again. A resample that cannot be
    /// fitted (a target constant by chance) is left out.
    pub(super) fn measure(
        fit: &Fit,
        scorer: &Scorer,
        constraints: &Constraints,
        fixed: &[&[f64]],
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
                let context = FitContext::new(options.seed, monitor).after(fitted);
                let refitted = regressor.fit_with(&samples, context).ok()?;
                models.push(refitted.calibrated(factor));
            }
            let refitted = scorer.with_models(models);
            let weights =
                search_again(fit, &refitted, constraints, fixed[0], options, monitor).ok()?;
            let values = fixed.iter().map(|w| refitted.mean(w)).collect();
            let optimism = scorer.mean(&weights) - refitted.mean(&weights);
            Some(Replicate {
                weights,
                values,
                optimism,
            })
        };
        if options.bootstrap == 0 {
            return Ok(Self(Vec::new()));
        }
        let _part = Part::begin(monitor, "refitting", options.bootstrap);
        let replicates = (0..options.bootstrap)
            .into_par_iter()
            .filter_map(|b| {
                let out = replicate(b);
                monitor.advance(1);
                out
            })
            .collect();
        monitor.check()?;
        Ok(Self(replicates))
    }

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

//! Which mixtures to train proxies on next.

mod candidates;
mod improvement;
pub(crate) mod options;

use rayon::prelude::*;

use regmix_data::{Error, Mixture, Monitor, Result, Silent};

use crate::advise::next_runs::candidates::candidates;
use crate::advise::next_runs::improvement::expected_improvement;
use crate::advise::next_runs::options::NextOptions;
use crate::advise::observed::observed_costs;
use crate::constraints::Constraints;
use crate::fit::Fit;
use crate::prediction::Prediction;
use crate::regressor::gp::batch::Batch;
use crate::regressor::gp::fit::Gp;
use crate::regressor::gp::model::GpModel;
use crate::samples::Samples;

/// A mixture to train a proxy on.
#[derive(Debug, Clone, PartialEq)]
pub struct NextRun {
    /// The mixture, over the domains of the fit.
    pub mixture: Mixture,
    /// The objective predicted there from the runs there are, in its own
    /// direction; `sd` is that of one run.
    pub predicted: Prediction,
    /// Expected improvement over the best mixture known when it was picked,
    /// in units of the objective; never negative.
    pub improvement: f64,
    /// Total variation to the nearest run, old or picked before.
    pub distance: f64,
}

/// Proposes mixtures for the next proxies: those with the largest expected
/// improvement, which weighs the probability that the objective is lower than at
/// the best mixture so far by the amount.
///
/// One Gaussian process is fitted to the objective of every run that has
/// all its targets. Mixtures are picked one after the other by expected
/// improvement (Jones, Schonlau and Welch 1998)
///
/// `EI(w) = s(w) (z Φ(z) + φ(z))`, `z = (f* - μ(w)) / s(w)`,
///
/// with μ and s the mean and standard deviation of the surface (without the noise
/// of a run) and f* the lowest mean at any run that keeps to the constraints (at
/// any candidate, where no run does): values are noisy, and the lowest of them is
/// probably too low. μ, s and f* are of logarithms where all values are positive.
/// After each pick the process treats the run as finished, with the expected value
/// as its result (the kriging believer of Ginsbourger, Le Riche and Carraro 2010):
/// means and hyperparameters stay, the standard deviation shrinks around the pick,
/// and the next one goes elsewhere.
///
/// Candidates are draws around the natural (or uniform) and the uniform mixture
/// from nearly even to nearly one domain, draws around the
/// [recommendation](crate::recommend) and the best runs, and these themselves, all
/// projected onto the constraints.
///
/// The same fit and options always give the same runs. Cost: one fit of a
/// process, O(n³) a step; O(N n²) for N candidates and n runs, 8 N n
/// bytes; O(N (n + D)) per pick; one search.
///
/// Wins over spread-out designs once some tens of runs show where losses are low:
/// runs go where the optimum may be. Fails where the process does: values that
/// jump, fewer runs than domains. Runs chosen in this way lie close to the optimum
/// of one objective and inform less about that of another, and their
/// cross-validated errors are errors near the optimum.
///
/// ```
/// use regmix_data::table::{MixtureTable, Observations, ValueTable};
/// use regmix_regress::{Fit, FitOptions, NextOptions, next_runs};
///
/// let mut mixtures = String::from("run,web,code\n");
/// let mut losses = String::from("run,web\n");
/// for i in 0..10 {
///     let w = (f64::from(i) + 0.5) / 10.0;
///     mixtures += &format!("r{i},{},{}\n", w, 1.0 - w);
///     losses += &format!("r{i},{}\n", 2.0 + (w - 0.62) * (w - 0.62));
/// }
/// let fit = Fit::train(
///     &Observations::join(
///         MixtureTable::parse(&mixtures, "mixtures.csv".as_ref())?,
///         ValueTable::parse(&losses, "losses.csv".as_ref())?,
///     )?,
///     &FitOptions { regressors: vec!["linear".into()], ..FitOptions::default() },
/// )?;
/// let next = next_runs(&fit, &NextOptions { runs: 2, ..NextOptions::default() })?;
/// assert_eq!(next.len(), 2);
/// assert!((next[0].mixture.get("web").unwrap() - 0.62).abs() < 0.1);
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When an option is out of range, the objective names an unknown target,
/// fewer than 8 runs have all targets or all have the same value, or the
/// constraints leave fewer mixtures than `runs`.
pub fn next_runs(fit: &Fit, options: &NextOptions) -> Result<Vec<NextRun>> {
    next_runs_monitored(fit, options, &Silent)
}

/// [`next_runs`] with a monitor.
///
/// # Errors
/// As [`next_runs`], and when the monitor asks to stop.
pub fn next_runs_monitored(
    fit: &Fit,
    options: &NextOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<NextRun>> {
    options.check()?;
    let known = Known::new(fit, options, monitor)?;
    let candidates = candidates(fit, &known.best_runs(), options, monitor)?;
    let picked = known.pick(&candidates, options, monitor)?;
    let constraints = Constraints::or_none(options.constraints.as_ref(), fit.domains())?;
    (picked.into_iter())
        .map(|(_, run)| {
            let weights = constraints.cleared(run.mixture.weights());
            let mixture = Mixture::normalized(fit.domains().clone(), weights)?;
            Ok(NextRun { mixture, ..run })
        })
        .collect()
}

/// As [`next_runs`], from a given pool: the candidates are those mixtures of
/// it that keep to the constraints and are not too near to a run. Each comes
/// with its place in the pool.
///
/// # Errors
/// As [`next_runs`], and when a mixture of the pool is over other domains.
pub fn next_runs_from(
    fit: &Fit,
    pool: &[Mixture],
    options: &NextOptions,
) -> Result<Vec<(usize, NextRun)>> {
    let sized = NextOptions {
        candidates: pool.len(),
        ..options.clone()
    };
    sized.check()?;
    let pool: Vec<Mixture> = (pool.iter())
        .map(|m| m.reordered(fit.domains()))
        .collect::<Result<_>>()?;
    Known::new(fit, &sized, &Silent)?.pick(&pool, &sized, &Silent)
}

/// What is known of the objective from the runs.
struct Known<'a> {
    fit: &'a Fit,
    /// Mixtures that have a value.
    rows: Vec<&'a [f64]>,
    process: GpModel,
}

impl<'a> Known<'a> {
    fn new(fit: &'a Fit, options: &NextOptions, monitor: &dyn Monitor) -> Result<Self> {
        let mixtures = fit.observations().mixtures.mixtures();
        let (rows, values): (Vec<&[f64]>, Vec<f64>) = (mixtures.iter())
            .zip(observed_costs(fit, &options.objective)?)
            .filter(|(_, value)| value.is_finite())
            .map(|(mixture, value)| (mixture.weights(), value))
            .unzip();
        if rows.len() < Fit::MIN_ROWS {
            return Err(Error::input(format!(
                "{} runs have all targets of `{}`, expected at least {}",
                rows.len(),
                options.objective,
                Fit::MIN_ROWS
            ))
            .help("train more proxies of the first design"));
        }
        let samples = Samples::new(rows.iter().copied(), values)?;
        Ok(Self {
            fit,
            process: Gp::default().process(&samples, options.seed, monitor)?,
            rows,
        })
    }

    /// Standardised means.
    fn means(&self, rows: &[&[f64]]) -> Vec<f64> {
        (rows.par_iter())
            .map(|row| self.process.standardised(self.process.mean(row)))
            .collect()
    }

    /// The runs with the lowest means.
    fn best_runs(&self) -> Vec<&'a [f64]> {
        const CENTRES: usize = 4;
        let means = self.means(&self.rows);
        let mut order: Vec<usize> = (0..means.len()).collect();
        order.sort_by(|a, b| means[*a].total_cmp(&means[*b]));
        (order.iter().take(CENTRES))
            .map(|&i| self.rows[i])
            .collect()
    }

    fn pick(
        &self,
        candidates: &[Mixture],
        options: &NextOptions,
        monitor: &dyn Monitor,
    ) -> Result<Vec<(usize, NextRun)>> {
        let constraints = Constraints::or_none(options.constraints.as_ref(), self.fit.domains())?;
        let runs = self.fit.observations().mixtures.mixtures();
        let usable: Vec<usize> = (0..candidates.len())
            .filter(|&i| constraints.allows(candidates[i].weights()))
            .collect();
        let rows: Vec<&[f64]> = usable.iter().map(|&i| candidates[i].weights()).collect();
        let mut distances: Vec<f64> = (usable.par_iter())
            .map(|&i| (runs.iter().map(|run| candidates[i].tv_distance(run))).fold(1.0, f64::min))
            .collect();
        let means = self.means(&rows);
        let mut batch = Batch::new(&self.process, &rows);
        // Runs outside the constraints are no better mixture to beat.
        let inside = |row: &&&[f64]| constraints.allows(row);
        let allowed: Vec<&[f64]> = self.rows.iter().filter(inside).copied().collect();
        let known = match allowed.is_empty() {
            false => self.means(&allowed),
            true => means.clone(),
        };
        let mut best = known.into_iter().fold(f64::INFINITY, f64::min);
        let sign = options.objective.sign();
        let mut out = Vec::with_capacity(options.runs);
        while out.len() < options.runs {
            monitor.check()?;
            let gains: Vec<f64> = (means.iter().zip(batch.variances()))
                .map(|(mean, variance)| expected_improvement(best, *mean, variance.sqrt()))
                .collect();
            // A mixture that was run before is no new run, however near
            // runs may be to each other.
            let open =
                (0..rows.len()).filter(|&i| distances[i] > options.apart && means[i].is_finite());
            let Some(i) = open.max_by(|&a, &b| {
                let by_variance = || batch.variances()[a].total_cmp(&batch.variances()[b]);
                (gains[a].total_cmp(&gains[b])).then_with(by_variance)
            }) else {
                return Err(Error::input(format!(
                    "only {} of {} runs can be proposed: every other candidate breaks a bound or \
                     is within {} of a run",
                    out.len(),
                    options.runs,
                    options.apart
                ))
                .help("ask for fewer runs, widen the constraints, or lower `apart`"));
            };
            let mixture = candidates[usable[i]].clone();
            let predicted = self.process.predict_all(&[rows[i]])[0];
            let run = NextRun {
                predicted: Prediction {
                    mean: sign * predicted.mean,
                    sd: predicted.sd,
                },
                improvement: gains[i] * self.process.unit(predicted.mean).abs(),
                distance: distances[i],
                mixture,
            };
            best = best.min(means[i]);
            batch.condition(i);
            for (distance, row) in distances.iter_mut().zip(&usable) {
                *distance = distance.min(candidates[*row].tv_distance(&run.mixture));
            }
            out.push((usable[i], run));
        }
        Ok(out)
    }
}

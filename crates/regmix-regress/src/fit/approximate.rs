//! Approximate losses of many mixtures, which a fit moves towards.
//!
//! A proxy costs a training run; approximate losses cost less: the loss of the mixed
//! predictions of experts ([`ExpertLosses`](crate::ExpertLosses), the features of "Mixture
//! of Data Experts", arXiv 2502.15950), or the loss of smaller proxies. A law is fitted to
//! the approximate losses, a share of it is subtracted from the measured ones, and
//! regressors are fitted to the difference. Held-out runs choose the share, which may be
//! 0.

use std::collections::BTreeMap;
use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use regmix_data::table::Observations;
use regmix_data::{DomainSet, Error, Monitor, Result};

use crate::fit::Fit;
use crate::progress::Part;
use crate::registry::regressor;
use crate::regressor::interface::FitContext;
use crate::regressor::model::Model;
use crate::samples::measured;

/// The shares that are compared, beside none. A greater one must bring something.
pub(super) const SHARES: [f64; 3] = [0.5, 0.75, 1.0];
/// Errors that are smaller by less than this factor count as equal.
pub(super) const CLEARLY: f64 = 0.98;

/// What describes approximate losses: laws, and a process for what no law sees.
const REGRESSOR: &str = "law1+law2+gp";
/// More mixtures than these are thinned out.
const MOST: usize = 300;

/// How approximate losses were used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproximateUse {
    /// The mixtures whose losses are approximate.
    pub mixtures: usize,
    /// The share of the approximate losses that is taken; 0 where they do not help.
    pub share: f64,
    /// The cross-validated mean absolute error of the fit, in units of the mean absolute
    /// deviation of the values; the mean over targets.
    pub error: f64,
    /// The same without approximate losses.
    pub error_without: f64,
}

impl fmt::Display for ApproximateUse {
    /// What approximate losses are worth, in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mixtures,
            share,
            error,
            error_without,
        } = self;
        let unit = "by the mean deviation of the losses";
        match *share > 0.0 {
            true => write!(
                f,
                "Of the approximate losses of {mixtures} mixtures {:.0} % are taken: the mean \
                 error, {unit}, is {error:.3} with them and {error_without:.3} without.",
                100.0 * share
            ),
            false => write!(
                f,
                "The approximate losses of {mixtures} mixtures do not make the fit better and \
                 are left out: the mean error, {unit}, is {error_without:.3} without them."
            ),
        }
    }
}

/// Models of approximate losses, by target.
pub(super) type Models = BTreeMap<String, Model>;

/// Fits a model to the approximate losses of every target.
///
/// # Errors
/// When the mixtures are over other domains, no target has enough losses, and when the
/// monitor asks to stop.
pub(super) fn models(
    approximate: &Observations,
    (domains, targets): (&DomainSet, &[String]),
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Models> {
    let named = |e: Error| e.field("approximate");
    let approximate = Observations {
        mixtures: approximate.mixtures.reordered(domains).map_err(named)?,
        ..approximate.clone()
    }
    .sorted_by_run()
    .map_err(named)?;
    let names = approximate.values.targets();
    let wanted: Vec<usize> = (0..names.len())
        .filter(|&t| targets.contains(&names[t]))
        .collect();
    if wanted.is_empty() {
        return Err(Error::input(format!(
            "losses of {}: expected those of at least one of {}",
            names.join(", "),
            targets.join(", ")
        ))
        .field("approximate"));
    }
    let part = Part::begin(monitor, "fitting approximate losses", wanted.len());
    let fitted: Vec<Option<(String, Model)>> = (wanted.into_par_iter())
        .map(|t| {
            monitor.check()?;
            let found = measured(&approximate, t).ok().map(|(_, samples)| samples);
            let samples = found.filter(|s| s.len() >= Fit::MIN_ROWS && !s.same_value());
            let Some(samples) = samples else {
                return Ok(None);
            };
            // A process costs the third power of the rows; others say nearly the same.
            let every = samples.len().div_ceil(MOST);
            let some: Vec<usize> = (0..samples.len()).step_by(every).collect();
            let some = samples.pick(&some)?;
            let model = regressor(REGRESSOR)?.fit_with(&some, FitContext::new(seed, monitor));
            monitor.advance(1);
            Ok(Some((
                names[t].clone(),
                model.map_err(|e| e.field(&names[t]))?,
            )))
        })
        .collect::<Result<_>>()?;
    drop(part);
    let models: Models = fitted.into_iter().flatten().collect();
    match models.is_empty() {
        false => Ok(models),
        true => Err(Error::input(format!(
            "no target has {} approximate losses that differ: expected at least one of {}",
            Fit::MIN_ROWS,
            targets.join(", ")
        ))
        .field("approximate")),
    }
}

/// The mean over targets of the cross-validated mean absolute error, in units of the mean
/// absolute deviation of the values.
pub(super) fn error(fit: &Fit) -> f64 {
    let mut of: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for one in &fit.predictions {
        let pair = (one.measured, one.predicted);
        of.entry(&one.target).or_default().push(pair);
    }
    let mut relative = Vec::with_capacity(of.len());
    for pairs in of.values() {
        let middle = pairs.iter().map(|p| p.0).sum::<f64>() / pairs.len() as f64;
        let deviation: f64 = pairs.iter().map(|p| (p.0 - middle).abs()).sum();
        let error: f64 = pairs.iter().map(|p| (p.0 - p.1).abs()).sum();
        if deviation > 0.0 {
            relative.push(error / deviation);
        }
    }
    relative.iter().sum::<f64>() / relative.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::recommend::options::RecommendOptions;
    use crate::fit::options::FitOptions;
    use crate::recommend;
    use rand::RngExt;
    use regmix_data::Silent;
    use regmix_data::design::Dirichlet;
    use regmix_data::random::stream;
    use regmix_data::table::{MixtureTable, ValueTable};

    /// What a model of mixtures measures, for three domains.
    fn losses(w: &[f64], shift: f64) -> Vec<f64> {
        let of = |own: usize, other: usize| {
            2.0 + shift
                + 0.4 * (w[own] + 0.3 * w[other] + 0.02).powf(-0.3 - 0.1 * shift)
                + 0.3 * (7.0 * w[other]).sin() * w[own]
        };
        vec![of(0, 1), of(1, 2), of(2, 0)]
    }

    fn table(runs: usize, seed: u64, shift: f64, noise: f64) -> Observations {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let mut rng = stream(seed, "test", "runs");
        let even = Dirichlet::new(&[1.0; 3]).unwrap();
        let (mut mixtures, mut values) = (Vec::new(), Vec::new());
        for i in 0..runs {
            let drawn = even.sample(&mut rng);
            let mut losses = losses(&drawn, shift);
            losses
                .iter_mut()
                .for_each(|l| *l += noise * (rng.random::<f64>() - 0.5));
            let mixture = regmix_data::Mixture::normalized(domains.clone(), drawn).unwrap();
            mixtures.push((format!("r{i}"), mixture));
            values.push((format!("r{i}"), losses));
        }
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        Observations::join(
            MixtureTable::new(domains, mixtures).unwrap(),
            ValueTable::new(names, values).unwrap(),
        )
        .unwrap()
    }

    fn fitted(runs: &Observations, approximate: Option<Observations>) -> Fit {
        let options = FitOptions {
            regressors: ["linear", "law1", "gp", "ensemble"]
                .map(str::to_owned)
                .to_vec(),
            approximate,
            ..FitOptions::default()
        };
        Fit::train(runs, &options).unwrap()
    }

    /// The mean absolute error at new mixtures.
    fn error_of(fit: &Fit) -> f64 {
        let new = table(100, 9, 0.2, 0.0);
        let mut sum = 0.0;
        for (mixture, losses) in new.mixtures.mixtures().iter().zip(new.values.rows()) {
            for (target, loss) in fit.targets().iter().zip(losses) {
                sum += (target.model.mean(mixture.weights()) - loss).abs();
            }
        }
        sum / 300.0
    }

    #[test]
    fn approximate_losses_make_few_runs_worth_more() {
        let runs = table(14, 1, 0.2, 0.01);
        let alone = fitted(&runs, None);
        let near = fitted(&runs, Some(table(300, 2, 0.0, 0.0)));
        let used = near.approximate().unwrap();
        assert!(used.share > 0.0 && used.mixtures == 300, "{used:?}");
        assert!(used.error < 0.9 * used.error_without, "{used:?}");
        assert!(
            error_of(&near) < 0.85 * error_of(&alone),
            "{} {}",
            error_of(&near),
            error_of(&alone)
        );
        // The league and the predictions are of the losses themselves.
        assert!(
            near.league()
                .get(&near.targets()[0].regressor, "a")
                .unwrap()
                .spearman
                > 0.8
        );
        for one in near.predictions() {
            let run = runs.values.runs().iter().position(|run| *run == one.run);
            let target = runs.values.targets().iter().position(|t| *t == one.target);
            let measured = runs.values.rows()[run.unwrap()][target.unwrap()];
            assert_eq!(one.measured, measured);
        }

        let dir = tempfile::tempdir().unwrap();
        near.save(dir.path()).unwrap();
        let read = Fit::load(dir.path()).unwrap();
        assert_eq!(
            (read.targets(), read.approximate()),
            (near.targets(), near.approximate())
        );
        let w = [0.2, 0.5, 0.3];
        for target in read.targets() {
            let (value, gradient) = target.model.value_and_gradient(&w);
            assert!((value - target.model.predict(&w).mean).abs() < 1e-9);
            assert!((target.model.means(&[w])[0] - value).abs() < 1e-9);
            let mut moved = w;
            moved[1] += 1e-6;
            let numeric = (target.model.mean(&moved) - value) / 1e-6;
            assert!((numeric - gradient.unwrap()[1]).abs() < 1e-3);
        }
        let options = RecommendOptions {
            bootstrap: 4,
            ..RecommendOptions::default()
        };
        let found = recommend(&near, &options).unwrap();
        assert!(found.predicted.sd > 0.0);
    }

    #[test]
    fn approximate_losses_that_say_nothing_are_left() {
        let runs = table(40, 1, 0.2, 0.01);
        let mut other = table(60, 3, 0.0, 0.0);
        // The losses of other mixtures.
        let rows = other.values.rows().iter().rev().cloned();
        let rows: Vec<_> = other.values.runs().iter().cloned().zip(rows).collect();
        other.values = ValueTable::new(other.values.targets().to_vec(), rows).unwrap();
        let fit = fitted(&runs, Some(other));
        let used = fit.approximate().unwrap();
        assert_eq!((used.share, used.error), (0.0, used.error_without));
        assert_eq!(fit.targets(), fitted(&runs, None).targets());
    }

    #[test]
    fn approximate_losses_of_other_targets_or_domains_are_refused() {
        let runs = table(12, 1, 0.0, 0.0);
        let refused = |approximate: Observations| {
            let options = FitOptions {
                approximate: Some(approximate),
                ..FitOptions::default()
            };
            Fit::train_monitored(&runs, &options, &Silent)
                .unwrap_err()
                .to_string()
        };
        let mut other = table(12, 2, 0.0, 0.0);
        let renamed = ["x", "y", "z"].map(str::to_owned).to_vec();
        let rows = other
            .values
            .runs()
            .iter()
            .cloned()
            .zip(other.values.rows().to_vec());
        other.values = ValueTable::new(renamed, rows.collect::<Vec<_>>()).unwrap();
        assert_eq!(
            refused(other),
            "`approximate`: losses of x, y, z: expected those of at least one of a, b, c"
        );
        assert_eq!(
            refused(table(5, 2, 0.0, 0.0)),
            "`approximate`: no target has 8 approximate losses that differ: expected at least one \
             of a, b, c"
        );
        let mut other = table(12, 2, 0.0, 0.0);
        let domains = DomainSet::from_names(["a", "b", "d"]).unwrap();
        let mixtures = other.mixtures.iter().map(|(run, m)| {
            let moved = regmix_data::Mixture::new(domains.clone(), m.weights().to_vec());
            (run.to_owned(), moved.unwrap())
        });
        other.mixtures = MixtureTable::new(domains.clone(), mixtures.collect::<Vec<_>>()).unwrap();
        assert!(refused(other).starts_with("`approximate`: "));
    }
}

//! Which mixtures are like those that were tried.

use std::collections::BTreeMap;

use rayon::prelude::*;

use regmix_data::{Error, Mixture, Result};

use crate::metrics::{mean, quantile, variance};
use crate::numeric::factor::Factor;
use crate::samples::groups;

/// Spread below which a weight or its root is not measured: published weights
/// are rounded to a thousandth.
const ROUND: f64 = 0.01;

/// The share of runs that a limit lets pass.
pub(crate) const PASS: f64 = 0.95;

/// Whether a mixture is like those of the runs, judged by the mixtures alone.
///
/// The score is the *leverage* of a mixture: the variance of a prediction by a
/// linear model of all weights and their square roots, `xᵀ (XᵀX + I)⁻¹ x`, in
/// units of the noise of one run, with the columns of X standardised over the
/// runs. It grows where a weight is outside the range of the runs, and also where
/// every weight is inside but the combination is not: where two domains rise and
/// fall together in all runs, a mixture with much of one and little of the other
/// has a high leverage.
///
/// The limit is the 95th percentile of the leverage of the runs' mixtures, each
/// computed without the runs of that mixture: 95 % of mixtures that are drawn as
/// those of the runs were pass. How well this finds mixtures that are predicted badly, compared with
/// distances and deviations, is measured in benches/RESULTS.md ("The flag as a
/// detector").
///
/// ```
/// use regmix_data::{DomainSet, Mixture};
/// use regmix_regress::Coverage;
///
/// let domains = DomainSet::from_names(["web", "code", "law"])?;
/// let mixture = |web: f64, code: f64| {
///     Mixture::new(domains.clone(), vec![web, code, 1.0 - web - code])
/// };
/// // Code and law always have the same share.
/// let runs: Vec<Mixture> = (1..20)
///     .map(|i| mixture(1.0 - 0.04 * f64::from(i), 0.02 * f64::from(i)))
///     .collect::<Result<_, _>>()?;
/// let coverage = Coverage::of(&runs)?;
/// assert!(coverage.covers(mixture(0.5, 0.25)?.weights()));
/// assert!(!coverage.covers(mixture(0.5, 0.1)?.weights()));
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    centre: Vec<f64>,
    scale: Vec<f64>,
    factor: Factor,
    /// The leverage of every run, by the runs of other mixtures.
    of_runs: Vec<f64>,
    limit: f64,
}

/// Square roots and weights.
fn features(weights: &[f64]) -> impl Iterator<Item = f64> + '_ {
    weights
        .iter()
        .map(|w| w.sqrt())
        .chain(weights.iter().copied())
}

impl Coverage {
    /// What some mixtures cover. Cost O(n D² + D³).
    ///
    /// # Errors
    /// When there is no mixture.
    pub fn of(mixtures: &[Mixture]) -> Result<Self> {
        let Some(first) = mixtures.first() else {
            return Err(Error::input("no mixtures, expected at least one"));
        };
        let rows: Vec<Vec<f64>> = (mixtures.iter())
            .map(|m| features(m.weights()).collect())
            .collect();
        let columns: Vec<Vec<f64>> = (0..2 * first.weights().len())
            .map(|j| rows.iter().map(|row| row[j]).collect())
            .collect();
        let centre: Vec<f64> = columns.iter().map(|column| mean(column)).collect();
        let scale: Vec<f64> = (columns.iter())
            .map(|column| (variance(column) + ROUND * ROUND).sqrt())
            .collect();
        let mut out = Self {
            factor: Factor::of_rows::<Vec<f64>>(&[], &vec![1.0; columns.len() + 1])?,
            centre,
            scale,
            of_runs: Vec::new(),
            limit: f64::INFINITY,
        };
        let rows: Vec<Vec<f64>> = mixtures.iter().map(|m| out.row(m.weights())).collect();
        out.factor = Factor::of_rows(&rows, &vec![1.0; columns.len() + 1])?;
        let group_of = groups(mixtures.iter().map(Mixture::weights));
        let mut repeats = vec![0.0; mixtures.len()];
        for &group in &group_of {
            repeats[group] += 1.0;
        }
        // Taking the m runs of a mixture out raises its leverage h to h / (1 - m h).
        out.of_runs = (rows.iter().zip(&group_of))
            .map(|(row, &group)| (out.factor.quadratic(row), repeats[group]))
            .map(|(h, m)| h / (1.0 - m * h).max(f64::EPSILON))
            .collect();
        let by_mixture: BTreeMap<usize, f64> = group_of
            .into_iter()
            .zip(out.of_runs.iter().copied())
            .collect();
        out.limit = quantile(&by_mixture.into_values().collect::<Vec<_>>(), PASS);
        Ok(out)
    }

    fn row(&self, weights: &[f64]) -> Vec<f64> {
        let standard = (features(weights).zip(self.centre.iter().zip(&self.scale)))
            .map(|(x, (centre, scale))| (x - centre) / scale);
        std::iter::once(1.0).chain(standard).collect()
    }

    /// The leverage of a mixture; weights in the order of the runs' domains.
    /// Cost O(D²).
    pub fn leverage(&self, weights: &[f64]) -> f64 {
        self.factor.quadratic(&self.row(weights))
    }

    /// The leverage of every run, by the runs of other mixtures.
    pub fn of_runs(&self) -> &[f64] {
        &self.of_runs
    }

    /// The leverage that 95 % of the runs' mixtures do not exceed.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// Whether a mixture is like the runs: its leverage is within the limit.
    pub fn covers(&self, weights: &[f64]) -> bool {
        self.leverage(weights) <= self.limit
    }

    /// As [`Self::covers`], for many mixtures.
    pub fn covers_all<W: AsRef<[f64]> + Sync>(&self, rows: &[W]) -> Vec<bool> {
        (rows.par_iter())
            .map(|weights| self.covers(weights.as_ref()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use regmix_data::{DomainSet, random::stream};

    fn drawn(n: usize, d: usize) -> Vec<Mixture> {
        let domains = DomainSet::from_names((0..d).map(|j| format!("d{j}"))).unwrap();
        let mut rng = stream(3, "coverage", "test");
        (0..n)
            .map(|_| {
                let w = (0..d).map(|_| -rng.random::<f64>().ln()).collect();
                Mixture::normalized(domains.clone(), w).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_runs_own_leverage_is_that_without_it() {
        let mixtures = drawn(12, 3);
        let coverage = Coverage::of(&mixtures).unwrap();
        let rows: Vec<Vec<f64>> = (mixtures.iter())
            .map(|m| coverage.row(m.weights()))
            .collect();
        for i in 0..rows.len() {
            let mut others = rows.clone();
            let row = others.remove(i);
            let alone = Factor::of_rows(&others, &[1.0; 7]).unwrap().quadratic(&row);
            assert!((alone - coverage.of_runs()[i]).abs() < 1e-9 * alone);
        }
    }

    #[test]
    fn a_mixture_is_judged_without_any_of_its_runs() {
        let mixtures = drawn(12, 3);
        // The first mixture three times, the others twice.
        let all: Vec<Mixture> = (mixtures.iter().chain(&mixtures).chain(&mixtures[..1]))
            .cloned()
            .collect();
        let coverage = Coverage::of(&all).unwrap();
        for (i, mixture) in all.iter().enumerate() {
            let others: Vec<Vec<f64>> = (all.iter().filter(|m| *m != mixture))
                .map(|m| coverage.row(m.weights()))
                .collect();
            let alone = Factor::of_rows(&others, &[1.0; 7]).unwrap();
            let alone = alone.quadratic(&coverage.row(mixture.weights()));
            assert!((alone - coverage.of_runs()[i]).abs() < 1e-9 * alone);
        }
        // Each mixture counts once for the limit, however often it was run.
        let once: Vec<f64> = coverage.of_runs()[..12].to_vec();
        assert_eq!(coverage.limit(), quantile(&once, PASS));
    }

    #[test]
    fn mixtures_drawn_like_the_runs_pass_and_corners_do_not() {
        let all = drawn(300, 5);
        let coverage = Coverage::of(&all[..60]).unwrap();
        let passed = (all[60..].iter())
            .filter(|m| coverage.covers(m.weights()))
            .count();
        let share = passed as f64 / 240.0;
        assert!((0.88..0.99).contains(&share), "{share}");
        for j in 0..5 {
            let mut corner = vec![0.0; 5];
            corner[j] = 1.0;
            assert!(!coverage.covers(&corner), "{}", coverage.leverage(&corner));
        }
        assert_eq!(
            Coverage::of(&[]).unwrap_err().to_string(),
            "no mixtures, expected at least one"
        );
    }
}

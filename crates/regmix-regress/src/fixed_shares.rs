//! Combinations of shares that are the same in every run.
//!
//! Runs say nothing about what a change of such a combination does: a domain
//! that always has a tenth of the tokens, two domains whose shares keep one
//! ratio, a group with a fixed total. The remaining differences are rounding,
//! and a model that is fitted to them can predict anything. Fits therefore
//! treat the combinations as exactly fixed, and searches keep the values that
//! the runs had.

use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Mixture, Result};

use crate::metrics::{mean, variance};
use crate::numeric::factor::Factor;
use crate::numeric::slices::{add, dot, range};

/// A share whose range is below this part of it (and of what is left beside
/// it) counts as fixed: rounding to two decimals makes so much.
const CONSTANT: f64 = 0.04;

/// Shares up to this in all runs (and up to a twentieth of an even one) are
/// rounding: a weight is known no better.
const TINY: f64 = 5e-4;

/// What is left of a share, in its own standard deviations, when others
/// determine it.
const DEPENDENT: f64 = 0.02;

/// Runs per domain from which it is no chance that the others determine a share.
const RUNS_PER_DOMAIN: f64 = 1.5;

/// `Σ c_j w_j` that is the same in every run; the largest |c_j| is 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FixedShare {
    coefficients: Vec<f64>,
    value: f64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A domain that no run used.
    Unused(usize),
    /// A domain of which runs used next to nothing.
    Tiny(usize),
    /// The share of one domain.
    Constant(usize),
    /// The ratio of two domains.
    Ratio(usize, usize),
    /// A combination of several.
    Combination,
}

/// All combinations that are fixed in some runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FixedShares(Vec<FixedShare>);

/// A domain that has (nearly) the same share in every run.
#[derive(Debug, Clone, PartialEq)]
pub struct ConstantShare {
    /// The place of the domain.
    pub domain: usize,
    /// Its share; 0 for a domain that no run used, or next to nothing of.
    pub share: f64,
    /// What a user should know about it, in a sentence.
    pub words: String,
}

/// The domains of (nearly) constant share in some mixtures: what a change of
/// such a share does cannot be learnt from them, and searches hold it. None
/// where all mixtures are the same.
pub fn constant_shares(mixtures: &[Mixture]) -> Vec<ConstantShare> {
    let Some(first) = mixtures.first() else {
        return Vec::new();
    };
    let fixed = FixedShares::of(mixtures);
    let words = fixed.warnings(first.domains());
    (fixed.0.iter().zip(words))
        .filter_map(|(fixed, words)| {
            let (Kind::Unused(domain) | Kind::Tiny(domain) | Kind::Constant(domain)) = fixed.kind
            else {
                return None;
            };
            let share = fixed.value;
            Some(ConstantShare {
                domain,
                share,
                words,
            })
        })
        .collect()
}

impl FixedShares {
    /// Finds them. None where all mixtures are the same: there is nothing to
    /// learn then. Cost O(D² n), and O(D³) for many runs.
    pub(crate) fn of(mixtures: &[Mixture]) -> Self {
        let Some(first) = mixtures.first() else {
            return Self::default();
        };
        let d = first.weights().len();
        if mixtures.iter().all(|m| m.weights() == first.weights()) {
            return Self::default();
        }
        let columns: Vec<Vec<f64>> = (0..d)
            .map(|j| mixtures.iter().map(|m| m.weights()[j]).collect())
            .collect();
        let mut out = Vec::new();
        let mut free = Vec::new();
        for (j, column) in columns.iter().enumerate() {
            let (low, high) = range(column);
            let share = mean(column);
            let kind = if high == 0.0 {
                Kind::Unused(j)
            } else if high <= TINY.min(0.05 / d as f64) {
                Kind::Tiny(j)
            } else if high - low <= CONSTANT * share.min(1.0 - share) {
                Kind::Constant(j)
            } else if let Some((i, k)) = ratio(&columns, &free, j) {
                let mut coefficients = vec![0.0; d];
                let scale = k.max(1.0);
                (coefficients[j], coefficients[i]) = (1.0 / scale, -k / scale);
                out.push(FixedShare {
                    coefficients,
                    value: 0.0,
                    kind: Kind::Ratio(i, j),
                });
                continue;
            } else {
                free.push(j);
                continue;
            };
            let mut coefficients = vec![0.0; d];
            coefficients[j] = 1.0;
            let value = match kind {
                Kind::Constant(_) => share,
                _ => 0.0,
            };
            out.push(FixedShare {
                coefficients,
                value,
                kind,
            });
        }
        out.sort_by_key(|fixed| !matches!(fixed.kind, Kind::Unused(_)));
        if mixtures.len() as f64 >= RUNS_PER_DOMAIN * d as f64 {
            out.extend(combinations(&columns, &free));
        }
        Self(out)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mixtures with every combination at its value. Each is moved as
    /// little as possible, in proportion to its weights, so that weights of
    /// zero stay zero.
    ///
    /// # Errors
    /// When a mixture has no weights.
    pub(crate) fn snapped(&self, table: &MixtureTable) -> Result<MixtureTable> {
        let rows = table.iter().map(|(run, mixture)| {
            let weights = self.snap(mixture.weights());
            let snapped = Mixture::normalized(table.domains().clone(), weights)?;
            Ok((run.to_owned(), snapped))
        });
        MixtureTable::new(table.domains().clone(), rows.collect::<Result<Vec<_>>>()?)
    }

    fn snap(&self, weights: &[f64]) -> Vec<f64> {
        let rows: Vec<&FixedShare> = (self.0.iter())
            .filter(|fixed| !matches!(fixed.kind, Kind::Unused(_)))
            .collect();
        let ones = vec![1.0; weights.len()];
        let mut constraints: Vec<(&[f64], f64)> = vec![(&ones, 1.0)];
        constraints.extend(rows.iter().map(|fixed| (&*fixed.coefficients, fixed.value)));
        // min Σ δ²/w under C (w + δ) = values: δ = w ∘ Cᵀ (C W Cᵀ)⁻¹ (values - C w).
        let by_root: Vec<Vec<f64>> = (0..weights.len())
            .map(|j| {
                constraints
                    .iter()
                    .map(|(c, _)| c[j] * weights[j].sqrt())
                    .collect()
            })
            .collect();
        let misses: Vec<f64> = (constraints.iter())
            .map(|(c, value)| value - dot(c, weights))
            .collect();
        let mut out = weights.to_vec();
        if let Ok(factor) = Factor::of_rows(&by_root, &vec![1e-12; constraints.len()]) {
            for ((c, _), step) in constraints.iter().zip(factor.solve(&misses)) {
                for (o, (c, w)) in out.iter_mut().zip(c.iter().zip(weights)) {
                    *o += step * c * w;
                }
            }
        }
        out.iter_mut().for_each(|w| *w = w.max(0.0));
        out
    }

    /// The sum of squared distances of the combinations from their values.
    pub(crate) fn squares(&self, weights: &[f64]) -> f64 {
        let miss = |fixed: &FixedShare| dot(&fixed.coefficients, weights) - fixed.value;
        self.0.iter().map(|fixed| miss(fixed).powi(2)).sum()
    }

    /// Adds the derivative of [`FixedShares::squares`] times a strength.
    pub(crate) fn add_slopes(&self, strength: f64, weights: &[f64], slopes: &mut [f64]) {
        for fixed in &self.0 {
            let miss = dot(&fixed.coefficients, weights) - fixed.value;
            add(slopes, 2.0 * strength * miss, &fixed.coefficients);
        }
    }

    /// What a user should know about each, in a sentence.
    pub(crate) fn warnings(&self, domains: &DomainSet) -> Vec<String> {
        let name = |j: usize| domains[j].as_str();
        (self.0.iter())
            .map(|fixed| match fixed.kind {
                Kind::Unused(j) => format!(
                    "domain `{}` has no weight in any run: what it does is not known, and a \
                     mixture that uses it is a guess",
                    name(j)
                ),
                Kind::Tiny(j) => format!(
                    "domain `{}` has next to no weight in any run: what it does is not known, and \
                     searches leave it out",
                    name(j)
                ),
                Kind::Constant(j) => format!(
                    "domain `{}` has the same share in every run ({:.1} %): what a change of it \
                     does is not known, and searches stay close to it",
                    name(j),
                    100.0 * fixed.value
                ),
                Kind::Ratio(i, j) => format!(
                    "domains `{}` and `{}` keep the same ratio in every run: their effects cannot \
                     be separated",
                    name(i.min(j)),
                    name(i.max(j))
                ),
                Kind::Combination => {
                    let terms = (fixed.coefficients.iter().enumerate())
                        .filter(|(_, c)| c.abs() > 0.05)
                        .map(|(j, c)| format!("{c:+.2} `{}`", name(j)));
                    format!(
                        "the shares of some domains move only together, {} = {:.3} in every run: \
                         their effects cannot be separated, and searches keep to it",
                        terms.collect::<Vec<_>>().join(" "),
                        fixed.value
                    )
                }
            })
            .collect()
    }
}

/// Which earlier column another one keeps a ratio to, and the ratio.
fn ratio(columns: &[Vec<f64>], free: &[usize], j: usize) -> Option<(usize, f64)> {
    let column = &columns[j];
    let n = column.len() as f64;
    let (own, allowed) = (
        dot(column, column),
        n * DEPENDENT.powi(2) * variance(column),
    );
    free.iter().find_map(|&i| {
        let (both, other) = (dot(column, &columns[i]), dot(&columns[i], &columns[i]));
        (own - both * both / other <= allowed).then_some((i, both / other))
    })
}

/// Combinations of the columns that vary by less than [`DEPENDENT`], beside
/// their sum: shares sum to 1. By a Cholesky factor of their correlations, the
/// column with most of its variance left first.
fn combinations(columns: &[Vec<f64>], free: &[usize]) -> Vec<FixedShare> {
    let means: Vec<f64> = free.iter().map(|&j| mean(&columns[j])).collect();
    let sds: Vec<f64> = free.iter().map(|&j| variance(&columns[j]).sqrt()).collect();
    let total = dot(&sds, &sds).sqrt();
    let n = columns.first().map_or(0, Vec::len);
    // A last entry lifts the direction of the sum, which is fixed always.
    let vectors: Vec<Vec<f64>> = (free.iter().enumerate())
        .map(|(at, &j)| {
            let root = (n as f64).sqrt() * sds[at];
            let mut out: Vec<f64> = columns[j].iter().map(|w| (w - means[at]) / root).collect();
            out.push(sds[at] / total);
            out
        })
        .collect();
    let mut left = vectors.clone();
    let mut open: Vec<usize> = (0..free.len()).collect();
    let mut basis: Vec<usize> = Vec::new();
    while let Some((place, size)) = (open.iter().enumerate())
        .map(|(place, &at)| (place, dot(&left[at], &left[at]).sqrt()))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, size)| *size > DEPENDENT)
    {
        let at = open.swap_remove(place);
        let unit: Vec<f64> = left[at].iter().map(|x| x / size).collect();
        for &other in &open {
            let along = dot(&left[other], &unit);
            add(&mut left[other], -along, &unit);
        }
        basis.push(at);
    }
    let known: Vec<Vec<f64>> = (0..=n)
        .map(|i| basis.iter().map(|&at| vectors[at][i]).collect())
        .collect();
    let Ok(factor) = Factor::of_rows(&known, &vec![1e-12; basis.len()]) else {
        return Vec::new();
    };
    (open.iter())
        .map(|&at| {
            let right: Vec<f64> = (basis.iter())
                .map(|&b| dot(&vectors[b], &vectors[at]))
                .collect();
            let mut coefficients = vec![0.0; columns.len()];
            coefficients[free[at]] = 1.0 / sds[at];
            for (&b, share) in basis.iter().zip(factor.solve(&right)) {
                coefficients[free[b]] = -share / sds[b];
            }
            let largest = coefficients.iter().fold(0.0f64, |top, c| top.max(c.abs()));
            coefficients.iter_mut().for_each(|c| *c /= largest);
            let value = (free.iter().zip(&means))
                .map(|(&j, mean)| coefficients[j] * mean)
                .sum();
            FixedShare {
                coefficients,
                value,
                kind: Kind::Combination,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::design::Dirichlet;
    use regmix_data::random::stream;

    /// Mixtures of five free domains, changed by `change`, and rounded to four
    /// decimals as tables are.
    fn table(n: usize, change: impl Fn(&[f64]) -> Vec<f64>) -> Vec<Mixture> {
        let mut rng = stream(3, "fixed", "test");
        let draw = Dirichlet::new(&[1.2; 5]).unwrap();
        (0..n)
            .map(|_| {
                let weights = change(&draw.sample(&mut rng));
                let rounded: Vec<f64> = weights.iter().map(|w| (1e4 * w).round()).collect();
                let names = (0..weights.len()).map(|i| format!("d{i}"));
                Mixture::normalized(DomainSet::from_names(names).unwrap(), rounded).unwrap()
            })
            .collect()
    }

    fn found(mixtures: &[Mixture]) -> Vec<String> {
        FixedShares::of(mixtures).warnings(mixtures[0].domains())
    }

    #[test]
    fn free_shares_are_not_fixed() {
        for n in [6, 8, 12, 40, 200] {
            assert!(found(&table(n, <[f64]>::to_vec)).is_empty(), "{n}");
        }
        // A domain with nearly all weight, and one with nearly none.
        let large = |w: &[f64]| w.iter().map(|w| 0.03 * w).chain([0.97]).collect();
        assert_eq!(found(&table(40, large)).len(), 1);
        let uneven = |w: &[f64]| {
            vec![
                0.9 + 0.05 * w[0],
                0.05 * w[1] + 0.05 * w[2],
                0.05 * (w[3] + w[4]),
            ]
        };
        assert!(found(&table(40, uneven)).is_empty());
    }

    #[test]
    fn fixed_combinations_are_found_and_made_exact() {
        let scaled = |w: &[f64], by: f64| -> Vec<f64> { w.iter().map(|w| by * w).collect() };
        type Change<'a> = Box<dyn Fn(&[f64]) -> Vec<f64> + 'a>;
        let cases: [(Change<'_>, &str); 5] = [
            (
                Box::new(|w| {
                    let tiny = if w[4] > 0.2 { 1e-4 } else { 0.0 };
                    [scaled(w, 1.0 - tiny), vec![tiny]].concat()
                }),
                "`d5` has next to no weight",
            ),
            (
                Box::new(|w| [scaled(w, 0.9), vec![0.1]].concat()),
                "`d5` has the same share in every run (10.0 %)",
            ),
            (
                Box::new(|w| vec![w[0], w[1], w[2], w[3] + 0.6 * w[4], 0.0, 0.4 * w[4]]),
                "`d4` has no weight",
            ),
            (
                Box::new(|w| vec![w[0], w[1], w[2], w[3] / 3.0, 2.0 * w[3] / 3.0, w[4]]),
                "`d3` and `d4` keep the same ratio",
            ),
            (
                Box::new(|w| {
                    let sum = w[0] + w[1];
                    let rest = 1.0 - sum;
                    vec![
                        0.3 * w[0] / sum,
                        0.3 * w[1] / sum,
                        0.7 * w[2] / rest,
                        0.7 * w[3] / rest,
                        0.7 * w[4] / rest,
                    ]
                }),
                "move only together",
            ),
        ];
        for (change, expected) in cases {
            let mixtures = table(40, change);
            let warnings = found(&mixtures);
            assert!(
                warnings.len() == 1 && warnings[0].contains(expected),
                "{warnings:?}"
            );
            let fixed = FixedShares::of(&mixtures);
            let rows = mixtures
                .iter()
                .enumerate()
                .map(|(i, m)| (i.to_string(), m.clone()));
            let table = MixtureTable::new(mixtures[0].domains().clone(), rows).unwrap();
            let snapped = fixed.snapped(&table).unwrap();
            for (before, after) in table.mixtures().iter().zip(snapped.mixtures()) {
                assert!(before.tv_distance(after) < 1e-3);
                assert!(fixed.squares(after.weights()) < 1e-20, "{expected}");
            }
            // Found again in what was made exact.
            assert_eq!(found(snapped.mixtures()).len(), 1, "{expected}");
        }
    }
}

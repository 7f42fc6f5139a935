//! Ridge regression of several outputs on the same inputs.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};
use regmix_regress::Factor;

/// Strengths tried, per row and in units of the inputs' variance.
const STRENGTHS: [f64; 8] = [1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 1e-1, 1.0];

/// `y = ȳ + Bᵀ z`, with inputs z centred and scaled to variance 1 and
/// `|B|²` penalised. One strength for all outputs, that with the lowest
/// leave-one-out error, which is exact and costs no refit: the residual over
/// one minus the leverage.
///
/// Outputs share their inputs, so that one factorisation serves all of them.
/// This is why it is not one of the regressors of regmix-regress, which fit one
/// target each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ridge {
    centre: Vec<f64>,
    scale: Vec<f64>,
    intercept: Vec<f64>,
    /// `[outputs][inputs]`.
    slopes: Vec<Vec<f64>>,
    /// Leave-one-out error per output.
    sd: Vec<f64>,
    /// The factor of `ZᵀZ + λ I`.
    factor: Factor,
    rows: usize,
    strength: f64,
}

impl Ridge {
    /// Fits; without a strength, the best one is found. `trust` multiplies the
    /// scaled inputs: with a trust of 0.1, the penalty of an input is a hundred
    /// times as strong. Also returns the leave-one-out errors,
    /// `[rows][outputs]`. Cost O(n p² + p³) per strength for n rows and p
    /// inputs.
    pub(crate) fn fit(
        x: &[Vec<f64>],
        y: &[Vec<f64>],
        trust: &[f64],
        strength: Option<f64>,
    ) -> Result<(Self, Vec<Vec<f64>>)> {
        let (n, p) = (x.len(), x.first().map_or(0, Vec::len));
        let finite = |rows: &[Vec<f64>]| rows.iter().flatten().all(|v| v.is_finite());
        if n < 2 || p == 0 || y.len() != n || trust.len() != p || !finite(x) || !finite(y) {
            return Err(Error::input(format!(
                "{n} rows of {p} inputs: expected at least 2 rows of finite numbers"
            )));
        }
        let centre = means(x.iter());
        let scale = scales(x, &centre, trust);
        let z: Vec<Vec<f64>> = x.iter().map(|row| standard(row, &centre, &scale)).collect();
        let intercept = means(y.iter());
        let (gram, right) = normal_equations(&z, y, &intercept);
        let spread: Vec<f64> = (0..intercept.len())
            .map(|t| y.iter().map(|y| (y[t] - intercept[t]).powi(2)).sum::<f64>())
            .collect();
        let tried: &[f64] = match &strength {
            Some(one) => std::slice::from_ref(one),
            None => &STRENGTHS,
        };
        let mut best: Option<(f64, Self, Vec<Vec<f64>>)> = None;
        for &strength in tried {
            let Some(factor) = Factor::of_lower(gram.clone(), strength * n as f64) else {
                continue;
            };
            let slopes: Vec<Vec<f64>> = right.iter().map(|r| factor.solve(r)).collect();
            let mut squares = vec![0.0; intercept.len()];
            let mut errors = Vec::with_capacity(n);
            for (z, y) in z.iter().zip(y) {
                // The mean is fitted as well, which adds 1 / n to the leverage.
                let leverage = factor.quadratic(z) + 1.0 / n as f64;
                let left = (1.0 - leverage).max(1e-3);
                let row: Vec<f64> = (0..intercept.len())
                    .map(|t| (y[t] - intercept[t] - dot(&slopes[t], z)) / left)
                    .collect();
                for (s, error) in squares.iter_mut().zip(&row) {
                    *s += error * error;
                }
                errors.push(row);
            }
            let pairs = squares.iter().zip(&spread);
            let score: f64 = pairs.map(|(s, v)| if *v > 0.0 { s / v } else { 0.0 }).sum();
            if best.as_ref().is_none_or(|(least, ..)| score < *least) {
                let sd = squares.iter().map(|s| (s / n as f64).sqrt()).collect();
                best = Some((
                    score,
                    Self {
                        centre: centre.clone(),
                        scale: scale.clone(),
                        intercept: intercept.clone(),
                        slopes,
                        sd,
                        factor,
                        rows: n,
                        strength,
                    },
                    errors,
                ));
            }
        }
        best.map(|(_, ridge, errors)| (ridge, errors))
            .ok_or_else(|| Error::failed("no strength gave a finite fit: values out of range"))
    }

    /// The outputs at some inputs.
    pub(crate) fn mean(&self, x: &[f64]) -> Vec<f64> {
        let z = standard(x, &self.centre, &self.scale);
        (self.intercept.iter().zip(&self.slopes))
            .map(|(m, b)| m + dot(b, &z))
            .collect()
    }

    /// The standard deviation of a new measurement of every output.
    pub(crate) fn sd(&self, x: &[f64]) -> Vec<f64> {
        let z = standard(x, &self.centre, &self.scale);
        let leverage = self.factor.quadratic(&z) + 1.0 / self.rows as f64;
        (self.sd.iter())
            .map(|sd| sd * (1.0 + leverage).sqrt())
            .collect()
    }

    /// The derivative of one output by every input.
    pub(crate) fn slope(&self, output: usize, input: usize) -> f64 {
        self.slopes[output][input] / self.scale[input]
    }

    pub(crate) fn strength(&self) -> f64 {
        self.strength
    }

    /// Whether sizes agree and numbers are finite, for a model from a file.
    pub(crate) fn is_sound(&self, inputs: usize, outputs: usize) -> bool {
        let finite = |v: &[f64]| v.iter().all(|v| v.is_finite());
        self.centre.len() == inputs
            && self.scale.len() == inputs
            && self.factor.is_sound(inputs)
            && [self.intercept.len(), self.slopes.len(), self.sd.len()] == [outputs; 3]
            && self.slopes.iter().all(|b| b.len() == inputs && finite(b))
            && finite(&self.centre)
            && self.scale.iter().all(|s| *s > 0.0)
            && finite(&self.intercept)
            && finite(&self.sd)
            && self.rows > 0
    }
}

/// Standard deviations of the inputs over their trust.
fn scales(x: &[Vec<f64>], centre: &[f64], trust: &[f64]) -> Vec<f64> {
    let mut scale = vec![0.0; centre.len()];
    for row in x {
        for ((s, v), c) in scale.iter_mut().zip(row).zip(centre) {
            *s += (v - c) * (v - c) / x.len() as f64;
        }
    }
    for ((s, c), trust) in scale.iter_mut().zip(centre).zip(trust) {
        // An input that does not vary has no effect.
        *s = match s.sqrt() {
            sd if sd <= 1e-9 * (1.0 + c.abs()) || *trust <= 0.0 => 1e300,
            sd => sd / trust,
        };
    }
    scale
}

/// The lower triangle of ZᵀZ, row by row, and Zᵀ(y - ȳ) for every output.
fn normal_equations(
    z: &[Vec<f64>],
    y: &[Vec<f64>],
    intercept: &[f64],
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let p = z[0].len();
    let mut gram = vec![0.0; p * (p + 1) / 2];
    let mut right = vec![vec![0.0; p]; intercept.len()];
    for (z, y) in z.iter().zip(y) {
        let mut at = 0;
        for (i, a) in z.iter().enumerate() {
            for (g, b) in gram[at..=at + i].iter_mut().zip(z) {
                *g += a * b;
            }
            at += i + 1;
        }
        for ((r, y), m) in right.iter_mut().zip(y).zip(intercept) {
            for (r, z) in r.iter_mut().zip(z) {
                *r += z * (y - m);
            }
        }
    }
    (gram, right)
}

/// The mean of every column.
pub(super) fn means<'a>(rows: impl ExactSizeIterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let count = rows.len() as f64;
    let mut out = Vec::new();
    for row in rows {
        out.resize(row.len(), 0.0);
        for (m, v) in out.iter_mut().zip(row) {
            *m += v / count;
        }
    }
    out
}

fn standard(x: &[f64], centre: &[f64], scale: &[f64]) -> Vec<f64> {
    (x.iter().zip(centre).zip(scale))
        .map(|((v, c), s)| (v - c) / s)
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use regmix_data::random::stream;

    fn rows(n: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let mut rng = stream(seed, "ridge", "test");
        let x: Vec<Vec<f64>> = (0..n)
            .map(|_| (0..4).map(|_| rng.random::<f64>()).collect())
            .collect();
        let y = (x.iter())
            .map(|x| {
                let noise = 0.01 * (rng.random::<f64>() - 0.5);
                vec![1.0 + 2.0 * x[0] - x[2] + noise, 5.0 * x[1]]
            })
            .collect();
        (x, y)
    }

    #[test]
    fn linear_functions_are_found_and_the_error_is_by_leave_one_out() {
        let (x, y) = rows(60, 1);
        let ridge = Ridge::fit(&x, &y, &[1.0; 4], None).unwrap().0;
        let found = ridge.mean(&[0.5, 0.2, 0.1, 0.9]);
        assert!(
            (found[0] - 1.9).abs() < 0.01 && (found[1] - 1.0).abs() < 0.01,
            "{found:?}"
        );
        assert!((ridge.slope(0, 2) + 1.0).abs() < 0.02);
        assert!(ridge.is_sound(4, 2) && !ridge.is_sound(3, 2));
        // By refits without each row in turn, at the same strength.
        let mut squares = 0.0;
        for i in 0..60 {
            let without = |rows: &[Vec<f64>]| {
                let mut rows = rows.to_vec();
                rows.remove(i);
                rows
            };
            let strength = ridge.strength() * 60.0 / 59.0;
            let fitted = Ridge::fit(&without(&x), &without(&y), &[1.0; 4], Some(strength));
            let one = fitted.unwrap().0;
            squares += (one.mean(&x[i])[0] - y[i][0]).powi(2);
        }
        let sd = (squares / 60.0f64).sqrt();
        assert!(
            (ridge.sd[0] / sd - 1.0).abs() < 0.02,
            "{} {sd}",
            ridge.sd[0]
        );
        assert!(ridge.sd(&[9.0; 4])[0] > 2.0 * ridge.sd(&[0.5; 4])[0]);
    }

    #[test]
    fn constant_inputs_have_no_effect() {
        let (mut x, y) = rows(30, 2);
        for row in &mut x {
            row[3] = 0.7;
        }
        let ridge = Ridge::fit(&x, &y, &[1.0; 4], None).unwrap().0;
        assert_eq!(ridge.slope(0, 3), 0.0);
        assert_eq!(
            ridge.mean(&[0.1, 0.1, 0.1, 0.7]),
            ridge.mean(&[0.1, 0.1, 0.1, 9.0])
        );
        let nan = [vec![f64::NAN], vec![1.0]];
        let error = Ridge::fit(&nan, &[vec![1.0], vec![1.0]], &[1.0], None).unwrap_err();
        assert!(error.to_string().contains("finite numbers"), "{error}");
    }
}

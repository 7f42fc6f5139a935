//! Cholesky factors of small positive matrices, for standard deviations.

use linfa_linalg::cholesky::Cholesky;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

/// The lower factor L of a symmetric positive matrix M = L Lᵀ, rows packed:
/// `l00, l10, l11, l20, …`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Factor(Vec<f64>);

impl Factor {
    /// Factors Σ gᵢ gᵢᵀ + diag(ridge). Cost O(n d² + d³).
    pub(crate) fn of_rows<G: AsRef<[f64]>>(rows: &[G], ridge: &[f64]) -> Result<Self> {
        let d = ridge.len();
        let mut m = Array2::<f64>::zeros((d, d));
        for row in rows {
            let row = row.as_ref();
            for i in 0..d {
                for j in 0..=i {
                    m[[i, j]] += row[i] * row[j];
                }
            }
        }
        for i in 0..d {
            m[[i, i]] += ridge[i];
            for j in 0..i {
                m[[j, i]] = m[[i, j]];
            }
        }
        let scale = (0..d).map(|i| m[[i, i]]).fold(f64::MIN_POSITIVE, f64::max);
        // Rounding can make a nearly singular matrix indefinite: add as much
        // to the diagonal as it takes.
        for jitter in [0.0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6] {
            let mut lifted = m.clone();
            for i in 0..d {
                lifted[[i, i]] += jitter * scale;
            }
            if let Ok(l) = lifted.cholesky() {
                let packed: Vec<f64> = (0..d)
                    .flat_map(|i| (0..=i).map(move |j| (i, j)))
                    .map(|at| l[at])
                    .collect();
                if packed.iter().all(|v| v.is_finite()) {
                    return Ok(Self(packed));
                }
            }
        }
        Err(Error::failed(
            "the matrix of a fit is not positive: weights or values out of range",
        ))
    }

    /// gᵀ M⁻¹ g by forward substitution. Cost O(d²).
    pub(crate) fn quadratic(&self, g: &[f64]) -> f64 {
        self.forward(g).iter().map(|s| s * s).sum()
    }

    /// L⁻¹ g. Cost O(d²).
    pub(crate) fn forward(&self, g: &[f64]) -> Vec<f64> {
        let mut solved: Vec<f64> = Vec::with_capacity(g.len());
        let mut at = 0;
        for &gi in g {
            let Some(row) = self.0.get(at..=at + solved.len()) else {
                break;
            };
            let inner: f64 = row.iter().zip(&solved).map(|(l, s)| l * s).sum();
            let value = (gi - inner) / row[solved.len()];
            at += row.len();
            solved.push(value);
        }
        solved
    }

    /// L⁻ᵀ g, for as many entries as M has. Cost O(d²).
    pub(crate) fn backward(&self, g: &[f64]) -> Vec<f64> {
        let mut solved = g.to_vec();
        let mut end = self.0.len();
        for i in (0..g.len()).rev() {
            // Row i of L is what column i of its transpose is.
            let row = &self.0[end - (i + 1)..end];
            let value = solved[i] / row[i];
            for (s, l) in solved.iter_mut().zip(&row[..i]) {
                *s -= l * value;
            }
            solved[i] = value;
            end -= i + 1;
        }
        solved
    }

    /// M⁻¹ g. Cost O(d²).
    pub(crate) fn solve(&self, g: &[f64]) -> Vec<f64> {
        self.backward(&self.forward(g))
    }

    /// Whether this is the factor of a `d × d` matrix with finite entries.
    pub(crate) fn is_sound(&self, d: usize) -> bool {
        self.0.len() == d * (d + 1) / 2 && self.0.iter().all(|v| v.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadratic_forms_match_a_hand_inverse() {
        // M = [[2, 1], [1, 2]], inverse [[2, -1], [-1, 2]] / 3.
        let factor = Factor::of_rows(&[[1.0, 1.0]], &[1.0, 1.0]).unwrap();
        assert!((factor.quadratic(&[1.0, 0.0]) - 2.0 / 3.0).abs() < 1e-12);
        assert!((factor.quadratic(&[1.0, 1.0]) - 2.0 / 3.0).abs() < 1e-12);
        assert!((factor.quadratic(&[1.0, -1.0]) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn systems_are_solved() {
        // M = [[4, 2, 0], [2, 5, 1], [0, 1, 3]].
        let rows = [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]];
        let factor = Factor::of_rows(&rows, &[2.0, 2.0, 2.0]).unwrap();
        let x = factor.solve(&[8.0, 15.0, 11.0]);
        for (found, x) in x.iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - x).abs() < 1e-12);
        }
    }

    #[test]
    fn a_singular_matrix_is_lifted() {
        let factor = Factor::of_rows(&[[1.0, 1.0], [2.0, 2.0]], &[0.0, 0.0]).unwrap();
        assert!(factor.quadratic(&[1.0, 1.0]).is_finite());
    }
}

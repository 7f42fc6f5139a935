//! Cholesky factors of small positive matrices.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use crate::numeric::slices::{add, dot};

/// The lower Cholesky factor L of a symmetric positive matrix M = L Lᵀ, rows
/// packed: `l00, l10, l11, l20, …`. In JSON it is the list of these numbers.
///
/// It is made for the linear systems of fits: tens of parameters.
///
/// ```
/// use regmix_regress::Factor;
///
/// // M = [[2, 1], [1, 2]], inverse [[2, -1], [-1, 2]] / 3.
/// let factor = Factor::of_rows(&[[1.0, 1.0]], &[1.0, 1.0])?;
/// assert!((factor.quadratic(&[1.0, 0.0]) - 2.0 / 3.0).abs() < 1e-12);
/// assert!((factor.solve(&[3.0, 0.0])[0] - 2.0).abs() < 1e-12);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Factor(Vec<f64>);

impl Factor {
    /// Factors Σ gᵢ gᵢᵀ + diag(ridge) for rows g. Rounding can make a nearly
    /// singular matrix indefinite: then as much is added to the diagonal as it
    /// takes, up to 1e-6 of its largest entry. Cost O(n d² + d³) for n rows of
    /// d numbers.
    ///
    /// # Errors
    /// When that is not enough, or a number is not finite.
    pub fn of_rows<G: AsRef<[f64]>>(rows: &[G], ridge: &[f64]) -> Result<Self> {
        let d = ridge.len();
        let mut lower = vec![0.0; d * (d + 1) / 2];
        for row in rows {
            let row = row.as_ref();
            for i in 0..d {
                for j in 0..=i {
                    lower[start(i) + j] += row[i] * row[j];
                }
            }
        }
        for i in 0..d {
            lower[start(i) + i] += ridge[i];
        }
        let diagonal = |i: usize| lower[start(i) + i];
        let scale = (0..d).map(diagonal).fold(f64::MIN_POSITIVE, f64::max);
        for jitter in [0.0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6] {
            let mut lifted = lower.clone();
            for i in 0..d {
                lifted[start(i) + i] += jitter * scale;
            }
            if let Some(factor) = Self::of_lower(lifted, 0.0) {
                return Ok(factor);
            }
        }
        Err(Error::failed(
            "the matrix of a fit is not positive: weights or values out of range",
        ))
    }

    /// Factors A + penalty I, with the lower triangle of A packed as the
    /// factor is; `None` where that is not positive or not finite. Cost O(d³).
    pub fn of_lower(mut lower: Vec<f64>, penalty: f64) -> Option<Self> {
        let l = &mut lower;
        let d = (0..).take_while(|&i| start(i) < l.len()).count();
        for i in 0..d {
            for j in 0..=i {
                let (a, b) = (start(i), start(j));
                let sum = l[a + j] - dot(&l[a..a + j], &l[b..b + j]);
                l[a + j] = if i == j {
                    let square = sum + penalty;
                    if !(square > 0.0 && square.is_finite()) {
                        return None;
                    }
                    square.sqrt()
                } else {
                    sum / l[b + j]
                };
            }
        }
        lower.iter().all(|v| v.is_finite()).then_some(Self(lower))
    }

    /// The entries of L, rows packed.
    pub(crate) fn entries(&self) -> &[f64] {
        &self.0
    }

    /// gᵀ M⁻¹ g by forward substitution. Cost O(d²).
    pub fn quadratic(&self, g: &[f64]) -> f64 {
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
            let inner = dot(row, &solved);
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
            add(&mut solved[..i], -value, &row[..i]);
            solved[i] = value;
            end -= i + 1;
        }
        solved
    }

    /// M⁻¹ g. Cost O(d²).
    pub fn solve(&self, g: &[f64]) -> Vec<f64> {
        self.backward(&self.forward(g))
    }

    /// Whether this is the factor of a `d × d` matrix with finite entries.
    pub fn is_sound(&self, d: usize) -> bool {
        self.0.len() == d * (d + 1) / 2 && self.0.iter().all(|v| v.is_finite())
    }
}

/// Where row i begins.
fn start(i: usize) -> usize {
    i * (i + 1) / 2
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
    fn packed_triangles_are_factored_with_a_penalty() {
        let factor = Factor::of_lower(vec![3.0, 2.0, 4.0], 1.0).unwrap();
        // M = [[4, 2], [2, 5]].
        assert_eq!(factor.entries(), [2.0, 1.0, 2.0]);
        assert!(Factor::of_lower(vec![1.0, 2.0, 1.0], 0.0).is_none());
        assert!(Factor::of_lower(vec![f64::NAN], 1.0).is_none());
    }

    #[test]
    fn a_singular_matrix_is_lifted() {
        let factor = Factor::of_rows(&[[1.0, 1.0], [2.0, 2.0]], &[0.0, 0.0]).unwrap();
        assert!(factor.quadratic(&[1.0, 1.0]).is_finite());
    }
}

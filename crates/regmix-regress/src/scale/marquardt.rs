//! Robust least squares by Levenberg and Marquardt's method.

use regmix_data::{Monitor, Result};

use crate::numeric::factor::Factor;

/// A sum of squares that [`minimise`] makes small.
pub(crate) trait Squares {
    /// The cost at some parameters: half of the sum of the (robust) squares.
    fn cost(&self, p: &[f64]) -> f64;

    /// The cost, and its gradient and Gauss-Newton matrix, lower triangle
    /// packed by rows. Both arrive filled with zeros.
    fn system(&self, p: &[f64], gradient: &mut [f64], matrix: &mut [f64]) -> f64;
}

/// Descends from a point; gives the point reached and its cost. Each parameter
/// stays within `limits`.
///
/// # Errors
/// When the monitor asks to stop.
pub(crate) fn minimise(
    squares: &impl Squares,
    start: Vec<f64>,
    (low, high): (f64, f64),
    iterations: usize,
    monitor: &dyn Monitor,
) -> Result<(Vec<f64>, f64)> {
    /// Falls of the cost smaller than this part of it count as none.
    const TOLERANCE: f64 = 1e-5;
    let n = start.len();
    let mut p = start;
    let mut damping = 1e-2;
    let mut still = 0;
    let (mut gradient, mut matrix) = (vec![0.0; n], vec![0.0; n * (n + 1) / 2]);
    let mut cost = squares.system(&p, &mut gradient, &mut matrix);
    for _ in 0..iterations {
        monitor.check()?;
        let Some(step) = damped(&matrix, &gradient, damping) else {
            damping *= 10.0;
            if damping > 1e12 {
                break;
            }
            continue;
        };
        let next: Vec<f64> = (p.iter().zip(&step))
            .map(|(p, s)| (p - s.clamp(-2.0, 2.0)).clamp(low, high))
            .collect();
        let found = squares.cost(&next);
        if found.is_finite() && found < cost {
            still = if cost - found < TOLERANCE * cost {
                still + 1
            } else {
                0
            };
            p = next;
            damping = (damping * 0.2).max(1e-9);
            gradient.fill(0.0);
            matrix.fill(0.0);
            cost = squares.system(&p, &mut gradient, &mut matrix);
            if still >= 3 {
                break;
            }
        } else {
            damping *= 4.0;
            if damping > 1e9 {
                break;
            }
        }
    }
    Ok((p, cost))
}

/// `(M + damping · diag M)⁻¹ g`.
fn damped(matrix: &[f64], gradient: &[f64], damping: f64) -> Option<Vec<f64>> {
    let mut lifted = matrix.to_vec();
    let mut at = 0;
    for i in 0..gradient.len() {
        lifted[at + i] += damping * lifted[at + i].max(1e-9);
        at += i + 1;
    }
    Factor::of_lower(lifted, 0.0).map(|factor| factor.solve(gradient))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::Silent;

    /// Rosenbrock's valley as squares: (10 (y - x²))² + (1 - x)².
    struct Valley;

    impl Squares for Valley {
        fn cost(&self, p: &[f64]) -> f64 {
            0.5 * ((10.0 * (p[1] - p[0] * p[0])).powi(2) + (1.0 - p[0]).powi(2))
        }

        fn system(&self, p: &[f64], gradient: &mut [f64], matrix: &mut [f64]) -> f64 {
            let (a, b) = (10.0 * (p[1] - p[0] * p[0]), 1.0 - p[0]);
            gradient[0] = -20.0 * p[0] * a - b;
            gradient[1] = 10.0 * a;
            matrix[0] = 400.0 * p[0] * p[0] + 1.0;
            matrix[1] = -200.0 * p[0];
            matrix[2] = 100.0;
            self.cost(p)
        }
    }

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let (p, cost) = minimise(&Valley, vec![-1.2, 1.0], (-25.0, 12.0), 200, &Silent).unwrap();
        assert!(cost < 1e-10 && (p[0] - 1.0).abs() < 1e-4, "{p:?} {cost}");
    }

    #[test]
    fn parameters_stay_within_limits() {
        let (p, _) = minimise(&Valley, vec![-1.2, 1.0], (-2.0, 0.5), 200, &Silent).unwrap();
        assert!(p.iter().all(|p| *p <= 0.5), "{p:?}");
    }
}

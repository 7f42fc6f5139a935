//! Student's t and Holm's correction.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The 97.5% point of Student's t distribution; infinite without degrees of freedom.
pub(crate) fn t_point(degrees: usize) -> f64 {
    match StudentsT::new(0.0, 1.0, degrees as f64) {
        Ok(t) => t.inverse_cdf(0.975),
        Err(_) => f64::INFINITY,
    }
}

/// The two-sided p-value of a mean with a standard error.
pub(super) fn two_sided(mean: f64, error: f64, degrees: usize) -> f64 {
    match StudentsT::new(0.0, 1.0, degrees as f64) {
        Ok(t) if error > 0.0 => 2.0 * t.cdf(-(mean / error).abs()),
        // Differences that are all the same.
        Ok(_) if mean != 0.0 => 0.0,
        _ => 1.0,
    }
}

/// Holm's correction of p-values; those that are missing count as none.
pub(super) fn holm(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> = (p.iter().enumerate())
        .filter_map(|(i, p)| Some((i, (*p)?)))
        .collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut out = vec![None; p.len()];
    let mut least = 0.0f64;
    for (rank, (i, p)) in order.iter().enumerate() {
        least = least.max((p * (order.len() - rank) as f64).min(1.0));
        out[*i] = Some(least);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_those_of_the_tables() {
        for (degrees, point) in [(1, 12.706), (2, 4.303), (12, 2.179), (60, 2.000)] {
            assert!((t_point(degrees) - point).abs() < 1e-3, "{degrees}");
        }
        assert_eq!(t_point(0), f64::INFINITY);
        assert!((two_sided(4.303, 1.0, 2) - 0.05).abs() < 1e-4);
        assert_eq!((two_sided(0.0, 0.0, 3), two_sided(1.0, 0.0, 3)), (1.0, 0.0));
    }

    #[test]
    fn holm_multiplies_the_smallest_most_and_keeps_the_order() {
        let p = [Some(0.01), None, Some(0.04), Some(0.03)];
        assert_eq!(holm(&p), [Some(0.03), None, Some(0.06), Some(0.06)]);
        assert_eq!(holm(&[Some(0.9), Some(0.8)]), [Some(1.0), Some(1.0)]);
    }
}

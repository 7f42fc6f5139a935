//! The objective of the log-linear laws, and samples for the tests of both.

use super::problem::Problem;
use crate::regressor::log_linear::model::falling;
use crate::samples::Samples;
use proptest::prelude::*;
use regmix_data::design::Dirichlet;
use regmix_data::random::stream;

pub(crate) const C: f64 = 1.6;
pub(crate) const RATES: [f64; 5] = [-1.4, 0.4, 0.2, 0.5, -0.3];

/// Losses of a log-linear law with known parameters.
pub(crate) fn made_up(n: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut rng = stream(5, "log-linear", "test");
    let draw = Dirichlet::new(&[0.7; 5]).unwrap();
    let rows: Vec<Vec<f64>> = (0..n).map(|_| draw.sample(&mut rng)).collect();
    let values = rows.iter().map(|w| C + falling(&RATES, w)).collect();
    (rows, values)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_gradient_matches_finite_differences(
        p in prop::collection::vec(-1.5f64..1.5, 6),
        delta in 0.01f64..2.0,
        own in 0usize..6,
    ) {
        let (rows, values) = made_up(12);
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values)
            .unwrap()
            .with_own_domain(Some(own));
        let problem = Problem::new(&samples, delta, 0.1, &regmix_data::Silent).unwrap();
        let (mut g, mut unused) = (vec![0.0; 6], vec![0.0; 6]);
        let cost = problem.cost(&p, &mut g);
        prop_assert!(cost > 0.0);
        for i in 0..6 {
            let h = 1e-6;
            let (mut up, mut down) = (p.clone(), p.clone());
            up[i] += h;
            down[i] -= h;
            let rise = problem.cost(&up, &mut unused) - problem.cost(&down, &mut unused);
            let numeric = rise / (2.0 * h);
            prop_assert!((numeric - g[i]).abs() < 1e-3 * (1.0 + numeric.abs()), "{i}");
        }
    }
}

//! Data Mixing Laws as published, on runs that follow them.

use super::*;

#[test]
fn the_nested_laws_find_runs_that_follow_them() {
    let truth = |w: &[f64], n: f64, d: f64| {
        let floor = 1.8 + (0.5 - 0.8 * w[0] - 0.2 * w[1]).exp();
        floor + 0.6 * (n / 1e8).powf(-0.5) + 0.4 * (d / 1e10).powf(-0.6)
    };
    let like = simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.0);
    let mut all = like.runs().to_vec();
    for run in &mut all {
        for point in &mut run.points {
            let loss = truth(&run.weights, run.parameters, point.tokens);
            point.values = vec![loss, f64::NAN];
        }
    }
    let runs = ScaleRuns::new(like.domains().clone(), like.targets().to_vec(), all).unwrap();
    let nested = NestedLaw::fit(&runs, &Silent).unwrap();
    let weights = [0.3, 0.3, 0.4];
    let at = Setting {
        weights: &weights,
        parameters: 4e8,
        tokens: 3.2e10,
    };
    let law = nested.target(0);
    let expected = truth(&weights, 4e8, 3.2e10);
    let found = law.predict(&at).mean;
    assert!((found / expected - 1.0).abs() < 0.004, "{found} {expected}");
    for (j, slope) in law.gradient(&at).into_iter().enumerate() {
        let moved = |h: f64| {
            let mut w = weights;
            w[j] += h;
            let at = Setting { weights: &w, ..at };
            law.predict(&at).mean
        };
        let numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        assert!((numeric - slope).abs() < 1e-5, "{j}: {numeric} {slope}");
    }
    // A target that nobody measured.
    assert!(nested.target(1).predict(&at).mean.is_nan());
}

#[test]
fn the_nested_laws_are_judged_and_never_chosen() {
    let options = ScaleOptions {
        laws: vec![LawName::Additive, LawName::Multiplicative],
        nested: true,
        ..ScaleOptions::default()
    };
    let fit = ScaleFit::train(&simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.003), &options).unwrap();
    let judged: Vec<&Judged> = (fit.judged().iter())
        .filter(|j| j.law == DML_NESTED)
        .collect();
    assert_eq!(judged.len(), 3);
    for j in judged {
        assert!(j.error > 0.0 && j.error < 0.1 && j.spearman > 0.8, "{j:?}");
    }
    assert!(fit.trust().iter().any(|t| t.law == DML_NESTED));
}

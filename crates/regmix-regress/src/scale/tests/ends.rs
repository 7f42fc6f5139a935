//! Runs whose last points lie on another curve.

use super::*;

/// Runs as long as their size, whose learning rate decays: on the way the loss is
/// up to 6 % above that of a run which ends there.
fn decaying(sizes: &[f64]) -> ScaleRuns {
    let all = simulated(sizes, &[1.0], 0.001);
    let mut rng = stream(8, "scale", "decay");
    let runs = (all.runs().iter().cloned())
        .map(|mut run| {
            run.points = [0.3, 0.5, 0.7, 0.9, 1.0]
                .map(|part| {
                    let at = Setting {
                        weights: &run.weights,
                        parameters: run.parameters,
                        tokens: part * 80.0 * run.parameters,
                    };
                    let mut value = |t| {
                        let z: f64 = StandardNormal.sample(&mut rng);
                        truth(t, &at) * (0.06 * (1.0 - part).sqrt() + 0.001 * z).exp()
                    };
                    ScalePoint {
                        tokens: at.tokens,
                        values: vec![value(0), value(1)],
                    }
                })
                .to_vec();
            run
        })
        .collect();
    ScaleRuns::new(all.domains().clone(), all.targets().to_vec(), runs).unwrap()
}

#[test]
fn last_points_alone_are_fitted_where_they_lie_on_another_curve() {
    let runs = decaying(&[5e7, 1e8, 2e8]);
    let fit = ScaleFit::train(&runs, &ScaleOptions::default()).unwrap();
    let warnings = fit.warnings().join("\n");
    assert!(
        warnings.contains("points along the way lie on another curve"),
        "{warnings}"
    );
    let (mut error, mut n) = (0.0, 0.0);
    for weights in mixtures() {
        let at = Setting {
            weights: &weights,
            parameters: 4e8,
            tokens: 3.2e10,
        };
        for t in 0..2 {
            error += (fit.predict(t, &at).mean / truth(t, &at) - 1.0).abs();
            n += 1.0;
        }
    }
    assert!(error / n < 0.015, "{}", error / n);
    // On one curve all points are used.
    let all = simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.003);
    let fit = ScaleFit::train(&all, &ScaleOptions::default()).unwrap();
    assert!(!fit.warnings().join("\n").contains("points along the way"));
}

#[test]
fn a_decay_may_be_stated_where_it_cannot_be_found_out() {
    // Two sizes allow no comparison at a larger one.
    let runs = decaying(&[1e8, 2e8]);
    let error = |last_points| {
        let options = ScaleOptions {
            last_points,
            ..ScaleOptions::default()
        };
        let fit = ScaleFit::train(&runs, &options).unwrap();
        let (mut error, mut n) = (0.0, 0.0);
        for weights in mixtures() {
            let at = Setting {
                weights: &weights,
                parameters: 4e8,
                tokens: 3.2e10,
            };
            for t in 0..2 {
                error += (fit.predict(t, &at).mean / truth(t, &at) - 1.0).abs();
                n += 1.0;
            }
        }
        error / n
    };
    let (auto, same) = (error(LastPoints::Auto), error(LastPoints::Same));
    let decayed = error(LastPoints::Decayed);
    assert_eq!(auto, same);
    assert!(decayed < 0.85 * same, "{decayed} {same}");
}

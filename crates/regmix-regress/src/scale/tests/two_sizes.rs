//! Runs of two sizes, which leave open how the loss goes on.

use super::*;

/// The reducible loss falls with the weight of one domain.
fn truth_of_slopes(target: usize, at: &Setting<'_>) -> f64 {
    let [floor, domain] = [[1.5, 0.0], [1.2, 2.0]][target];
    let (n, d) = (at.parameters / 1e8, at.tokens / 1e10);
    let reducible = 0.8 * n.powf(-0.35) + 0.7 * d.powf(-0.3);
    floor + (-1.5 * at.weights[domain as usize]).exp() * reducible
}

fn runs_of(sizes: &[f64], seed: u64) -> ScaleRuns {
    let mut rng = stream(seed, "scale", "two sizes");
    simulated_by(truth_of_slopes, sizes, &LENGTHS, 0.003, &mut rng)
}

/// The share of measurements inside the 90 % intervals at a size, and the mean half
/// width of these intervals as a part of the loss.
fn inside(fit: &ScaleFit, parameters: f64) -> (f64, f64) {
    let (mut inside, mut width, mut n) = (0.0, 0.0, 0.0);
    for weights in mixtures() {
        let at = Setting {
            weights: &weights,
            parameters,
            tokens: 1.6e10,
        };
        for target in 0..2 {
            let (low, high) = fit.predict(target, &at).interval90();
            let truth = truth_of_slopes(target, &at);
            inside += f64::from(u8::from(low <= truth && truth <= high));
            width += 0.5 * (high - low) / truth;
            n += 1.0;
        }
    }
    (inside / n, width / n)
}

#[test]
fn intervals_beyond_two_sizes_contain_what_larger_models_reach() {
    let options = ScaleOptions::default();
    let (mut two, mut three) = (Vec::new(), Vec::new());
    for seed in 0..4 {
        let fit = ScaleFit::train(&runs_of(&[3e7, 1e8], seed), &options).unwrap();
        two.push(inside(&fit, 3e8));
        let fit = ScaleFit::train(&runs_of(&[1e7, 3e7, 1e8], seed), &options).unwrap();
        three.push(inside(&fit, 3e8));
    }
    let mean = |all: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        all.iter().map(of).sum::<f64>() / all.len() as f64
    };
    assert!(mean(&two, |a| a.0) > 0.8, "{two:?}");
    // A third size says most of what two leave open.
    assert!(
        mean(&two, |a| a.1) > 1.3 * mean(&three, |a| a.1),
        "{two:?} {three:?}"
    );
    assert!(two.iter().all(|a| a.1 < 0.10), "{two:?}");
}

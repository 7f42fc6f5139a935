//! Laws of scale on runs with a known truth.

mod checks;
mod ends;
mod mixtures;
mod nested;
mod repetition;
mod two_sizes;

use rand_distr::{Distribution, StandardNormal};
use regmix_data::random::{Stream, stream};
use regmix_data::{DomainSet, Silent};

use super::*;
use crate::objective::Objective;

/// Losses of two targets that scale with the effective amount of data.
fn truth(target: usize, at: &Setting<'_>) -> f64 {
    let rates = [[1.0, 0.3, 0.1], [0.1, 0.4, 0.9]][target];
    let amount: f64 = rates
        .iter()
        .zip(at.weights)
        .map(|(t, w)| t * w.sqrt())
        .sum();
    let (n, d) = (at.parameters / 1e8, at.tokens / 1e10);
    1.2 + amount.powf(-0.25) * (0.5 * n.powf(-0.3) + 0.6 * d.powf(-0.35) + 0.7)
}

fn mixtures() -> Vec<Vec<f64>> {
    let mut out = Vec::new();
    for i in 0..5 {
        for j in 0..5 - i {
            let (a, b) = (f64::from(i) / 4.0, f64::from(j) / 4.0);
            out.push(vec![a, b, 1.0 - a - b]);
        }
    }
    out
}

/// The points of a run: two targets with noise around their truth.
fn measured(
    truth: fn(usize, &Setting<'_>) -> f64,
    (weights, parameters): (&[f64], f64),
    lengths: &[f64],
    noise: f64,
    rng: &mut Stream,
) -> Vec<ScalePoint> {
    let point = |&tokens: &f64| {
        let at = Setting {
            weights,
            parameters,
            tokens,
        };
        let mut value = |t| {
            let z: f64 = StandardNormal.sample(rng);
            truth(t, &at) * (noise * z).exp()
        };
        ScalePoint {
            tokens,
            values: vec![value(0), value(1)],
        }
    };
    lengths.iter().map(point).collect()
}

fn simulated(sizes: &[f64], lengths: &[f64], noise: f64) -> ScaleRuns {
    simulated_by(
        truth,
        sizes,
        lengths,
        noise,
        &mut stream(7, "scale", "test"),
    )
}

fn simulated_by(
    truth: fn(usize, &Setting<'_>) -> f64,
    sizes: &[f64],
    lengths: &[f64],
    noise: f64,
    rng: &mut Stream,
) -> ScaleRuns {
    let mut runs = Vec::new();
    for &parameters in sizes {
        for (i, weights) in mixtures().into_iter().enumerate() {
            let points = measured(truth, (&weights, parameters), lengths, noise, rng);
            runs.push(ScaleRun {
                run: format!("{parameters}-{i}"),
                weights,
                parameters,
                points,
            });
        }
    }
    let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
    ScaleRuns::new(domains, vec!["a".to_owned(), "c".to_owned()], runs).unwrap()
}

const FREE: Fitting = Fitting {
    starts: 4,
    alike: 0.0,
};
const LENGTHS: [f64; 5] = [2e9, 4e9, 8e9, 1.2e10, 1.6e10];

#[test]
fn twice_the_size_and_length_are_predicted_with_honest_intervals() {
    let fit = ScaleFit::train(
        &simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.003),
        &ScaleOptions::default(),
    )
    .unwrap();
    let (mut errors, mut inside, mut n) = (0.0, 0.0, 0.0);
    for weights in mixtures() {
        let at = Setting {
            weights: &weights,
            parameters: 4e8,
            tokens: 3.2e10,
        };
        for t in 0..2 {
            let (p, truth) = (fit.predict(t, &at), truth(t, &at));
            errors += (p.mean / truth - 1.0).abs();
            let (low, high) = p.interval90();
            inside += f64::from(u8::from(low <= truth && truth <= high));
            n += 1.0;
        }
    }
    assert!(errors / n < 0.02, "error {}", errors / n);
    assert!(inside / n > 0.6, "{} of {n}", inside);
    assert!(fit.check_setting(4e8, 3.2e10).unwrap().is_empty());
    let far = fit.check_setting(4e9, 3.2e10).unwrap();
    assert!(far[0].starts_with("20.0 times the largest size"), "{far:?}");
    let err = fit.check_setting(12.0, 3.2e10).unwrap_err();
    assert_eq!(
        err.to_string(),
        "`--parameters`: 12: expected at least 5e7, the size of the smallest run"
    );
    // Files give the same predictions.
    let dir = tempfile::tempdir().unwrap();
    fit.save(dir.path()).unwrap();
    let read = ScaleFit::load(dir.path()).unwrap();
    let weights = &mixtures()[4][..];
    let at = Setting {
        weights,
        parameters: 4e8,
        tokens: 3.2e10,
    };
    assert_eq!(read.predict(1, &at), fit.predict(1, &at));
    // Slopes match differences.
    let (_, by) = fit.mean_and_gradient(0, &at);
    for j in 0..3 {
        let moved = |h: f64| {
            let mut w = weights.to_vec();
            w[j] += h;
            let at = Setting { weights: &w, ..at };
            fit.mean_and_gradient(0, &at).0
        };
        if weights[j] > 0.0 {
            let numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!(
                (numeric - by[j]).abs() < 1e-4 * (1.0 + numeric.abs()),
                "{j}: {numeric} {by:?}"
            );
        }
    }
}

#[test]
fn the_best_mixture_at_a_size_is_found() {
    let fit = ScaleFit::train(
        &simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.001),
        &ScaleOptions::default(),
    )
    .unwrap();
    let asked = ScaleQuestion {
        objective: Objective::Mean,
        constraints: None,
        budget: None,
        natural: Some(
            regmix_data::Mixture::new(fit.domains().clone(), vec![0.1, 0.8, 0.1]).unwrap(),
        ),
        parameters: 4e8,
        tokens: 3.2e10,
    };
    let found = fit.optimum(&asked, &Silent).unwrap();
    let value = |w: &[f64]| {
        let at = Setting {
            weights: w,
            parameters: 4e8,
            tokens: 3.2e10,
        };
        0.5 * (truth(0, &at) + truth(1, &at))
    };
    let weights = found.mixture.weights().to_vec();
    let mut best = f64::INFINITY;
    for i in 0..=40 {
        for j in 0..=40 - i {
            let (a, b) = (f64::from(i) / 40.0, f64::from(j) / 40.0);
            best = best.min(value(&[a, b, 1.0 - a - b]));
        }
    }
    assert!(
        value(&weights) - best < 0.005,
        "{weights:?}: {} {best}",
        value(&weights)
    );
    assert!(found.natural.unwrap().1.unwrap() > 1.0);
    assert_eq!(found.path.last().unwrap().parameters, 4e8);
}

#[test]
fn one_size_and_one_length_say_what_cannot_be_known() {
    let fit =
        ScaleFit::train(&simulated(&[1e8], &[1e10], 0.001), &ScaleOptions::default()).unwrap();
    let far = ScaleQuestion {
        objective: Objective::Mean,
        constraints: None,
        budget: None,
        natural: None,
        parameters: 4e8,
        tokens: 1e10,
    };
    let mixture = fit.runs().runs()[0].weights.clone();
    let mixture = regmix_data::Mixture::new(fit.domains().clone(), mixture).unwrap();
    for loss in fit.estimate(&far, &mixture).unwrap().1 {
        let half = 0.5 * (loss.high - loss.low) / loss.mean;
        assert!((0.10..0.15).contains(&half), "{half}");
    }
    let all = fit.warnings().join("\n");
    assert!(all.contains("1 size: how far the laws hold"), "{all}");
    assert!(
        all.contains("the exponent of size cannot be known; it is 0.34"),
        "{all}"
    );
    assert!(
        all.contains("with one length the exponent of tokens"),
        "{all}"
    );
    assert!(
        fit.judged()
            .iter()
            .all(|j| j.direction == Direction::OtherMixtures)
    );
    assert!(fit.trust().is_empty());
}

#[test]
fn repeated_tokens_count_less() {
    let units = Units {
        parameters: 1.0,
        tokens: 1.0,
        available: vec![1e9, 1e12],
        per_token: Vec::new(),
        decayed: false,
    };
    // Five epochs of the first domain count as four and a half.
    let effective = units.effective(&[0.5, 0.5], 1e10);
    assert!((effective[0] / 0.5 - 0.90).abs() < 0.006 && effective[1] == 0.5);
    let bytes = Units {
        available: Vec::new(),
        per_token: vec![1.5, 0.5],
        ..units
    };
    assert_eq!(bytes.effective(&[0.5, 0.5], 1e10), [0.75, 0.25]);
}

#[test]
fn targets_share_their_exponents() {
    let two = simulated(&[1e8, 2e8], &LENGTHS, 0.004);
    let targets: Vec<String> = (0..6).map(|t| format!("t{t}")).collect();
    let mut rng = stream(9, "scale", "targets");
    let runs = (two.runs().iter().cloned())
        .map(|mut run| {
            for point in &mut run.points {
                point.values = (0..6)
                    .map(|t| {
                        let z: f64 = StandardNormal.sample(&mut rng);
                        point.values[t % 2] * (0.004 * z).exp()
                    })
                    .collect();
            }
            run
        })
        .collect();
    let runs = ScaleRuns::new(two.domains().clone(), targets, runs).unwrap();
    let units = Units::of(&runs, &[], &[]);
    let exponent = |law: &FittedLaw| {
        let all = law.parameters();
        all.iter().find(|p| p.0 == "a").unwrap().1.ln()
    };
    let spread = |all: &[f64]| {
        let (low, high) = crate::numeric::slices::range(all);
        high - low
    };
    let name = LawName::Multiplicative;
    let alone: Vec<f64> = (0..6)
        .map(|t| exponent(&FittedLaw::fit(name, &runs, t, &units, FREE, &Silent).unwrap()))
        .collect();
    let together = blend::Blend::laws(&[name], &runs, &units, FREE, &Silent).unwrap();
    let together: Vec<f64> = together.iter().map(|laws| exponent(&laws[0])).collect();
    assert!(
        spread(&together) < 0.5 * spread(&alone),
        "{together:?} {alone:?}"
    );
}

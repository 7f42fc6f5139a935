use rand_distr::{Distribution, Exp1};
use regmix_data::random::{Stream, stream};
use regmix_data::{DomainSet, Silent};

use super::measured;
use crate::scale::choice::{AcrossMixtures, Choice};
use crate::scale::fitted::{FittedLaw, Fitting};
use crate::scale::form::LawName;
use crate::scale::mixtures::across_mixtures;
use crate::scale::{ScaleFit, ScaleLaw, ScaleOptions, ScaleRun, ScaleRuns, Setting};

const DOMAINS: usize = 12;

/// A token of the target's own domain counts eight times as much as any other.
fn truth(target: usize, at: &Setting<'_>) -> f64 {
    let rate = |j| if j == target { 1.0 } else { 0.12 };
    let roots = at
        .weights
        .iter()
        .enumerate()
        .map(|(j, w)| rate(j) * w.sqrt());
    let amount: f64 = roots.sum();
    let (n, d) = (at.parameters / 1e8, at.tokens / 1e10);
    2.0 + amount.powf(-0.4) * (0.4 * n.powf(-0.3) + 0.6 * d.powf(-0.35) + 0.4)
}

fn mixture(rng: &mut Stream) -> Vec<f64> {
    let draws: Vec<f64> = (0..DOMAINS).map(|_| Exp1.sample(rng)).collect();
    // Cubes are sparser than uniform draws.
    let cubes: Vec<f64> = draws.iter().map(|x: &f64| x.powi(3)).collect();
    let sum: f64 = cubes.iter().sum();
    cubes.iter().map(|c| c / sum).collect()
}

/// Sixteen mixtures of twelve domains at two sizes.
fn few(seed: u64, noise: f64) -> ScaleRuns {
    let mut rng = stream(seed, "scale", "mixtures");
    let mut runs = Vec::new();
    for i in 0..16 {
        let weights = mixture(&mut rng);
        for parameters in [5e7, 2e8] {
            let lengths = [4e9, 8e9, 1.6e10];
            let points = measured(truth, (&weights, parameters), &lengths, noise, &mut rng);
            runs.push(ScaleRun {
                run: format!("{parameters}-{i}"),
                weights: weights.clone(),
                parameters,
                points,
            });
        }
    }
    let names: Vec<String> = (0..DOMAINS).map(|j| format!("d{j:02}")).collect();
    let domains = DomainSet::from_names(names.iter().map(String::as_str)).unwrap();
    ScaleRuns::new(domains, names[..2].to_vec(), runs).unwrap()
}

fn new_mixtures() -> Vec<Vec<f64>> {
    let mut rng = stream(4, "scale", "new mixtures");
    (0..60).map(|_| mixture(&mut rng)).collect()
}

/// The mean relative error of a law at new mixtures.
fn error(law: &FittedLaw, target: usize) -> f64 {
    let all = new_mixtures();
    let errors = all.iter().map(|weights| {
        let at = Setting {
            weights,
            parameters: 2e8,
            tokens: 1.6e10,
        };
        (law.predict(&at).mean / truth(target, &at) - 1.0).abs()
    });
    errors.sum::<f64>() / all.len() as f64
}

#[test]
fn few_mixtures_of_many_domains_pull_domains_together() {
    let names = [LawName::Multiplicative];
    let choice = Choice {
        names: &names,
        counting: (&[], &[]),
        nested: false,
        decayed: false,
        mixtures: AcrossMixtures::default(),
    };
    // One draw of sixteen mixtures may favour either.
    let (mut free, mut pulled) = (0.0, 0.0);
    for seed in 0..6 {
        let runs = few(seed, 0.01);
        let found = across_mixtures(&runs, &choice, &Silent).unwrap();
        assert!(found.alike > 0.0, "{seed}: {found:?}");
        let units = choice.units(&runs);
        for target in 0..2 {
            let fit = |alike| {
                let fitting = Fitting { starts: 2, alike };
                FittedLaw::fit(names[0], &runs, target, &units, fitting, &Silent).unwrap()
            };
            free += error(&fit(0.0), target);
            pulled += error(&fit(found.alike), target);
        }
    }
    assert!(pulled < 0.7 * free, "{pulled} {free}");
}

#[test]
fn intervals_of_new_mixtures_are_honest() {
    let fit = ScaleFit::train(&few(3, 0.02), &ScaleOptions::default()).unwrap();
    let all = new_mixtures();
    let mut inside = 0;
    for weights in &all {
        let at = Setting {
            weights,
            parameters: 2e8,
            tokens: 1.6e10,
        };
        for (target, p) in fit.predict_all(&at).iter().enumerate() {
            let (low, high) = p.interval90();
            inside += usize::from((low..=high).contains(&truth(target, &at)));
        }
    }
    let share = inside as f64 / (2 * all.len()) as f64;
    assert!((0.8..=1.0).contains(&share), "{share}");
}

/// A target to which the first two domains matter only together, which no law of
/// scale describes.
fn together(_: usize, at: &Setting<'_>) -> f64 {
    let [a, b] = [at.weights[0], at.weights[1]];
    let (n, d) = (at.parameters / 1e8, at.tokens / 1e10);
    let mixture = 1.0 - 0.3 * (8.0 * a * b).min(1.0) - 0.1 * at.weights[2].sqrt();
    2.0 + mixture * (0.4 * n.powf(-0.3) + 0.6 * d.powf(-0.35))
}

/// Mixtures of four domains: many at a small size, some of them at a larger one.
fn many_small() -> ScaleRuns {
    let mut rng = stream(7, "scale", "together");
    let mut runs = Vec::new();
    for i in 0..60 {
        let weights = four(&mut rng);
        for parameters in [5e7, 2e8].into_iter().take(if i < 12 { 2 } else { 1 }) {
            let points = measured(
                together,
                (&weights, parameters),
                &[4e9, 8e9],
                0.003,
                &mut rng,
            );
            runs.push(ScaleRun {
                run: format!("{parameters}-{i}"),
                weights: weights.clone(),
                parameters,
                points,
            });
        }
    }
    let domains = DomainSet::from_names(["a", "b", "c", "d"]).unwrap();
    ScaleRuns::new(domains, vec!["both".to_owned(), "same".to_owned()], runs).unwrap()
}

fn four(rng: &mut Stream) -> Vec<f64> {
    let draws: Vec<f64> = (0..4).map(|_| Exp1.sample(rng)).collect();
    let sum: f64 = draws.iter().sum();
    draws.iter().map(|x| x / sum).collect()
}

#[test]
fn laws_move_to_a_regression_that_knows_mixtures_better() {
    let fit = ScaleFit::train(&many_small(), &ScaleOptions::default()).unwrap();
    let moved = fit.regression().expect("no law has an interaction");
    assert!(moved.share >= 0.5 && moved.parameters == 5e7, "{moved:?}");
    assert!(
        fit.corrections().starts_with(", moved "),
        "{}",
        fit.corrections()
    );
    let mut rng = stream(8, "scale", "new mixtures");
    let (mut laws, mut all) = (0.0, 0.0);
    for _ in 0..40 {
        let weights = four(&mut rng);
        let at = Setting {
            weights: &weights,
            parameters: 2e8,
            tokens: 8e9,
        };
        let of_laws = fit
            .target_laws(0)
            .iter()
            .map(|law| law.predict(&at).mean.ln());
        let of_laws = (of_laws.sum::<f64>() / fit.laws().len() as f64).exp();
        let truth = together(0, &at);
        laws += (of_laws / truth - 1.0).abs();
        all += (fit.predict(0, &at).mean / truth - 1.0).abs();
    }
    assert!(all < 0.6 * laws, "{all} {laws}");
    // Where laws describe the mixtures, a regression on fewer numbers is no help.
    let described = ScaleFit::train(&few(1, 0.01), &ScaleOptions::default()).unwrap();
    assert_eq!(described.regression(), None);
}

#[test]
fn the_slope_of_a_moved_law_is_that_of_its_mean() {
    let fit = ScaleFit::train(&many_small(), &ScaleOptions::default()).unwrap();
    assert!(fit.regression().is_some());
    let mean = |weights: &[f64]| {
        fit.mean_and_gradient(
            0,
            &Setting {
                weights,
                parameters: 1e8,
                tokens: 6e9,
            },
        )
    };
    let weights = [0.2, 0.3, 0.1, 0.4];
    let (value, slopes) = mean(&weights);
    let at = Setting {
        weights: &weights,
        parameters: 1e8,
        tokens: 6e9,
    };
    assert!((fit.predict(0, &at).mean / value - 1.0).abs() < 1e-9);
    for j in 0..4 {
        let moved = |by: f64| {
            let mut moved = weights;
            moved[j] += by;
            mean(&moved).0
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!(
            (slope - slopes[j]).abs() < 1e-4 * (1.0 + slope.abs()),
            "{j}: {slope} {}",
            slopes[j]
        );
    }
}

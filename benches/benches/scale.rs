//! Laws of scale: the whole fit, with its choice in the direction of use.
#![allow(missing_docs)] // criterion's macros make a public function without.

use criterion::{Criterion, criterion_group, criterion_main};
use rand::RngExt;
use regmix_data::design::Dirichlet;
use regmix_data::{DomainSet, random};
use regmix_regress::scale::{ScaleFit, ScaleOptions, ScalePoint, ScaleRun, ScaleRuns};

/// How many of everything a table has.
struct Shape {
    mixtures: usize,
    domains: usize,
    targets: usize,
    sizes: usize,
    points: usize,
}

/// Runs under a law in which the mixture scales everything above a floor, with
/// noise of three in a thousand.
fn simulated(shape: &Shape) -> ScaleRuns {
    let mut rng = random::stream(1, "bench", "scale");
    let flat = Dirichlet::new(&vec![1.0; shape.domains]).expect("positive");
    let rates: Vec<Vec<f64>> = (0..shape.targets)
        .map(|_| (0..shape.domains).map(|_| rng.random::<f64>()).collect())
        .collect();
    let mut runs = Vec::new();
    for mixture in 0..shape.mixtures {
        let weights = flat.sample(&mut rng);
        for size in 0..shape.sizes {
            let parameters = 2e7 * 1.8f64.powi(size as i32);
            let points = (1..=shape.points)
                .map(|point| {
                    let tokens = 2e9 * point as f64;
                    let above = 0.5 * (parameters / 1e8).powf(-0.3)
                        + 0.6 * (tokens / 1e10).powf(-0.35)
                        + 0.7;
                    let values = (rates.iter())
                        .map(|rates| {
                            let amount: f64 =
                                rates.iter().zip(&weights).map(|(t, w)| t * w.sqrt()).sum();
                            let noise = 0.01 * (rng.random::<f64>() - 0.5);
                            (1.2 + amount.powf(-0.3) * above) * (1.0 + noise)
                        })
                        .collect();
                    ScalePoint { tokens, values }
                })
                .collect();
            runs.push(ScaleRun {
                run: format!("{mixture}-{size}"),
                weights: weights.clone(),
                parameters,
                points,
            });
        }
    }
    let domains = DomainSet::from_names((0..shape.domains).map(|d| format!("d{d}")));
    let targets = (0..shape.targets).map(|t| format!("t{t}")).collect();
    ScaleRuns::new(domains.expect("names differ"), targets, runs).expect("numbers in range")
}

fn fits(c: &mut Criterion) {
    let mut group = c.benchmark_group("scale fit");
    group.sample_size(10);
    let sizes = Shape {
        mixtures: 60,
        domains: 8,
        targets: 8,
        sizes: 6,
        points: 11,
    };
    let one = Shape {
        mixtures: 512,
        domains: 17,
        targets: 13,
        sizes: 1,
        points: 1,
    };
    for (name, shape) in [("60 x 6 sizes x 11 points x 8", sizes), ("512 x 13", one)] {
        let runs = simulated(&shape);
        group.bench_function(name, |b| {
            b.iter(|| ScaleFit::train(&runs, &ScaleOptions::default()).expect("it fits"));
        });
    }
    group.finish();
}

criterion_group!(benches, fits);
criterion_main!(benches);

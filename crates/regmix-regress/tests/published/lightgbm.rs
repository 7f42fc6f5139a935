//! The trees of `gbdt` against LightGBM itself, on the same folds.

use lightgbm3::{Booster, Dataset};
use rayon::prelude::*;
use serde_json::json;

use regmix_regress::metrics::{mse, spearman};
use regmix_regress::regressor::Gbdt;
use regmix_regress::{CvOptions, Folds, Samples, cross_validate};

use super::tables;

/// Out-of-fold predictions of LightGBM with the settings of RegMix.
fn lightgbm(samples: &Samples<'_>, folds: &Folds) -> Vec<f64> {
    let settings = json!({
        "objective": "regression",
        "num_iterations": 1000,
        "learning_rate": 0.01,
        "num_threads": 1,
        "verbosity": -1,
    });
    let width = samples.domains() as i32;
    let flat = |rows: &[usize]| -> Vec<f64> {
        let rows = rows.iter().map(|&i| samples.rows()[i]);
        rows.flatten().copied().collect()
    };
    let mut out = vec![0.0; samples.len()];
    for fold in 0..folds.count() {
        let (train, held) = folds.split(fold);
        let labels: Vec<f32> = train.iter().map(|&i| samples.values()[i] as f32).collect();
        let data = Dataset::from_slice(&flat(&train), &labels, width, true).unwrap();
        let booster = Booster::train(data, &settings).unwrap();
        let predicted = booster.predict(&flat(&held), width, true).unwrap();
        for (i, p) in held.into_iter().zip(predicted) {
            out[i] = p;
        }
    }
    out
}

#[test]
fn gbdt_is_as_accurate_as_lightgbm() {
    let Some(tables) = tables() else { return };
    let options = CvOptions::default();
    let folds = Folds::new(
        tables.mixtures.len(),
        options.folds,
        options.seed,
        "repeat-0",
    );
    let folds = folds.unwrap();
    let targets = tables.values.targets();
    let judged: Vec<[f64; 5]> = (0..targets.len())
        .into_par_iter()
        .map(|t| {
            let values: Vec<f64> = tables.values.rows().iter().map(|r| r[t]).collect();
            let weights = tables.mixtures.mixtures().iter().map(|m| m.weights());
            let samples = Samples::new(weights, values.clone()).unwrap();
            let theirs = lightgbm(&samples, &folds);
            let [same, ours] = [Gbdt::lightgbm(), Gbdt::default()].map(|gbdt| {
                let cv = cross_validate(&gbdt, &samples, &options).unwrap();
                cv.predictions[0].iter().map(|p| p.mean).collect::<Vec<_>>()
            });
            let apart = mse(&theirs, &same).sqrt();
            eprintln!("{}: {apart:.4} nats apart", targets[t]);
            let rho = |p: &[f64]| 100.0 * spearman(&values, p);
            [
                rho(&theirs),
                rho(&same),
                rho(&ours),
                mse(&values, &theirs),
                mse(&values, &ours),
            ]
        })
        .collect();
    let mean = |i: usize| judged.iter().map(|j| j[i]).sum::<f64>() / judged.len() as f64;
    eprintln!(
        "mean Spearman: LightGBM {:.3}, with its settings {:.3}, with ours {:.3}",
        mean(0),
        mean(1),
        mean(2)
    );
    eprintln!(
        "mean squared error: LightGBM {:.5}, ours {:.5}",
        mean(3),
        mean(4)
    );
    assert!((mean(1) - mean(0)).abs() <= 0.15);
    assert!((mean(2) - mean(0)).abs() <= 0.15);
}

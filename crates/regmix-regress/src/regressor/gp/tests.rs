use crate::metrics::{coverage90, spearman};
use crate::regressor::block::Block;
use crate::regressor::gp::batch::Batch;
use crate::regressor::gp::fit::Gp;
use crate::regressor::gp::model::GpModel;
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::model::Model;
use crate::samples::Samples;
use rand_distr::{Distribution, StandardNormal};
use regmix_data::Silent;
use regmix_data::design::Dirichlet;
use regmix_data::random::stream;

/// A bent surface over five domains with noise of 0.01, four of which matter.
fn made_up(n: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut rng = stream(7, "gp", "test");
    let draw = Dirichlet::new(&[1.5; 5]).unwrap();
    let rows: Vec<Vec<f64>> = (0..n).map(|_| draw.sample(&mut rng)).collect();
    let values = rows
        .iter()
        .map(|r| {
            let z: f64 = StandardNormal.sample(&mut rng);
            3.0 + 0.4 * (5.0 * r[0]).cos() - 0.6 * r[1].sqrt() + r[2] * r[3] + 0.01 * z
        })
        .collect();
    (rows, values)
}

fn fitted(rows: &[Vec<f64>], values: &[f64]) -> Model {
    let samples = Samples::new(rows.iter().map(Vec::as_slice), values.to_vec()).unwrap();
    Gp::default().fit(&samples, 3).unwrap()
}

#[test]
fn unseen_mixtures_are_predicted_with_honest_intervals() {
    let (rows, values) = made_up(300);
    let model = fitted(&rows[..100], &values[..100]);
    let predicted = model.predict_batch(&rows[100..]);
    let means: Vec<f64> = predicted.iter().map(|p| p.mean).collect();
    assert!(spearman(&values[100..], &means) > 0.995);
    let covered = coverage90(&values[100..], &predicted);
    assert!((0.8..=0.98).contains(&covered), "{covered}");
    let sds: Vec<f64> = predicted.iter().map(|p| p.sd).collect();
    assert!(sds.iter().all(|s| *s > 0.005 && *s < 0.3));
}

#[test]
fn of_many_rows_a_part_is_fitted() {
    let (rows, values) = made_up(5000);
    let part = Gp {
        rows: 150,
        ..Gp::default()
    };
    let samples = Samples::new(rows.iter().map(Vec::as_slice), values.clone()).unwrap();
    let model = part.fit(&samples, 3).unwrap();
    let fitted = |model: &Model| {
        let json = serde_json::to_value(model).unwrap();
        let rows = (json.pointer("/rows")).or(json.pointer("/gp/rows"));
        rows.and_then(|rows| rows.as_array()).map(Vec::len)
    };
    assert_eq!(fitted(&model), Some(150), "{:?}", fitted(&model));
    let means: Vec<f64> = rows.iter().map(|row| model.mean(row)).collect();
    assert!(spearman(&values, &means) > 0.99);
    // A refit on resampled runs has no more rows, and a resample repeats some.
    let places: Vec<usize> = (0..5000).map(|i| i * i % 5000).collect();
    let resample = samples.pick(&places).unwrap();
    let context = FitContext::new(4, &Silent).after(&model);
    let refit = part.fit_with(&resample, context).unwrap();
    assert!(fitted(&refit).is_some_and(|rows| rows > 50 && rows < 150));
}

#[test]
fn all_ways_to_the_mean_agree_and_files_restore_it() {
    let (rows, values) = made_up(80);
    let model = fitted(&rows[..60], &values[..60]);
    let some: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    let mut block = vec![0.0; rows.len()];
    model.block_means(&Block::of(&some), &mut block);
    let json = serde_json::to_string(&model).unwrap();
    let back: Model = serde_json::from_str(&json).unwrap();
    for (row, mean) in rows.iter().zip(&block) {
        assert!((model.mean(row) - mean).abs() < 1e-9);
        assert!((model.predict(row).mean - mean).abs() < 1e-8);
        assert_eq!(back.predict(row), model.predict(row));
    }
    let broken = json.replacen("\"values\":[", "\"values\":[1.0,", 1);
    let err = serde_json::from_str::<Model>(&broken).unwrap_err();
    assert!(
        err.to_string().contains("damaged Gaussian process"),
        "{err}"
    );
}

#[test]
fn the_gradient_matches_finite_differences() {
    let (rows, values) = made_up(60);
    let model = fitted(&rows, &values);
    for row in rows.iter().take(10).filter(|r| r.iter().all(|w| *w > 0.01)) {
        let gradient = model.gradient(row).unwrap();
        for (j, analytic) in gradient.iter().enumerate() {
            let (mut up, mut down) = (row.clone(), row.clone());
            up[j] += 1e-6;
            down[j] -= 1e-6;
            let numeric = (model.mean(&up) - model.mean(&down)) / 2e-6;
            assert!(
                (numeric - analytic).abs() < 1e-4 * (1.0 + numeric.abs()),
                "{numeric} {analytic}"
            );
        }
    }
}

#[test]
fn repeats_unused_domains_and_few_rows_are_no_obstacle() {
    let (mut rows, mut values) = made_up(12);
    rows.extend_from_within(..4);
    values.extend_from_within(..4);
    for row in &mut rows {
        row.push(0.0);
    }
    let model = fitted(&rows, &values);
    assert!(model.predict(&rows[0]).mean.is_finite());
    let samples = Samples::new(rows.iter().map(Vec::as_slice), values.clone()).unwrap();
    let context = FitContext::new(0, &Silent).after(&model);
    let again = Gp::default().fit_with(&samples, context).unwrap();
    assert!((again.mean(&rows[1]) - model.mean(&rows[1])).abs() < 1e-9);
    let flat = Samples::new(rows.iter().map(Vec::as_slice), vec![1.0; rows.len()]).unwrap();
    assert!(Gp::default().fit(&flat, 0).unwrap_err().is_input());
    let scores: Vec<f64> = values.iter().map(|v| v - 3.0).collect();
    let model = fitted(&rows, &scores);
    assert!(model.predict(&rows[0]).mean.is_finite());
}

#[test]
fn a_batch_shrinks_as_by_runs() {
    // With more rows than hyperparameters are drawn for.
    let (rows, values) = made_up(230);
    let samples = Samples::new(
        rows[..200].iter().map(Vec::as_slice),
        values[..200].to_vec(),
    );
    let model = Gp::default()
        .process(&samples.unwrap(), 3, &Silent)
        .unwrap();
    let some: Vec<&[f64]> = rows[200..].iter().map(Vec::as_slice).collect();
    let fresh = Batch::new(&model, &some);
    for ((p, v), noise) in (model.predict_all(&some).iter())
        .zip(fresh.variances())
        .zip(fresh.noises())
    {
        let sd = model.unit(p.mean) * (v + noise).sqrt();
        assert!((p.sd - sd).abs() < 1e-9);
    }
    // The same mixture k times: v n / (k v + n).
    let mut batch = Batch::new(&model, &some);
    let (v, n) = (fresh.variances()[4], fresh.noises()[4]);
    for k in 1..4 {
        batch.condition(4);
        let expected = v * n / (f64::from(k) * v + n);
        assert!((batch.variances()[4] - expected).abs() < 1e-8 * v);
    }
    // What is known after some runs does not depend on their order.
    let after = |order: [usize; 4]| {
        let mut batch = Batch::new(&model, &some);
        order.into_iter().for_each(|i| batch.condition(i));
        batch.variances().to_vec()
    };
    for ((a, b), before) in (after([4, 9, 0, 11]).iter())
        .zip(after([11, 0, 9, 4]))
        .zip(fresh.variances())
    {
        assert!((a - b).abs() < 1e-8 && *a <= before + 1e-12);
    }
}

#[test]
fn few_rows_leave_hyperparameters_open_and_intervals_hold() {
    let (rows, values) = made_up(420);
    let (mut with, mut without) = (0.0, 0.0);
    for part in rows.chunks(20).zip(values.chunks(20)).take(10) {
        let Model::Gp(model) = fitted(part.0, part.1) else {
            panic!("another kind of model");
        };
        assert!(!model.hyperparameters().1.is_empty());
        let mut json = serde_json::to_value(&model).unwrap();
        json.as_object_mut().unwrap().remove("draws");
        let certain: GpModel = serde_json::from_value(json).unwrap();
        let judged: Vec<&[f64]> = rows[220..].iter().map(Vec::as_slice).collect();
        with += 0.1 * coverage90(&values[220..], &model.predict_all(&judged));
        without += 0.1 * coverage90(&values[220..], &certain.predict_all(&judged));
    }
    assert!(
        (0.85..=0.97).contains(&with) && without < with - 0.05,
        "{with} {without}"
    );
}

use crate::cross_validation::{CvOptions, cross_validate};
use crate::metrics::{coverage90, spearman};
use crate::regressor::gbdt::fit::Gbdt;
use crate::regressor::interface::Regressor;
use crate::regressor::model::Model;
use crate::samples::Samples;
use proptest::prelude::*;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use regmix_data::design::Dirichlet;
use regmix_data::random::stream;

/// Mixtures of 4 domains, some of them without one, and noisy losses.
fn made_up(rows: usize, noise: f64) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut rng = stream(7, "gbdt", "test");
    let draw = Dirichlet::new(&[0.8; 4]).unwrap();
    let mut mixtures = Vec::new();
    let mut losses = Vec::new();
    for i in 0..rows {
        let mut w = draw.sample(&mut rng);
        if i % 5 == 0 {
            w[3] = 0.0;
        }
        let z: f64 = StandardNormal.sample(&mut rng);
        losses.push(2.0 + (0.05 + w[0] + 0.3 * w[1]).powf(-0.4) + 0.5 * w[3] + noise * z);
        mixtures.push(w);
    }
    (mixtures, losses)
}

fn samples<'a>(rows: &'a [Vec<f64>], values: &[f64]) -> Samples<'a> {
    Samples::new(rows.iter().map(Vec::as_slice), values.to_vec()).unwrap()
}

fn quick() -> Gbdt {
    Gbdt {
        rounds: 100,
        learning_rate: 0.1,
        ..Gbdt::default()
    }
}

#[test]
fn unseen_mixtures_are_ranked() {
    let (rows, values) = made_up(400, 0.0);
    let model = Gbdt::default().fit(&samples(&rows[..300], &values[..300]), 0);
    let model = model.unwrap();
    let predicted = model.means(&rows[300..]);
    let rho = spearman(&values[300..], &predicted);
    assert!(rho > 0.985, "{rho}");
    assert_eq!(predicted[3], model.mean(&rows[303]));
    assert_eq!(model.predict_batch(&rows)[303], model.predict(&rows[303]));
    assert!(model.gradient(&rows[0]).is_none());
}

#[test]
fn equal_calls_give_equal_models_and_files_hold_them() {
    let (rows, values) = made_up(90, 0.1);
    let samples = samples(&rows, &values);
    let model = quick().fit(&samples, 3).unwrap();
    assert_eq!(model, quick().fit(&samples, 3).unwrap());
    let text = serde_json::to_string(&model).unwrap();
    let read: Model = serde_json::from_str(&text).unwrap();
    assert_eq!(read, model);
    assert!(read.check(4).is_ok());
    let err = read.check(5).unwrap_err().to_string();
    assert!(err.contains("4 domains, expected 5"), "{err}");
    assert_eq!(read.kind(), "gbdt");
    let damaged = text.replace("\"questions\":[", "\"questions\":[3,");
    let err = serde_json::from_str::<Model>(&damaged).unwrap_err();
    assert!(err.to_string().contains("damaged `gbdt` model"), "{err}");
    let damaged = text.replace("\"scale\":", "\"scale\":-");
    let read: Model = serde_json::from_str(&damaged).unwrap();
    let err = read.check(4).unwrap_err().to_string();
    assert!(err.contains("finite numbers"), "{err}");
}

#[test]
fn intervals_hold_what_they_promise() {
    for rows in [40, 300] {
        let (rows, values) = made_up(rows, 0.1);
        let samples = samples(&rows, &values);
        let options = CvOptions {
            repeats: 2,
            ..CvOptions::default()
        };
        let cv = cross_validate(&quick(), &samples, &options).unwrap();
        let covered = cv.predictions.iter().map(|p| coverage90(&values, p));
        let coverage = covered.sum::<f64>() / 2.0;
        assert!((0.85..=0.97).contains(&coverage), "{coverage}");
    }
}

/// Recorded with LightGBM 4.7.0 and Python:
///
/// ```py
/// i = np.arange(200)
/// x = np.stack([i * 37 % 101 / 101, np.where(i % 4 == 0, 0, i * 53 % 97 / 97), i % 10 / 10], 1)
/// y = x[:, 0]**2 + (x[:, 1] > .3) - .5 * x[:, 2] * x[:, 0] + .01 * (i * 29 % 31)
/// lightgbm.train({"objective": "regression", "learning_rate": 0.05},
///                lightgbm.Dataset(x, label=y), num_boost_round=200).predict(asked)
/// ```
#[test]
fn predictions_equal_those_of_lightgbm() {
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for i in 0..200u32 {
        let share = |times: u32, of: u32| f64::from(i * times % of) / f64::from(of);
        let b = if i % 4 == 0 { 0.0 } else { share(53, 97) };
        let (a, c) = (share(37, 101), share(1, 10));
        let above = f64::from(u8::from(b > 0.3));
        values.push(a * a + above - 0.5 * c * a + 0.01 * f64::from(i * 29 % 31));
        rows.push(vec![a, b, c]);
    }
    let gbdt = Gbdt {
        rounds: 200,
        learning_rate: 0.05,
        ..Gbdt::lightgbm()
    };
    let model = gbdt.fit(&samples(&rows, &values), 0).unwrap();
    for (asked, theirs) in [
        ([0.2, 0.0, 0.45], 0.1139626),
        ([0.5, 0.3, 0.1], 1.302142),
        ([0.9, 0.8, 0.7], 1.6592269),
        ([0.31, 0.55, 0.0], 1.2518394),
        ([0.05, 0.9, 0.95], 1.0752053),
    ] {
        let ours = model.mean(&asked);
        assert!((ours - theirs).abs() < 2e-6, "{asked:?}: {ours}, {theirs}");
    }
}

#[test]
fn few_rows_are_learnt_from_unless_lightgbm_is_asked_for() {
    let (rows, values) = made_up(30, 0.0);
    let samples = samples(&rows, &values);
    let trees = |gbdt: Gbdt| match gbdt.fit(&samples, 0).unwrap() {
        Model::Gbdt(model) => model.trees(),
        other => panic!("{}", other.kind()),
    };
    assert_eq!(trees(Gbdt::default()), 1000);
    assert_eq!(trees(Gbdt::lightgbm()), 0);
}

#[test]
fn odd_samples_are_fitted() {
    let (rows, values) = made_up(40, 0.0);
    let flat = quick().fit(&samples(&rows, &[2.5; 40]), 0).unwrap();
    let p = flat.predict(&rows[0]);
    assert_eq!((p.mean, p.sd), (2.5, 0.0));
    // One domain, whose weight says nothing.
    let ones = vec![vec![1.0]; 40];
    let blind = quick().fit(&samples(&ones, &values), 0).unwrap();
    let mean = values.iter().sum::<f64>() / 40.0;
    assert!((blind.mean(&[1.0]) - mean).abs() < 1e-9);
    // Two rows, the least that folds can be made of.
    let two = quick().fit(&samples(&rows[..2], &values[..2]), 0).unwrap();
    assert!(two.predict(&rows[5]).sd.is_finite());
    let err = (quick().fit(&samples(&rows[..1], &values[..1]), 0)).unwrap_err();
    assert!(err.to_string().contains("1 rows in 5 folds"), "{err}");
    let wild = [f64::MAX, -f64::MAX];
    let err = quick().fit(&samples(&rows[..2], &wild), 0).unwrap_err();
    assert!(
        err.to_string().contains("differences that are finite"),
        "{err}"
    );
    // More leaves than rows: every row its own.
    let all = Gbdt {
        leaves: 64,
        min_rows_per_leaf: Some(1),
        min_rows_per_bin: Some(1),
        learning_rate: 1.0,
        rounds: 2,
        ..Gbdt::default()
    };
    let exact = all.fit(&samples(&rows, &values), 0).unwrap();
    let means = exact.means(&rows);
    for ((row, value), mean) in rows.iter().zip(&values).zip(means) {
        assert!((mean - value).abs() < 1e-4);
        assert_eq!(exact.mean(row), mean);
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let (rows, values) = made_up(20, 0.0);
    let samples = samples(&rows, &values);
    let good = quick();
    for (bad, field) in [
        (Gbdt { rounds: 0, ..good }, "rounds"),
        (Gbdt { leaves: 1, ..good }, "leaves"),
        (
            Gbdt {
                leaves: 257,
                ..good
            },
            "leaves",
        ),
        (Gbdt { bins: 1, ..good }, "bins"),
        (
            Gbdt {
                learning_rate: f64::NAN,
                ..good
            },
            "learning_rate",
        ),
        (
            Gbdt {
                min_rows_per_leaf: Some(0),
                ..good
            },
            "min_rows_per_leaf",
        ),
        (
            Gbdt {
                min_rows_per_bin: Some(0),
                ..good
            },
            "min_rows_per_bin",
        ),
    ] {
        let error = bad.fit(&samples, 0).unwrap_err();
        assert!(error.is_input(), "{error}");
        assert_eq!(error.field_name(), Some(field));
    }
}

#[test]
fn early_stopping_keeps_noise_out() {
    let (rows, values) = made_up(200, 0.5);
    let stopping = Gbdt {
        early_stopping: true,
        ..quick()
    };
    let trees = |gbdt: Gbdt| match gbdt.fit(&samples(&rows, &values), 0).unwrap() {
        Model::Gbdt(model) => model.trees(),
        other => panic!("{}", other.kind()),
    };
    let stopped = trees(stopping);
    assert!((1..100).contains(&stopped), "{stopped}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Trees see the order of weights, nothing else.
    #[test]
    fn bending_a_weight_changes_nothing_at_the_rows(power in 0.3f64..3.0, seed: u64) {
        let mut rng = stream(seed, "gbdt", "bend");
        let rows: Vec<Vec<f64>> = (0..40)
            .map(|_| (0..3).map(|_| rng.random_range(0.0..1.0)).collect())
            .collect();
        let values: Vec<f64> = rows.iter().map(|r| r[0] * r[1] - r[2]).collect();
        let bent: Vec<Vec<f64>> = rows.iter()
            .map(|r| vec![r[0].powf(power), r[1], r[2] * 0.5])
            .collect();
        let plain = quick().fit(&samples(&rows, &values), 0).unwrap();
        let model = quick().fit(&samples(&bent, &values), 0).unwrap();
        for (row, bent) in rows.iter().zip(&bent) {
            prop_assert_eq!(plain.mean(row), model.mean(bent));
        }
    }

    /// In another unit the predictions are the same, in that unit (powers of
    /// two have no rounding), and none leaves the range of the values.
    #[test]
    fn units_do_not_matter(power in -30i32..30) {
        let scale = 2f64.powi(power);
        let (rows, values) = made_up(60, 0.1);
        let other: Vec<f64> = values.iter().map(|v| scale * v).collect();
        let plain = quick().fit(&samples(&rows, &values), 0).unwrap();
        let model = quick().fit(&samples(&rows, &other), 0).unwrap();
        let low = values.iter().copied().fold(f64::MAX, f64::min);
        let high = values.iter().copied().fold(f64::MIN, f64::max);
        for row in &rows {
            prop_assert!((low..=high).contains(&plain.mean(row)));
            prop_assert_eq!(scale * plain.mean(row), model.mean(row));
        }
    }
}

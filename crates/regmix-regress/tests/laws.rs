//! The published laws on simulated runs: few of them, domains that are never
//! used or never apart, files, bad input.

use proptest::prelude::*;

use regmix_data::design::Dirichlet;
use regmix_data::random::stream;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Mixture};
use regmix_regress::regressor::{FitContext, Model, regressor};
use regmix_regress::{Choice, Fit, FitOptions, Samples};

const LAWS: [&str; 3] = ["bimix", "dml", "olmix"];

/// Rows over 17 domains of which the last is never used and the two before
/// it always have equal weights; losses fall with the first two domains.
fn rows(n: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut rng = stream(4, "laws", "test");
    let draw = Dirichlet::new(&[1.0; 15]).unwrap();
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|_| {
            let mut w = draw.sample(&mut rng);
            w[14] *= 0.5;
            w.push(w[14]);
            w.push(0.0);
            w
        })
        .collect();
    let loss = |w: &Vec<f64>| 2.0 + 2.5 * (-4.0 * w[0] - 1.0 * w[1] + 0.5 * w[2]).exp();
    let values = rows.iter().map(loss).collect();
    (rows, values)
}

fn fitted(name: &str, rows: &[Vec<f64>], values: &[f64], seed: u64) -> Model {
    let samples = Samples::new(rows.iter().map(Vec::as_slice), values.to_vec())
        .unwrap()
        .with_own_domain(Some(0));
    regressor(name).unwrap().fit(&samples, seed).unwrap()
}

/// The text of a file without its checksum, as earlier versions wrote it.
fn unsealed(path: &std::path::Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let at = text.rfind(",\n  \"checksum\"").unwrap();
    format!("{}\n}}\n", &text[..at])
}

#[test]
fn eight_runs_over_seventeen_domains_are_enough_for_a_finite_answer() {
    let (rows, values) = rows(8);
    for name in LAWS {
        let model = fitted(name, &rows, &values, 0);
        for w in &rows {
            let p = model.predict(w);
            assert!(p.mean.is_finite() && p.sd > 0.0, "{name}: {p:?}");
        }
        // In the middle of the runs the loss is near those of the runs.
        let middle = model.mean(&[1.0 / 17.0; 17]);
        let penalised = name != "olmix";
        assert!(
            !penalised || (3.0..6.0).contains(&middle),
            "{name}: {middle}"
        );
    }
    // Directions of which eight runs say nothing stay where most rates are.
    let Model::LogLinear(dml) = fitted("dml", &rows, &values, 0) else {
        panic!("another model")
    };
    assert!(dml.rates().iter().all(|t| t.abs() < 20.0), "{dml:?}");
}

#[test]
fn domains_never_used_or_never_apart_stay_finite_and_uncertain() {
    let (rows, values) = rows(80);
    for name in ["dml", "olmix"] {
        let model = fitted(name, &rows, &values, 0);
        let pure = |j: usize| {
            let mut w = vec![0.0; 17];
            w[j] = 1.0;
            model.predict(&w)
        };
        for j in 0..17 {
            assert!(pure(j).mean.is_finite() && pure(j).sd.is_finite(), "{name}");
        }
        assert!(pure(0).mean < 2.5 && pure(2).mean > 4.5, "{name}");
        assert!(pure(16).sd > 10.0 * pure(3).sd, "{name}");
    }
    let Model::LogLinear(dml) = fitted("dml", &rows, &values, 0) else {
        panic!("another model")
    };
    let t = dml.rates();
    assert!((t[14] - t[15]).abs() < 1e-3, "{t:?}");
    let others = t[1..].iter().sum::<f64>() / 16.0;
    assert!((t[16] - others).abs() < 0.05, "{t:?}");
}

#[test]
fn the_same_samples_and_seed_give_the_same_model() {
    let (rows, values) = rows(40);
    for name in LAWS {
        let first = fitted(name, &rows, &values, 3);
        assert_eq!(first, fitted(name, &rows, &values, 3), "{name}");
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values.clone())
            .unwrap()
            .with_own_domain(Some(0));
        let context = FitContext::new(3, &regmix_data::Silent).after(&first);
        let warm = (regressor(name).unwrap().fit_with(&samples, context)).unwrap();
        let near = (warm.mean(&rows[7]) - first.mean(&rows[7])).abs();
        assert!(near < 1e-3, "{name}: {near}");
    }
}

#[test]
fn values_that_are_no_losses_are_refused() {
    let (rows, mut values) = rows(20);
    values[3] = -0.1;
    for name in LAWS {
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values.clone())
            .unwrap()
            .with_own_domain(Some(0));
        let err = regressor(name).unwrap().fit(&samples, 0).unwrap_err();
        assert!(
            err.is_input() && err.to_string().contains("value -0.1"),
            "{name}: {err}"
        );
        let flat = Samples::new(rows.iter().map(Vec::as_slice), vec![2.0; 20])
            .unwrap()
            .with_own_domain(Some(0));
        let err = regressor(name).unwrap().fit(&flat, 0).unwrap_err();
        assert!(
            err.to_string().contains("all values are the same"),
            "{name}: {err}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever the values and the unit, the answer is a model that is finite
    /// at its rows, or an error that says why not.
    #[test]
    fn no_values_break_a_fit(
        logs in prop::collection::vec(-9.0f64..9.0, 10),
        unit in -6i32..6,
        own in 0usize..4,
        seed: u64,
    ) {
        let mut rng = stream(seed, "laws", "rows");
        let draw = Dirichlet::new(&[0.3; 4]).unwrap();
        let rows: Vec<Vec<f64>> = logs.iter().map(|_| draw.sample(&mut rng)).collect();
        let values: Vec<f64> = logs.iter().map(|l| 10f64.powi(unit) * l.exp()).collect();
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values)
            .unwrap()
            .with_own_domain(Some(own).filter(|o| *o < 3));
        for name in LAWS {
            match regressor(name).unwrap().fit(&samples, seed) {
                Ok(model) => for p in model.predict_batch(&rows) {
                    prop_assert!(p.mean.is_finite() && p.sd.is_finite() && p.sd >= 0.0, "{}", name);
                },
                Err(e) => prop_assert!(e.is_input() && name == "bimix", "{}: {}", name, e),
            }
        }
    }
}

/// Runs over three domains with the loss of the first and a score that is no
/// domain's loss.
fn observations() -> Observations {
    let mut rng = stream(9, "laws", "files");
    let draw = Dirichlet::new(&[1.0; 3]).unwrap();
    let names = DomainSet::from_names(["web", "code", "law"]).unwrap();
    let mixtures: Vec<Mixture> = (0..24)
        .map(|_| Mixture::normalized(names.clone(), draw.sample(&mut rng)).unwrap())
        .collect();
    let values: Vec<(String, Vec<f64>)> = (mixtures.iter().enumerate())
        .map(|(i, m)| {
            let w = m.weights();
            let web = 2.0 + (-3.0 * w[0] + 0.3 * w[1]).exp();
            (format!("r{i}"), vec![web, 1.0 + w[1]])
        })
        .collect();
    let runs = (mixtures.into_iter().enumerate()).map(|(i, m)| (format!("r{i}"), m));
    Observations::join(
        MixtureTable::new(names, runs).unwrap(),
        ValueTable::new(vec!["web".into(), "exam".into()], values).unwrap(),
    )
    .unwrap()
}

#[test]
fn models_survive_files_and_a_target_without_its_domain_is_left_to_others() {
    let options = FitOptions {
        regressors: LAWS.map(str::to_owned).to_vec(),
        ..FitOptions::default()
    };
    let fit = Fit::train(&observations(), &options).unwrap();
    assert!(fit.league().get("bimix", "web").is_some());
    assert!(fit.league().get("bimix", "exam").is_none());
    let said = (fit.warnings().iter())
        .any(|w| w.contains("`bimix` does not fit `exam`") && w.contains("no domain's loss"));
    assert!(said, "{:?}", fit.warnings());
    assert!(fit.league().get("dml", "web").unwrap().spearman > 0.99);

    for (law, kind) in [
        ("bimix", "bimix"),
        ("dml", "log_linear"),
        ("olmix", "log_linear"),
    ] {
        let named = FitOptions {
            choice: Choice::Named(law.into()),
            ..options.clone()
        };
        if law == "bimix" {
            let err = Fit::train(&observations(), &named).unwrap_err();
            assert_eq!(err.field_name(), Some("exam"));
            continue;
        }
        let fit = Fit::train(&observations(), &named).unwrap();
        let Model::Calibrated(calibrated) = &fit.targets()[0].model else {
            panic!("intervals of a fit are calibrated");
        };
        assert_eq!(calibrated.model().kind(), kind);
        let dir = tempfile::tempdir().unwrap();
        fit.save(dir.path()).unwrap();
        assert_eq!(Fit::load(dir.path()).unwrap().targets(), fit.targets());
        // A model that lost a rate is noticed.
        let path = dir.path().join("fit.json");
        let text = unsealed(&path);
        let start = text.find("\"raw\"").unwrap();
        let first = start + text[start..].find('[').unwrap() + 1;
        let comma = first + text[first..].find(',').unwrap() + 1;
        let broken = format!("{}{}", &text[..first], &text[comma..]);
        std::fs::write(&path, broken).unwrap();
        let err = Fit::load(dir.path()).unwrap_err();
        assert!(err.to_string().contains("damaged `log_linear`"), "{err}");
    }
}

use regmix_data::design::Dirichlet;
use regmix_data::random::stream;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Mixture, Silent};

use super::*;
use crate::fit::options::FitOptions;
use crate::learning::measure::{Judged, Measurements, Size, measure};
use crate::regressor::interface::FitContext;
use crate::regressor::model::Model;
use crate::regressor::model::constant::ConstantModel;
use crate::samples::Samples;

/// Every mixture run `times` times; the value names the run.
fn table(mixtures: usize, times: usize) -> Observations {
    let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
    let draw = Dirichlet::new(&[1.0; 3]).unwrap();
    let mut rng = stream(1, "learning", "test");
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for m in 0..mixtures {
        let mixture = Mixture::normalized(domains.clone(), draw.sample(&mut rng)).unwrap();
        for t in 0..times {
            let run = format!("r{m}-{t}");
            let value = 2.0 + mixture.weights()[0] + 1e-6 * t as f64;
            rows.push((run.clone(), mixture.clone()));
            values.push((run, vec![value, 1.0]));
        }
    }
    Observations::join(
        MixtureTable::new(domains, rows).unwrap(),
        ValueTable::new(vec!["moves".into(), "never".into()], values).unwrap(),
    )
    .unwrap()
}

fn fit(observations: &Observations) -> Fit {
    let options = FitOptions {
        regressors: vec!["linear".into()],
        ..FitOptions::default()
    };
    Fit::train(observations, &options).unwrap()
}

fn options(names: &[&str]) -> LearningOptions {
    LearningOptions {
        regressors: names.iter().map(|n| (*n).to_owned()).collect(),
        ..LearningOptions::default()
    }
}

/// Predicts the number of rows it was fitted to.
struct Spy;
impl Regressor for Spy {
    fn name(&self) -> &str {
        "spy"
    }
    fn fit_with(&self, samples: &Samples<'_>, _: FitContext<'_>) -> Result<Model> {
        Ok(Model::Constant(ConstantModel::of(&[samples.len() as f64])))
    }
}

#[test]
fn subsets_hold_whole_mixtures_and_no_more_than_they_say() {
    let observations = table(40, 3);
    let regressors: Vec<Box<dyn Regressor>> = vec![Box::new(Spy)];
    let out = measure(&observations, 0, &regressors, &options(&["mean"]), &Silent).unwrap();
    assert_eq!(out.targets, ["moves"]);
    let sizes = &out.regressors[0].1;
    assert_eq!(
        sizes.iter().map(|s| s.runs).collect::<Vec<_>>(),
        [15, 30, 60, 96]
    );
    for size in sizes {
        assert_eq!(size.judged.len(), 5);
        for subset in &size.judged {
            // The error is (rows fitted) - (a value between 2 and 3).
            let fitted = subset[0].mae + 2.5;
            assert!((fitted - size.runs as f64).abs() < 1.0, "{fitted}");
        }
    }
}

#[test]
fn earlier_runs_are_fitted_always_and_counted_never() {
    let observations = table(60, 1);
    let regressors: Vec<Box<dyn Regressor>> = vec![Box::new(Spy)];
    let out = measure(&observations, 20, &regressors, &options(&["mean"]), &Silent).unwrap();
    let sizes = &out.regressors[0].1;
    assert_eq!(
        sizes.iter().map(|s| s.runs).collect::<Vec<_>>(),
        [10, 20, 32]
    );
    for size in sizes {
        for subset in &size.judged {
            let fitted = subset[0].mae + 2.5;
            assert!((fitted - 20.0 - size.runs as f64).abs() < 1.0, "{fitted}");
        }
    }
}

#[test]
fn a_mixture_that_is_held_out_was_never_fitted() {
    // Values are noise shared by the runs of a mixture: only who has seen the
    // mixture can rank them.
    let mut observations = table(40, 3);
    let rows: Vec<(String, Vec<f64>)> = (observations.values.runs().iter().enumerate())
        .map(|(i, run)| {
            let noise = ((i / 3) as f64 * 12.9898).sin();
            (run.clone(), vec![noise, 1.0])
        })
        .collect();
    observations.values = ValueTable::new(observations.values.targets().to_vec(), rows).unwrap();
    let regressors = [regressor("gp").unwrap()];
    let out = measure(&observations, 0, &regressors, &options(&["mean"]), &Silent).unwrap();
    for (name, sizes) in &out.regressors {
        let last = sizes.last().unwrap();
        let mean = last.judged.iter().map(|s| s[0].mae).sum::<f64>() / 5.0;
        assert!(mean > 0.3, "{name} {mean}");
    }
}

#[test]
fn few_runs_leave_sizes_out_and_extrapolate_nothing() {
    let curve = learning_curve(&fit(&table(40, 1)), &options(&["linear"])).unwrap();
    let sizes: Vec<usize> = curve.means().map(|p| p.runs).collect();
    assert_eq!(sizes, [10, 20, 32]);
    assert!(curve.points().iter().all(|p| !p.extrapolated));
    let notes = curve.notes().join("\n");
    assert!(
        notes.contains("5 runs: left out, `moves` has 5 values"),
        "{notes}"
    );
    assert!(
        notes.contains("3 sizes are measured, expected at least 4"),
        "{notes}"
    );
    assert!(
        curve.summary().contains("cannot be extrapolated"),
        "{}",
        curve.summary()
    );
    let err = learning_curve(&fit(&table(9, 1)), &options(&["linear"])).unwrap_err();
    assert!(
        err.to_string().contains("no learning curve of 9 runs"),
        "{err}"
    );
}

#[test]
fn a_regressor_that_cannot_fit_is_left_out_and_said() {
    let mut observations = table(64, 1);
    let rows = (observations
        .values
        .runs()
        .iter()
        .zip(observations.values.rows()))
    .map(|(run, row)| (run.clone(), vec![2.2 - row[0], 1.0]));
    let rows: Vec<_> = rows.collect();
    observations.values = ValueTable::new(observations.values.targets().to_vec(), rows).unwrap();
    let fitted = fit(&observations);
    let curve = learning_curve(&fitted, &options(&["law1", "linear"])).unwrap();
    assert!(curve.means().all(|p| p.regressor == "linear"));
    assert!(
        curve.notes()[0].contains("describes losses"),
        "{:?}",
        curve.notes()
    );
    let err = learning_curve(&fitted, &options(&["magic"])).unwrap_err();
    assert!(
        err.to_string().contains("unknown regressor `magic`"),
        "{err}"
    );
}

/// Errors of one target, `[sizes][subsets]`, at 32, 64, 128 and 205 runs.
fn made_up(error: impl Fn(f64, usize) -> f64) -> LearningCurve {
    let sizes = [32.0, 64.0, 128.0, 205.0].map(|runs: f64| Size {
        runs: runs as usize,
        judged: (0..5)
            .map(|k| {
                let mae = error(runs, k);
                vec![Judged {
                    spearman: 1.0 - mae,
                    mae,
                }]
            })
            .collect(),
    });
    let measured = Measurements {
        targets: vec!["t".into()],
        regressors: vec![("gp".into(), sizes.into())],
        notes: Vec::new(),
    };
    super::outlook::curve(measured, 256)
}

#[test]
fn a_power_law_is_extrapolated_with_the_spread_of_its_subsets() {
    let truth = |n: f64| 0.02 + 1.5 * n.powf(-0.7);
    let level = [0.96, 1.02, 1.0, 0.98, 1.04];
    let curve = made_up(|n, k| truth(n) * level[k]);
    let further: Vec<&LearningPoint> = curve.means().filter(|p| p.extrapolated).collect();
    assert_eq!(
        further.iter().map(|p| p.runs).collect::<Vec<_>>(),
        [256, 512]
    );
    for p in &further {
        let expected = truth(p.runs as f64);
        assert!((p.mae / expected - 1.0).abs() < 0.01, "{p:?}");
        assert!((p.spearman - (1.0 - p.mae)).abs() < 1e-6);
        assert!((p.mae_sd - p.spearman_sd).abs() < 1e-6);
        // sd 0.032 over subsets, over √5.
        assert!((p.mae_sd / expected - 0.0141).abs() < 0.003, "{p:?}");
    }
    assert!(curve.notes().is_empty() && curve.summary().contains("twice as many (512)"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("learning.csv");
    curve.write_csv(&path).unwrap();
    assert_eq!(
        LearningCurve::read_csv(&path).unwrap().points(),
        curve.points()
    );
}

#[test]
fn errors_that_follow_no_law_are_not_extrapolated() {
    let bumpy = made_up(|n, k| if n == 64.0 { 0.5 } else { 10.0 / n } + 1e-3 * k as f64);
    let growing = made_up(|n, k| 1e-3 * n + 1e-3 * k as f64);
    let wild = made_up(|n, k| (2.0 / n.sqrt()) * if k == 0 { 4.0 * n.sqrt() / 5.0 } else { 1.0 });
    for (curve, why) in [
        (bumpy, "misses"),
        (growing, "fall steadily"),
        (wild, "`gp`"),
    ] {
        assert!(curve.means().all(|p| !p.extrapolated), "{curve:?}");
        assert!(curve.notes()[0].contains(why), "{:?}", curve.notes());
    }
}

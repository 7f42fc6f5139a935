//! Shares that are the same in every run: nothing is known about a change of
//! them, so fits say so, predictions stay sane, and searches keep them.

use regmix_data::design::Dirichlet;
use regmix_data::random::stream;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Mixture};
use regmix_regress::{
    Baseline, Constraints, Fit, FitOptions, Objective, RecommendOptions, recommend,
};

const NAMES: [&str; 6] = ["web", "code", "law", "books", "news", "math"];

/// Losses fall with the first three domains; the others do nothing.
fn losses(w: &[f64]) -> Vec<f64> {
    vec![
        3.0 + 0.8 * (-3.3 * w[0]).exp(),
        2.5 + 0.9 * (-4.4 * w[1]).exp(),
        2.8 + 0.7 * (-5.5 * w[2]).exp(),
    ]
}

fn mean(w: &[f64]) -> f64 {
    losses(w).iter().sum::<f64>() / 3.0
}

/// Runs whose mixtures are made of five free shares by `mixture`, rounded to so
/// many decimals.
fn runs(decimals: i32, mixture: impl Fn(&[f64]) -> [f64; 6]) -> Observations {
    let mut rng = stream(11, "fixed shares", "test");
    let draw = Dirichlet::new(&[1.2; 5]).unwrap();
    let mut mixtures = format!("run,{}\n", NAMES.join(","));
    let mut values = String::from("run,web,code,law\n");
    for run in 0..40 {
        let w = mixture(&draw.sample(&mut rng));
        let fields = w.map(|w| format!("{w:.*}", decimals as usize));
        mixtures += &format!("{run},{}\n", fields.join(","));
        let noise = 0.004 * ((run * 7919) % 13 - 6) as f64 / 6.0;
        let values_here: Vec<String> = losses(&w).iter().map(|l| (l + noise).to_string()).collect();
        values += &format!("{run},{}\n", values_here.join(","));
    }
    Observations::join(
        MixtureTable::parse(&mixtures, "m.csv".as_ref()).unwrap(),
        ValueTable::parse(&values, "l.csv".as_ref()).unwrap(),
    )
    .unwrap()
}

fn fit(observations: &Observations, regressors: &[&str]) -> Fit {
    let options = FitOptions {
        regressors: regressors.iter().map(|r| (*r).to_owned()).collect(),
        ..FitOptions::default()
    };
    Fit::train(observations, &options).unwrap()
}

fn found(fit: &Fit) -> (Mixture, Vec<String>) {
    let options = RecommendOptions {
        bootstrap: 0,
        ..RecommendOptions::default()
    };
    let found = recommend(fit, &options).unwrap();
    let p = found.predicted.mean;
    assert!((2.8..3.2).contains(&p), "predicted {p}");
    (found.mixture, found.unidentified)
}

/// Predictions at mixtures far from the runs are of the size of losses.
fn assert_sane(fit: &Fit) {
    let domains = fit.domains().clone();
    let corner = |i: usize| {
        let mut w = vec![0.02; 6];
        w[i] = 0.9;
        Mixture::normalized(domains.clone(), w).unwrap()
    };
    for mixture in (0..6)
        .map(corner)
        .chain([Mixture::uniform(domains.clone())])
    {
        for p in fit.predict(&mixture).unwrap() {
            assert!((1.0..6.0).contains(&p.mean), "{p:?} at {mixture:?}");
        }
    }
}

#[test]
fn a_domain_of_constant_share_is_left_where_it_is() {
    for decimals in [2, 3, 4, 6] {
        let runs = runs(decimals, |w| {
            let w = [w[0], w[1], w[2], w[3], w[4]].map(|w| 0.9 * w);
            [w[0], w[1], w[2], w[3], w[4], 0.1]
        });
        for regressors in [
            &["linear", "gp", "law1"][..],
            &["olmix"],
            &["gp_log", "dml"],
        ] {
            let fit = fit(&runs, regressors);
            assert!(
                fit.warnings()
                    .iter()
                    .any(|w| w.contains("`math` has the same share in every run (10.0 %)")),
                "{:?}",
                fit.warnings()
            );
            assert_sane(&fit);
            let (mixture, unidentified) = found(&fit);
            let w = mixture.weights();
            assert!(
                (w[5] - 0.1).abs() < 0.01,
                "{decimals} {regressors:?}: {w:?}"
            );
            assert!(unidentified.len() == 1 && unidentified[0].contains("`math`"));
            // A third each of what is left beside it.
            assert!(
                mean(w) < mean(&[0.3, 0.3, 0.3, 0.0, 0.0, 0.1]) + 0.02,
                "{regressors:?} {w:?}"
            );
        }
    }
}

#[test]
fn shares_that_move_together_are_moved_together() {
    // Two domains at a ratio of 1 to 2.
    let ratio = runs(4, |w| [w[0], w[1], w[2], w[3], w[4] / 3.0, w[4] / 1.5]);
    let fit_of_ratio = fit(&ratio, &["linear", "gp", "law1"]);
    assert_sane(&fit_of_ratio);
    let (mixture, unidentified) = found(&fit_of_ratio);
    assert!(unidentified[0].contains("`news` and `math` keep the same ratio"));
    let w = mixture.weights();
    assert!((2.0 * w[4] - w[5]).abs() < 0.02, "{w:?}");
    // Three domains with a total of 40 %.
    let total = runs(4, |w| {
        let (a, b) = (w[0] + w[1], w[2] + w[3] + w[4]);
        let scaled = |w: f64, by: f64| w * by;
        [
            scaled(w[0], 0.6 / a),
            scaled(w[1], 0.6 / a),
            scaled(w[2], 0.4 / b),
            scaled(w[3], 0.4 / b),
            scaled(0.5 * w[4], 0.4 / b),
            scaled(0.5 * w[4], 0.4 / b),
        ]
    });
    let fit = fit(&total, &["linear", "gp", "law1"]);
    assert_sane(&fit);
    assert!(
        fit.warnings()
            .iter()
            .any(|w| w.contains("move only together")),
        "{:?}",
        fit.warnings()
    );
    let (mixture, _) = found(&fit);
    let w = mixture.weights();
    assert!((w[0] + w[1] - 0.6).abs() < 0.02, "{w:?}");
}

#[test]
fn a_limit_of_the_user_goes_before_a_fixed_share() {
    let runs = runs(4, |w| {
        let w = [w[0], w[1], w[2], w[3], w[4]].map(|w| 0.9 * w);
        [w[0], w[1], w[2], w[3], w[4], 0.1]
    });
    let fit = fit(&runs, &["law1"]);
    let bounds = Constraints::none(fit.domains().clone())
        .with_cap("math", 0.02)
        .unwrap();
    let options = RecommendOptions {
        constraints: Some(bounds),
        bootstrap: 0,
        ..RecommendOptions::default()
    };
    let found = recommend(&fit, &options).unwrap();
    assert!((found.mixture.get("math").unwrap() - 0.02).abs() < 1e-6);
    assert!(!found.unidentified.is_empty());
}

#[test]
fn results_have_no_remainders_and_say_what_they_compare_with() {
    let runs = runs(6, |w| [w[0], w[1], w[2], w[3], 0.5 * w[4], 0.5 * w[4]]);
    let all = DomainSet::from_names(NAMES).unwrap();
    assert_eq!(*runs.mixtures.domains(), all);
    let fit = fit(&runs, &["law1"]);
    let options = RecommendOptions {
        objective: Objective::Worst(Baseline::Natural),
        bootstrap: 2,
        ..RecommendOptions::default()
    };
    let found = recommend(&fit, &options).unwrap();
    // The natural mixture is not known.
    assert_eq!(found.objective, Objective::Worst(Baseline::Uniform));
    assert_eq!(found.objective.to_string(), "worst case against uniform");
    let w = found.mixture.weights();
    assert!(w.contains(&0.0), "{w:?}");
    assert!(
        w.iter()
            .all(|w| *w == 0.0 || *w >= Constraints::LEAST_WEIGHT),
        "{w:?}"
    );
    assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!(found.unit, None);
}

#[test]
fn values_out_of_range_and_far_outside_are_named() {
    let runs = runs(6, |w| [w[0], w[1], w[2], w[3], 0.4 * w[4], 0.6 * w[4]]);
    let with = |value: f64| {
        let rows = runs
            .values
            .runs()
            .iter()
            .zip(runs.values.rows())
            .enumerate();
        let rows = rows.map(|(i, (run, row))| {
            let mut row = row.clone();
            if i == 5 {
                row[1] = value;
            }
            (run.clone(), row)
        });
        Observations {
            mixtures: runs.mixtures.clone(),
            values: ValueTable::new(runs.values.targets().to_vec(), rows).unwrap(),
        }
    };
    // One loss of a run that failed does not move the models.
    let regressors = ["linear", "law1", "gp"];
    let (sound, far) = (
        fit(&with(f64::NAN), &regressors),
        fit(&with(1e6), &regressors),
    );
    assert_eq!(sound.targets(), far.targets());
    let [dropped] = far.dropped() else {
        panic!("{:?}", far.dropped());
    };
    assert_eq!(
        (dropped.run.as_str(), dropped.target.as_str()),
        ("5", "code")
    );
    assert!(
        dropped
            .reason
            .starts_with("the value is 1000000, more than 50 standard deviations"),
        "{}",
        dropped.reason
    );
    let options = FitOptions {
        regressors: vec!["linear".to_owned()],
        keep_outliers: true,
        ..FitOptions::default()
    };
    let kept = Fit::train(&with(1e6), &options).unwrap();
    assert!(kept.dropped().is_empty());
    assert!(
        kept.warnings()
            .iter()
            .any(|w| w.contains("`code`: far outside of the other runs")
                && w.contains("`5` (1000000)")),
        "{:?}",
        kept.warnings()
    );
    let huge = fit(&with(1e200), &["linear", "law1"]);
    assert_eq!(huge.dropped().len(), 1);
    assert_eq!(
        huge.dropped()[0].reason,
        "the value is 1e200, expected one below 1e30"
    );
    let dir = tempfile::tempdir().unwrap();
    huge.save(dir.path()).unwrap();
    assert_eq!(Fit::load(dir.path()).unwrap().targets(), huge.targets());
    assert!(
        fit(&runs, &["law1"])
            .warnings()
            .iter()
            .all(|w| !w.contains("far outside"))
    );
}

#[test]
fn targets_of_other_scales_are_not_averaged() {
    let runs = runs(6, |w| [w[0], w[1], w[2], w[3], 0.4 * w[4], 0.6 * w[4]]);
    let targets = [runs.values.targets(), &["seconds since".to_owned()]].concat();
    let rows = runs
        .values
        .runs()
        .iter()
        .zip(runs.values.rows())
        .enumerate();
    let rows =
        rows.map(|(i, (run, row))| (run.clone(), [&row[..], &[1.7e9 + 60.0 * i as f64]].concat()));
    let values = ValueTable::new(targets, rows).unwrap();
    let mixtures = runs.mixtures.clone();
    let fit = fit(&Observations { mixtures, values }, &["linear"]);
    for objective in [Objective::Mean, Objective::Worst(Baseline::Uniform)] {
        let options = RecommendOptions {
            objective,
            ..RecommendOptions::default()
        };
        let err = recommend(&fit, &options).unwrap_err();
        assert!(
            err.to_string()
                .contains("values of `seconds since` are typically 1700001170"),
            "{err}"
        );
    }
    let options = RecommendOptions {
        objective: Objective::parse("web"),
        bootstrap: 0,
        ..RecommendOptions::default()
    };
    assert!(recommend(&fit, &options).is_ok());
}

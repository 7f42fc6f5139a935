//! A whole study on simulated losses whose best mixture is known.

use std::collections::BTreeMap;

mod common;

use rand_distr::{Distribution, StandardNormal};

use common::{RUNS, domains, losses, observations, quick};
use regmix_data::random::stream;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Mixture};
use regmix_regress::search::DescendOptions;
use regmix_regress::{
    Bound, Budget, Choice, Constraints, Fit, FitOptions, Interactions, Method, Objective,
    RecommendOptions, Recommendation, Scorer, Support, recommend,
};

fn with_values(mut edit: impl FnMut(usize, &mut Vec<f64>)) -> Observations {
    let o = observations(0.0);
    let rows = o
        .values
        .rows()
        .iter()
        .zip(o.values.runs())
        .enumerate()
        .map(|(i, (row, run))| {
            let mut row = row.clone();
            edit(i, &mut row);
            (run.clone(), row)
        });
    let values = ValueTable::new(o.values.targets().to_vec(), rows.collect::<Vec<_>>()).unwrap();
    Observations::join(o.mixtures.clone(), values).unwrap()
}

/// The text of a file without its checksum, as earlier versions wrote it.
fn unsealed(path: &std::path::Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let at = text.rfind(",\n  \"checksum\"").unwrap();
    format!("{}\n}}\n", &text[..at])
}

#[test]
fn fits_survive_files_and_tables_are_joined_by_name() {
    let fit = Fit::train(&observations(0.01), &quick()).unwrap();
    assert!(fit.warnings().is_empty(), "{:?}", fit.warnings());
    // Three targets; the mean, two regressors, and the automatic choice.
    assert_eq!(fit.league().entries().len(), 12);
    assert_eq!(fit.predictions().len(), 3 * RUNS);
    for target in fit.targets() {
        assert_eq!(target.regressor, "law1");
        assert!((0.005..0.03).contains(&target.noise), "{}", target.noise);
        let entry = fit.league().get("law1", &target.target).unwrap();
        assert!(
            entry.chosen && entry.spearman > 0.95 && entry.coverage90 > 0.75,
            "{entry:?}"
        );
        assert!(fit.league().get("mean", &target.target).unwrap().r2 < 0.1);
    }
    let dir = tempfile::tempdir().unwrap();
    fit.save(dir.path()).unwrap();
    let back = Fit::load(dir.path()).unwrap();
    assert_eq!(back.targets(), fit.targets());
    assert_eq!(back.predictions(), fit.predictions());
    assert_eq!(back.natural(), fit.natural());
    assert_eq!(
        back.league().to_csv().unwrap(),
        fit.league().to_csv().unwrap()
    );

    let turned = DomainSet::from_names(["junk", "law", "web", "code"]).unwrap();
    let table = fit.observations().mixtures.reordered(&turned).unwrap();
    assert_eq!(
        back.predict_table(&table).unwrap(),
        fit.predict_table(&fit.observations().mixtures).unwrap()
    );
    let strange = DomainSet::from_names(["web", "code", "law", "mail"]).unwrap();
    let err = fit.predict(&Mixture::uniform(strange)).unwrap_err();
    assert!(err.to_string().contains("mail"), "{err}");

    let path = dir.path().join("fit.json");
    let text = unsealed(&path);
    std::fs::write(&path, text.replace("\"version\": 2", "\"version\": 99")).unwrap();
    let err = Fit::load(dir.path()).unwrap_err();
    assert!(
        err.to_string().contains("version 99") && err.path().is_some(),
        "{err}"
    );
}

#[test]
fn the_same_seed_gives_the_same_fit_on_any_number_of_threads() {
    let o = observations(0.02);
    let all = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let fit = Fit::train(&o, &quick()).unwrap();
            let options = RecommendOptions {
                bootstrap: 3,
                ..RecommendOptions::default()
            };
            let found = recommend(&fit, &options).unwrap();
            (fit.targets().to_vec(), fit.predictions().to_vec(), found)
        })
    };
    assert_eq!(all(1), all(4));
}

#[test]
fn missing_and_infinite_values_drop_a_row_for_their_target_only() {
    let o = with_values(|i, row| match i {
        3 => row[1] = f64::NAN,
        5 => row[2] = f64::INFINITY,
        _ => {}
    });
    let fit = Fit::train(&o, &quick()).unwrap();
    let dropped: Vec<(&str, &str)> = fit
        .dropped()
        .iter()
        .map(|d| (d.run.as_str(), d.target.as_str()))
        .collect();
    assert_eq!(dropped, [("r3", "code"), ("r5", "law")]);
    assert!(fit.dropped()[1].reason.contains("inf"));
    let rows: Vec<usize> = fit.targets().iter().map(|t| t.rows).collect();
    assert_eq!(rows, [RUNS, RUNS - 1, RUNS - 1]);
    let dir = tempfile::tempdir().unwrap();
    fit.save(dir.path()).unwrap();
    let back = Fit::load(dir.path()).unwrap();
    assert_eq!(back.dropped(), fit.dropped());
}

#[test]
fn degenerate_targets_are_caught() {
    let o = with_values(|_, row| row[1] = 3.5);
    let fit = Fit::train(&o, &quick()).unwrap();
    assert_eq!(fit.target("code").unwrap().model.kind(), "constant");
    assert_eq!(
        fit.predict(&Mixture::uniform(domains())).unwrap()[1].mean,
        3.5
    );
    assert!(
        fit.warnings().iter().any(|w| w.contains("`code` is 3.5")),
        "{:?}",
        fit.warnings()
    );

    let o = with_values(|i, row| {
        if i >= 7 {
            row[0] = f64::NAN;
        }
    });
    let fit = Fit::train(&o, &quick()).unwrap();
    assert_eq!(
        fit.warnings()[0],
        "`web` is left out: 7 measured runs, expected at least 8"
    );
    assert!(fit.targets().len() == 2 && fit.target("web").is_err());
    let o = with_values(|i, row| {
        if i >= 7 {
            row.fill(f64::NAN);
        }
    });
    let err = Fit::train(&o, &quick()).unwrap_err();
    assert_eq!(
        err.to_string(),
        "`web`: 7 measured runs, expected at least 8"
    );

    let o = with_values(|_, row| row[1] -= 5.0);
    let fit = Fit::train(&o, &quick()).unwrap();
    assert_eq!(fit.target("code").unwrap().regressor, "linear");
    assert!(
        fit.warnings()
            .iter()
            .any(|w| w.contains("`law1` does not fit `code`"))
    );
    let insist = FitOptions {
        choice: Choice::Named("law1".into()),
        ..quick()
    };
    assert!(
        Fit::train(&o, &insist)
            .unwrap_err()
            .to_string()
            .contains("power law")
    );
    let unknown = FitOptions {
        regressors: vec!["magic".into()],
        ..quick()
    };
    assert!(
        Fit::train(&o, &unknown)
            .unwrap_err()
            .to_string()
            .contains("magic")
    );
}

#[test]
fn pure_noise_is_called_a_guess() {
    let mut rng = stream(8, "study", "noise");
    let o = with_values(|_, row| {
        let z: f64 = StandardNormal.sample(&mut rng);
        row[0] = 3.0 + 0.1 * z;
    });
    let fit = Fit::train(&o, &quick()).unwrap();
    assert!(
        fit.warnings()
            .iter()
            .any(|w| w.contains("`web`: no regressor"))
    );
}

#[test]
fn the_best_mixture_is_found_with_its_uncertainty() {
    let fit = Fit::train(&observations(0.01), &quick()).unwrap();
    let options = RecommendOptions {
        bootstrap: 8,
        seed: 3,
        ..RecommendOptions::default()
    };
    let found = recommend(&fit, &options).unwrap();
    // The truth: nothing for `junk`, and the rest nearly even.
    let truth = |w: &[f64]| losses(w).iter().sum::<f64>() / 3.0;
    let best = truth(&[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0]);
    let value = truth(found.mixture.weights());
    assert!(value < best + 0.01, "{:?} {value} {best}", found.mixture);
    assert!(
        found.predicted.low < value && value < found.predicted.high,
        "{:?}",
        found.predicted
    );
    assert!(found.mixture.get("junk").unwrap() < 0.03);

    let names: Vec<&str> = found.references.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["natural", "uniform", "best_observed"]);
    let natural = &found.references[0];
    let gap = truth(natural.mixture.weights()) - value;
    assert!(
        (natural.gap.mean - gap).abs() < 0.03 && natural.gap.exceeds_noise,
        "{natural:?}"
    );
    assert!(found.references.iter().all(|r| r.gap.mean > -1e-6));
    assert!(natural.gap.model_sd.unwrap() > 0.0 && found.optimism.unwrap().is_finite());
    for w in &found.weights {
        assert!(
            w.low.unwrap() <= w.high.unwrap() && w.sd.unwrap() < 0.2,
            "{w:?}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mixture.json");
    found.save(&path).unwrap();
    assert_eq!(Recommendation::load(&path).unwrap(), found);

    let simulated = recommend(
        &fit,
        &RecommendOptions {
            method: Method::Simulate,
            bootstrap: 0,
            ..options.clone()
        },
    )
    .unwrap();
    // What the fit itself predicts, without what refits take off the promise.
    let own = |r: &Recommendation| r.predicted.mean - r.optimism.unwrap_or(0.0);
    assert!(own(&simulated) >= own(&found) - 1e-6);
    assert!(simulated.termination.is_none() && simulated.weights[0].sd.is_none());

    // Caution pays some expected loss for a smaller standard deviation.
    let careful = recommend(
        &fit,
        &RecommendOptions {
            caution: 3.0,
            bootstrap: 0,
            ..options.clone()
        },
    )
    .unwrap();
    let scorer = Scorer::new(&fit, &Objective::Mean).unwrap();
    let sd = |r: &Recommendation| scorer.predict(r.mixture.weights()).sd;
    assert!(own(&careful) >= own(&found) - 1e-6);
    assert!(sd(&careful) <= sd(&found) + 1e-9);

    let one = RecommendOptions {
        objective: Objective::parse("code"),
        ..options.clone()
    };
    assert!(recommend(&fit, &one).unwrap().mixture.get("code").unwrap() > 0.7);
    let unknown = RecommendOptions {
        objective: Objective::parse("mail"),
        ..options
    };
    let err = recommend(&fit, &unknown).unwrap_err();
    assert!(err.to_string().contains("unknown target `mail`"), "{err}");
}

#[test]
fn bounds_and_epochs_shape_the_mixture() {
    let fit = Fit::train(&observations(0.01), &quick()).unwrap();
    let tokens = [("web", 1e9), ("code", 5e7), ("law", 1e9), ("junk", 1e9)];
    let budget = Budget {
        available: tokens
            .iter()
            .map(|(d, t)| ((*d).to_owned(), *t))
            .collect::<BTreeMap<_, _>>(),
        target_tokens: 1e9,
        max_epochs: 4.0,
    };
    let floor = Constraints::none(domains())
        .with_floor("junk", 0.1)
        .unwrap();
    let options = RecommendOptions {
        constraints: Some(floor),
        budget: Some(budget.clone()),
        bootstrap: 2,
        ..RecommendOptions::default()
    };
    let found = recommend(&fit, &options).unwrap();
    assert!((found.mixture.get("code").unwrap() - 0.2).abs() < 1e-6);
    assert!((found.mixture.get("junk").unwrap() - 0.1).abs() < 1e-6);
    let bound: Vec<_> = found
        .binding
        .iter()
        .map(|b| (b.name.as_str(), b.bound))
        .collect();
    assert_eq!(bound, [("code", Bound::Cap), ("junk", Bound::Floor)]);
    assert!((found.weights[1].epochs.unwrap() - 4.0).abs() < 1e-4);

    let mut poor = budget;
    poor.available.remove("law");
    let options = RecommendOptions {
        budget: Some(poor),
        ..options
    };
    let err = recommend(&fit, &options).unwrap_err();
    assert!(err.to_string().contains("`law` are missing"), "{err}");
}

#[test]
fn support_and_interactions_tell_where_and_what() {
    let fit = Fit::train(&observations(0.0), &quick()).unwrap();
    let run = &fit.observations().mixtures.mixtures()[4];
    let there = Support::at(&fit, run, &Objective::Mean).unwrap();
    assert_eq!((there.nearest_run.as_str(), there.distance), ("r4", 0.0));
    assert!(!there.out_of_distribution && there.typical <= there.limit);
    let far = Mixture::new(domains(), vec![0.0, 0.0, 0.0, 1.0]).unwrap();
    let far = Support::at(&fit, &far, &Objective::Mean).unwrap();
    assert!(far.out_of_distribution && far.far);

    let table = Interactions::around(&fit, &fit.natural().unwrap()).unwrap();
    for (t, row) in table.values.iter().enumerate() {
        // A target's own domain lowers its loss most; junk raises it.
        let least = row.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(row[t] == least && row[t] < -0.1 && row[3] > 0.0, "{row:?}");
    }
}

#[test]
fn correlated_errors_widen_a_sum_less_than_equal_ones_would() {
    let fit = Fit::train(&observations(0.02), &quick()).unwrap();
    let w = vec![0.25; 4];
    let mean = Scorer::new(&fit, &Objective::Mean).unwrap().predict(&w);
    let parts = fit.predict(&Mixture::uniform(domains())).unwrap();
    let linear: f64 = parts.iter().map(|p| p.sd).sum::<f64>() / 3.0;
    assert!(
        mean.sd > 0.3 * linear && mean.sd < 0.95 * linear,
        "{} {linear}",
        mean.sd
    );
    let average: f64 = parts.iter().map(|p| p.mean).sum::<f64>() / 3.0;
    assert!((mean.mean - average).abs() < 1e-12);
}

/// Everything at once on studies that are barely large enough.
#[test]
fn small_and_odd_studies_are_fitted_or_refused_but_never_crash() {
    let study = |rows: &[Vec<f64>], values: &[f64]| {
        let names: Vec<String> = (0..rows[0].len()).map(|j| format!("d{j}")).collect();
        let domains = DomainSet::from_names(&names).unwrap();
        let mixtures = rows.iter().enumerate().map(|(i, w)| {
            (
                format!("r{i}"),
                Mixture::normalized(domains.clone(), w.clone()).unwrap(),
            )
        });
        let values = values
            .iter()
            .enumerate()
            .map(|(i, v)| (format!("r{i}"), vec![*v]));
        let o = Observations::join(
            MixtureTable::new(domains.clone(), mixtures.collect::<Vec<_>>()).unwrap(),
            ValueTable::new(vec!["d0".into()], values.collect::<Vec<_>>()).unwrap(),
        )
        .unwrap();
        let fit = Fit::train(&o, &FitOptions::default()).unwrap();
        let found = recommend(
            &fit,
            &RecommendOptions {
                bootstrap: 3,
                caution: 1.0,
                descend: DescendOptions {
                    max_iterations: 50,
                    ..Default::default()
                },
                ..Default::default()
            },
        )
        .unwrap();
        let weights = found.mixture.weights();
        assert!(weights.iter().all(|w| w.is_finite()) && found.predicted.mean.is_finite());
        fit
    };
    let rising: Vec<f64> = (0..8).map(|i| 3.0 + 0.1 * f64::from(i)).collect();
    // One domain: there is nothing to choose.
    let fit = study(&vec![vec![1.0]; 8], &rising);
    assert_eq!(fit.target("d0").unwrap().regressor, "mean");
    assert!((fit.target("d0").unwrap().model.mean(&[1.0]) - 3.35).abs() < 1e-12);
    // The same mixture in every run.
    study(&vec![vec![0.5, 0.5]; 8], &rising);
    // More domains than runs, some never used, others always equal.
    let rows: Vec<Vec<f64>> = (0..8)
        .map(|i| {
            let x = f64::from(i) / 7.0;
            [vec![x, x, 1.0 - x, 1.0 - x], vec![0.0; 8]].concat()
        })
        .collect();
    study(&rows, &rising);
    // Values a million times larger and smaller than losses are.
    for scale in [1e-6, 1e6] {
        let values: Vec<f64> = rising.iter().map(|v| v * scale).collect();
        let fit = study(&rows, &values);
        let best = fit.league().entries().iter().find(|e| e.chosen).unwrap();
        assert!(best.r2 > 0.9, "{best:?}");
    }
    let o = observations(0.0);
    let bad = FitOptions {
        folds: 1,
        ..FitOptions::default()
    };
    assert!(
        Fit::train(&o, &bad)
            .unwrap_err()
            .to_string()
            .contains("1 folds")
    );
}

#[test]
fn a_copied_run_counts_once() {
    let o = observations(0.01);
    let copy = |table: &[Vec<f64>]| table.iter().chain([&table[5]]).cloned().collect::<Vec<_>>();
    let names = || (0..=RUNS).map(|i| format!("r{i}"));
    let weights: Vec<Vec<f64>> = (o.mixtures.mixtures().iter())
        .map(|m| m.weights().to_vec())
        .collect();
    let mixtures = copy(&weights)
        .into_iter()
        .map(|w| Mixture::new(domains(), w).unwrap());
    let observations = Observations::join(
        MixtureTable::new(domains(), names().zip(mixtures).collect::<Vec<_>>()).unwrap(),
        ValueTable::new(
            o.values.targets().to_vec(),
            names().zip(copy(o.values.rows())),
        )
        .unwrap(),
    )
    .unwrap();
    let fit = Fit::train(&observations, &quick()).unwrap();
    assert_eq!(fit.dropped().len(), 3, "{:?}", fit.dropped());
    let dropped = &fit.dropped()[0];
    assert_eq!(dropped.run, format!("r{RUNS}"));
    assert_eq!(
        dropped.reason,
        "the mixture and all values are those of run `r5`: a copy counts once"
    );
    // Two runs of one mixture with other values are repeats, and are kept.
    assert!(
        fit.targets()
            .iter()
            .all(|t| t.rows == RUNS && t.repeat_noise.is_none())
    );
}

//! Runs from before a domain was added.

mod common;

use std::collections::BTreeMap;

use common::{domains, losses, observations, quick};
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Mixture};
use regmix_regress::{
    Earlier, Fit, FitOptions, LearningOptions, Objective, Support, learning_curve,
};

/// How many new runs there are.
const NEW: usize = 12;

/// A few runs over all domains.
fn new() -> Observations {
    let all = observations(0.01);
    let runs = || all.mixtures.runs()[..NEW].iter().cloned();
    let mixtures = runs().zip(all.mixtures.mixtures().iter().cloned());
    let values = runs().zip(all.values.rows().iter().cloned());
    Observations::join(
        MixtureTable::new(domains(), mixtures).unwrap(),
        ValueTable::new(all.values.targets().to_vec(), values).unwrap(),
    )
    .unwrap()
}

/// The others, as if `junk` had not been there; all losses moved by `shift`.
fn old(shift: f64) -> Observations {
    let all = observations(0.01);
    let place = domains().position("junk").unwrap();
    let others = DomainSet::from_names(domains().names().filter(|d| *d != "junk")).unwrap();
    let (mut mixtures, mut values) = (Vec::new(), Vec::new());
    for (run, mixture) in all.mixtures.iter().skip(NEW) {
        let mut weights = mixture.weights().to_vec();
        weights.remove(place);
        let small = Mixture::normalized(others.clone(), weights).unwrap();
        let mut full = small.weights().to_vec();
        full.insert(place, 0.0);
        let moved = losses(&full).iter().map(|l| l + shift).collect::<Vec<_>>();
        mixtures.push((run.to_owned(), small));
        values.push((run.to_owned(), moved));
    }
    Observations::join(
        MixtureTable::new(others, mixtures).unwrap(),
        ValueTable::new(all.values.targets().to_vec(), values).unwrap(),
    )
    .unwrap()
}

fn fitted(shift: f64) -> Fit {
    let earlier = Earlier::new(&old(shift), &new(), &BTreeMap::new()).unwrap();
    assert_eq!(earlier.new_domains, ["junk"]);
    let options = FitOptions {
        earlier: Some(earlier.observations),
        ..quick()
    };
    Fit::train(&new(), &options).unwrap()
}

#[test]
fn earlier_runs_help_and_are_never_judged() {
    let fit = fitted(0.0);
    let runs = new().mixtures.runs().to_vec();
    assert!(fit.predictions().iter().all(|p| runs.contains(&p.run)));
    assert_eq!(fit.predictions().len(), NEW * fit.targets().len());
    assert_eq!(fit.rows() - fit.earlier(), NEW);
    assert_eq!(fit.observations().mixtures.runs()[..NEW], runs);
    let (mut with, mut alone) = (0.0, 0.0);
    for target in fit.targets() {
        let entry = fit.league().get(&target.regressor, &target.target).unwrap();
        assert_eq!((entry.rows, target.rows), (NEW, fit.rows()));
        assert_eq!(target.earlier, fit.earlier());
        with += entry.mae;
        alone += target.mae_without_earlier.unwrap();
    }
    assert!(with < 0.85 * alone, "{with} {alone}");
    assert!(!fit.warnings().iter().any(|w| w.contains("worse")));

    // Where the models were trained is where all runs were.
    let there = fit.observations().mixtures.mixtures()[NEW + 3].clone();
    assert_eq!(
        Support::at(&fit, &there, &Objective::Mean)
            .unwrap()
            .distance,
        0.0
    );

    let dir = tempfile::tempdir().unwrap();
    fit.save(dir.path()).unwrap();
    let back = Fit::load(dir.path()).unwrap();
    assert_eq!(back.earlier(), fit.earlier());
    assert_eq!(back.targets(), fit.targets());
    let options = LearningOptions {
        regressors: vec!["linear".into()],
        ..LearningOptions::default()
    };
    // Too few new runs for any subset, however many earlier ones.
    let curve = learning_curve(&back, &options);
    let most = curve.unwrap().means().map(|p| p.runs).max();
    assert!(most.unwrap() <= NEW, "{most:?}");
}

#[test]
fn earlier_runs_of_another_kind_are_a_warning() {
    let fit = fitted(1.0);
    let warned = |w: &&String| w.contains("the earlier runs make these worse");
    assert!(
        fit.warnings().iter().find(warned).is_some(),
        "{:?}",
        fit.warnings()
    );
}

#[test]
fn without_a_value_of_a_target_earlier_runs_do_not_count() {
    let mut earlier = Earlier::new(&old(0.0), &new(), &BTreeMap::new())
        .unwrap()
        .observations;
    let rows = (earlier.values.runs().iter().zip(earlier.values.rows()))
        .map(|(run, row)| (run.clone(), [&[f64::NAN], &row[1..]].concat()))
        .collect::<Vec<_>>();
    earlier.values = ValueTable::new(earlier.values.targets().to_vec(), rows).unwrap();
    let options = FitOptions {
        earlier: Some(earlier),
        ..quick()
    };
    let fit = Fit::train(&new(), &options).unwrap();
    let first = &fit.targets()[0];
    assert_eq!(
        (first.rows, first.earlier, first.mae_without_earlier),
        (NEW, 0, None)
    );
    assert!(fit.targets()[1].earlier > 0);
    assert!(fit.dropped().is_empty());
}

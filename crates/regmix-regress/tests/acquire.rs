//! The next runs: better than random ones, apart, allowed, the same again.

mod common;

use common::{domains, losses, observations, quick};
use rand_distr::{Distribution, Exp1};
use regmix_data::Mixture;
use regmix_data::random::stream;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_regress::{
    Constraints, Fit, FitOptions, NextOptions, Objective, next_runs, next_runs_from,
};

fn fit(observations: &Observations) -> Fit {
    let options = FitOptions {
        folds: 2,
        ..quick()
    };
    Fit::train(observations, &options).unwrap()
}

fn table(rows: &[Mixture]) -> Observations {
    let names = || (0..rows.len()).map(|i| format!("r{i}"));
    let targets = ["web", "code", "law"].map(str::to_owned).to_vec();
    let values = rows.iter().map(|m| losses(m.weights()));
    Observations::join(
        MixtureTable::new(domains(), names().zip(rows.iter().cloned())).unwrap(),
        ValueTable::new(targets, names().zip(values)).unwrap(),
    )
    .unwrap()
}

fn draws(n: usize, seed: u64) -> Vec<Mixture> {
    let mut rng = stream(seed, "acquire", "test");
    (0..n)
        .map(|_| {
            let raw: Vec<f64> = (0..4).map(|_| Exp1.sample(&mut rng)).collect();
            Mixture::normalized(domains(), raw).unwrap()
        })
        .collect()
}

fn mean(mixture: &Mixture) -> f64 {
    losses(mixture.weights()).iter().sum::<f64>() / 3.0
}

fn lowest<'a>(rows: impl IntoIterator<Item = &'a Mixture>) -> f64 {
    rows.into_iter().map(mean).fold(f64::INFINITY, f64::min)
}

#[test]
fn a_batch_from_a_pool_beats_random_picks() {
    let (mut chosen, mut random) = (0.0, 0.0);
    for seed in 0..4 {
        let rows = draws(200, seed);
        let (start, pool) = rows.split_at(12);
        let options = NextOptions {
            runs: 6,
            apart: 0.0,
            seed,
            ..NextOptions::default()
        };
        let next = next_runs_from(&fit(&table(start)), pool, &options).unwrap();
        assert_eq!(next.len(), 6);
        for (place, run) in &next {
            assert_eq!(run.mixture, pool[*place]);
        }
        let best = lowest(&rows);
        chosen += lowest(next.iter().map(|(place, _)| &pool[*place])).min(lowest(start)) - best;
        random += lowest(&pool[..6]).min(lowest(start)) - best;
    }
    assert!(chosen < 0.3 * random, "{chosen} {random}");
}

#[test]
fn new_mixtures_are_apart_allowed_and_better() {
    let observations = observations(0.002);
    let fit = fit(&observations);
    let constraints = Constraints::none(domains())
        .with_cap("web", 0.35)
        .and_then(|c| c.with_floor("junk", 0.05))
        .and_then(|c| c.with_group("prose", &["web", "law"], 0.0, 0.5))
        .unwrap();
    let options = NextOptions {
        runs: 8,
        constraints: Some(constraints.clone()),
        candidates: 1000,
        ..NextOptions::default()
    };
    let next = next_runs(&fit, &options).unwrap();
    assert_eq!(next, next_runs(&fit, &options).unwrap());
    let runs = observations.mixtures.mixtures();
    for (i, run) in next.iter().enumerate() {
        assert!(constraints.allows(run.mixture.weights()));
        let others = runs.iter().chain(next[..i].iter().map(|n| &n.mixture));
        let distance = others
            .map(|m| m.tv_distance(&run.mixture))
            .fold(1.0, f64::min);
        assert!(distance > 0.02 && (distance - run.distance).abs() < 1e-12);
        assert!(run.improvement >= 0.0 && run.predicted.sd > 0.0);
        let error = mean(&run.mixture) - run.predicted.mean;
        assert!(error.abs() < 6.0 * run.predicted.sd, "{run:?} {error}");
    }
    let allowed = runs.iter().filter(|m| constraints.allows(m.weights()));
    assert!(lowest(next.iter().map(|n| &n.mixture)) < lowest(allowed));
    let other = NextOptions { seed: 1, ..options };
    assert_ne!(next, next_runs(&fit, &other).unwrap());
}

#[test]
fn a_maximum_is_a_minimum_turned_around() {
    let fit = fit(&table(&draws(24, 9)));
    let pool = draws(60, 10);
    let next = |objective: Objective| {
        let options = NextOptions {
            runs: 3,
            objective,
            ..NextOptions::default()
        };
        next_runs_from(&fit, &pool, &options).unwrap()
    };
    let up = next(Objective::parse("law").maximize());
    let down = next(Objective::parse("law"));
    // The largest loss is where its own domain is missing.
    assert!(up[0].1.mixture.get("law").unwrap() < down[0].1.mixture.get("law").unwrap());
    assert!(up[0].1.predicted.mean > down[0].1.predicted.mean);
    assert!(up.iter().all(|(_, run)| run.improvement >= 0.0));
}

#[test]
fn what_cannot_be_done_is_refused() {
    let fit = fit(&table(&draws(12, 3)));
    let said = |options: NextOptions| next_runs(&fit, &options).unwrap_err().to_string();
    let plain = NextOptions {
        runs: 2,
        candidates: 50,
        ..NextOptions::default()
    };
    let with = |change: &dyn Fn(&mut NextOptions)| {
        let mut options = plain.clone();
        change(&mut options);
        said(options)
    };
    assert!(with(&|o| o.runs = 0).contains("at least 1"));
    assert!(with(&|o| o.candidates = 1).contains("at least as many as runs (2)"));
    assert!(with(&|o| o.explore = 1.5).contains("share between 0 and 1"));
    assert!(with(&|o| o.explore = f64::NAN).contains("share between 0 and 1"));
    assert!(with(&|o| o.apart = 1.0).contains("below 1"));
    assert!(with(&|o| o.objective = Objective::parse("mail")).contains("mail"));
    assert!(with(&|o| o.apart = 0.9).contains("only 0 of 2 runs"));
    let pool = draws(1, 4);
    let err = next_runs_from(&fit, &pool, &plain).unwrap_err();
    assert!(err.to_string().contains("1 candidates"), "{err}");
}

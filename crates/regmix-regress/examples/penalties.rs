//! Measures what a search gains or loses if it stays near the mixtures of the
//! proxies: fits a few random runs, searches the best mixture with penalties
//! of several strengths, and judges it by a model of all runs.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example penalties -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv law1 mean --runs 64
//! ```
//!
//! The judge is `ensemble` fitted to all runs: this is not a measurement, but
//! a fit to eight times as many runs. Prints, as JSON, for every `caution` and
//! `distance` the judge's value of the mixture found minus that of the mixture
//! found without penalties (below 0: the penalty helped), and the optimism of
//! the fit at its mixture (judge's value minus predicted), means over draws
//! with their standard deviations.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--runs` | 64 | runs that are fitted |
//! | `--draws` | 10 | random choices of them |
//! | `--judge` | ensemble | the regressor that judges |
//! | `--seed` | 0 | seed of the choices and of fits |
//! | `--threads` | 1 | threads |
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::{Value, json};

use regmix_data::random::stream;
use regmix_data::{Error, Result};
use regmix_regress::{Choice, Fit, FitOptions, Objective, RecommendOptions, Scorer, recommend};

use common::{Arguments, average, observations, some_runs, spread, with_threads};

/// Standard deviations and costs of distance that are tried.
const PENALTIES: [(f64, f64); 9] = [
    (0.0, 0.0),
    (0.5, 0.0),
    (1.0, 0.0),
    (1.64, 0.0),
    (3.0, 0.0),
    (0.0, 0.1),
    (0.0, 0.3),
    (0.0, 1.0),
    (0.0, 3.0),
];

fn main() -> Result<()> {
    let words = Arguments::read(&["--runs", "--draws", "--judge", "--seed", "--threads"])?;
    let [mixtures, losses, name, objective] = &words.plain[..] else {
        return Err(Error::input(format!(
            "{} arguments: expected MIXTURES.csv LOSSES.csv REGRESSOR OBJECTIVE",
            words.plain.len()
        )));
    };
    let table = observations(mixtures, losses)?;
    let objective = Objective::parse(objective);
    let (runs, draws): (usize, usize) = (words.number("--runs", 64)?, words.number("--draws", 10)?);
    let seed: u64 = words.number("--seed", 0)?;
    let judge = words.text("--judge").unwrap_or("ensemble");
    let fitted = |table: &_, name: &str| {
        let options = FitOptions {
            regressors: vec![name.to_owned()],
            choice: Choice::Named(name.to_owned()),
            seed,
            ..FitOptions::default()
        };
        Fit::train(table, &options)
    };
    let found = with_threads(words.number("--threads", 1)?, || {
        let judge = Scorer::new(&fitted(&table, judge)?, &objective)?;
        (0..draws)
            .into_par_iter()
            .map(|draw| {
                let mut order: Vec<usize> = (0..table.mixtures.len()).collect();
                order.shuffle(&mut stream(seed, &format!("penalties-{draw}"), "draw"));
                let fit = fitted(&some_runs(&table, &order[..runs])?, name)?;
                (PENALTIES.iter())
                    .map(|&(caution, distance)| {
                        let found = recommend(
                            &fit,
                            &RecommendOptions {
                                objective: objective.clone(),
                                caution,
                                distance,
                                bootstrap: 0,
                                ..RecommendOptions::default()
                            },
                        )?;
                        let value = judge.mean(found.mixture.weights());
                        Ok([value, value - found.predicted.mean])
                    })
                    .collect::<Result<Vec<_>>>()
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let rows = PENALTIES
        .iter()
        .enumerate()
        .map(|(i, (caution, distance))| {
            let gains: Vec<f64> = found.iter().map(|d| d[i][0] - d[0][0]).collect();
            let flattery: Vec<f64> = found.iter().map(|d| d[i][1]).collect();
            json!({
                "caution": caution,
                "distance": distance,
                "against none": {"mean": average(&gains), "sd": spread(&gains)},
                "flattery": {"mean": average(&flattery), "sd": spread(&flattery)},
            })
        });
    println!("{:#}", Value::Array(rows.collect()));
    Ok(())
}

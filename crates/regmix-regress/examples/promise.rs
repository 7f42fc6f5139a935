//! Compares predicted with measured gains: fits some rows of a table of finished
//! runs, searches for the best among the others, and compares its predicted gain
//! with the measured one.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example promise -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv --rows 64 --draws 20
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--rows` | 64 | random rows to fit |
//! | `--draws` | 20 | random subsets |
//! | `--refits` | 20 | refits that measure what a fit flatters |
//! | `--regressors` | `stacked` | names to choose from |
//! | `--objectives` | `all` | `mean`: the mean of all targets only; `all`: every target by itself, too |
//! | `--threads` | 1 | threads over draws |
//!
//! The objectives are the mean of all targets and every target by itself. The gain
//! is over the average of the rows that were searched: their mean predicted (or
//! measured) value minus that of the chosen row. What is printed is the predicted
//! minus the measured gain, in the unit of the table: mean and standard error over
//! draws, `before` and `after` the optimism of refits was subtracted. `before` has
//! two parts: `level`, by how much the rows that were searched are predicted too
//! high on average, and `found`, by how much the chosen row is predicted too low;
//! only the second is the optimism of a search. `targets` is the mean over the
//! targets.
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::{Value, json};

use regmix_data::random::stream;
use regmix_data::table::Observations;
use regmix_data::{Error, Mixture, Result};
use regmix_regress::{Fit, FitOptions, Objective, RecommendOptions, Scorer, recommend_among};

use common::{Arguments, average, observations, some_runs, spread, with_threads};

fn main() -> Result<()> {
    let words = Arguments::read(&[
        "--rows",
        "--draws",
        "--refits",
        "--regressors",
        "--objectives",
        "--threads",
    ])?;
    let [mixtures, losses] = &words.plain[..] else {
        return Err(Error::input(format!(
            "{} arguments: expected MIXTURES.csv LOSSES.csv",
            words.plain.len()
        )));
    };
    let table = observations(mixtures, losses)?;
    let (rows, draws) = (words.number("--rows", 64)?, words.number("--draws", 20u64)?);
    if rows < Fit::MIN_ROWS || rows >= table.mixtures.len() {
        return Err(Error::input(format!(
            "{rows} rows to fit, expected {} to {}",
            Fit::MIN_ROWS,
            table.mixtures.len() - 1
        )));
    }
    let names = words.text("--regressors").unwrap_or("stacked").split(',');
    let fitting = FitOptions {
        regressors: names.map(str::to_owned).collect(),
        ..FitOptions::default()
    };
    let refits = words.number("--refits", 20)?;
    let single = match words.text("--objectives").unwrap_or("all") {
        "all" => true,
        "mean" => false,
        other => {
            return Err(
                Error::input(format!("`{other}`, expected `mean` or `all`")).field("--objectives")
            );
        }
    };
    let kept = with_threads(words.number("--threads", 1)?, || {
        (0..draws)
            .into_par_iter()
            .map(|draw| promises(&table, rows, draw, &fitting, (refits, single)))
            .collect::<Result<Vec<_>>>()
    })?;
    let of = |pick: &dyn Fn(&Vec<Kept>) -> f64| -> Value {
        let values: Vec<f64> = kept.iter().map(pick).collect();
        let error = spread(&values) / (values.len() as f64).sqrt();
        json!({"mean": average(&values), "standard_error": error})
    };
    // Over the objectives at these places of a draw.
    let figures = |places: std::ops::Range<usize>| {
        let of = |pick: fn(&Kept) -> f64| {
            of(&|draw| average(&draw[places.clone()].iter().map(pick).collect::<Vec<_>>()))
        };
        json!({
            "measured_gain": of(|k| k.measured),
            "before": of(|k| k.before - k.measured),
            "after": of(|k| k.after - k.measured),
            "level": of(|k| k.level),
            "found": of(|k| k.before - k.measured - k.level),
        })
    };
    let mut out = json!({
        "rows": rows,
        "draws": draws,
        "refits": refits,
        "mean": figures(0..1),
    });
    if single {
        out["targets"] = figures(1..table.values.targets().len() + 1);
    }
    println!("{out:#}");
    Ok(())
}

/// Gains of one objective.
struct Kept {
    measured: f64,
    before: f64,
    after: f64,
    /// Average of the predicted values of all rows that were searched, minus that
    /// of the measured ones.
    level: f64,
}

/// The mean of all targets, then, where `single`, every target.
fn promises(
    table: &Observations,
    rows: usize,
    draw: u64,
    fitting: &FitOptions,
    (refits, single): (usize, bool),
) -> Result<Vec<Kept>> {
    let mut order: Vec<usize> = (0..table.mixtures.len()).collect();
    order.shuffle(&mut stream(draw, "promise", "rows"));
    let rest = order.split_off(rows);
    let fit = Fit::train(
        &some_runs(table, &order)?,
        &FitOptions {
            seed: draw,
            ..fitting.clone()
        },
    )?;
    let pool: Vec<Mixture> = (rest.iter())
        .map(|&i| table.mixtures.mixtures()[i].clone())
        .collect();
    let targets = table.values.targets();
    let mut out = Vec::with_capacity(targets.len() + 1);
    let objectives = std::iter::once(Objective::Mean).chain(
        targets
            .iter()
            .filter(|_| single)
            .map(|target| Objective::parse(target)),
    );
    for (k, objective) in objectives.enumerate() {
        let measured: Vec<f64> = (rest.iter())
            .map(|&i| match k {
                0 => average(&table.values.rows()[i]),
                k => table.values.rows()[i][k - 1],
            })
            .collect();
        let best = recommend_among(
            &fit,
            &pool,
            &RecommendOptions {
                objective: objective.clone(),
                bootstrap: refits,
                seed: draw,
                ..RecommendOptions::default()
            },
        )?;
        let scorer = Scorer::new(&fit, &objective)?;
        let predicted: Vec<f64> = pool.iter().map(|m| scorer.mean(m.weights())).collect();
        let reference = average(&predicted);
        out.push(Kept {
            measured: average(&measured) - measured[best.place],
            before: reference - predicted[best.place],
            after: reference - best.predicted.mean,
            level: reference - average(&measured),
        });
    }
    Ok(out)
}

//! Prints the learning curve of a table of runs: accuracy at an eighth, a
//! quarter, a half and four fifths of them, and what twice as many would bring.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example learning -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv ensemble,law1
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--folds` | 5 | parts, each held out once |
//! | `--repeats` | 1 | repeats |
//! | `--rows` | all | use so many random runs of the table |
//! | `--seed` | 0 | seed of folds, subsets and fits |
//! | `--threads` | 1 | threads |
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use std::time::Instant;

use rand::seq::SliceRandom;

use regmix_data::random::stream;
use regmix_data::{Error, Result};
use regmix_regress::{Fit, FitOptions, LearningOptions, learning_curve};

use common::{Arguments, observations, some_runs, with_threads};

fn main() -> Result<()> {
    let words = Arguments::read(&["--folds", "--repeats", "--rows", "--seed", "--threads"])?;
    let [mixtures, losses, names] = &words.plain[..] else {
        return Err(Error::input(format!(
            "{} arguments: expected MIXTURES.csv LOSSES.csv REGRESSOR[,REGRESSOR]",
            words.plain.len()
        )));
    };
    let mut table = observations(mixtures, losses)?;
    let seed = words.number("--seed", 0)?;
    let rows = words.number("--rows", table.mixtures.len())?;
    if rows < table.mixtures.len() {
        let mut order: Vec<usize> = (0..table.mixtures.len()).collect();
        order.shuffle(&mut stream(seed, "learning", "rows"));
        table = some_runs(&table, &order[..rows])?;
    }
    let options = LearningOptions {
        regressors: names.split(',').map(str::to_owned).collect(),
        folds: words.number("--folds", 5)?,
        repeats: words.number("--repeats", 1)?,
        seed,
    };
    let (curve, seconds) = with_threads(words.number("--threads", 1)?, || {
        // The curve fits for itself; the fit only holds the runs.
        let fit = Fit::train(
            &table,
            &FitOptions {
                regressors: vec!["mean".into()],
                folds: 2,
                ..FitOptions::default()
            },
        )?;
        let started = Instant::now();
        let curve = learning_curve(&fit, &options)?;
        Ok((curve, started.elapsed().as_secs_f64()))
    })?;
    println!("{}", curve.to_csv()?);
    for note in curve.notes() {
        println!("{note}");
    }
    println!("{}\n{seconds:.1} s", curve.summary());
    Ok(())
}

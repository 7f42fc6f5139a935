//! Replays a table of finished runs as if they were made one batch after the
//! other, and prints as JSON how fast the best mixture is found when batches
//! are chosen by `Fit::next_from` and when they are drawn at random.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example replay -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv mean --seeds 10
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--start` | 32 | random rows to begin with, the same for both ways |
//! | `--step` | 16 | rows per batch |
//! | `--rows` | 256 | rows at which to stop |
//! | `--seeds` | 10 | random starts |
//! | `--regressor` | `gp` | what `predicted` is predicted by, for both ways |
//! | `--regrets` | `0.05,0.02,0.01,0.005,0` | regrets to reach |
//! | `--threads` | 1 | threads over starts |
//!
//! `observed` is the lowest measured objective among the rows chosen so far,
//! `predicted` the measured objective of that row of the whole table which a
//! model of the rows chosen so far predicts to be lowest; both minus the
//! lowest of the table, in the unit of the values. `rows_to_reach` is the
//! mean, over starts, of the rows at which `observed` is first at or below a
//! regret; starts that do not reach it count with `--rows` plus one batch, and
//! `reached` says how many do.
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::{Value, json};

use regmix_data::random::stream;
use regmix_data::table::Observations;
use regmix_data::{Error, Mixture, Result};
use regmix_regress::regressor::regressor;
use regmix_regress::{Fit, FitOptions, NextOptions, Objective, Samples, next_runs_from};

use common::{Arguments, average, observations, some_runs, spread, with_threads};

struct Options {
    start: usize,
    step: usize,
    rows: usize,
    seeds: u64,
    regressor: String,
    regrets: Vec<f64>,
}

fn main() -> Result<()> {
    let words = Arguments::read(&[
        "--start",
        "--step",
        "--rows",
        "--seeds",
        "--regressor",
        "--regrets",
        "--threads",
    ])?;
    let options = Options {
        start: words.number("--start", 32)?,
        step: words.number("--step", 16)?,
        rows: words.number("--rows", 256)?,
        seeds: words.number("--seeds", 10)?,
        regressor: words.text("--regressor").unwrap_or("gp").to_owned(),
        regrets: words.numbers("--regrets", vec![0.05, 0.02, 0.01, 0.005, 0.0])?,
    };
    let [mixtures, losses, objective] = &words.plain[..] else {
        return Err(Error::input(format!(
            "{} arguments: expected MIXTURES.csv LOSSES.csv OBJECTIVE",
            words.plain.len()
        )));
    };
    let table = observations(mixtures, losses)?;
    let all: Vec<usize> = (0..table.mixtures.len()).collect();
    if options.step == 0 || options.start < Fit::MIN_ROWS || options.rows > all.len() {
        return Err(Error::input(format!(
            "start {}, step {}, {} of {} rows: expected a start of at least {}, a step of at \
             least 1 and no more rows than there are",
            options.start,
            options.step,
            options.rows,
            all.len(),
            Fit::MIN_ROWS
        )));
    }
    let replay = Replay {
        values: measured(&table, objective)?,
        objective: Objective::parse(objective),
        table,
        options,
    };
    let out = with_threads(words.number("--threads", 1)?, || replay.run())?;
    println!(
        "{}",
        serde_json::to_string_pretty(&out).map_err(|e| Error::failed(e.to_string()))?
    );
    Ok(())
}

/// The objective of every row: `mean` or a target.
fn measured(table: &Observations, objective: &str) -> Result<Vec<f64>> {
    let targets = table.values.targets();
    let places: Vec<usize> = match objective {
        "mean" => (0..targets.len()).collect(),
        name => vec![targets.iter().position(|t| t == name).ok_or_else(|| {
            Error::input(format!(
                "`{name}`, expected `mean` or a target of the table"
            ))
        })?],
    };
    Ok((table.values.rows().iter())
        .map(|row| places.iter().map(|&t| row[t]).sum::<f64>() / places.len() as f64)
        .collect())
}

struct Replay {
    table: Observations,
    objective: Objective,
    /// The objective of every row.
    values: Vec<f64>,
    options: Options,
}

/// Regrets after every batch.
#[derive(Clone)]
struct Path {
    observed: Vec<f64>,
    predicted: Vec<f64>,
}

impl Replay {
    fn run(&self) -> Result<Value> {
        let jobs: Vec<(u64, bool)> = (0..self.options.seeds)
            .flat_map(|seed| [(seed, true), (seed, false)])
            .collect();
        let paths: Vec<Path> = (jobs.par_iter())
            .map(|&(seed, chosen)| self.path(seed, chosen))
            .collect::<Result<_>>()?;
        let of = |chosen: bool| -> Vec<Path> {
            (paths.iter().zip(&jobs))
                .filter(|(_, job)| job.1 == chosen)
                .map(|(path, _)| path.clone())
                .collect()
        };
        Ok(json!({
            "objective": self.objective.to_string(),
            "regressor": self.options.regressor,
            "start": self.options.start,
            "step": self.options.step,
            "seeds": self.options.seeds,
            "acquired": self.summary(&of(true)),
            "random": self.summary(&of(false)),
        }))
    }

    fn sizes(&self) -> Vec<usize> {
        (self.options.start..=self.options.rows)
            .step_by(self.options.step)
            .collect()
    }

    fn path(&self, seed: u64, chosen: bool) -> Result<Path> {
        let mut rest: Vec<usize> = (0..self.values.len()).collect();
        rest.shuffle(&mut stream(seed, "replay", "start"));
        let mut rows: Vec<usize> = rest.drain(..self.options.start).collect();
        let lowest = |of: &mut dyn Iterator<Item = f64>| of.fold(f64::INFINITY, f64::min);
        let best = lowest(&mut self.values.iter().copied());
        let mut path = Path {
            observed: Vec::new(),
            predicted: Vec::new(),
        };
        for n in self.sizes() {
            if n > rows.len() {
                let places = match chosen {
                    true => self.next(&rows, &rest, seed)?,
                    false => (0..self.options.step).collect(),
                };
                rows.extend(places.iter().map(|&i| rest[i]));
                let mut place = 0..;
                rest.retain(|_| place.next().is_some_and(|i| !places.contains(&i)));
            }
            let here = lowest(&mut rows.iter().map(|&i| self.values[i]));
            path.observed.push(here - best);
            path.predicted
                .push(self.values[self.predicted(&rows, seed)?] - best);
        }
        Ok(path)
    }

    /// A batch from what is left.
    fn next(&self, rows: &[usize], rest: &[usize], seed: u64) -> Result<Vec<usize>> {
        let mixtures = &self.table.mixtures;
        // Acquisition has a process of its own: the fit only holds the runs.
        let fit = Fit::train(
            &some_runs(&self.table, rows)?,
            &FitOptions {
                regressors: vec!["mean".into()],
                folds: 2,
                seed,
                ..FitOptions::default()
            },
        )?;
        let pool: Vec<Mixture> = (rest.iter())
            .map(|&i| mixtures.mixtures()[i].clone())
            .collect();
        let next = next_runs_from(
            &fit,
            &pool,
            &NextOptions {
                runs: self.options.step,
                objective: self.objective.clone(),
                apart: 0.0,
                seed,
                ..NextOptions::default()
            },
        )?;
        Ok(next.into_iter().map(|(place, _)| place).collect())
    }

    /// The row of the table with the lowest prediction.
    fn predicted(&self, rows: &[usize], seed: u64) -> Result<usize> {
        let mixtures = self.table.mixtures.mixtures();
        let samples = Samples::new(
            rows.iter().map(|&i| mixtures[i].weights()),
            rows.iter().map(|&i| self.values[i]).collect(),
        )?;
        let model = regressor(&self.options.regressor)?.fit(&samples, seed)?;
        let all: Vec<&[f64]> = mixtures.iter().map(Mixture::weights).collect();
        let means = model.means(&all);
        let lowest = (0..means.len()).min_by(|&a, &b| means[a].total_cmp(&means[b]));
        lowest.ok_or_else(|| Error::failed("the table is empty"))
    }

    fn summary(&self, paths: &[Path]) -> Value {
        let sizes = self.sizes();
        let by_rows: Vec<Value> = (sizes.iter().enumerate())
            .map(|(k, n)| {
                let observed: Vec<f64> = paths.iter().map(|p| p.observed[k]).collect();
                let predicted: Vec<f64> = paths.iter().map(|p| p.predicted[k]).collect();
                json!({"rows": n, "observed": summed_up(&observed), "predicted": summed_up(&predicted)})
            })
            .collect();
        let reach: BTreeMap<String, Value> = (self.options.regrets.iter())
            .map(|regret| {
                let reached: Vec<Option<usize>> = (paths.iter())
                    .map(|p| p.observed.iter().position(|r| r <= regret))
                    .collect();
                let never = self.options.rows + self.options.step;
                let rows: Vec<f64> = (reached.iter())
                    .map(|k| k.map_or(never, |k| sizes[k]) as f64)
                    .collect();
                let count = reached.iter().flatten().count();
                let mut out = summed_up(&rows);
                out["reached"] = json!(count);
                (regret.to_string(), out)
            })
            .collect();
        json!({"by_rows": by_rows, "rows_to_reach": reach})
    }
}

/// Mean and standard deviation over starts.
fn summed_up(values: &[f64]) -> Value {
    json!({"mean": average(values), "sd": spread(values)})
}

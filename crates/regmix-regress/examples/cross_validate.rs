//! Judges regressors on a table of mixtures and a table of losses, and prints
//! what it measured as JSON.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example cross_validate -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv law1,gbdt --repeats 3
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--folds` | 5 | folds of the cross-validation; 0 leaves it out |
//! | `--repeats` | 3 | repeats, each with its own folds |
//! | `--seed` | 0 | seed of folds, subsets and fits |
//! | `--threads` | 1 | threads over folds, targets and mixtures |
//! | `--subsets` | none | numbers of rows, `32,64,128`: fit on so many random rows, judge on all others |
//! | `--draws` | 10 | subsets of each size |
//! | `--score-rows` | 0 | time the expected values of so many mixtures for every target |
//! | `--predict-rows` | 0 | time the prediction, with standard deviations, of so many mixtures for every target |
//! | `--folds-out` | none | write the folds, `[repeat][row]` of fold numbers, so that another tool can use the same |
//!
//! Besides the names of regressors, `auto` is the automatic choice, made inside
//! every fold and subset by a cross-validation of its own.
//!
//! Spearman's rank correlation is times 100. Per target it is taken over the
//! out-of-fold predictions of all rows; `mean` is over targets and repeats,
//! `sd` the standard deviation of the mean over targets from repeat to repeat
//! (or subset to subset). `interval_score90` is the mean width of the 90 %
//! intervals plus 20 times the distance of values outside to the nearer end,
//! a proper score (lower is better), in the unit of the losses.
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use std::collections::BTreeMap;
use std::time::Instant;

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::{Value, json};

use regmix_data::design::Dirichlet;
use regmix_data::random::stream;
use regmix_data::table::Observations;
use regmix_data::{Error, Result};
use regmix_regress::metrics::{coverage90, mse, spearman};
use regmix_regress::regressor::{regressor, score};
use regmix_regress::{
    AUTO, Auto, CvOptions, Folds, Model, Prediction, Regressor, Samples, cross_validate,
};

use common::{Arguments, average, observations, spread, with_threads};

struct Options {
    folds: usize,
    repeats: usize,
    seed: u64,
    threads: usize,
    subsets: Vec<usize>,
    draws: usize,
    score_rows: usize,
    predict_rows: usize,
}

fn main() -> Result<()> {
    let words = Arguments::read(&[
        "--folds",
        "--repeats",
        "--seed",
        "--threads",
        "--subsets",
        "--draws",
        "--score-rows",
        "--predict-rows",
        "--folds-out",
    ])?;
    let options = Options {
        folds: words.number("--folds", 5)?,
        repeats: words.number("--repeats", 3)?,
        seed: words.number("--seed", 0)?,
        threads: words.number("--threads", 1)?,
        subsets: words.numbers("--subsets", Vec::new())?,
        draws: words.number("--draws", 10)?,
        score_rows: words.number("--score-rows", 0)?,
        predict_rows: words.number("--predict-rows", 0)?,
    };
    let [mixtures, losses, names] = &words.plain[..] else {
        return Err(Error::input(format!(
            "{} arguments: expected MIXTURES.csv LOSSES.csv REGRESSOR[,REGRESSOR]",
            words.plain.len()
        )));
    };
    let table = observations(mixtures, losses)?;
    if let Some(path) = words.text("--folds-out") {
        std::fs::write(path, folds(&table, &options)?.to_string())
            .map_err(|e| Error::io(path, e))?;
    }
    let judged = names
        .split(',')
        .map(|name| {
            let regressor = match name {
                AUTO => Box::new(Auto::default()) as Box<dyn Regressor>,
                name => regressor(name)?,
            };
            with_threads(options.threads, || judge(&*regressor, &table, &options))
        })
        .collect::<Result<Vec<_>>>()?;
    println!("{:#}", Value::Array(judged));
    Ok(())
}

/// Fold numbers, `[repeat][row]`, as [`cross_validate`] deals them.
fn folds(table: &Observations, options: &Options) -> Result<Value> {
    let rows = table.mixtures.len();
    let repeats = (0..options.repeats).map(|repeat| {
        let run = format!("repeat-{repeat}");
        let folds = Folds::new(rows, options.folds, options.seed, &run)?;
        let mut of = vec![0; rows];
        for fold in 0..folds.count() {
            for row in folds.split(fold).1 {
                of[row] = fold;
            }
        }
        Ok(of)
    });
    Ok(json!(repeats.collect::<Result<Vec<_>>>()?))
}

/// The samples of one target, at some rows or all.
fn samples<'a>(
    table: &'a Observations,
    target: usize,
    rows: Option<&[usize]>,
) -> Result<Samples<'a>> {
    let all: Vec<usize> = (0..table.mixtures.len()).collect();
    let rows = rows.unwrap_or(&all);
    let name = &table.values.targets()[target];
    let values = rows.iter().map(|&i| table.values.rows()[i][target]);
    let weights = rows.iter().map(|&i| table.mixtures.mixtures()[i].weights());
    let samples = Samples::new(weights, values.collect()).map_err(|e| e.field(name))?;
    Ok(samples.with_own_domain(table.mixtures.domains().position(name)))
}

fn judge(regressor: &dyn Regressor, table: &Observations, options: &Options) -> Result<Value> {
    let targets = table.values.targets().len();
    let started = Instant::now();
    let models = (0..targets)
        .into_par_iter()
        .map(|t| regressor.fit(&samples(table, t, None)?, options.seed))
        .collect::<Result<Vec<Model>>>()?;
    let seconds = started.elapsed().as_secs_f64();
    let bytes = serde_json::to_vec(&models).map_err(|e| Error::failed(e.to_string()))?;
    let mut out = json!({
        "regressor": regressor.name(),
        "rows": table.mixtures.len(),
        "targets": targets,
        "seed": options.seed,
        "threads": options.threads,
        "fit": { "seconds": seconds, "json_bytes": bytes.len() },
    });
    if options.folds > 0 {
        out["cross_validation"] = cross_validated(regressor, table, options)?;
    }
    let subsets = options
        .subsets
        .iter()
        .map(|&rows| learnt_from(rows, regressor, table, options));
    if !options.subsets.is_empty() {
        out["subsets"] = subsets.collect::<Result<_>>()?;
    }
    if options.score_rows > 0 {
        out["score"] = scored(&models, table, options)?;
    }
    if options.predict_rows > 0 {
        out["predict"] = predicted(&models, table, options)?;
    }
    Ok(out)
}

fn cross_validated(
    regressor: &dyn Regressor,
    table: &Observations,
    options: &Options,
) -> Result<Value> {
    let cv = CvOptions {
        folds: options.folds,
        repeats: options.repeats,
        seed: options.seed,
    };
    let mut per_target = BTreeMap::new();
    let mut means = vec![0.0; options.repeats];
    let (mut error, mut interval) = (0.0, 0.0);
    let (mut worst, mut covered) = (Vec::new(), Vec::new());
    let share = 1.0 / (table.values.targets().len() * options.repeats) as f64;
    let targets = table.values.targets();
    for (t, name) in targets.iter().enumerate() {
        let samples = samples(table, t, None)?;
        let judged = cross_validate(regressor, &samples, &cv)?;
        let mut rhos = Vec::new();
        for (repeat, predictions) in judged.predictions.iter().enumerate() {
            let predicted: Vec<f64> = predictions.iter().map(|p| p.mean).collect();
            let rho = 100.0 * spearman(samples.values(), &predicted);
            means[repeat] += rho / targets.len() as f64;
            error += share * mse(samples.values(), &predicted);
            interval += share * interval_score(samples.values(), predictions);
            covered.push(coverage90(samples.values(), predictions));
            rhos.push(rho);
        }
        worst.push(average(&rhos));
        per_target.insert(name, average(&rhos));
    }
    Ok(json!({
        "folds": options.folds,
        "repeats": options.repeats,
        "spearman": {
            "mean": average(&means),
            "sd": spread(&means),
            "worst_target": worst.iter().copied().fold(f64::INFINITY, f64::min),
            "per_target": per_target,
        },
        "mse": error,
        "interval_score90": interval,
        "coverage90": {
            "mean": average(&covered),
            "lowest": covered.iter().copied().fold(f64::INFINITY, f64::min),
            "highest": covered.iter().copied().fold(0.0, f64::max),
        },
    }))
}

/// Fits on random subsets and judges on all other rows.
fn learnt_from(
    rows: usize,
    regressor: &dyn Regressor,
    table: &Observations,
    options: &Options,
) -> Result<Value> {
    let total = table.mixtures.len();
    if rows == 0 || rows >= total {
        return Err(Error::input(format!(
            "a subset of {rows} rows: expected 1 to {} of {total}",
            total.saturating_sub(1)
        )));
    }
    let targets = table.values.targets().len();
    let jobs: Vec<(usize, usize)> = (0..options.draws)
        .flat_map(|draw| (0..targets).map(move |t| (draw, t)))
        .collect();
    let done = jobs
        .par_iter()
        .map(|&(draw, t)| {
            let mut order: Vec<usize> = (0..total).collect();
            let run = format!("subset-{rows}-{draw}");
            order.shuffle(&mut stream(options.seed, &run, "subsets"));
            let (train, rest) = order.split_at(rows);
            let model = regressor.fit(&samples(table, t, Some(train))?, options.seed)?;
            let judged = samples(table, t, Some(rest))?;
            let predictions = model.predict_batch(judged.rows());
            let predicted: Vec<f64> = predictions.iter().map(|p| p.mean).collect();
            Ok((
                100.0 * spearman(judged.values(), &predicted),
                mse(judged.values(), &predicted),
                coverage90(judged.values(), &predictions),
            ))
        })
        .collect::<Result<Vec<_>>>()?;
    let means: Vec<f64> = done
        .chunks(targets)
        .map(|draw| average(&draw.iter().map(|d| d.0).collect::<Vec<_>>()))
        .collect();
    Ok(json!({
        "rows": rows,
        "draws": options.draws,
        "spearman": { "mean": average(&means), "sd": spread(&means) },
        "mse": average(&done.iter().map(|d| d.1).collect::<Vec<_>>()),
        "coverage90": average(&done.iter().map(|d| d.2).collect::<Vec<_>>()),
    }))
}

/// So many random mixtures.
fn drawn(rows: usize, table: &Observations, seed: u64) -> Result<Vec<Vec<f64>>> {
    let flat = Dirichlet::new(&vec![1.0; table.mixtures.domains().len()])?;
    let mut rng = stream(seed, "score", "mixtures");
    Ok((0..rows).map(|_| flat.sample(&mut rng)).collect())
}

/// Seconds to predict many mixtures for every target, expected values only.
fn scored(models: &[Model], table: &Observations, options: &Options) -> Result<Value> {
    let drawn = drawn(options.score_rows, table, options.seed)?;
    let started = Instant::now();
    let all: Vec<&Model> = models.iter().collect();
    let sum: f64 = score(&all, &drawn).iter().sum();
    Ok(json!({
        "mixtures": options.score_rows,
        "seconds": started.elapsed().as_secs_f64(),
        "mean": sum / (options.score_rows * models.len()) as f64,
    }))
}

/// Seconds to predict many mixtures for every target, with standard
/// deviations.
fn predicted(models: &[Model], table: &Observations, options: &Options) -> Result<Value> {
    let drawn = drawn(options.predict_rows, table, options.seed)?;
    let started = Instant::now();
    let sd: f64 = (drawn.par_chunks(256))
        .map(|some| {
            (models.iter().flat_map(|m| m.predict_batch(some)))
                .map(|p| p.sd)
                .sum::<f64>()
        })
        .sum();
    Ok(json!({
        "mixtures": options.predict_rows,
        "seconds": started.elapsed().as_secs_f64(),
        "mean_sd": sd / (options.predict_rows * models.len()) as f64,
    }))
}

/// Mean width of the 90 % intervals plus, for a value outside, 20 times how
/// far: lowest for intervals that are as narrow as their coverage allows.
fn interval_score(measured: &[f64], predicted: &[Prediction]) -> f64 {
    let scores = measured.iter().zip(predicted).map(|(m, p)| {
        let (low, high) = p.interval90();
        high - low + 20.0 * ((low - m).max(0.0) + (m - high).max(0.0))
    });
    average(&scores.collect::<Vec<_>>())
}

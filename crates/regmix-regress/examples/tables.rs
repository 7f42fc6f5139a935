//! Judges the automatic choice and single regressors on tables of runs, on
//! rows that neither their fits nor the choice have seen, and prints a table
//! in Markdown.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example tables -- \
//!     other-tables/dml-5mix-70m other-tables/dml-5mix-160m
//! ```
//!
//! Every argument is a folder with `mixtures.csv` and `losses.csv`, or
//! `MIXTURES.csv,LOSSES.csv`.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--regressors` | all | names to judge beside `auto` |
//! | `--folds` | 10 | folds; every row is held out once for each seed |
//! | `--seeds` | 3 | seeds of folds (or draws) and fits |
//! | `--draws` | 1 | draws of folds inside `auto`; from the second on also `auto 2`, ... |
//! | `--rows` | none | instead of folds: fit so many random rows, judge on the others, `16,24,32` |
//! | `--threads` | 1 | threads |
//!
//! `auto` is [`Fit::train`] on the rows that are left: regressors, weights and
//! calibration are chosen by a cross-validation of five folds among them. MAE,
//! width and score of 90 % intervals (the lower the better: width, and twenty
//! times what lies outside) are in the unit of the table; all columns are means
//! over targets, with the standard deviation over seeds, and coverage has its
//! lowest and highest target, over all seeds. `to best` is the MAE in that of the
//! single regressor with the lowest; below the table it is given for `auto` by seed,
//! as the mean over draws.
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rayon::prelude::*;

use regmix_data::random::stream;
use regmix_data::table::Observations;
use regmix_data::{Error, Result};
use regmix_regress::metrics::spearman;
use regmix_regress::regressor::{NAMES, regressor};
use regmix_regress::{AUTO, Fit, FitOptions, Folds, Prediction, Samples};

use common::{Arguments, average, observations, some_runs, spread, with_threads};

fn main() -> Result<()> {
    let words = Arguments::read(&[
        "--regressors",
        "--folds",
        "--seeds",
        "--draws",
        "--rows",
        "--threads",
    ])?;
    let all = NAMES.join(",");
    let names: Vec<&str> = (words.text("--regressors").unwrap_or(&all).split(',')).collect();
    let seeds: u64 = words.number("--seeds", 3)?;
    let folds: usize = words.number("--folds", 10)?;
    let draws = words.number::<u64>("--draws", 1)?.max(1);
    let rows: Vec<usize> = words.numbers("--rows", Vec::new())?;
    if words.plain.is_empty() {
        return Err(Error::input(
            "no tables: expected folders with mixtures.csv and losses.csv",
        ));
    }
    for folder in &words.plain {
        let table = match folder.split_once(',') {
            Some((mixtures, losses)) => observations(mixtures, losses)?,
            None => observations(
                &format!("{folder}/mixtures.csv"),
                &format!("{folder}/losses.csv"),
            )?,
        };
        let n = table.mixtures.len();
        let ways: Vec<Option<usize>> = match rows.is_empty() {
            true => vec![None],
            false => rows.iter().copied().map(Some).collect(),
        };
        for fitted in ways {
            let judge = |seed| judge(&table, &names, (seed, draws), folds, fitted);
            let judged = with_threads(words.number("--threads", 1)?, || {
                (0..seeds).map(judge).collect::<Result<Vec<_>>>()
            })?;
            let fitted = match fitted {
                Some(k) => format!("{k} of {n} rows"),
                None => format!("{n} rows, {folds} folds"),
            };
            println!("\n{folder}: {fitted}, {seeds} seeds\n");
            print(&judged, draws);
        }
    }
    Ok(())
}

/// Predictions with what was measured, by target.
type Pairs = Vec<Vec<(f64, Prediction)>>;

/// Splits of rows: those to fit, those to judge on.
fn splits(
    n: usize,
    seed: u64,
    folds: usize,
    fitted: Option<usize>,
) -> Result<Vec<(Vec<usize>, Vec<usize>)>> {
    let Some(fitted) = fitted else {
        let folds = Folds::new(n, folds, seed, "tables")?;
        return Ok((0..folds.count()).map(|fold| folds.split(fold)).collect());
    };
    if fitted >= n {
        return Err(Error::input(format!(
            "{fitted} rows, expected fewer than the {n} of the table"
        )));
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut stream(seed, &format!("rows-{fitted}"), "tables"));
    let judged = order.split_off(fitted);
    Ok(vec![(order, judged)])
}

/// The name of the automatic choice with a draw of folds.
fn auto(draw: u64) -> String {
    match draw {
        0 => AUTO.to_owned(),
        _ => format!("{AUTO} {}", draw + 1),
    }
}

/// By regressor: predictions of all rows that were held out.
fn judge(
    table: &Observations,
    names: &[&str],
    (seed, draws): (u64, u64),
    folds: usize,
    fitted: Option<usize>,
) -> Result<BTreeMap<String, Pairs>> {
    let targets = table.values.targets();
    let empty = || vec![Vec::new(); targets.len()];
    let mut out: BTreeMap<String, Pairs> = BTreeMap::new();
    for (train, held) in splits(table.mixtures.len(), seed, folds, fitted)? {
        for draw in 0..draws {
            let options = FitOptions {
                seed: seed + 1000 * draw,
                ..FitOptions::default()
            };
            let fit = Fit::train(&some_runs(table, &train)?, &options)?;
            let auto = out.entry(auto(draw)).or_insert_with(empty);
            for &row in &held {
                let predicted = fit.predict(&table.mixtures.mixtures()[row])?;
                for ((fitted, p), out) in fit.targets().iter().zip(predicted).zip(&mut *auto) {
                    let t = targets.iter().position(|name| *name == fitted.target);
                    let value = t.map_or(f64::NAN, |t| table.values.rows()[row][t]);
                    out.push((value, p));
                }
            }
        }
        let jobs: Vec<(&str, usize)> = (names.iter())
            .flat_map(|name| (0..targets.len()).map(|t| (*name, t)))
            .collect();
        let parts = jobs
            .par_iter()
            .map(|&(name, t)| {
                let judged = samples(table, t, &held)?;
                // A law that describes no losses of other texts has no place here.
                let Ok(model) = regressor(name)?.fit(&samples(table, t, &train)?, seed) else {
                    return Ok(None);
                };
                let predicted = model.predict_batch(judged.rows());
                Ok(Some(
                    (judged.values().iter().copied())
                        .zip(predicted)
                        .collect::<Vec<_>>(),
                ))
            })
            .collect::<Result<Vec<_>>>()?;
        for ((name, t), part) in jobs.into_iter().zip(parts) {
            if let Some(part) = part {
                out.entry(name.to_owned()).or_insert_with(empty)[t].extend(part);
            }
        }
    }
    // Only what describes all targets can be compared.
    let rows = out[AUTO].iter().map(Vec::len).collect::<Vec<_>>();
    out.retain(|_, pairs| pairs.iter().map(Vec::len).eq(rows.iter().copied()));
    Ok(out)
}

/// The samples of one target at some rows, those that were measured.
fn samples<'a>(table: &'a Observations, target: usize, rows: &[usize]) -> Result<Samples<'a>> {
    let name = &table.values.targets()[target];
    let measured = |i: &&usize| table.values.rows()[**i][target].is_finite();
    let rows: Vec<usize> = rows.iter().filter(measured).copied().collect();
    let values = rows.iter().map(|&i| table.values.rows()[i][target]);
    let weights = rows.iter().map(|&i| table.mixtures.mixtures()[i].weights());
    let samples = Samples::new(weights, values.collect()).map_err(|e| e.field(name))?;
    Ok(samples.with_own_domain(table.mixtures.domains().position(name)))
}

/// One figure of a target.
fn figure(pairs: &Pairs, of: impl Fn(&[(f64, Prediction)]) -> f64) -> Vec<f64> {
    pairs.iter().map(|target| of(target)).collect()
}

fn mean_over(target: &[(f64, Prediction)], of: impl Fn(f64, Prediction) -> f64) -> f64 {
    average(&target.iter().map(|(y, p)| of(*y, *p)).collect::<Vec<_>>())
}

fn error(target: &[(f64, Prediction)]) -> f64 {
    mean_over(target, |y, p| (y - p.mean).abs())
}

fn covered(target: &[(f64, Prediction)]) -> f64 {
    mean_over(target, |y, p| {
        let (low, high) = p.interval90();
        100.0 * f64::from(u8::from(low <= y && y <= high))
    })
}

/// The interval score of Gneiting and Raftery (2007): width, and twenty times
/// the distance of what lies outside of a 90 % interval.
fn interval_score(target: &[(f64, Prediction)]) -> f64 {
    mean_over(target, |y, p| {
        let (low, high) = p.interval90();
        high - low + 20.0 * ((low - y).max(0.0) + (y - high).max(0.0))
    })
}

/// A figure of one target: its values with their predictions.
type Figure<'a> = &'a dyn Fn(&[(f64, Prediction)]) -> f64;

fn print(judged: &[BTreeMap<String, Pairs>], draws: u64) {
    let names: Vec<&String> = (judged[0].keys())
        .filter(|name| judged.iter().all(|seed| seed.contains_key(*name)))
        .collect();
    // By seed: the mean over targets.
    let means = |name: &str, of: Figure<'_>| -> Vec<f64> {
        (judged.iter())
            .map(|seed| average(&figure(&seed[name], of)))
            .collect()
    };
    let mut rows: Vec<(f64, &String)> = (names.iter())
        .map(|name| (average(&means(name, &error)), *name))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let autos: Vec<String> = (0..draws).map(auto).collect();
    let Some((best, single)) = (rows.iter().copied()).find(|(_, name)| !autos.contains(name))
    else {
        return;
    };
    println!(
        "| regressor | MAE | to best | Spearman x 100 | in 90 % | lowest, highest target | width | score |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (mae, name) in rows {
        let ranks = means(name, &|target| {
            let (y, p): (Vec<f64>, Vec<f64>) = target.iter().map(|(y, p)| (*y, p.mean)).unzip();
            100.0 * spearman(&y, &p)
        });
        let cover = means(name, &covered);
        let by_target: Vec<f64> = (0..judged[0][name].len())
            .map(|t| {
                average(
                    &judged
                        .iter()
                        .map(|seed| covered(&seed[name][t]))
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        let width = means(name, &|target| {
            mean_over(target, |_, p| p.interval90().1 - p.interval90().0)
        });
        let score = means(name, &interval_score);
        println!(
            "| {name} | {mae:.4} ± {:.4} | {:.3} | {:.1} ± {:.1} | {:.1} ± {:.1} | {:.0}, {:.0} | {:.3} | {:.3} |",
            spread(&means(name, &error)),
            mae / best,
            average(&ranks),
            spread(&ranks),
            average(&cover),
            spread(&cover),
            by_target.iter().copied().fold(f64::INFINITY, f64::min),
            by_target.iter().copied().fold(0.0, f64::max),
            average(&width),
            average(&score),
        );
    }
    let autos: Vec<Vec<f64>> = autos.iter().map(|name| means(name, &error)).collect();
    by_seed(single, &means(single, &error), &autos);
}

/// Prints the error of the automatic choice in that of a single regressor on the
/// same rows: `[seeds]`, `[draws][seeds]`.
fn by_seed(name: &str, single: &[f64], autos: &[Vec<f64>]) {
    let (mut ratios, mut variances) = (Vec::new(), Vec::new());
    for (seed, single) in single.iter().enumerate() {
        let draws: Vec<f64> = autos.iter().map(|auto| auto[seed] / single).collect();
        ratios.push(average(&draws));
        variances.push(spread(&draws).powi(2));
    }
    println!(
        "\n{AUTO} to {name}, by seed: {}; mean {:.3} ± {:.3} (standard error)",
        (ratios.iter().map(|r| format!("{r:.3}")).collect::<Vec<_>>()).join(" "),
        average(&ratios),
        spread(&ratios) / (ratios.len() as f64).sqrt(),
    );
    if autos.len() > 1 {
        let sd = average(&variances).sqrt();
        println!("standard deviation over draws {sd:.3}");
    }
}

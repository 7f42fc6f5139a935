//! Which of the given mixtures should be run? Rows of a table are chosen by
//! several criteria, which see the mixtures alone, and fitted; rows that were held
//! back before judge the fits. Prints a table in Markdown.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example pool -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv --draws 20
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--regressor` | law1 | what is fitted |
//! | `--runs` | `32,48,64,102` | rows to choose |
//! | `--draws` | 20 | draws of the rows that judge |
//! | `--judge` | 0.3 | share of the table that judges |
//! | `--whole` | gbdt | what is fitted to all rows that could be chosen, as a reference; `none` leaves it out |
//! | `--threads` | 2 | threads |
//!
//! | criterion | next row |
//! |---|---|
//! | random | any |
//! | maximin, ... | the one farthest from those chosen: by weights, by roots of weights, by both side by side (what `regmix design --pool` does) |
//! | D, ... | the one with the largest variance of a prediction by ridge regression on the features |
//! | I, ... | the one that lowers the mean variance over all rows most |
//! | D and I, ... | the one with the largest product of both |
//!
//! Features are standardised over all rows; `process` stands for a Matérn 5/2
//! process on roots. Figures are means over targets, times 100 and 1000, and their
//! mean and standard deviation over draws; all criteria have the same draws.
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use rand::seq::SliceRandom;
use rayon::prelude::*;

use regmix_data::random::stream;
use regmix_data::table::Observations;
use regmix_data::{Error, Mixture, Result, design};
use regmix_regress::Samples;
use regmix_regress::metrics::{mae, spearman};
use regmix_regress::regressor::regressor;

use common::{Arguments, average, observations, spread, with_threads};

/// Functions of a weight.
type Features = &'static [fn(f64) -> f64];

const WEIGHTS: Features = &[|w| w];
const ROOTS: Features = &[f64::sqrt];
const BOTH: Features = &[f64::sqrt, |w| w];
const SQUARES: Features = &[f64::sqrt, |w| w, |w| w * w];
const LOGARITHMS: Features = &[|w| (w + 0.01).ln(), |w| w];

#[derive(Clone, Copy)]
enum Criterion {
    Random,
    Maximin(Features),
    /// What `regmix design --pool` does.
    Choose,
    /// Ridge regression: the share of I, the rest is D.
    Linear(f64, Features),
    /// Gaussian process on roots, the same.
    Process(f64),
}

const CRITERIA: [(&str, Criterion); 13] = [
    ("random", Criterion::Random),
    ("maximin, weights", Criterion::Maximin(WEIGHTS)),
    ("maximin, roots", Criterion::Maximin(ROOTS)),
    ("maximin, roots and weights", Criterion::Choose),
    ("D, roots", Criterion::Linear(0.0, ROOTS)),
    ("D, roots and weights", Criterion::Linear(0.0, BOTH)),
    ("D, these and squares", Criterion::Linear(0.0, SQUARES)),
    (
        "D, logarithms and weights",
        Criterion::Linear(0.0, LOGARITHMS),
    ),
    ("I, roots and weights", Criterion::Linear(1.0, BOTH)),
    ("D and I, roots and weights", Criterion::Linear(0.5, BOTH)),
    ("D, process", Criterion::Process(0.0)),
    ("I, process", Criterion::Process(1.0)),
    ("D and I, process", Criterion::Process(0.5)),
];

fn main() -> Result<()> {
    let words = Arguments::read(&[
        "--regressor",
        "--runs",
        "--draws",
        "--judge",
        "--whole",
        "--threads",
    ])?;
    let [mixtures, losses] = &words.plain[..] else {
        return Err(Error::input(format!(
            "{} arguments: expected MIXTURES.csv LOSSES.csv",
            words.plain.len()
        )));
    };
    let table = observations(mixtures, losses)?;
    let sizes: Vec<usize> = words.numbers("--runs", vec![32, 48, 64, 102])?;
    let judged = words.number("--judge", 0.3)?;
    let bench = Bench {
        draws: words.number("--draws", 20)?,
        judges: (judged * table.mixtures.len() as f64) as usize,
        table,
    };
    let name = words.text("--regressor").unwrap_or("law1");
    println!("| criterion | rows | Spearman | MAE |\n|---|---|---|---|");
    with_threads(words.number("--threads", 2)?, || {
        for rows in sizes {
            for (words, criterion) in CRITERIA {
                let line =
                    bench.line(name, rows, |pool, draw| choose(criterion, pool, rows, draw))?;
                println!("| {words} | {line}");
            }
        }
        match words.text("--whole").unwrap_or("gbdt") {
            "none" => Ok(()),
            whole => {
                let rows = bench.table.mixtures.len() - bench.judges;
                let line = bench.line(whole, rows, |pool, _| Ok((0..pool.len()).collect()))?;
                println!("| {whole} on all that could be chosen | {line}");
                Ok(())
            }
        }
    })
}

struct Bench {
    table: Observations,
    judges: usize,
    draws: u64,
}

impl Bench {
    /// Rows, Spearman and MAE of a way to choose, as cells.
    fn line(
        &self,
        name: &str,
        rows: usize,
        choose: impl Fn(&[Mixture], u64) -> Result<Vec<usize>> + Sync,
    ) -> Result<String> {
        let figures: Vec<(f64, f64)> = (0..self.draws)
            .into_par_iter()
            .map(|draw| {
                let all = self.table.mixtures.mixtures();
                let mut order: Vec<usize> = (0..all.len()).collect();
                order.shuffle(&mut stream(draw, "pool", "judges"));
                let (judges, pool) = order.split_at(self.judges);
                let mixtures: Vec<Mixture> = pool.iter().map(|&i| all[i].clone()).collect();
                let chosen: Vec<usize> =
                    choose(&mixtures, draw)?.iter().map(|&i| pool[i]).collect();
                self.judged(name, &chosen, judges, draw)
            })
            .collect::<Result<_>>()?;
        let (ranks, errors): (Vec<f64>, Vec<f64>) = figures.into_iter().unzip();
        Ok(format!(
            "{rows} | {:.2} ± {:.2} | {:.1} ± {:.1} |",
            average(&ranks),
            spread(&ranks),
            average(&errors),
            spread(&errors)
        ))
    }

    /// Spearman and MAE, means over targets.
    fn judged(
        &self,
        name: &str,
        chosen: &[usize],
        judges: &[usize],
        seed: u64,
    ) -> Result<(f64, f64)> {
        let weights = |rows: &[usize]| -> Vec<&[f64]> {
            (rows.iter())
                .map(|&i| self.table.mixtures.mixtures()[i].weights())
                .collect()
        };
        let (mut ranks, mut errors) = (Vec::new(), Vec::new());
        for t in 0..self.table.values.targets().len() {
            let values = |rows: &[usize]| -> Vec<f64> {
                rows.iter()
                    .map(|&i| self.table.values.rows()[i][t])
                    .collect()
            };
            let target = &self.table.values.targets()[t];
            let own = self
                .table
                .mixtures
                .domains()
                .names()
                .position(|d| d == target);
            let samples = Samples::new(weights(chosen), values(chosen))?.with_own_domain(own);
            let model = regressor(name)?.fit(&samples, seed)?;
            let predicted = model.means(&weights(judges));
            ranks.push(spearman(&values(judges), &predicted));
            errors.push(mae(&values(judges), &predicted));
        }
        Ok((100.0 * average(&ranks), 1000.0 * average(&errors)))
    }
}

fn choose(criterion: Criterion, pool: &[Mixture], n: usize, draw: u64) -> Result<Vec<usize>> {
    let rows = |features: Features| -> Vec<Vec<f64>> {
        (pool.iter())
            .map(|m| {
                let of = |f: &fn(f64) -> f64| m.weights().iter().map(|w| f(*w)).collect::<Vec<_>>();
                features.iter().flat_map(of).collect()
            })
            .collect()
    };
    Ok(match criterion {
        Criterion::Random => {
            let mut order: Vec<usize> = (0..pool.len()).collect();
            order.shuffle(&mut stream(draw, "pool", "random"));
            order.truncate(n);
            order
        }
        Criterion::Maximin(features) => maximin(&rows(features), n),
        Criterion::Choose => design::choose(pool, &[], n)?,
        Criterion::Linear(share, features) => {
            let rows = standardised(rows(features));
            let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            greedy(
                covariances(&rows, |a, b| 1.0 + product(a, b)),
                1.0,
                n,
                share,
            )
        }
        Criterion::Process(share) => {
            let rows = standardised(rows(ROOTS));
            let wide = 16.0 * pool[0].weights().len() as f64;
            let matern = |a: &[f64], b: &[f64]| {
                let d = (5.0 * squared(a, b) / wide).sqrt();
                (1.0 + d + d * d / 3.0) * (-d).exp()
            };
            greedy(covariances(&rows, matern), 0.03, n, share)
        }
    })
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

fn middle(rows: &[Vec<f64>]) -> Vec<f64> {
    (0..rows[0].len())
        .map(|j| average(&rows.iter().map(|row| row[j]).collect::<Vec<_>>()))
        .collect()
}

fn standardised(mut rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let middle = middle(&rows);
    for (j, middle) in middle.into_iter().enumerate() {
        let squares: Vec<f64> = rows.iter().map(|row| (row[j] - middle).powi(2)).collect();
        // Weights are rounded to a thousandth.
        let scale = (average(&squares) + 1e-4).sqrt();
        for row in &mut rows {
            row[j] = (row[j] - middle) / scale;
        }
    }
    rows
}

/// The rows farthest from those before them, the first from the middle.
fn maximin(rows: &[Vec<f64>], n: usize) -> Vec<usize> {
    let middle = middle(rows);
    let mut nearest: Vec<f64> = rows.iter().map(|row| squared(row, &middle)).collect();
    let mut chosen = Vec::new();
    while chosen.len() < n {
        let next = largest(&nearest);
        chosen.push(next);
        for (nearest, row) in nearest.iter_mut().zip(rows) {
            *nearest = nearest.min(squared(row, &rows[next]));
        }
    }
    chosen
}

fn largest(scores: &[f64]) -> usize {
    (0..scores.len())
        .max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
        .unwrap_or(0)
}

fn covariances(rows: &[Vec<f64>], of: impl Fn(&[f64], &[f64]) -> f64) -> Vec<Vec<f64>> {
    (rows.iter())
        .map(|a| rows.iter().map(|b| of(a, b)).collect())
        .collect()
}

/// Rows by their variance (D) and by how much they lower the mean variance (I),
/// given those before; `share` is the power of the latter.
fn greedy(mut covariance: Vec<Vec<f64>>, noise: f64, n: usize, share: f64) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < n {
        let score = |i: usize| {
            if chosen.contains(&i) {
                return f64::NEG_INFINITY;
            }
            let variance = covariance[i][i];
            let lowered = covariance[i].iter().map(|c| c * c).sum::<f64>() / (variance + noise);
            share * lowered.ln() + (1.0 - share) * variance.ln()
        };
        let next = largest(&(0..covariance.len()).map(score).collect::<Vec<_>>());
        chosen.push(next);
        let row = covariance[next].clone();
        for (i, of_row) in covariance.iter_mut().enumerate() {
            let times = row[i] / (row[next] + noise);
            for (c, r) in of_row.iter_mut().zip(&row) {
                *c -= times * r;
            }
        }
    }
    chosen
}

//! Does the flag of mixtures unlike those of the runs find the mixtures that are
//! predicted badly? A part of a table is fitted; then rows like those that were
//! fitted and rows outside are predicted, and scores are judged by how well they
//! separate the two. Prints tables in Markdown.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example detector -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv --draws 20
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--regressor` | law1 | what predicts |
//! | `--runs` | 48 | rows that are fitted, at most 70 % of those inside |
//! | `--draws` | 20 | draws of every kind of shift |
//! | `--threads` | 2 | threads |
//!
//! The rows of a table are put in an order; a first part of it is *inside*, where
//! the fitted rows and those like them are drawn at random:
//!
//! | shift | order | inside | outside |
//! |---|---|---|---|
//! | far | distance from the middle of 6 random rows, or the weight of a random domain | first 55 % | last 15 % |
//! | near | the same | first 55 % | the next 20 % |
//! | correlation | by how much the ranks of two random domains differ (or the rank of one from the reversed rank of the other) | first 30 %, 55 % of fewer than 100 rows | last 15 % |
//!
//! In the last one, each weight alone is as in the fitted rows, but two domains
//! that rose and fell together (or against each other) in all of them do not.
//!
//! Scores are judged against three truths: `shifted`, the row is outside;
//! `above`, its error is above the 90th percentile of the out-of-fold errors of
//! the fitted rows, which is what a user was shown; `missed`, it is outside of
//! its own 90 % interval. Every target is scored separately; the value of a draw
//! is the mean over targets.
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use regmix_data::random::{Stream, stream};
use regmix_data::table::Observations;
use regmix_data::{Error, Mixture, Result};
use regmix_regress::{Choice, Coverage, Fit, FitOptions, TargetFit};

use common::detection::{auroc, fpr95, logistic, quantile, weighted};
use common::{Arguments, average, observations, some_runs, spread, with_threads};

const SHIFTS: [&str; 3] = ["far", "near", "correlation"];
const SCORES: [&str; 6] = [
    "nearest",
    "deviation",
    "nearest, deviation",
    "virtual",
    "leverage",
    "leverage, deviation",
];

fn main() -> Result<()> {
    let words = Arguments::read(&["--regressor", "--runs", "--draws", "--threads"])?;
    let [mixtures, losses] = &words.plain[..] else {
        return Err(Error::input(format!(
            "{} arguments: expected MIXTURES.csv LOSSES.csv",
            words.plain.len()
        )));
    };
    let table = observations(mixtures, losses)?;
    let name = words.text("--regressor").unwrap_or("law1").to_owned();
    let options = FitOptions {
        regressors: vec![name.clone()],
        choice: Choice::Named(name),
        ..FitOptions::default()
    };
    let runs = words.number("--runs", 48)?;
    let draws: u64 = words.number("--draws", 20)?;
    let judged = with_threads(words.number("--threads", 2)?, || {
        let jobs: Vec<(&str, u64)> = (SHIFTS.iter())
            .flat_map(|&shift| (0..draws).map(move |draw| (shift, draw)))
            .collect();
        (jobs.into_par_iter())
            .map(|(shift, draw)| Ok((shift, one_draw(&table, shift, &options, runs, draw)?)))
            .collect::<Result<Vec<_>>>()
    })?;
    for shift in SHIFTS {
        let draws: Vec<&Figures> = (judged.iter())
            .filter(|j| j.0 == shift)
            .map(|j| &j.1)
            .collect();
        print(shift, &draws);
    }
    Ok(())
}

/// Figures of one draw by score and name.
type Figures = BTreeMap<(&'static str, &'static str), f64>;

/// Prints mean and standard deviation over draws.
fn print(shift: &str, draws: &[&Figures]) {
    let cell = |score, figure| {
        let values: Vec<f64> = (draws.iter())
            .filter_map(|d| d.get(&(score, figure)).copied())
            .collect();
        format!("{:.2} ± {:.2}", average(&values), spread(&values))
    };
    println!("\n{shift}: of rows inside and outside,");
    println!(
        "error above what was shown {} and {}, outside of their own interval {} and {}\n",
        cell("rate", "above inside"),
        cell("rate", "above outside"),
        cell("rate", "missed inside"),
        cell("rate", "missed outside"),
    );
    let figures = [
        "shifted AUROC",
        "shifted FPR95",
        "above AUROC",
        "above FPR95",
        "missed AUROC",
        "inside passed",
        "outside flagged",
    ];
    println!("| score | {} |", figures.join(" | "));
    println!("|---|{}", "---|".repeat(figures.len()));
    for score in SCORES {
        let cells: Vec<String> = figures.iter().map(|f| cell(score, f)).collect();
        println!("| {score} | {} |", cells.join(" | "));
    }
}

/// Rows of the table.
struct Split {
    fitted: Vec<usize>,
    inside: Vec<usize>,
    outside: Vec<usize>,
}

impl Split {
    fn of(mixtures: &[Mixture], shift: &str, runs: usize, draw: u64) -> Self {
        let mut rng = stream(draw, shift, "detector");
        let n = mixtures.len();
        let weights = |j: usize| mixtures.iter().map(move |m| m.weights()[j]);
        let d = mixtures[0].weights().len();
        let tied = shift == "correlation";
        let score: Vec<f64> = if tied {
            let pair = rand::seq::index::sample(&mut rng, d, 2);
            let against = rng.random::<bool>();
            let [a, b] = [0, 1].map(|k| ranks(&weights(pair.index(k)).collect::<Vec<_>>()));
            let other = |b: f64| if against { n as f64 - 1.0 - b } else { b };
            a.iter()
                .zip(&b)
                .map(|(a, b)| (a - other(*b)).abs())
                .collect()
        } else if draw.is_multiple_of(2) {
            let middle = rand::seq::index::sample(&mut rng, n, 6.min(n));
            let at = |j: usize| {
                average(
                    &(middle.iter())
                        .map(|i| mixtures[i].weights()[j])
                        .collect::<Vec<_>>(),
                )
            };
            let middle: Vec<f64> = (0..d).map(at).collect();
            mixtures
                .iter()
                .map(|m| distance(m.weights(), &middle))
                .collect()
        } else {
            weights(rng.random_range(0..d)).collect()
        };
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| score[a].total_cmp(&score[b]));
        let part = |percent: usize| n * percent / 100;
        let seen = if tied && n >= 100 { part(30) } else { part(55) };
        let outside = match shift {
            "near" => order[seen..seen + part(20)].to_vec(),
            _ => order[part(85)..].to_vec(),
        };
        let mut fitted = order[..seen].to_vec();
        fitted.shuffle(&mut rng);
        let inside = fitted.split_off(runs.min(seen * 7 / 10));
        Self {
            fitted,
            inside,
            outside,
        }
    }
}

/// The place of every value in their order.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut out = vec![0.0; values.len()];
    for (rank, &i) in order.iter().enumerate() {
        out[i] = rank as f64;
    }
    out
}

/// Total variation.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()
}

fn nearest(runs: &[Mixture], weights: &[f64]) -> f64 {
    (runs.iter())
        .map(|m| distance(m.weights(), weights))
        .fold(f64::INFINITY, f64::min)
}

/// A score of the fitted rows, each by the others, and of the rows asked about.
struct Scored {
    of_runs: Vec<f64>,
    asked: Vec<f64>,
    threshold: f64,
}

impl Scored {
    /// With the threshold that 95 % of the runs pass.
    fn new(of_runs: Vec<f64>, asked: Vec<f64>) -> Self {
        Self {
            threshold: quantile(&of_runs, 0.95),
            of_runs,
            asked,
        }
    }

    /// The larger of two, each in units of its threshold.
    fn or(&self, other: &Self) -> Self {
        let both = |a: &[f64], b: &[f64]| {
            (a.iter().zip(b))
                .map(|(a, b)| (a / self.threshold).max(b / other.threshold))
                .collect()
        };
        Self::new(
            both(&self.of_runs, &other.of_runs),
            both(&self.asked, &other.asked),
        )
    }
}

/// Scores from mixtures alone.
struct Geometry {
    nearest: Scored,
    leverage: Scored,
    learnt: Scored,
}

impl Geometry {
    fn new(runs: &[Mixture], asked: &[Mixture], rng: &mut Stream) -> Result<Self> {
        let coverage = Coverage::of(runs)?;
        let of = |score: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
            asked.iter().map(|m| score(m.weights())).collect()
        };
        let (mut alone, mut learnt) = (Vec::new(), [Vec::new(), Vec::new()]);
        for (i, run) in runs.iter().enumerate() {
            let mut others = runs.to_vec();
            others.remove(i);
            alone.push(nearest(&others, run.weights()));
            // Outliers made of a run are judged without it, as the run is.
            let without = Coverage::of(&others)?;
            learnt[0].push(inputs(&without, &others, run.weights()));
            for outlier in virtual_outliers(runs, run, rng) {
                learnt[1].push(inputs(&without, &others, &outlier));
            }
        }
        let found = logistic(&learnt[1], &learnt[0])?;
        let learnt = Scored {
            of_runs: learnt[0].iter().map(|x| weighted(x, &found)).collect(),
            asked: of(&|w| weighted(&inputs(&coverage, runs, w), &found)),
            // As likely a run as an outlier.
            threshold: 0.0,
        };
        Ok(Self {
            nearest: Scored::new(alone, of(&|w| nearest(runs, w))),
            leverage: Scored::new(coverage.of_runs().to_vec(), of(&|w| coverage.leverage(w))),
            learnt,
        })
    }
}

/// What the score that is learnt on virtual outliers is a function of.
fn inputs(coverage: &Coverage, runs: &[Mixture], weights: &[f64]) -> Vec<f64> {
    let roots = |w: &[f64]| w.iter().map(|w| w.sqrt()).collect::<Vec<_>>();
    let here = roots(weights);
    let hellinger = (runs.iter())
        .map(|m| {
            roots(m.weights())
                .iter()
                .zip(&here)
                .map(|(a, b)| (a - b).powi(2))
                .sum()
        })
        .fold(f64::INFINITY, f64::min);
    [
        coverage.leverage(weights),
        nearest(runs, weights),
        hellinger,
    ]
    .iter()
    .map(|x: &f64| x.max(1e-9).ln())
    .chain([1.0])
    .collect()
}

/// Mixtures made of a run as a run might not be: weights of two domains
/// exchanged, one domain's weight moved to another, and the run moved away from
/// the middle of all.
fn virtual_outliers(runs: &[Mixture], run: &Mixture, rng: &mut Stream) -> Vec<Vec<f64>> {
    let d = run.weights().len();
    let middle: Vec<f64> = (0..d)
        .map(|j| average(&runs.iter().map(|m| m.weights()[j]).collect::<Vec<_>>()))
        .collect();
    let mut out = Vec::new();
    for _ in 0..2 {
        let pair = rand::seq::index::sample(rng, d, 2);
        let (i, j) = (pair.index(0), pair.index(1));
        let mut exchanged = run.weights().to_vec();
        exchanged.swap(i, j);
        let mut moved = run.weights().to_vec();
        let mass = moved[i] * rng.random_range(0.3..1.0);
        moved[i] -= mass;
        moved[j] += mass;
        let times: f64 = rng.random_range(1.3..2.5);
        let beyond: Vec<f64> = (run.weights().iter().zip(&middle))
            .map(|(w, m)| (m + times * (w - m)).max(0.0))
            .collect();
        let sum: f64 = beyond.iter().sum();
        out.extend([exchanged, moved, beyond.iter().map(|w| w / sum).collect()]);
    }
    out
}

fn one_draw(
    table: &Observations,
    shift: &str,
    options: &FitOptions,
    runs: usize,
    draw: u64,
) -> Result<Figures> {
    let split = Split::of(table.mixtures.mixtures(), shift, runs, draw);
    let seed = FitOptions {
        seed: draw,
        ..options.clone()
    };
    let fit = Fit::train(&some_runs(table, &split.fitted)?, &seed)?;
    let places: Vec<usize> = split.inside.iter().chain(&split.outside).copied().collect();
    let asked: Vec<Mixture> = (places.iter())
        .map(|&i| table.mixtures.mixtures()[i].reordered(fit.domains()))
        .collect::<Result<_>>()?;
    let shifted: Vec<bool> = (0..places.len()).map(|i| i >= split.inside.len()).collect();
    let fitted = fit.observations().mixtures.mixtures();
    let mut rng = stream(draw, shift, "virtual outliers");
    let geometry = Geometry::new(fitted, &asked, &mut rng)?;
    let mut all: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for (column, target) in table.values.targets().iter().enumerate() {
        let measured: Vec<f64> = (places.iter())
            .map(|&i| table.values.rows()[i][column])
            .collect();
        let of_target = fit.target(target)?;
        for (key, value) in judged(&fit, of_target, &asked, &measured, &shifted, &geometry) {
            all.entry(key).or_default().push(value);
        }
    }
    Ok(all.into_iter().map(|(k, v)| (k, average(&v))).collect())
}

/// The figures of one target.
fn judged(
    fit: &Fit,
    target: &TargetFit,
    asked: &[Mixture],
    measured: &[f64],
    shifted: &[bool],
    geometry: &Geometry,
) -> Figures {
    let out_of_fold: BTreeMap<&str, (f64, f64)> = (fit.predictions().iter())
        .filter(|p| p.target == target.target)
        .map(|p| (p.run.as_str(), ((p.measured - p.predicted).abs(), p.sd)))
        .collect();
    let of_runs: Vec<(f64, f64)> = (fit.observations().mixtures.runs().iter())
        .map(|run| {
            out_of_fold
                .get(run.as_str())
                .copied()
                .unwrap_or((f64::NAN, f64::NAN))
        })
        .collect();
    let shown = quantile(&of_runs.iter().map(|r| r.0).collect::<Vec<_>>(), 0.9);
    let there: Vec<_> = asked
        .iter()
        .map(|m| target.model.predict(m.weights()))
        .collect();
    let errors: Vec<f64> = (there.iter().zip(measured))
        .map(|(p, y)| (y - p.mean).abs())
        .collect();
    let above: Vec<bool> = errors.iter().map(|e| *e > shown).collect();
    let missed: Vec<bool> = (there.iter().zip(measured))
        .map(|(p, y)| !(p.interval90().0..=p.interval90().1).contains(y))
        .collect();
    let deviation = Scored::new(
        of_runs.iter().map(|r| r.1).collect(),
        there.iter().map(|p| p.sd).collect(),
    );
    let (near, far) = (
        geometry.nearest.or(&deviation),
        geometry.leverage.or(&deviation),
    );
    let scores = [
        &geometry.nearest,
        &deviation,
        &near,
        &geometry.learnt,
        &geometry.leverage,
        &far,
    ];
    let mut out = Figures::new();
    let mut put = |score, figure, value: Option<f64>| {
        if let Some(value) = value.filter(|v| v.is_finite()) {
            out.insert((score, figure), value);
        }
    };
    let rate = |what: &[bool], of: bool| {
        let these = what.iter().zip(shifted).filter(|(_, s)| **s == of);
        Some(average(
            &these
                .map(|(w, _)| f64::from(u8::from(*w)))
                .collect::<Vec<_>>(),
        ))
    };
    put("rate", "above inside", rate(&above, false));
    put("rate", "above outside", rate(&above, true));
    put("rate", "missed inside", rate(&missed, false));
    put("rate", "missed outside", rate(&missed, true));
    for (name, score) in SCORES.into_iter().zip(scores) {
        put(name, "shifted AUROC", auroc(&score.asked, shifted));
        put(name, "shifted FPR95", fpr95(&score.asked, shifted));
        put(name, "above AUROC", auroc(&score.asked, &above));
        put(name, "above FPR95", fpr95(&score.asked, &above));
        put(name, "missed AUROC", auroc(&score.asked, &missed));
        let flagged: Vec<bool> = score.asked.iter().map(|s| *s > score.threshold).collect();
        put(
            name,
            "inside passed",
            rate(&flagged, false).map(|r| 1.0 - r),
        );
        put(name, "outside flagged", rate(&flagged, true));
    }
    out
}

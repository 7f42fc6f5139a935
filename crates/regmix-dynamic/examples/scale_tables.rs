//! Laws of scale on published runs: fitted on smaller and shorter ones, judged on
//! larger and longer ones.
//!
//! ```sh
//! cargo run --release -p regmix-dynamic --example scale_tables -- TABLES
//! ```
//!
//! TABLES holds `dml-5mix-70m` and so on, each with `mixtures.csv` and
//! `trajectories.csv`. The figures are in `benches/RESULTS.md`.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};
use regmix_dynamic::Trajectories;
use regmix_regress::Prediction;
use regmix_regress::metrics::{coverage90, spearman};
use regmix_regress::scale::{
    ScaleFit, ScaleLaw, ScaleOptions, ScalePoint, ScaleRun, ScaleRuns, Setting,
};

const SIZES: [(&str, f64); 4] = [
    ("70m", 7e7),
    ("160m", 1.6e8),
    ("305m", 3.05e8),
    ("410m", 4.1e8),
];

/// By target: what was measured, and what was predicted for it.
type Judged = Vec<(Vec<f64>, Vec<Prediction>)>;

/// The runs of some sizes up to a step.
fn read(folder: &Path, sizes: &[(&str, f64)], last_step: u64) -> Result<ScaleRuns> {
    let mut runs = Vec::new();
    let mut names = None;
    for (name, parameters) in sizes {
        let folder = folder.join(format!("dml-5mix-{name}"));
        let mixtures = MixtureTable::read_csv(folder.join("mixtures.csv"))?;
        let table = Trajectories::read_csv(folder.join("trajectories.csv"))?;
        for (run, points) in table.iter() {
            let points: Vec<ScalePoint> = (points.iter())
                .filter(|p| p.step > 0 && p.step <= last_step)
                .map(|p| ScalePoint {
                    tokens: p.tokens as f64,
                    values: p.loss.clone(),
                })
                .collect();
            let mixture = mixtures
                .get(run)
                .ok_or_else(|| Error::input(format!("run {run} has no mixture")))?;
            if !points.is_empty() {
                runs.push(ScaleRun {
                    run: format!("{name}-{run}"),
                    weights: mixture.weights().to_vec(),
                    parameters: *parameters,
                    points,
                });
            }
        }
        let targets: Vec<String> = table.domains().names().map(str::to_owned).collect();
        names = Some((mixtures.domains().clone(), targets));
    }
    let (domains, targets) = names.ok_or_else(|| Error::input("no size"))?;
    ScaleRuns::new(domains, targets, runs)
}

/// Error in percent, Spearman and coverage of predictions `[target][run]`.
fn judge(all: &[(Vec<f64>, Vec<Prediction>)]) -> String {
    let n = all.len() as f64;
    let mut sums = [0.0; 4];
    for (measured, predicted) in all {
        let means: Vec<f64> = predicted.iter().map(|p| p.mean).collect();
        let errors: Vec<f64> = means
            .iter()
            .zip(measured)
            .map(|(p, m)| p / m - 1.0)
            .collect();
        let mean = |x: &mut dyn Iterator<Item = f64>| x.sum::<f64>() / errors.len() as f64;
        sums[0] += 100.0 * mean(&mut errors.iter().map(|e| e.abs())) / n;
        sums[1] += 100.0 * mean(&mut errors.iter().copied()) / n;
        sums[2] += spearman(measured, &means) / n;
        sums[3] += 100.0 * coverage90(measured, predicted) / n;
    }
    format!(
        "error {:.2} % (bias {:+.2}) Spearman {:.4} in 90 %: {:.0} %",
        sums[0], sums[1], sums[2], sums[3]
    )
}

fn case(folder: &Path, fitted: &[(&str, f64)], last: u64, judged: (&str, f64)) -> Result<()> {
    let runs = read(folder, fitted, last)?;
    let began = Instant::now();
    let fit = ScaleFit::train(&runs, &ScaleOptions::default())?;
    let names: Vec<&str> = fitted.iter().map(|s| s.0).collect();
    println!(
        "\nfitted on {} up to step {last} in {:.1} s: {:?}, corrected {}",
        names.join(", "),
        began.elapsed().as_secs_f64(),
        fit.laws(),
        fit.is_corrected()
    );
    for j in fit.judged() {
        println!(
            "  validation {:?} x{:.2} x{:.2} {}: {:.2} % {:.4}",
            j.direction,
            j.size_factor,
            j.tokens_factor,
            j.law,
            100.0 * j.error,
            j.spearman
        );
    }
    let everything = read(folder, &[judged], u64::MAX)?;
    for step in [10_000u64, 20_000, 30_000] {
        let tokens = step as f64 * 1_048_576.0;
        let mut all: Vec<(String, Judged)> = Vec::new();
        for target in 0..runs.targets().len() {
            let mut rows = Vec::new();
            for run in everything.runs() {
                if let Some(p) = run.points.iter().find(|p| p.tokens == tokens) {
                    rows.push((run.weights.clone(), p.values[target]));
                }
            }
            let mut add = |name: &str, predict: &dyn Fn(&Setting<'_>) -> Prediction| {
                let one = rows.iter().map(|(weights, _)| {
                    predict(&Setting {
                        weights,
                        parameters: judged.1,
                        tokens,
                    })
                });
                let pair = (rows.iter().map(|r| r.1).collect(), one.collect());
                match all.iter_mut().find(|a| a.0 == name) {
                    Some(a) => a.1.push(pair),
                    None => all.push((name.to_owned(), vec![pair])),
                }
            };
            for law in fit.target_laws(target) {
                add(law.name(), &|at| law.predict(at));
            }
            add("chosen", &|at| fit.predict(target, at));
        }
        for (name, pairs) in &all {
            if pairs[0].0.len() > 2 {
                println!("  {} step {step} {name}: {}", judged.0, judge(pairs));
            }
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "shared".to_owned());
    let folder = Path::new(&folder);
    case(folder, &SIZES[..3], 20_000, SIZES[3])?;
    case(folder, &SIZES[..2], 20_000, SIZES[2])?;
    case(folder, &SIZES[..3], 10_000, SIZES[3])?;
    case(folder, &SIZES[..2], 20_000, SIZES[3])
}

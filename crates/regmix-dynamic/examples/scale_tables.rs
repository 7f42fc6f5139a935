//! Laws of scale on published runs: fitted on smaller and shorter ones, judged on
//! larger and longer ones.
//!
//! ```sh
//! cargo run --release -p regmix-dynamic --example scale_tables -- TABLES
//! ```
//!
//! TABLES holds `dml-5mix-70m` and so on, each with `mixtures.csv` and
//! `trajectories.csv`. With `longer` after it, every size is fitted by itself on the
//! first half of training and judged on the second, as BiMix is in its paper. The
//! figures are in `benches/RESULTS.md`.

#![allow(clippy::print_stdout)]

use rand::RngExt;
use std::path::Path;
use std::time::Instant;

use regmix_data::Silent;
use regmix_data::random::stream;
use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};
use regmix_dynamic::Trajectories;
use regmix_regress::metrics::{coverage90, spearman};
use regmix_regress::scale::{
    NestedLaw, PowerLaw, ScaleFit, ScaleLaw, ScaleOptions, ScalePoint, ScaleRun, ScaleRuns, Setting,
};
use regmix_regress::{BimixLaw, BimixPoint, Factor, Prediction};

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

/// Runs to fit, and where the fit is judged.
struct Case {
    fitted: &'static [(&'static str, f64)],
    last: u64,
    judged: (&'static str, f64),
    steps: &'static [u64],
}

const CASES: [Case; 10] = [
    case(2, 10_000, 2, &[10_000, 14_000, 20_000]),
    case(2, 14_000, 2, &[14_000, 20_000, 27_000]),
    case(2, 20_000, 2, &[10_000, 20_000, 30_000]),
    case(2, 30_000, 2, &[10_000, 20_000, 30_000]),
    case(3, 10_000, 2, &[14_000, 20_000]),
    case(3, 14_000, 2, &[20_000, 27_000]),
    case(2, 20_000, 3, &[10_000, 20_000, 30_000]),
    case(3, 10_000, 3, &[10_000, 14_000, 20_000]),
    case(3, 14_000, 3, &[14_000, 20_000, 27_000]),
    case(3, 20_000, 3, &[10_000, 20_000, 30_000]),
];

/// The smallest `fitted` sizes up to a step, judged at one size at some steps.
const fn case(fitted: usize, last: u64, judged: usize, steps: &'static [u64]) -> Case {
    Case {
        fitted: SIZES.split_at(fitted).0,
        last,
        judged: SIZES[judged],
        steps,
    }
}

fn run(folder: &Path, case: &Case) -> Result<()> {
    let runs = read(folder, case.fitted, case.last)?;
    let names: Vec<&str> = case.fitted.iter().map(|s| s.0).collect();
    let began = Instant::now();
    let fit = ScaleFit::train(&runs, &ScaleOptions::default())?;
    println!(
        "\nfitted on {} up to step {} in {:.1} s: {:?}, {:?}",
        names.join(", "),
        case.last,
        began.elapsed().as_secs_f64(),
        fit.laws(),
        fit.kernel().map(|k| k.mixture.sd)
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
    let prototypes: Vec<Prototype> = (0..runs.targets().len())
        .map(|target| Prototype::fit(&runs, target))
        .collect();
    let nested = NestedLaw::fit(&runs, &Silent)?;
    let everything = read(folder, &[case.judged], u64::MAX)?;
    for step in case.steps {
        let tokens = *step as f64 * 1_048_576.0;
        let mut all: Vec<(String, Judged)> = Vec::new();
        for (target, prototype) in prototypes.iter().enumerate() {
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
                        parameters: case.judged.1,
                        tokens,
                    })
                });
                let pair = (rows.iter().map(|r| r.1).collect(), one.collect());
                match all.iter_mut().find(|a| a.0 == name) {
                    Some(a) => a.1.push(pair),
                    None => all.push((name.to_owned(), vec![pair])),
                }
            };
            add("prototype", &|at| prototype.predict(at));
            add("dml_nested", &|at| nested.target(target).predict(at));
            for law in fit.target_laws(target) {
                add(law.name(), &|at| law.predict(at));
            }
            add("chosen", &|at| fit.predict(target, at));
        }
        for (name, pairs) in &all {
            println!("  {} step {step} {name}: {}", case.judged.0, judge(pairs));
        }
    }
    Ok(())
}

/// The yardstick: `E + A N^-a + (D Σ t_j r_j^q)^-b` by itself, squares of
/// residuals of the logarithm that become linear beyond 1 %, from four starts,
/// all points alike. Slow and simple on purpose.
struct Prototype {
    units: (f64, f64),
    p: Vec<f64>,
}

impl Prototype {
    fn loss(p: &[f64], weights: &[f64], n: f64, d: f64) -> f64 {
        let q = p[4].exp();
        let amount: f64 = (weights.iter().zip(&p[5..]))
            .map(|(r, t)| t.exp() * r.max(1e-9).powf(q))
            .sum();
        p[0].exp() + (p[1] - p[2].exp() * n).exp() + (d.exp() * (amount + 1e-9)).powf(-p[3].exp())
    }

    fn fit(runs: &ScaleRuns, target: usize) -> Self {
        let (parameters, tokens) = (1.6e8, 1.2e10);
        let rows: Vec<(&[f64], f64, f64, f64)> = (runs.runs().iter())
            .flat_map(|run| run.points.iter().map(move |p| (run, p)))
            .filter(|(_, p)| p.values[target].is_finite())
            .map(|(run, p)| {
                let n = (run.parameters / parameters).ln();
                let d = (p.tokens / tokens).ln();
                (&run.weights[..], n, d, p.values[target].ln())
            })
            .collect();
        let residuals = |p: &[f64]| -> Vec<f64> {
            let one =
                |r: &(&[f64], f64, f64, f64)| (Self::loss(p, r.0, r.1, r.2).ln() - r.3) / 0.01;
            rows.iter().map(one).collect()
        };
        let mut rng = stream(0, "prototype", "starts");
        let mut best = (f64::INFINITY, Vec::new());
        for _ in 0..4 {
            let mut start: Vec<f64> = [1.5f64, 0.5, 0.3, 0.3, 0.5].map(f64::ln).to_vec();
            start.extend(runs.domains().names().map(|_| rng.random::<f64>() - 1.5));
            let found = descend(&residuals, start);
            if found.0 < best.0 {
                best = found;
            }
        }
        Self {
            units: (parameters, tokens),
            p: best.1,
        }
    }

    fn predict(&self, at: &Setting<'_>) -> Prediction {
        let (n, d) = (at.parameters / self.units.0, at.tokens / self.units.1);
        Prediction {
            mean: Self::loss(&self.p, at.weights, n.ln(), d.ln()),
            sd: 0.0,
        }
    }
}

/// Levenberg and Marquardt's method with differences for derivatives.
fn descend(residuals: &dyn Fn(&[f64]) -> Vec<f64>, start: Vec<f64>) -> (f64, Vec<f64>) {
    let cost = |r: &[f64]| r.iter().map(|r| (1.0 + r * r).sqrt() - 1.0).sum::<f64>();
    let (mut p, mut damping) = (start, 1e-2);
    let mut at = residuals(&p);
    for _ in 0..100 {
        let columns: Vec<Vec<f64>> = (0..p.len())
            .map(|i| {
                let mut moved = p.clone();
                moved[i] += 1e-5;
                let next = residuals(&moved);
                next.iter().zip(&at).map(|(a, b)| (a - b) / 1e-5).collect()
            })
            .collect();
        let rows: Vec<Vec<f64>> = (0..at.len())
            .map(|k| {
                let scale = (1.0 + at[k] * at[k]).powf(-0.25);
                columns.iter().map(|c| scale * c[k]).collect()
            })
            .collect();
        let gradient: Vec<f64> = (columns.iter())
            .map(|c| {
                let each = c.iter().zip(&at);
                each.map(|(c, r)| c * r / (1.0 + r * r).sqrt()).sum()
            })
            .collect();
        let ridge: Vec<f64> = (0..p.len())
            .map(|i| damping * rows.iter().map(|r| r[i] * r[i]).sum::<f64>() + 1e-9)
            .collect();
        let Ok(factor) = Factor::of_rows(&rows, &ridge) else {
            break;
        };
        let step = factor.solve(&gradient);
        let next: Vec<f64> = (p.iter().zip(step))
            .map(|(p, s)| (p - s.clamp(-2.0, 2.0)).clamp(-25.0, 12.0))
            .collect();
        let found = residuals(&next);
        let (before, after) = (cost(&at), cost(&found));
        if after < before {
            (p, at) = (next, found);
            damping *= 0.2;
            if before - after < 1e-6 * before {
                break;
            }
        } else if damping > 1e9 {
            break;
        } else {
            damping *= 4.0;
        }
    }
    (cost(&at), p)
}

/// The group of the Pile's domains in which a target lies, by the paper of the Pile.
fn group(target: &str) -> &'static str {
    match target {
        "bookcorpus2" | "books3" | "pg19" => "prose",
        "europarl" | "hackernews" | "opensubtitles" | "ubuntu_irc" | "youtubesubtitles"
        | "enron_emails" => "dialogue",
        "github" | "dm_mathematics" => "symbolic",
        "openwebtext2" | "pile_cc" | "stackexchange" | "wikipedia_en" => "internet",
        _ => "academic",
    }
}

/// What the curves of single runs, BiMix over all runs, and regmix say of the second
/// half of training from the first: mean, worst and best target.
fn longer(folder: &Path, size: (&str, f64)) -> Result<()> {
    const STEP: f64 = 1_048_576.0;
    const LAST: u64 = 30_000;
    let half = 0.5 * LAST as f64 * STEP;
    let all = read(folder, &[size], LAST)?;
    let early = read(folder, &[size], LAST / 2)?;
    let fit = ScaleFit::train(&early, &ScaleOptions::default())?;
    let mut errors = [const { Vec::new() }; 3];
    for (t, target) in all.targets().iter().enumerate() {
        let own = all.domains().position(group(target)).unwrap_or(0);
        let points = early.runs().iter().flat_map(|run| {
            run.points.iter().map(move |p| BimixPoint {
                weight: run.weights[own],
                steps: p.tokens / STEP,
                loss: p.values[t],
            })
        });
        let bimix = BimixLaw::fit(&points.collect::<Vec<_>>())?;
        let mut sums = [0.0; 3];
        let mut count = 0.0;
        for run in all.runs() {
            let first = run.points.iter().filter(|p| p.tokens <= half);
            let curve: Vec<(f64, f64)> = first.map(|p| (p.tokens / STEP, p.values[t])).collect();
            let curve = PowerLaw::fit(&curve)?;
            for p in run.points.iter().filter(|p| p.tokens > half) {
                let steps = p.tokens / STEP;
                let at = Setting {
                    weights: &run.weights,
                    parameters: size.1,
                    tokens: p.tokens,
                };
                let predicted = [
                    curve.value(steps),
                    bimix.predict(run.weights[own], steps).mean,
                    fit.predict(t, &at).mean,
                ];
                for (sum, predicted) in sums.iter_mut().zip(predicted) {
                    *sum += 100.0 * (predicted / p.values[t] - 1.0).abs();
                }
                count += 1.0;
            }
        }
        for (errors, sum) in errors.iter_mut().zip(sums) {
            errors.push(sum / count);
        }
    }
    let names = ["a curve per run", "bimix", "regmix"];
    for (name, errors) in names.iter().zip(&errors) {
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let worst = errors.iter().copied().fold(0.0, f64::max);
        let best = errors.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "{} second half {name}: mean {mean:.2} % worst {worst:.2} % best {best:.2} %",
            size.0
        );
    }
    Ok(())
}

fn main() -> Result<()> {
    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "shared".to_owned());
    if std::env::args().nth(2).as_deref() == Some("longer") {
        return (SIZES.iter()).try_for_each(|size| longer(Path::new(&folder), *size));
    }
    for case in &CASES {
        run(Path::new(&folder), case)?;
    }
    Ok(())
}

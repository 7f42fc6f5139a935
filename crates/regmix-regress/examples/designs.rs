//! Which design of proxies finds the best mixture? A fit to a table of runs
//! plays the truth: proxies of every design are measured on it with noise,
//! fitted, searched, and what was found is judged on it.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example designs -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--truth` | ensemble | regressor that plays the truth |
//! | `--fit` | ensemble | regressor of the designs |
//! | `--runs` | 48 | proxies of a design |
//! | `--seeds` | 8 | draws of every design |
//! | `--noise` | 0.05 | standard deviation of a measurement, nats |
//! | `--threads` | 2 | threads |
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use rand::RngExt;

use regmix_data::design::{Floored, Maximin, RegMix, Sampler, Space};
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, Mixture, Result, random};
use regmix_regress::{Choice, Fit, FitOptions, NextOptions, RecommendOptions};

use common::{Arguments, average, observations, spread, with_threads};

struct World {
    truth: Fit,
    natural: Mixture,
    best: f64,
    noise: f64,
}

impl World {
    /// The mean over targets, without noise.
    fn value(&self, mixture: &Mixture) -> Result<f64> {
        let all = self.truth.predict(mixture)?;
        Ok(average(&all.iter().map(|p| p.mean).collect::<Vec<_>>()))
    }

    /// Measures mixtures as runs `first..`.
    fn measure(
        &self,
        mixtures: &[Mixture],
        first: usize,
        seed: u64,
    ) -> Result<Vec<(String, Mixture, Vec<f64>)>> {
        (mixtures.iter().enumerate())
            .map(|(i, mixture)| {
                let run = format!("run-{:04}", first + i);
                let mut rng = random::stream(seed, &run, "noise");
                // Twelve uniform numbers are near enough to a normal one.
                let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
                let losses = (self.truth.predict(mixture)?.iter())
                    .map(|p| p.mean + self.noise * normal())
                    .collect();
                Ok((run, mixture.clone(), losses))
            })
            .collect()
    }

    fn fit(&self, rows: &[(String, Mixture, Vec<f64>)], name: &str) -> Result<Fit> {
        let targets = self
            .truth
            .targets()
            .iter()
            .map(|t| t.target.clone())
            .collect();
        let table = Observations::join(
            MixtureTable::new(
                self.natural.domains().clone(),
                rows.iter().map(|(run, m, _)| (run.clone(), m.clone())),
            )?,
            ValueTable::new(
                targets,
                rows.iter().map(|(run, _, y)| (run.clone(), y.clone())),
            )?,
        )?;
        Fit::train(&table, &options(name, Some(self.natural.clone())))
    }
}

fn options(name: &str, natural: Option<Mixture>) -> FitOptions {
    let auto = name == "auto";
    FitOptions {
        regressors: match auto {
            true => FitOptions::default().regressors,
            false => vec![name.to_owned()],
        },
        choice: match auto {
            true => Choice::Auto,
            false => Choice::Named(name.to_owned()),
        },
        natural,
        ..FitOptions::default()
    }
}

fn floored(low: f64, high: f64) -> Floored {
    Floored {
        strengths: [low, high],
        ..Floored::default()
    }
}

fn maximin(low: f64, high: f64) -> Maximin {
    Maximin {
        source: floored(low, high),
        ..Maximin::default()
    }
}

/// One design: parts that are drawn, whether the natural and the uniform
/// mixture are among them, and proxies that are chosen later, by rounds.
struct Design {
    name: String,
    parts: Vec<(f64, Box<dyn Sampler>)>,
    anchors: bool,
    rounds: usize,
    later: f64,
}

fn designs() -> Vec<Design> {
    let plain = |name: &str, parts: Vec<(f64, Box<dyn Sampler>)>| Design {
        name: name.to_owned(),
        parts,
        anchors: false,
        rounds: 0,
        later: 0.0,
    };
    let mut out = vec![
        plain("regmix", vec![(1.0, Box::new(RegMix::default()))]),
        plain("floored 0.5-10", vec![(1.0, Box::new(floored(0.5, 10.0)))]),
        plain("floored 2-40", vec![(1.0, Box::new(floored(2.0, 40.0)))]),
        plain("maximin 2-20", vec![(1.0, Box::new(maximin(2.0, 20.0)))]),
        plain("maximin 5-50", vec![(1.0, Box::new(maximin(5.0, 50.0)))]),
        plain(
            "maximin 2-20, 8-80",
            vec![
                (0.5, Box::new(maximin(2.0, 20.0))),
                (0.5, Box::new(maximin(8.0, 80.0))),
            ],
        ),
    ];
    let with = |base: &str, low: f64, high: f64, anchors, rounds, later| Design {
        name: format!(
            "{base}{}{}",
            if anchors { ", anchors" } else { "" },
            if rounds > 0 {
                format!(", {:.0} % in {rounds}", 100.0 * later)
            } else {
                String::new()
            }
        ),
        parts: vec![(1.0, Box::new(maximin(low, high)))],
        anchors,
        rounds,
        later,
    };
    out.push(with("maximin 2-20", 2.0, 20.0, true, 0, 0.0));
    out.push(with("maximin 2-20", 2.0, 20.0, true, 1, 0.25));
    out.push(with("maximin 2-20", 2.0, 20.0, true, 2, 0.34));
    out.push(with("maximin 5-50", 5.0, 50.0, true, 1, 0.25));
    out.push(with("maximin 5-50", 5.0, 50.0, true, 2, 0.34));
    out
}

fn main() -> Result<()> {
    let words = Arguments::read(&[
        "--truth",
        "--fit",
        "--runs",
        "--seeds",
        "--noise",
        "--threads",
    ])?;
    let [mixtures, losses] = &words.plain[..] else {
        return Err(Error::input("expected MIXTURES.csv LOSSES.csv"));
    };
    let table = observations(mixtures, losses)?;
    let runs: usize = words.number("--runs", 48)?;
    let seeds: u64 = words.number("--seeds", 8)?;
    let name = words.text("--fit").unwrap_or("ensemble");
    with_threads(words.number("--threads", 2)?, || {
        let truth = Fit::train(
            &table,
            &options(words.text("--truth").unwrap_or("ensemble"), None),
        )?;
        let domains = truth.domains().clone();
        let mut mean = vec![0.0; domains.len()];
        for m in table.mixtures.mixtures() {
            for (sum, w) in mean.iter_mut().zip(m.reordered(&domains)?.weights()) {
                *sum += w;
            }
        }
        let natural = Mixture::normalized(domains.clone(), mean)?;
        let search = RecommendOptions {
            bootstrap: 0,
            ..RecommendOptions::default()
        };
        let mut world = World {
            truth,
            natural,
            best: 0.0,
            noise: words.number("--noise", 0.05)?,
        };
        world.best = world.value(&world.truth.recommend(&search)?.mixture)?;
        let uniform = Mixture::uniform(domains.clone());
        println!(
            "best {:.4}, natural {:.4}, uniform {:.4}",
            world.best,
            world.value(&world.natural)?,
            world.value(&uniform)?
        );
        println!(
            "| design | regret | flattery | error at natural | error at uniform |\n|---|---|---|---|---|"
        );
        for design in designs() {
            let mut figures: [Vec<f64>; 4] = Default::default();
            for seed in 1..=seeds {
                let space = Space::new(world.natural.clone());
                let later = (design.later * runs as f64).round() as usize;
                let anchors = if design.anchors { 2 } else { 0 };
                let mut drawn = match design.anchors {
                    true => vec![world.natural.clone(), uniform.clone()],
                    false => Vec::new(),
                };
                let first = runs - later - anchors;
                for (i, (share, sampler)) in design.parts.iter().enumerate() {
                    let n = match i + 1 == design.parts.len() {
                        true => first + anchors - drawn.len(),
                        false => (share * first as f64).round() as usize,
                    };
                    drawn.extend(
                        sampler
                            .draw(
                                &space,
                                n,
                                &mut random::stream(seed, &design.name, &format!("draw {i}")),
                            )?
                            .mixtures,
                    );
                }
                let mut rows = world.measure(&drawn, 0, seed)?;
                for round in 0..design.rounds {
                    let m = later / design.rounds + usize::from(round < later % design.rounds);
                    let fit = world.fit(&rows, name)?;
                    let next = fit.next_runs(&NextOptions {
                        runs: m,
                        seed,
                        ..NextOptions::default()
                    })?;
                    let next: Vec<Mixture> = next.into_iter().map(|n| n.mixture).collect();
                    let more = world.measure(&next, rows.len(), seed)?;
                    rows.extend(more);
                }
                let fit = world.fit(&rows, name)?;
                let found = fit.recommend(&search)?;
                let value = world.value(&found.mixture)?;
                let predicted = |m: &Mixture| -> Result<f64> {
                    Ok(average(
                        &fit.predict(m)?.iter().map(|p| p.mean).collect::<Vec<_>>(),
                    ))
                };
                figures[0].push(value - world.best);
                figures[1].push(value - found.predicted.mean);
                figures[2].push(predicted(&world.natural)? - world.value(&world.natural)?);
                figures[3].push(predicted(&uniform)? - world.value(&uniform)?);
            }
            let cells: Vec<String> = (figures.iter())
                .map(|f| format!("{:.4} ± {:.4}", average(f), spread(f)))
                .collect();
            println!("| {} | {} |", design.name, cells.join(" | "));
        }
        Ok(())
    })
}

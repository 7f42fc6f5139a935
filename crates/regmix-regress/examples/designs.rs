//! Which design of proxies finds the best mixture? A fit to a table of runs is
//! taken as the truth: proxies of every design are measured on it with noise,
//! fitted and searched, and the found mixture is judged on it.
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
//! | `--designs` | all | only those whose name contains this |
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use rand::RngExt;

use regmix_data::design::{Floored, Maximin, Metric, RegMix, Sampler, Space};
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, Mixture, Result, random};
use regmix_regress::{
    Choice, Fit, FitOptions, NextOptions, RecommendOptions, next_runs, recommend,
};

use common::{Arguments, average, observations, spread, with_threads};

struct World {
    truth: Fit,
    natural: Mixture,
    best: f64,
    noise: f64,
}

impl World {
    fn new(table: &Observations, truth: &str, noise: f64) -> Result<Self> {
        let truth = Fit::train(table, &options(truth, None))?;
        let domains = truth.domains();
        let mut sum = vec![0.0; domains.len()];
        for mixture in table.mixtures.mixtures() {
            for (sum, w) in sum.iter_mut().zip(mixture.reordered(domains)?.weights()) {
                *sum += w;
            }
        }
        let best = recommend(&truth, &search())?.mixture;
        Ok(Self {
            natural: Mixture::normalized(domains.clone(), sum)?,
            best: mean(&truth, &best)?,
            truth,
            noise,
        })
    }

    /// The mean over targets, without noise.
    fn value(&self, mixture: &Mixture) -> Result<f64> {
        mean(&self.truth, mixture)
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

/// The mean over targets that a fit predicts.
fn mean(fit: &Fit, mixture: &Mixture) -> Result<f64> {
    let all = fit.predict(mixture)?;
    Ok(average(&all.iter().map(|p| p.mean).collect::<Vec<_>>()))
}

fn search() -> RecommendOptions {
    RecommendOptions {
        bootstrap: 0,
        ..RecommendOptions::default()
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

/// As [`maximin`], by roots and weights side by side.
fn both(low: f64, high: f64) -> Maximin {
    Maximin {
        metric: Metric::RootsAndWeights,
        ..maximin(low, high)
    }
}

/// One design: parts that are drawn, with their shares; whether the natural
/// and the uniform mixture are among them; and a share of proxies that is
/// chosen later, in rounds.
struct Design {
    name: &'static str,
    parts: Vec<(f64, Box<dyn Sampler>)>,
    anchors: bool,
    later: f64,
    rounds: usize,
}

impl Design {
    fn drawn(name: &'static str, sampler: impl Sampler + 'static) -> Self {
        Self {
            name,
            parts: vec![(1.0, Box::new(sampler))],
            anchors: false,
            later: 0.0,
            rounds: 0,
        }
    }

    fn anchored(self) -> Self {
        Self {
            anchors: true,
            ..self
        }
    }

    fn later(self, share: f64, rounds: usize) -> Self {
        Self {
            later: share,
            rounds,
            ..self
        }
    }

    fn all() -> Vec<Self> {
        let two = [maximin(2.0, 20.0), maximin(8.0, 80.0)];
        vec![
            Self::drawn("regmix", RegMix::default()),
            Self::drawn("floored 0.5-10", floored(0.5, 10.0)),
            Self::drawn("floored 2-40", floored(2.0, 40.0)),
            Self::drawn("maximin 2-20", maximin(2.0, 20.0)),
            Self::drawn("maximin 5-50", maximin(5.0, 50.0)),
            Self {
                parts: two.map(|m| (0.5, Box::new(m) as Box<dyn Sampler>)).into(),
                ..Self::drawn("maximin 2-20, 8-80", maximin(2.0, 20.0))
            },
            Self::drawn("maximin 2-20, anchors", maximin(2.0, 20.0)).anchored(),
            Self::drawn("maximin 2-20 in both, anchors", both(2.0, 20.0)).anchored(),
            Self::drawn("maximin 5-50 in both, anchors", both(5.0, 50.0)).anchored(),
            Self::drawn("maximin 2-20 in both, anchors, 25 % in 1", both(2.0, 20.0))
                .anchored()
                .later(0.25, 1),
            Self::drawn("maximin 2-20, anchors, 25 % in 1", maximin(2.0, 20.0))
                .anchored()
                .later(0.25, 1),
            Self::drawn("maximin 2-20, anchors, 34 % in 2", maximin(2.0, 20.0))
                .anchored()
                .later(0.34, 2),
            Self::drawn("maximin 5-50, anchors, 25 % in 1", maximin(5.0, 50.0))
                .anchored()
                .later(0.25, 1),
            Self::drawn("maximin 5-50, anchors, 34 % in 2", maximin(5.0, 50.0))
                .anchored()
                .later(0.34, 2),
        ]
    }

    /// The mixtures that are measured before anything is known.
    fn draw(&self, natural: &Mixture, runs: usize, seed: u64) -> Result<Vec<Mixture>> {
        let space = Space::new(natural.clone());
        let mut out = match self.anchors {
            true => vec![natural.clone(), Mixture::uniform(natural.domains().clone())],
            false => Vec::new(),
        };
        let first = runs - out.len();
        for (i, (share, sampler)) in self.parts.iter().enumerate() {
            let n = match i + 1 == self.parts.len() {
                true => runs - out.len(),
                false => (share * first as f64).round() as usize,
            };
            let mut rng = random::stream(seed, self.name, &format!("draw {i}"));
            out.extend(sampler.draw(&space, n, &mut rng)?.mixtures);
        }
        Ok(out)
    }

    /// Measures the design in a world, and fits what was measured.
    fn fitted(&self, world: &World, runs: usize, name: &str, seed: u64) -> Result<Fit> {
        let later = (self.later * runs as f64).round() as usize;
        let drawn = self.draw(&world.natural, runs - later, seed)?;
        let mut rows = world.measure(&drawn, 0, seed)?;
        for round in 0..self.rounds {
            let options = NextOptions {
                runs: later / self.rounds + usize::from(round < later % self.rounds),
                seed,
                ..NextOptions::default()
            };
            let next = next_runs(&world.fit(&rows, name)?, &options)?;
            let next: Vec<Mixture> = next.into_iter().map(|n| n.mixture).collect();
            let more = world.measure(&next, rows.len(), seed)?;
            rows.extend(more);
        }
        world.fit(&rows, name)
    }
}

fn main() -> Result<()> {
    let words = Arguments::read(&[
        "--truth",
        "--fit",
        "--runs",
        "--seeds",
        "--noise",
        "--threads",
        "--designs",
    ])?;
    let [mixtures, losses] = &words.plain[..] else {
        return Err(Error::input("expected MIXTURES.csv LOSSES.csv"));
    };
    let table = observations(mixtures, losses)?;
    let runs: usize = words.number("--runs", 48)?;
    let seeds: u64 = words.number("--seeds", 8)?;
    let name = words.text("--fit").unwrap_or("ensemble");
    let noise = words.number("--noise", 0.05)?;
    with_threads(words.number("--threads", 2)?, || {
        let truth = words.text("--truth").unwrap_or("ensemble");
        let world = World::new(&table, truth, noise)?;
        let uniform = Mixture::uniform(world.natural.domains().clone());
        println!(
            "best {:.4}, natural {:.4}, uniform {:.4}",
            world.best,
            world.value(&world.natural)?,
            world.value(&uniform)?
        );
        println!(
            "| design | regret | flattery | error at natural | error at uniform |\n|---|---|---|---|---|"
        );
        let wanted = words.text("--designs").unwrap_or("");
        for design in Design::all()
            .into_iter()
            .filter(|d| d.name.contains(wanted))
        {
            let mut figures: [Vec<f64>; 4] = Default::default();
            for seed in 1..=seeds {
                let fit = design.fitted(&world, runs, name, seed)?;
                let found = recommend(&fit, &search())?;
                let value = world.value(&found.mixture)?;
                let error = |m: &Mixture| -> Result<f64> { Ok(mean(&fit, m)? - world.value(m)?) };
                figures[0].push(value - world.best);
                figures[1].push(value - found.predicted.mean);
                figures[2].push(error(&world.natural)?);
                figures[3].push(error(&uniform)?);
            }
            let cells: Vec<String> = (figures.iter())
                .map(|f| format!("{:.4} ± {:.4}", average(f), spread(f)))
                .collect();
            println!("| {} | {} |", design.name, cells.join(" | "));
        }
        Ok(())
    })
}

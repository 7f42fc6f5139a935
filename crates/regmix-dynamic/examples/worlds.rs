//! Planners in simulated worlds whose truth is known: by how much the final loss of
//! schedules, and of targets that the controller steers, is above the best possible one.
//! Targets report `SCALE` times the losses of a proxy.
//!
//! `cargo run --release -p regmix-dynamic --example worlds -- [SEEDS] [PROXIES] [DOMAINS]`

#![allow(clippy::print_stdout)]

use regmix_data::design::{Maximin, Sampler, Space};
use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Mixture, Result, random::stream};
use regmix_dynamic::simulator::{World, WorldOptions};
use regmix_dynamic::{
    Controller, DynamicConfig, Dynamics, FirstMixture, Lookahead, Planner, Request, RunLength,
    Schedule, Segments, StageLosses, Transitions,
};
use regmix_regress::metrics::mean_and_sd;
use regmix_regress::regressor::regressor;
use regmix_regress::search::{SimulateOptions, Surface, simulate};
use regmix_regress::{Constraints, Model, Objective, Samples};

const TARGET: RunLength = RunLength {
    steps: 6_000,
    tokens: 6_000_000,
};

/// The inverse of the factor in RegMix-D's size correction.
const SCALE: f64 = 0.707_945_784_384_138;

fn main() -> Result<()> {
    let numbers: Vec<usize> = (std::env::args().skip(1))
        .filter_map(|a| a.parse().ok())
        .collect();
    let at = |i: usize, otherwise: usize| numbers.get(i).copied().unwrap_or(otherwise);
    let (seeds, proxies, domains) = (at(0, 10), at(1, 128), at(2, 6));
    let base = WorldOptions {
        domains,
        ..WorldOptions::default()
    };
    let scenarios = [
        ("fixed", base),
        ("drift 1", WorldOptions { drift: 1.0, ..base }),
        (
            "forgetting 2",
            WorldOptions {
                forgetting: 2.0,
                ..base
            },
        ),
        ("need 6", WorldOptions { need: 6.0, ..base }),
        (
            "drift 0.7, forgetting 1, need 3",
            WorldOptions {
                drift: 0.7,
                forgetting: 1.0,
                need: 3.0,
                ..base
            },
        ),
    ];
    let fast = DynamicConfig {
        draws: 20_000,
        ..DynamicConfig::paper()
    };
    let methods: [(&str, f64, DynamicConfig); 7] = [
        ("paper, static proxies", 0.0, fast.clone()),
        ("paper, half switch", 0.5, fast),
        ("improved, static proxies", 0.0, DynamicConfig::improved()),
        ("improved, half switch", 0.5, DynamicConfig::improved()),
        ("improved, all switch", 1.0, DynamicConfig::improved()),
        (
            "improved, half, greedy",
            0.5,
            DynamicConfig {
                lookahead: Lookahead::Stage,
                first: FirstMixture::Prior,
                ..DynamicConfig::improved()
            },
        ),
        (
            "improved, half, first on prior",
            0.5,
            DynamicConfig {
                first: FirstMixture::Prior,
                ..DynamicConfig::improved()
            },
        ),
    ];
    let online = [1, 3].map(|m| methods[m].0);
    println!(
        "mean loss at the end of training above the best plan's, nats: mean (sd over {seeds} worlds)"
    );
    println!("{proxies} proxies, {domains} domains, 5 stages, noise 0.3 %\n");
    let names = methods.iter().map(|m| m.0);
    let names: Vec<&str> = ["prior", "RegMix (gbdt)", "best single, truth"]
        .into_iter()
        .chain(names)
        .collect();
    let online: Vec<String> = online.iter().map(|n| format!("{n}, online")).collect();
    let names: Vec<&str> = (names.into_iter())
        .chain(online.iter().map(String::as_str))
        .collect();
    println!("| world | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for (name, options) in scenarios {
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
        let mut fell = vec![0; methods.len()];
        for seed in 0..seeds as u64 {
            let world = World::new(WorldOptions { seed, ..options })?;
            let prior = Mixture::uniform(world.domains().clone());
            let design = Maximin::default()
                .draw(
                    &Space::new(prior.clone()),
                    proxies,
                    &mut stream(seed, "worlds", "design"),
                )?
                .into_table()?;
            let (best, single) = truth(&world, &prior);
            let mut above = vec![
                end(&world, &vec![prior.weights().to_vec(); 6]) - best,
                end(&world, &vec![regmix(&world, &design, &prior)?; 6]) - best,
                single - best,
            ];
            let mut steered = Vec::new();
            for (m, (_, share, config)) in methods.iter().enumerate() {
                let planner = planner(&world, &design, &prior, *share, config)?;
                let schedule = planner.schedule()?;
                if [1, 3].contains(&m) {
                    steered
                        .push(end(&world, &steered_mixtures(&world, &planner, &schedule)?) - best);
                }
                fell[m] += usize::from(schedule.fell_back);
                let mixtures: Vec<Vec<f64>> = (schedule.segments.iter())
                    .map(|s| s.mixture.weights().to_vec())
                    .collect();
                above.push(end(&world, &mixtures) - best);
            }
            above.extend(steered);
            for (column, value) in columns.iter_mut().zip(above) {
                column.push(value);
            }
        }
        let cells: Vec<String> = columns.iter().map(|c| cell(c)).collect();
        println!("| {name} | {} |", cells.join(" | "));
        println!("fell back to one mixture: {fell:?}");
    }
    Ok(())
}

/// Mean and standard deviation.
fn cell(values: &[f64]) -> String {
    let (mean, sd) = mean_and_sd(values);
    format!("{mean:.4} ({sd:.4})")
}

/// The mixtures of a target that reports its losses to the controller.
fn steered_mixtures(
    world: &World,
    planner: &Planner,
    schedule: &Schedule,
) -> Result<Vec<Vec<f64>>> {
    let mut controller = Controller::new(planner, schedule, "worlds")?;
    let mut noise = world.noise("target");
    let names = controller.losses().to_vec();
    let mut mixtures = vec![controller.mixture().weights().to_vec()];
    for step in controller.decision_steps().to_vec() {
        let here = world.states(&mixtures[0], &mixtures[1..]).pop();
        let losses = (names.iter().zip(here.unwrap_or_default()))
            .map(|(name, loss)| (name.clone(), SCALE * loss * noise()))
            .collect();
        controller.observe(step, &losses)?;
        mixtures.push(controller.mixture().weights().to_vec());
    }
    Ok(mixtures)
}

fn end(world: &World, mixtures: &[Vec<f64>]) -> f64 {
    let last = world
        .states(&mixtures[0], &mixtures[1..])
        .pop()
        .unwrap_or_default();
    last.iter().sum::<f64>() / last.len() as f64
}

/// The best loss by a plan that knows the world, and by one mixture.
fn truth(world: &World, prior: &Mixture) -> (f64, f64) {
    let first = prior.weights().to_vec();
    let value = |m: &[Vec<f64>]| end(world, m);
    let stages = world.grid().stages() + 1;
    let n = first.len();
    // Coordinate steps of shrinking size: slow but reliable.
    let search = |tied: bool| {
        let groups = if tied { 1 } else { stages };
        let mut at = vec![first.clone(); groups];
        let spread = |at: &[Vec<f64>]| {
            if tied {
                vec![at[0].clone(); stages]
            } else {
                at.to_vec()
            }
        };
        let mut best = value(&spread(&at));
        let mut step = 0.5;
        while step > 0.01 {
            let mut gained = false;
            for g in 0..groups {
                for d in 0..n {
                    for sign in [1.0f64, -1.0] {
                        let mut next = at.clone();
                        next[g][d] *= (sign * step).exp();
                        let sum: f64 = next[g].iter().sum();
                        next[g].iter_mut().for_each(|w| *w /= sum);
                        let here = value(&spread(&next));
                        if here < best - 1e-9 {
                            (best, at, gained) = (here, next, true);
                        }
                    }
                }
            }
            if !gained {
                step /= 2.0;
            }
        }
        best
    };
    let (free, tied) = (search(false), search(true));
    (free.min(tied), tied)
}

fn planner(
    world: &World,
    design: &MixtureTable,
    prior: &Mixture,
    share: f64,
    config: &DynamicConfig,
) -> Result<Planner> {
    let grid = config.grid()?;
    let runs = Segments::switching(design, share, &grid, 1)?;
    let table = world.proxies(&runs, 600, 30)?;
    let losses = StageLosses::new(&table, &grid, config.resample, None)?;
    let request = Request {
        objective: Objective::Mean,
        prior: prior.clone(),
        constraints: None,
        budget: None,
        target: TARGET,
        config: config.clone(),
    };
    Planner::fit(&Transitions::new(&losses, &runs)?, request)
}

struct Trees(DomainSet, Model);

impl Surface for Trees {
    fn domains(&self) -> &DomainSet {
        &self.0
    }
    fn value(&self, weights: &[f64]) -> f64 {
        self.1.mean(weights)
    }
    fn values(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        self.1.means(rows)
    }
}

/// RegMix: trees from mixtures to the loss at the end.
fn regmix(world: &World, design: &MixtureTable, prior: &Mixture) -> Result<Vec<f64>> {
    let table = world.proxies(&Segments::fixed(design), 600, 30)?;
    let losses = table.final_losses()?;
    let values = losses
        .rows()
        .iter()
        .map(|r| r.iter().sum::<f64>() / r.len() as f64);
    let rows = design.mixtures().iter().map(Mixture::weights);
    let model = regressor("gbdt")?.fit(&Samples::new(rows, values.collect())?, 0)?;
    let domains = world.domains().clone();
    let options = SimulateOptions {
        draws: 20_000,
        ..SimulateOptions::default()
    };
    let free = Constraints::none(domains.clone());
    Ok(simulate(&Trees(domains, model), prior, &free, &options)?
        .mixture
        .weights()
        .to_vec())
}

//! Times of fitting, planning and deciding, on 512 runs of a simulated world
//! with 17 domains: `cargo run --release -p regmix-dynamic --example timings`

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::time::Instant;

use regmix_data::design::{Maximin, Sampler, Space};
use regmix_data::{Mixture, Result, Silent, random::stream};
use regmix_dynamic::simulator::{World, WorldOptions};
use regmix_dynamic::{
    Controller, DynamicConfig, Dynamics, Planner, Request, RunLength, Segments, StageAccuracy,
    StageLosses, State, Transitions,
};
use regmix_regress::Objective;

fn main() -> Result<()> {
    let world = World::new(WorldOptions {
        domains: 17,
        drift: 0.7,
        ..WorldOptions::default()
    })?;
    let prior = Mixture::uniform(world.domains().clone());
    let design = Maximin {
        pool: 4,
        ..Maximin::default()
    }
    .draw(
        &Space::new(prior.clone()),
        512,
        &mut stream(1, "timings", "design"),
    )?
    .into_table()?;
    let grid = DynamicConfig::paper().grid()?;
    let runs = Segments::switching(&design, 0.25, &grid, 1)?;
    let table = world.proxies(&runs, 600, 30)?;
    let losses = StageLosses::new(&table, &grid, DynamicConfig::paper().resample, None)?;
    let rows = Transitions::new(&losses, &runs)?;
    println!(
        "{} rows, {} threads",
        rows.rows().len(),
        rayon::current_num_threads()
    );
    let scalar = DynamicConfig {
        state: State::Objective,
        ..DynamicConfig::improved()
    };
    let plain = DynamicConfig {
        bootstrap: 0,
        static_unless: 0.0,
        ..DynamicConfig::improved()
    };
    for (name, config) in [
        ("paper (gbdt, C = 100 000)", DynamicConfig::paper()),
        ("improved, no bootstrap", plain),
        ("improved, 20 refits", DynamicConfig::improved()),
        ("improved, scalar state", scalar),
    ] {
        let target = RunLength {
            steps: 6_000,
            tokens: 6_000_000,
        };
        let request = Request {
            objective: Objective::Mean,
            prior: prior.clone(),
            constraints: None,
            budget: None,
            target,
            config: config.clone(),
        };
        let start = Instant::now();
        let planner = Planner::fit(&rows, request)?;
        let fit = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let schedule = planner.schedule()?;
        let plan = start.elapsed().as_secs_f64();
        println!("\n{name}: fit {fit:.2} s, plan {plan:.2} s");
        let mut controller = Controller::new(&planner, &schedule, "timings")?;
        let mut state = world
            .states(schedule.segments[0].mixture.weights(), &[])
            .remove(0);
        for prepared in [false, true] {
            let mut times = Vec::new();
            let mut again = controller.clone();
            for (stage, step) in controller.decision_steps().to_vec().into_iter().enumerate() {
                if prepared {
                    again.prepare()?;
                }
                let losses: BTreeMap<String, f64> = (world.targets().iter().cloned())
                    .zip(state.iter().map(|l| l / 1.4))
                    .collect();
                let start = Instant::now();
                again.observe(step, &losses)?;
                times.push(1e3 * start.elapsed().as_secs_f64());
                state = world.next(world.moment(stage), &state, again.mixture().weights());
            }
            let listed: Vec<String> = times.iter().map(|t| format!("{t:.1}")).collect();
            let what = if prepared { "prepared" } else { "drawing" };
            println!("  decisions ({what}), ms: {}", listed.join(", "));
            state = world
                .states(schedule.segments[0].mixture.weights(), &[])
                .remove(0);
        }
        controller.prepare()?;
        let judged = match config.state {
            State::Objective => rows.scalar(&Objective::Mean)?,
            State::Losses => rows.clone(),
        };
        let start = Instant::now();
        let accuracy = StageAccuracy::cross_validate(&judged, &config, 5, &Silent)?;
        println!(
            "  accuracy by held-out runs, mean over targets ({:.1} s):",
            start.elapsed().as_secs_f64()
        );
        for stage in 0..grid.stages() {
            let here: Vec<&StageAccuracy> = accuracy.iter().filter(|a| a.stage == stage).collect();
            let mean = |of: fn(&StageAccuracy) -> f64| {
                here.iter().map(|a| of(a)).sum::<f64>() / here.len() as f64
            };
            println!(
                "    stage {stage}: Spearman {:.4} (of falls {:.4}), MAE {:.4} (of the mean fall {:.4}), coverage {:.0}%",
                mean(|a| a.spearman),
                mean(|a| a.fall_spearman),
                mean(|a| a.mae),
                mean(|a| a.mae_of_mean),
                100.0 * mean(|a| a.coverage90)
            );
        }
    }
    Ok(())
}

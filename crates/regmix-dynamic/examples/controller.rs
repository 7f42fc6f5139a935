//! A controller in the loop of a trainer: it sees the losses of every validation, and
//! says when to change the mixture, and to what. Proxies and the target are simulated
//! here; a trainer in another language uses HTTP or JSON lines (`regmix online`).
//!
//! ```sh
//! cargo run --release -p regmix-dynamic --example controller
//! ```
#![allow(clippy::print_stdout)] // Its result goes there.

use std::collections::BTreeMap;

use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Mixture, Result};
use regmix_dynamic::{
    Controller, DynamicConfig, Planner, Point, Request, RunLength, Segments, StageLosses,
    Trajectories, Transitions,
};
use regmix_regress::Objective;

/// Training, simulated: text of the web is worth more early, code late.
#[derive(Default)]
struct Training {
    skill: f64,
}

impl Training {
    /// Trains up to a fraction of the run, and gives the loss on both domains.
    fn step(&mut self, done: f64, mixture: &[f64]) -> f64 {
        self.skill += mixture[0].sqrt() * (1.5 - done) + mixture[1].sqrt() * (0.5 + done);
        1.0 + 5.0 / (1.0 + self.skill).sqrt()
    }
}

/// Sixteen proxies, each on one mixture.
fn proxies() -> Result<(Trajectories, Segments)> {
    let mut table = Trajectories::new(DomainSet::from_names(["web", "code"])?);
    let mut design = String::from("run,web,code\n");
    for i in 0..16_u32 {
        let web = (f64::from(i) + 0.5) / 16.0;
        design += &format!("r{i},{web},{}\n", 1.0 - web);
        let mut training = Training::default();
        let points = (1..=60).map(|step| {
            let loss = training.step(step as f64 / 60.0, &[web, 1.0 - web]);
            Point {
                step,
                tokens: 100 * step,
                loss: vec![loss, loss],
            }
        });
        table.push(format!("r{i}"), points.collect())?;
    }
    let mixtures = MixtureTable::parse(&design, "design.csv".as_ref())?;
    Ok((table, Segments::fixed(&mixtures)))
}

fn main() -> Result<()> {
    let (trajectories, runs) = proxies()?;
    let config = DynamicConfig {
        stages: 3,
        ..DynamicConfig::default()
    };
    let losses = StageLosses::new(&trajectories, &config.grid()?, config.resample, None)?;
    let request = Request {
        objective: Objective::Mean,
        prior: Mixture::uniform(runs.domains().clone()),
        constraints: None,
        budget: None,
        target: RunLength {
            steps: 60,
            tokens: 6_000,
        },
        config,
    };
    let planner = Planner::fit(&Transitions::new(&losses, &runs)?, request)?;
    let mut controller = Controller::new(&planner, &planner.schedule()?, "example")?;
    println!("step  0: {:.2?}", controller.mixture().weights());

    let (mut steered, mut plain) = (Training::default(), Training::default());
    let (mut loss, mut on_one_mixture) = (f64::NAN, f64::NAN);
    for step in 1..=60 {
        let done = step as f64 / 60.0;
        on_one_mixture = plain.step(done, &[0.5, 0.5]);
        loss = steered.step(done, controller.mixture().weights());
        if step % 5 == 0 {
            let measured = ["web", "code"].map(|domain| (domain.to_owned(), loss));
            if let Some(mixture) = controller.observe(step, &BTreeMap::from(measured))? {
                println!("step {step:2}: {:.2?}, loss {loss:.3}", mixture.weights());
            }
        }
    }
    println!("at the end {loss:.4}; on the uniform mixture throughout {on_one_mixture:.4}");
    assert!(loss < on_one_mixture);
    Ok(())
}

use super::*;
use crate::record::{Segments, StageLosses};
use crate::simulator::{World, WorldOptions};
use regmix_data::design::{Maximin, Sampler, Space};
use regmix_data::random::stream;

const TOKENS: f64 = 5e6;

fn world() -> World {
    World::new(WorldOptions {
        domains: 4,
        stages: 3,
        drift: 1.0,
        ..WorldOptions::default()
    })
    .unwrap()
}

/// The schedule for a world of 64 proxies, with a budget of one epoch:
/// `exists` are tokens by domain as shares of those of the run.
fn planned(config: DynamicConfig, cap: Option<f64>, exists: [f64; 4]) -> Schedule {
    let world = world();
    let domains = world.domains().clone();
    let prior = Mixture::uniform(domains.clone());
    let config = DynamicConfig {
        stages: 3,
        draws: 4000,
        best: 32,
        bootstrap: 0,
        static_unless: 0.0,
        ..config
    };
    let grid = config.grid().unwrap();
    let design = Maximin::default()
        .draw(
            &Space::new(prior.clone()),
            64,
            &mut stream(3, "test", "design"),
        )
        .unwrap()
        .into_table()
        .unwrap();
    let runs = Segments::switching(&design, 0.5, &grid, 3).unwrap();
    let table = world.proxies(&runs, 400, 20).unwrap();
    let losses = StageLosses::new(&table, &grid, config.resample, None).unwrap();
    let open = Constraints::none(domains.clone());
    let request = Request {
        objective: Objective::Mean,
        prior,
        constraints: cap.map(|cap| open.with_cap("d0", cap).unwrap()),
        budget: Some(Budget {
            available: (domains.names().zip(exists))
                .map(|(d, share)| (d.to_owned(), share * TOKENS))
                .collect(),
            target_tokens: TOKENS,
            max_epochs: 1.0,
        }),
        target: RunLength {
            steps: 5000,
            tokens: TOKENS as u64,
        },
        config,
    };
    let planner = Planner::fit(&Transitions::new(&losses, &runs).unwrap(), request).unwrap();
    planner.schedule().unwrap()
}

/// One mixture for the whole run keeps to all bounds; the natural mixture in
/// the first segment would leave too little of two domains.
#[test]
fn a_cap_beside_a_budget_is_planned_for() {
    for base in [DynamicConfig::paper(), DynamicConfig::improved()] {
        let config = DynamicConfig {
            regressor: "ridge".to_owned(),
            ..base
        };
        let schedule = planned(config, Some(0.5), [200.0, 0.3, 0.25, 0.0]);
        for epochs in schedule.epochs.values() {
            assert!(*epochs < 1.0 + 1e-6, "{:?}", schedule.epochs);
        }
        for segment in &schedule.segments {
            assert!(segment.mixture.weights()[0] < 0.5 + 1e-6);
        }
    }
}

/// A domain that is used up stays within its tokens over all steps, each with
/// the mixture that is read at it, and means and epochs are those of the steps.
#[test]
fn what_ramps_read_counts() {
    for base in [DynamicConfig::paper(), DynamicConfig::improved()] {
        let config = DynamicConfig {
            regressor: "ridge".to_owned(),
            ramp: 1.0,
            ..base
        };
        let exists = [0.3, 0.3, 0.3, 0.3];
        let schedule = planned(config, None, exists);
        let mut read = [0.0; 4];
        for step in 0..schedule.target.steps {
            for (read, w) in read.iter_mut().zip(schedule.mixture_at(step)) {
                *read += w / schedule.target.steps as f64;
            }
        }
        for (d, (name, mean)) in schedule.mean.iter().enumerate() {
            let (true_mean, epochs) = (read[d], schedule.epochs[name.as_str()]);
            assert!((mean - true_mean).abs() < 1e-6, "{mean} {true_mean}");
            assert!((epochs - true_mean / exists[d]).abs() < 1e-5);
            assert!(epochs < 1.0 + 1e-5, "{epochs}");
            let parts: f64 = schedule
                .segments
                .iter()
                .map(|s| s.epochs[name.as_str()])
                .sum();
            assert!((parts - epochs).abs() < 1e-3, "{parts} {epochs}");
        }
        let moves = schedule.segments.windows(2);
        let most = moves.map(|s| s[1].mixture.tv_distance(&s[0].mixture));
        assert!(most.fold(0.0, f64::max) > 0.1, "mixtures that do not move");
    }
}

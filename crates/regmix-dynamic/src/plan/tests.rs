use super::*;
use crate::simulator::{World, WorldOptions};
use regmix_data::DomainSet;
use regmix_regress::Objective;

fn world(change: impl Fn(&mut WorldOptions)) -> World {
    let mut options = WorldOptions {
        domains: 4,
        stages: 4,
        ..WorldOptions::default()
    };
    change(&mut options);
    World::new(options).unwrap()
}

fn position(world: &World, first: &[f64]) -> Position {
    let at = world.grid().points()[0];
    Position {
        stage: 0,
        fraction: at,
        state: world.states(first, &[]).pop().unwrap(),
        used: first.iter().map(|w| at * w).collect(),
        previous: first.to_vec(),
    }
}

fn problem<'a>(
    world: &'a World,
    prior: &'a Mixture,
    config: &'a DynamicConfig,
    position: Position,
    budget: Option<Vec<f64>>,
) -> Problem<'a, World> {
    let goal = Objective::Mean.evaluator(world.targets()).unwrap();
    let constraints = Constraints::none(world.domains().clone());
    let bounds = Bounds {
        constraints,
        budget,
    };
    Problem::new(world, goal, prior, bounds, config, position)
}

fn paper() -> DynamicConfig {
    DynamicConfig {
        stages: 4,
        draws: 2000,
        best: 16,
        ..DynamicConfig::paper()
    }
}

fn improved() -> DynamicConfig {
    DynamicConfig {
        stages: 4,
        ..DynamicConfig::improved()
    }
}

/// The weight of the domains that are worth more early.
fn early(mixture: &[f64]) -> f64 {
    mixture.iter().step_by(2).sum()
}

#[test]
fn a_perfect_f_finds_the_switching_schedule() {
    let world = world(|o| o.drift = 1.5);
    let prior = Mixture::uniform(world.domains().clone());
    let mut values = Vec::new();
    for config in [paper(), improved()] {
        let problem = problem(
            &world,
            &prior,
            &config,
            position(&world, prior.weights()),
            None,
        );
        let plan = problem.solve().unwrap();
        let weights: Vec<f64> = plan.mixtures.iter().map(|m| early(m)).collect();
        assert!(weights[0] > 0.6 && weights[3] < 0.3, "{weights:?}");
        assert!(weights.windows(2).all(|w| w[0] > w[1]), "{weights:?}");
        values.push(plan.value);
        if let Some(single) = plan.single {
            let stay = problem.plan_value(&vec![single; 4]);
            assert!(plan.value < stay - 0.01, "{} {stay}", plan.value);
        }
    }
    assert!(values[1] <= values[0] + 1e-6, "{values:?}");
}

/// RegMix-D's two algorithms differ in the state only: with a perfect f and
/// no gap of scale they choose the same mixtures.
#[test]
fn online_and_offline_agree_where_f_is_perfect() {
    for forgetting in [0.0, 2.0] {
        let world = world(|o| (o.drift, o.forgetting) = (1.0, forgetting));
        let prior = Mixture::uniform(world.domains().clone());
        for config in [paper(), improved()] {
            let start = position(&world, prior.weights());
            let offline = problem(&world, &prior, &config, start.clone(), None)
                .solve()
                .unwrap();
            let mut here = start;
            for stage in 0..4 {
                let now = problem(&world, &prior, &config, here.clone(), None);
                let mixture = now.solve().unwrap().mixtures.swap_remove(0);
                let distance: f64 = (mixture.iter().zip(&offline.mixtures[stage]))
                    .map(|(a, b)| (a - b).abs())
                    .sum();
                // Descents end within their tolerance, draws to the bit.
                let near = if config.search == Search::Simulate {
                    1e-12
                } else {
                    0.05
                };
                assert!(distance < near, "stage {stage}: {distance}");
                now.take(&mut here.used, 0, &mixture);
                here.state = world.next(world.moment(stage), &here.state, &mixture);
                here.stage = stage + 1;
                here.fraction = world.grid().points()[stage + 1];
                here.previous = mixture;
            }
        }
    }
}

#[test]
fn one_mixture_is_best_where_values_do_not_change() {
    let world = world(|_| ());
    let prior = Mixture::uniform(world.domains().clone());
    let config = improved();
    let problem = problem(
        &world,
        &prior,
        &config,
        position(&world, prior.weights()),
        None,
    );
    let plan = problem.solve().unwrap();
    let stay = problem.plan_value(&vec![plan.single.unwrap(); 4]);
    assert!(stay - plan.value < 1e-4, "{}", stay - plan.value);
    for mixture in &plan.mixtures {
        let moved: f64 = mixture
            .iter()
            .zip(&plan.mixtures[0])
            .map(|(a, b)| (a - b).abs())
            .sum();
        assert!(moved < 0.15, "{:?}", plan.mixtures);
    }
}

#[test]
fn a_scarce_domain_is_kept_for_its_most_valuable_stage() {
    // Domain 3 is worth more late; there is enough of it for a tenth.
    let world = world(|o| o.drift = 1.0);
    let prior = Mixture::uniform(world.domains().clone());
    let budget = vec![1.0, 1.0, 1.0, 0.1];
    let mut used = Vec::new();
    for config in [paper(), improved()] {
        let start = position(&world, prior.weights());
        let problem = problem(&world, &prior, &config, start, Some(budget.clone()));
        let plan = problem.solve().unwrap();
        let mut taken = problem.position.used.clone();
        for (place, mixture) in plan.mixtures.iter().enumerate() {
            problem.take(&mut taken, place, mixture);
        }
        assert!(taken[3] <= 0.1 + 1e-6, "{taken:?}");
        used.push((plan.mixtures[0][3], plan.mixtures[3][3], plan.value));
    }
    let (greedy, ahead) = (used[0], used[1]);
    assert!(ahead.1 > ahead.0 + 0.05, "{used:?}");
    assert!(ahead.2 < greedy.2, "{used:?}");
}

/// The largest loss above that of the prior is smaller than where the mean is
/// what counts.
#[test]
fn a_worst_case_is_planned_for() {
    let world = world(|o| o.drift = 0.5);
    let prior = Mixture::uniform(world.domains().clone());
    let config = improved();
    let worst = |objective: &Objective| {
        let goal = |o: &Objective| o.evaluator(world.targets()).unwrap();
        let bounds = || Bounds {
            constraints: Constraints::none(world.domains().clone()),
            budget: None,
        };
        let start = position(&world, prior.weights());
        let problem = Problem::new(
            &world,
            goal(objective),
            &prior,
            bounds(),
            &config,
            start.clone(),
        );
        let plan = problem.solve().unwrap();
        let judge = Objective::Worst(Baseline::Natural);
        let judge = Problem::new(&world, goal(&judge), &prior, bounds(), &config, start);
        let end = judge.rollout(&plan.mixtures).pop().unwrap();
        judge.goal.cost(&end, judge.baseline(3))
    };
    let (asked, mean) = (
        worst(&Objective::Worst(Baseline::Natural)),
        worst(&Objective::Mean),
    );
    assert!(asked < mean - 1e-3 && asked < 0.0, "{asked} {mean}");
}

#[test]
fn slopes_of_a_plan_agree_with_differences() {
    let world = world(|o| (o.drift, o.forgetting, o.need) = (0.7, 1.0, 3.0));
    let prior = Mixture::uniform(world.domains().clone());
    let config = improved();
    let start = position(&world, prior.weights());
    let mixtures = vec![
        vec![0.4, 0.3, 0.2, 0.1],
        vec![0.1, 0.2, 0.3, 0.4],
        vec![0.25; 4],
        vec![0.7, 0.1, 0.1, 0.1],
    ];
    for ramp in [0.0, 0.8] {
        let problem = problem(&world, &prior, &config, start.clone(), None).with_ramp(ramp);
        let (state, before) = (&problem.position.state, &problem.position.previous);
        let (value, slopes) = problem.slopes(0, state, before, &mixtures);
        assert_eq!(value, problem.plan_value(&mixtures));
        let first = OneStage {
            problem: &problem,
            state,
            before,
            place: 0,
            later: &mixtures[1..],
        };
        let values = first.values(&mixtures[..1]);
        assert!((values[0] - value).abs() < 1e-12);
        for (place, slopes) in slopes.unwrap().iter().enumerate() {
            for (d, slope) in slopes.iter().enumerate() {
                let moved = |by: f64| {
                    let mut m = mixtures.clone();
                    m[place][d] += by;
                    problem.plan_value(&m)
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (difference - slope).abs() < 1e-3 * difference.abs().max(0.01),
                    "{place} {d}: {difference} {slope}"
                );
            }
        }
    }
}

#[test]
fn bounds_without_a_mixture_are_errors() {
    let domains = DomainSet::from_names(["a", "b"]).unwrap();
    let bounds = Bounds {
        constraints: Constraints::none(domains).with_floor("a", 0.5).unwrap(),
        budget: Some(vec![1.0, 0.2]),
    };
    // All of b is taken: a must be everything.
    let rest = bounds.of_stage(0.5, &[0.3, 0.2], 0.0).unwrap();
    assert!(rest.caps()[1] < 1e-9);
    let near = bounds.near(&rest, &[&[0.2, 0.8]], Some(0.1)).unwrap_err();
    assert_eq!(near.field_name(), Some("trust"));
}

/// Early stages leave to later ones what these need beside caps and groups. In
/// the last case one mixture alone keeps to all bounds, in all stages.
#[test]
fn caps_and_groups_beside_a_budget_leave_room_for_later_stages() {
    let world = world(|o| o.drift = 1.0);
    let open = Constraints::none(world.domains().clone());
    let capped = open.clone().with_cap("d0", 0.5).unwrap();
    let grouped = open.with_group("g", &["d0", "d3"], 0.0, 0.5).unwrap();
    for (constraints, budget) in [
        (&capped, [1.0, 0.5, 0.1, 0.0]),
        (&grouped, [1.0, 0.5, 0.1, 0.0]),
        (&capped, [1.0, 0.4, 0.1, 0.0]),
    ] {
        let whole = Bounds {
            constraints: constraints.clone(),
            budget: Some(budget.to_vec()),
        };
        let rest = 1.0 - budget[1] - 0.5;
        let prior = vec![0.5, budget[1], rest, 0.0];
        let prior = Mixture::new(world.domains().clone(), prior).unwrap();
        for config in [paper(), improved()] {
            for trust in [None, Some(0.2)] {
                let config = DynamicConfig {
                    trust,
                    ..config.clone()
                };
                let start = position(&world, prior.weights());
                let goal = Objective::Mean.evaluator(world.targets()).unwrap();
                let problem = Problem::new(&world, goal, &prior, whole.clone(), &config, start);
                let plan = problem.solve().unwrap();
                let repaired = problem.repaired(&plan.mixtures).unwrap();
                for mixtures in [&plan.mixtures, &repaired] {
                    let mut taken = problem.position.used.clone();
                    for (place, mixture) in mixtures.iter().enumerate() {
                        assert!(constraints.allows(mixture), "{mixture:?}");
                        problem.take(&mut taken, place, mixture);
                    }
                    let over = taken.iter().zip(&budget).any(|(t, b)| *t > b + 1e-6);
                    assert!(!over, "{taken:?} of {budget:?}");
                }
            }
        }
    }
}

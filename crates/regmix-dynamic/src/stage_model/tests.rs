use super::*;
use crate::config::{Outcome, State};
use crate::record::{Segments, StageLosses};
use crate::simulator::{World, WorldOptions};
use regmix_data::design::{Maximin, Sampler, Space};
use regmix_data::{Mixture, random::stream};

fn world() -> World {
    World::new(WorldOptions {
        domains: 3,
        stages: 2,
        noise: 0.001,
        ..WorldOptions::default()
    })
    .unwrap()
}

fn rows(world: &World, share: f64) -> Transitions {
    let prior = Mixture::uniform(world.domains().clone());
    let design = Maximin::default()
        .draw(&Space::new(prior), 48, &mut stream(2, "test", "design"))
        .unwrap()
        .into_table()
        .unwrap();
    let grid = world.grid().clone();
    let runs = Segments::switching(&design, share, &grid, 2).unwrap();
    let table = world.proxies(&runs, 300, 15).unwrap();
    let losses = StageLosses::new(&table, &grid, Default::default(), None).unwrap();
    Transitions::new(&losses, &runs).unwrap()
}

fn config(regressor: &str, outcome: Outcome, per_stage: bool) -> DynamicConfig {
    DynamicConfig {
        stages: 2,
        regressor: regressor.to_owned(),
        outcome,
        per_stage,
        state: State::Losses,
        ..DynamicConfig::improved()
    }
}

/// The mean error against the world, over some states and mixtures.
fn error(world: &World, model: &StageModel) -> f64 {
    let mut sum = 0.0;
    let mixtures = [[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.3, 0.4, 0.3]];
    for before in &mixtures {
        let state = world.states(before, &[]).remove(0);
        for mixture in &mixtures {
            for stage in 0..2 {
                let at = world.moment(stage);
                let pairs = world
                    .next(at, &state, mixture)
                    .into_iter()
                    .zip(model.next(at, &state, mixture));
                sum += pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / 54.0;
            }
        }
    }
    sum
}

#[test]
fn any_regressor_can_be_the_stage_model() {
    let world = world();
    let rows = rows(&world, 0.5);
    for (regressor, outcome, per_stage, bound) in [
        (SMOOTH, Outcome::LogRatio, true, 0.03),
        ("ridge", Outcome::Difference, true, 0.2),
        ("ridge", Outcome::LogRatio, false, 0.3),
        ("linear", Outcome::Next, true, 0.2),
        ("gbdt", Outcome::Next, false, 0.3),
        ("gbdt", Outcome::LogRatio, false, 0.3),
        ("gp", Outcome::LogRatio, true, 0.1),
        ("law1", Outcome::Next, true, 0.2),
    ] {
        let model = StageModel::fit(&rows, &config(regressor, outcome, per_stage)).unwrap();
        model.check().unwrap();
        let error = error(&world, &model);
        assert!(error < bound, "{regressor} {outcome:?}: {error}");
        let text = serde_json::to_string(&model).unwrap();
        let back: StageModel = serde_json::from_str(&text).unwrap();
        assert_eq!(back, model);
        let (at, state) = (world.moment(1), [3.0, 3.1, 3.2]);
        let mixtures = vec![vec![0.2, 0.3, 0.5], vec![1.0, 0.0, 0.0]];
        let many = model.next_many(at, &state, &mixtures);
        for (mixture, many) in mixtures.iter().zip(many.chunks(3)) {
            let each = model.next_each(at, &[state.to_vec()], mixture);
            for ((a, b), c) in model
                .next(at, &state, mixture)
                .iter()
                .zip(many)
                .zip(&each[0])
            {
                assert!((a - b).abs() < 1e-9 && (a - c).abs() < 1e-9, "{regressor}");
            }
            assert!(
                model
                    .sd(at, &state, mixture)
                    .iter()
                    .all(|s| *s > 0.0 && s.is_finite())
            );
        }
    }
}

/// Useful weights lower the next loss, and raise its fall and the logarithm of
/// the ratio, which these laws cannot do; exponentials can.
#[test]
fn laws_describe_the_next_loss_whatever_the_outcome() {
    let world = world();
    let rows = rows(&world, 0.5);
    for (regressor, bound) in [("law1", 0.04), ("law1+gp", 0.03), ("ensemble", 0.03)] {
        let of = |outcome| StageModel::fit(&rows, &config(regressor, outcome, true)).unwrap();
        let next = of(Outcome::Next);
        assert_eq!(of(Outcome::LogRatio), next, "{regressor}");
        assert_eq!(of(Outcome::Difference), next, "{regressor}");
        let error = error(&world, &next);
        assert!(error < bound, "{regressor}: {error}");
    }
    let dml = |outcome| StageModel::fit(&rows, &config("dml", outcome, true)).unwrap();
    assert_ne!(dml(Outcome::LogRatio), dml(Outcome::Next));
}

#[test]
fn slopes_agree_with_differences() {
    let world = world();
    let rows = rows(&world, 0.5);
    let (state, mixture) = (vec![3.0, 3.2, 3.1], vec![0.3, 0.5, 0.2]);
    for (regressor, outcome, per_stage) in [
        (SMOOTH, Outcome::LogRatio, true),
        ("ridge", Outcome::Difference, true),
        ("gp", Outcome::LogRatio, false),
        ("law1", Outcome::Next, true),
    ] {
        let model = StageModel::fit(&rows, &config(regressor, outcome, per_stage)).unwrap();
        let at = model.moment(1);
        let slopes = model.slopes(at, &state, &mixture).unwrap();
        for i in 0..3 {
            let moved = |of: &[f64], by: f64| {
                let mut of = of.to_vec();
                of[i] += by;
                of
            };
            let h = 1e-5;
            let up = model.next(at, &state, &moved(&mixture, h));
            let down = model.next(at, &state, &moved(&mixture, -h));
            let more = model.next(at, &moved(&state, h), &mixture);
            let less = model.next(at, &moved(&state, -h), &mixture);
            for (t, (by_mixture, by_state)) in
                (slopes.by_mixture.iter().zip(&slopes.by_state)).enumerate()
            {
                for (slope, high, low) in [
                    (by_mixture[i], up[t], down[t]),
                    (by_state[i], more[t], less[t]),
                ] {
                    let difference = (high - low) / (2.0 * h);
                    assert!(
                        (slope - difference).abs() < 1e-4 * difference.abs().max(0.1),
                        "{regressor} {t} {i}: {slope} {difference}"
                    );
                }
            }
        }
    }
    let trees = StageModel::fit(&rows, &config("gbdt", Outcome::Next, false)).unwrap();
    assert!(trees.slopes(trees.moment(0), &state, &mixture).is_none());
}

/// Below all proxies' losses, where a target's are, trees say the same
/// whatever is measured; a smooth model extrapolates.
#[test]
fn trees_saturate_and_smooth_models_do_not() {
    let world = world();
    let rows = rows(&world, 0.5);
    let lowest = rows
        .rows()
        .iter()
        .flat_map(|r| &r.next)
        .fold(f64::INFINITY, |a, b| a.min(*b));
    let exact = StageModel::fit(&rows, &config("gbdt", Outcome::Next, false)).unwrap();
    let smooth = StageModel::fit(&rows, &config(SMOOTH, Outcome::LogRatio, true)).unwrap();
    let mixture = vec![1.0 / 3.0; 3];
    let spread = |model: &StageModel| {
        let next = |share: f64| model.next(model.moment(1), &[share * lowest; 3], &mixture)[0];
        (next(0.99) - next(0.90)).abs()
    };
    assert_eq!(spread(&exact), 0.0);
    assert!(spread(&smooth) > 0.02 * lowest, "{}", spread(&smooth));
}

#[test]
fn static_proxies_leave_the_state_out() {
    let world = world();
    let model =
        StageModel::fit(&rows(&world, 0.0), &config(SMOOTH, Outcome::LogRatio, true)).unwrap();
    let at = model.moment(0);
    // What a stage adds does not depend on other targets' losses.
    let slopes = model
        .slopes(at, &[3.0, 3.0, 3.0], &[0.3, 0.3, 0.4])
        .unwrap();
    assert!(slopes.by_state[0][1].abs() < 1e-12 && slopes.by_state[0][0] > 0.1);
    assert!(error(&world, &model) < 0.05, "{}", error(&world, &model));
}

use super::*;
use crate::config::DynamicConfig;
use crate::dynamics::Dynamics;
use crate::record::{Segments, StageLosses, Transitions};
use crate::schedule::{Request, RunLength};
use crate::simulator::{World, WorldOptions};
use proptest::prelude::*;
use regmix_data::design::{Maximin, Sampler, Space};
use regmix_data::random::stream;
use regmix_regress::{Budget, Constraints, Objective};

fn world() -> World {
    World::new(WorldOptions {
        domains: 3,
        stages: 3,
        drift: 1.0,
        ..WorldOptions::default()
    })
    .unwrap()
}

pub(super) fn controller(base: DynamicConfig) -> Controller {
    let world = world();
    let prior = Mixture::uniform(world.domains().clone());
    let config = DynamicConfig {
        stages: 3,
        draws: 500,
        best: 8,
        bootstrap: 0,
        static_unless: 0.0,
        ..base
    };
    let grid = config.grid().unwrap();
    let design = Maximin::default()
        .draw(
            &Space::new(prior.clone()),
            40,
            &mut stream(5, "test", "design"),
        )
        .unwrap()
        .into_table()
        .unwrap();
    let runs = Segments::switching(&design, 0.5, &grid, 5).unwrap();
    let table = world.proxies(&runs, 400, 20).unwrap();
    let losses = StageLosses::new(&table, &grid, config.resample, None).unwrap();
    let tokens = |d: &str| (d.to_owned(), 4e5);
    let request = Request {
        objective: Objective::Mean,
        constraints: Some(
            Constraints::none(world.domains().clone())
                .with_group("g", &["d0", "d1"], 0.1, 0.9)
                .unwrap(),
        ),
        budget: Some(Budget {
            available: world.domains().names().map(tokens).collect(),
            target_tokens: 1e6,
            max_epochs: 2.0,
        }),
        prior,
        target: RunLength {
            steps: 1000,
            tokens: 1_000_000,
        },
        config,
    };
    let planner = Planner::fit(&Transitions::new(&losses, &runs).unwrap(), request).unwrap();
    Controller::new(&planner, &planner.schedule().unwrap(), "study-1").unwrap()
}

fn losses(values: [f64; 3]) -> BTreeMap<String, f64> {
    (0..3).map(|i| (format!("d{i}"), values[i])).collect()
}

/// What a target of the world would report, its losses a factor below.
fn report(fraction: f64) -> BTreeMap<String, f64> {
    let fall = |from: f64| (from - 1.2 * fraction) / 1.4;
    losses([fall(4.5), fall(5.0), fall(4.8)])
}

#[test]
fn decisions_come_at_stage_points_and_only_there() {
    for base in [DynamicConfig::paper(), DynamicConfig::improved()] {
        let mut c = controller(base);
        assert_eq!(c.decision_steps(), [250, 500, 750]);
        let mut changed = Vec::new();
        for step in (50..=1000).step_by(50) {
            if let Some(mixture) = c.observe(step, &report(step as f64 / 1000.0)).unwrap() {
                assert_eq!(&mixture, c.mixture());
                changed.push(step);
            }
        }
        assert_eq!(changed, [250, 500, 750]);
        assert_eq!(c.state().decisions().len(), 3);
        let spent: f64 = c.state().used.iter().sum();
        assert!((spent - 0.75).abs() < 1e-9);
    }
}

#[test]
fn wrong_observations_are_refused_and_change_nothing() {
    let mut c = controller(DynamicConfig::improved());
    c.observe(100, &report(0.1)).unwrap();
    c.observe(260, &report(0.26)).unwrap();
    let before = c.clone();
    let mut strange = report(0.3);
    strange.insert("law".into(), 3.0);
    let mut part = report(0.6);
    part.remove("d1");
    let nan = losses([f64::NAN, 3.0, 3.0]);
    for (step, losses, expected) in [
        (100, report(0.1), "step 100 comes after step 260"),
        (1001, report(1.0), "after the end"),
        (300, nan, "loss NaN"),
        (300, losses([f64::INFINITY, 3.0, 3.0]), "loss inf"),
        (300, losses([0.0, 3.0, 3.0]), "loss 0"),
        (300, losses([-1.0, 3.0, 3.0]), "loss -1"),
        (300, strange, "unknown loss `law`"),
        (600, part, "missing: d1"),
    ] {
        let error = c.observe(step, &losses).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert_eq!(c.mixture(), before.mixture());
        assert_eq!(c.state.decisions, before.state.decisions);
        assert_eq!(c.state.last_step, Some(260));
    }
    // The last one again is no harm.
    assert_eq!(c.observe(260, &report(0.26)).unwrap(), None);
    // What was due is due again.
    assert!(c.observe(601, &report(0.6)).unwrap().is_some());
    assert_eq!(c.state().decisions()[1].stage, 1);
}

#[test]
fn losses_that_cannot_be_are_refused_until_they_are_confirmed() {
    let mut c = controller(DynamicConfig::improved());
    let far = |loss: f64| losses([loss, 3.0, 3.0]);
    // The first observation, then one after the scale is known.
    for (step, impossible) in [(250, [1e308, 40.0, 1e-3]), (500, [1e6, 8.0, 0.9])] {
        let before = c.clone();
        for loss in impossible {
            let error = c.observe(step, &far(loss)).unwrap_err();
            assert!(error.to_string().contains("cannot be: about"), "{error}");
            assert_eq!(error.field_name(), Some("d0"));
            assert_eq!(c.state.decisions, before.state.decisions);
        }
        assert!(c.observe(step, &report(step as f64 / 1000.0)).is_ok());
        assert_eq!(c.state.decisions.len(), before.state.decisions.len() + 1);
    }
    // A run that really went wrong: three reports in a row that agree.
    let mut wrong = c.clone();
    assert!(wrong.observe(510, &far(9.0)).is_err());
    assert!(
        wrong.observe(510, &far(9.0)).is_err(),
        "the same report again"
    );
    assert!(wrong.observe(520, &far(8.8)).is_err());
    assert_eq!(wrong.observe(530, &far(9.1)).unwrap(), None);
    // Reports that disagree, or are beyond all losses, are never believed.
    let mut wild = c.clone();
    for (i, loss) in [9.0, 18.0, 9.0, 18.0, 9.0].into_iter().enumerate() {
        assert!(wild.observe(510 + i as u64, &far(loss)).is_err());
    }
    for step in 600..610 {
        assert!(c.observe(step, &far(1e9)).is_err());
    }
}

#[test]
fn a_correction_replaces_the_last_observation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.json");
    for base in [DynamicConfig::paper(), DynamicConfig::improved()] {
        let mut right = controller(base.clone());
        let mut corrected = controller(base);
        for step in [250, 500] {
            let good = report(step as f64 / 1000.0);
            let mut bad = good.clone();
            bad.insert("d0".into(), 1.3 * good["d0"]);
            right.observe(step, &good).unwrap();
            corrected.observe(step, &bad).unwrap();
            assert_ne!(corrected.state.decisions, right.state.decisions);
            // Also after a restart.
            corrected.save_state(&path).unwrap();
            corrected.load_state(&path).unwrap();
            corrected.observe(step, &good).unwrap();
            assert_eq!(corrected, right);
        }
        // Between decisions, too.
        right.observe(600, &report(0.6)).unwrap();
        corrected.observe(600, &report(0.4)).unwrap();
        corrected.observe(600, &report(0.6)).unwrap();
        assert_eq!(corrected, right);
    }
}

#[test]
fn passed_stage_points_are_one_decision() {
    let mut c = controller(DynamicConfig::improved());
    assert!(c.observe(760, &report(0.76)).unwrap().is_some());
    assert_eq!(c.state().decisions().len(), 1);
    assert_eq!(c.state().decisions()[0].stage, 2);
    assert_eq!(c.observe(900, &report(0.9)).unwrap(), None);
}

#[test]
fn a_restart_gives_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let (setup, state) = (
        dir.path().join("online.json"),
        dir.path().join("state.json"),
    );
    for base in [DynamicConfig::paper(), DynamicConfig::improved()] {
        let mut steady = controller(base);
        steady.save(&setup).unwrap();
        std::fs::remove_file(&state).ok();
        for step in (125..=1000).step_by(125) {
            let mut fresh = Controller::load(&setup).unwrap();
            fresh.load_state(&state).unwrap();
            let losses = report(step as f64 / 1000.0);
            let answer = steady.observe(step, &losses).unwrap();
            assert_eq!(fresh.observe(step, &losses).unwrap(), answer);
            assert_eq!(fresh, steady);
            fresh.save_state(&state).unwrap();
        }
    }
}

/// The text of a file without its checksum, as earlier versions wrote it.
fn unsealed(path: &std::path::Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let at = text.rfind(",\n  \"checksum\"").unwrap();
    format!("{}\n}}\n", &text[..at])
}

#[test]
fn files_of_another_study_or_damaged_ones_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.json");
    let mut c = controller(DynamicConfig::improved());
    c.save_state(&path).unwrap();
    let text = unsealed(&path);
    for (from, to, expected) in [
        ("study-1", "study-2", "another study"),
        ("\"version\": 1", "\"version\": 7", "version 7"),
        ("\"next_stage\": 0", "\"next_stage\": 9", "damaged"),
        ("\"used\": [\n    0.0,", "\"used\": [", "damaged"),
        ("\"refused\"", "\"refusals\"", "refusals"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = c.load_state(&path).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    c.save(&path).unwrap();
    let text = unsealed(&path);
    let steps = "steps that are not those of the stage points";
    for (from, to, expected) in [
        ("\"version\": 2", "\"version\": 7", "version 7, expected 2"),
        (
            "\"least_gain\": 0.0",
            "\"least_gain\": -1.0",
            "a least gain",
        ),
        ("\"stages\": 3", "\"stages\": 4", steps),
        ("\"power\": ", "\"power\": -", "damaged stage model"),
        ("250,", "251,", steps),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = Controller::load(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{from}: {error}");
    }
}

#[test]
fn the_scale_is_measured_in_the_first_segment() {
    let mut c = controller(DynamicConfig::improved());
    let observed = losses([2.0, 2.5, 2.2]);
    c.observe(250, &observed).unwrap();
    let first = c.state().decisions()[0].clone();
    for (corrected, expected) in first.corrected.iter().zip(&first.expected) {
        assert!((corrected / expected - 1.0).abs() < 1e-12);
    }
    c.observe(500, &losses([1.8, 2.4, 2.1])).unwrap();
    let second = &c.state().decisions()[1];
    let factor = first.corrected[0] / 2.0;
    assert!((second.corrected[0] - 1.8 * factor).abs() < 1e-9);
}

#[test]
fn draws_made_beforehand_change_nothing() {
    let base = controller(DynamicConfig::paper());
    // A budget moves the caps with what was used: nothing is drawn then.
    let mut free = base.clone();
    free.setup.set_budget(None);
    for start in [base, free] {
        let (mut plain, mut ready) = (start.clone(), start);
        for step in [250, 500, 750] {
            ready.prepare().unwrap();
            let losses = report(step as f64 / 1000.0);
            assert_eq!(
                plain.observe(step, &losses).unwrap(),
                ready.observe(step, &losses).unwrap()
            );
        }
        assert_eq!(plain, ready);
    }
}

#[test]
fn a_plan_is_kept_unless_another_promises_more() {
    let mut c = controller(DynamicConfig {
        min_gain: 10.0,
        ..DynamicConfig::improved()
    });
    let planned = c.setup.schedule.clone();
    for (stage, step) in [250, 500, 750].into_iter().enumerate() {
        c.observe(step, &report(step as f64 / 1000.0)).unwrap();
        assert_eq!(c.mixture().weights(), planned[stage]);
        assert!(c.state().decisions()[stage].kept_plan);
    }
}

/// As that of a schedule with ramps, which takes other tokens than one without.
#[test]
fn a_plan_that_breaks_the_budget_is_not_kept() {
    let mut c = controller(DynamicConfig {
        min_gain: 10.0,
        ..DynamicConfig::improved()
    });
    let first = c.mixture().weights().to_vec();
    let taken: Vec<f64> = (0..3)
        .map(|d| 0.25 * (first[d] + c.setup.schedule.iter().map(|m| m[d]).sum::<f64>()))
        .collect();
    // All domains together have just enough; the scarce one lacks a tenth.
    let budget = vec![1.1 * taken[0], 1.1 * taken[1], 0.9 * taken[2]];
    c.setup.set_budget(Some(budget.clone()));
    for step in [250, 500, 750] {
        c.observe(step, &report(step as f64 / 1000.0)).unwrap();
    }
    assert!(!c.state().decisions()[0].kept_plan && c.state().decisions()[1].kept_plan);
    let used = &c.state().used;
    let last = c.mixture().weights();
    for d in 0..3 {
        assert!(
            used[d] + 0.25 * last[d] < 1.01 * budget[d] + 1e-6,
            "{d}: {used:?}"
        );
    }
}

#[test]
fn every_line_gets_an_answer() {
    let mut c = controller(DynamicConfig::improved());
    let mut say = |line: &str| protocol::answer(&mut c, line);
    let (text, changed) = say(r#"{"step":250,"losses":{"d0":3.0,"d1":3.1,"d2":3.2}}"#);
    assert!(changed && text.contains(r#""switch":true"#), "{text}");
    for (line, expected) in [
        ("", "not a request"),
        ("{", "not a request"),
        ("[1,2]", "not a request"),
        (r#"{"step":-1,"losses":{}}"#, "not a request"),
        (r#"{"step":300,"loss":{}}"#, "unknown field"),
        (r#"{"step":300}"#, "without"),
        (r#"{"step":300,"losses":{"d0":null}}"#, "loss NaN"),
        (r#"{"step":300,"losses":{"d0":1e999}}"#, "not a request"),
    ] {
        let (text, _) = say(line);
        assert!(
            text.starts_with(r#"{"ok":false,"switch":false,"mixture":{"#),
            "{text}"
        );
        assert!(
            text.contains(expected) && !text.contains('\n'),
            "{line}: {text}"
        );
    }
    for op in ["mixture", "state", "health"] {
        let (text, changed) = say(&format!(r#"{{"op":"{op}"}}"#));
        assert!(!changed && text.starts_with(r#"{"ok":true"#), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
    assert!(
        say(&" ".repeat(protocol::MAX_LINE + 1))
            .0
            .contains("a line of")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever is reported, in whatever order: an answer, a mixture in
    /// force that is one, and the same again from the same reports.
    #[test]
    fn nothing_panics_and_a_mixture_stays_in_force(
        reports in prop::collection::vec((0u64..1200, prop::array::uniform3(-1.0f64..9.0)), 1..12),
    ) {
        let start = controller(DynamicConfig::improved());
        let mut twice = [start.clone(), start];
        for (step, values) in &reports {
            let [a, b] = &mut twice;
            let answers = (a.observe(*step, &losses(*values)), b.observe(*step, &losses(*values)));
            prop_assert_eq!(answers.0.ok(), answers.1.ok());
            let weights = a.mixture().weights();
            prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(weights.iter().all(|w| *w >= 0.0));
            prop_assert_eq!(&*a, &*b);
        }
    }
}

#[test]
fn a_state_has_one_user_until_that_one_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("online.json");
    let first = StateLock::take(&state).unwrap();
    let error = StateLock::take(&state).unwrap_err();
    assert_eq!(
        error.problem(),
        "another process keeps the state of a run in this file"
    );
    assert_eq!(error.path(), Some(state.as_path()));
    drop(first);
    assert!(!dir.path().join("online.json.lock").exists());
    StateLock::take(&state).unwrap();
}

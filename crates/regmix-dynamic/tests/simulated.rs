//! Planning in worlds whose truth is known.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use regmix_data::design::{Maximin, Sampler, Space};
use regmix_data::table::MixtureTable;
use regmix_data::{Mixture, Monitor, Silent, random::stream};
use regmix_dynamic::simulator::{World, WorldOptions};
use regmix_dynamic::{
    Controller, DynamicConfig, Dynamics, Planner, Request, RunLength, Schedule, Segments,
    StageAccuracy, StageLosses, Transitions,
};
use regmix_regress::{Budget, Constraints, Objective};

fn world(change: impl Fn(&mut WorldOptions)) -> World {
    let mut options = WorldOptions {
        domains: 5,
        stages: 4,
        ..WorldOptions::default()
    };
    change(&mut options);
    World::new(options).unwrap()
}

fn config(base: DynamicConfig) -> DynamicConfig {
    DynamicConfig {
        stages: 4,
        draws: 4000,
        best: 32,
        bootstrap: 0,
        static_unless: 0.0,
        ..base
    }
}

fn prior(world: &World) -> Mixture {
    Mixture::uniform(world.domains().clone())
}

fn rows(world: &World, config: &DynamicConfig, proxies: usize, share: f64) -> Transitions {
    let design = Maximin::default()
        .draw(
            &Space::new(prior(world)),
            proxies,
            &mut stream(3, "test", "design"),
        )
        .unwrap()
        .into_table()
        .unwrap();
    let grid = config.grid().unwrap();
    let runs = Segments::switching(&design, share, &grid, 3).unwrap();
    let table = world.proxies(&runs, 500, 25).unwrap();
    let losses = StageLosses::new(&table, &grid, config.resample, None).unwrap();
    Transitions::new(&losses, &runs).unwrap()
}

fn request(world: &World, config: DynamicConfig) -> Request {
    Request {
        objective: Objective::Mean,
        prior: prior(world),
        constraints: None,
        budget: None,
        target: RunLength {
            steps: 5000,
            tokens: 5_000_000,
        },
        config,
    }
}

/// The objective at the end of a run of the world on a schedule.
fn truth(world: &World, schedule: &Schedule) -> f64 {
    let mixtures: Vec<Vec<f64>> = (schedule.segments.iter())
        .map(|s| s.mixture.weights().to_vec())
        .collect();
    let end = world.states(&mixtures[0], &mixtures[1..]).pop().unwrap();
    end.iter().sum::<f64>() / end.len() as f64
}

/// The weight of the domains that are worth more early.
fn early(schedule: &Schedule, segment: usize) -> f64 {
    schedule.segments[segment]
        .mixture
        .weights()
        .iter()
        .step_by(2)
        .sum()
}

/// Of a domain that all runs used alike, nobody knows what another share does.
#[test]
fn a_domain_of_constant_share_keeps_it_and_no_remainder_stays() {
    let world = world(|o| o.drift = 1.0);
    let config = config(DynamicConfig::improved());
    let draws = Maximin::default()
        .draw(
            &Space::new(prior(&world)),
            64,
            &mut stream(3, "test", "design"),
        )
        .unwrap()
        .into_table()
        .unwrap();
    let fixed = draws.iter().map(|(run, mixture)| {
        let rest: f64 = mixture.weights()[1..].iter().sum();
        let mut weights: Vec<f64> = mixture.weights().iter().map(|w| 0.8 * w / rest).collect();
        weights[0] = 0.2;
        let mixture = Mixture::normalized(mixture.domains().clone(), weights).unwrap();
        (run.to_owned(), mixture)
    });
    let design = MixtureTable::new(draws.domains().clone(), fixed).unwrap();
    let grid = config.grid().unwrap();
    let runs = Segments::switching(&design, 0.5, &grid, 3).unwrap();
    let table = world.proxies(&runs, 500, 25).unwrap();
    let losses = StageLosses::new(&table, &grid, config.resample, None).unwrap();
    let rows = Transitions::new(&losses, &runs).unwrap();
    let schedule = |request| Planner::fit(&rows, request).unwrap().schedule().unwrap();
    let asked = request(&world, config);
    let planned = schedule(asked.clone());
    let mut zeros = 0;
    for segment in &planned.segments[1..] {
        let weights = segment.mixture.weights();
        assert!((weights[0] - 0.2).abs() < 1e-9, "{weights:?}");
        assert!(
            weights.iter().all(|w| *w == 0.0 || *w >= 1e-6),
            "{weights:?}"
        );
        zeros += weights.iter().filter(|w| **w == 0.0).count();
    }
    assert!(zeros > 0, "some weights are remainders of the search");
    let said = |schedule: &Schedule, words: &str| schedule.notes.iter().any(|n| n.contains(words));
    assert!(said(&planned, "has the same share in every run (20.0 %)"));
    // A limit of the user's comes first, and is said to lead into the unknown.
    let caps = [0.1, 1.0, 1.0, 1.0, 1.0];
    let domains = world.domains().clone();
    let limits = Constraints::from_parts(domains, &[0.0; 5], &caps, &[]).unwrap();
    let limited = schedule(Request {
        constraints: Some(limits),
        ..asked
    });
    assert!(limited.segments[1].mixture.weights()[0] <= 0.1 + 1e-9);
    assert!(said(&limited, "which the limits do not allow"));
}

/// The paper's f does worse: under drift, the losses of static proxies show it
/// which mixtures there were, not what they do.
#[test]
fn the_drift_is_found_from_proxies() {
    let world = world(|o| o.drift = 1.0);
    for share in [0.0, 0.5] {
        let config = config(DynamicConfig::improved());
        let rows = rows(&world, &config, 96, share);
        let planner = Planner::fit(&rows, request(&world, config)).unwrap();
        let schedule = planner.schedule().unwrap();
        let falls = early(&schedule, 0) - early(&schedule, 4);
        assert!(falls > 0.2, "{share}: {falls}");
        let exact =
            Planner::fit(&rows, request(&world, self::config(DynamicConfig::paper()))).unwrap();
        let exact = truth(&world, &exact.schedule().unwrap());
        assert!(truth(&world, &schedule) < exact - 0.02, "{share}: {exact}");
    }
}

#[test]
fn no_gain_is_invented_where_the_best_mixture_does_not_change() {
    for seed in 0..3 {
        let world = world(|o| o.seed = seed);
        let config = DynamicConfig {
            bootstrap: 12,
            ..config(DynamicConfig::improved())
        };
        let planner =
            Planner::fit(&rows(&world, &config, 64, 0.5), request(&world, config)).unwrap();
        let schedule = planner.schedule().unwrap();
        let gain = schedule.gain.unwrap();
        assert!(
            schedule.fell_back || gain.mean < 0.01,
            "seed {seed}: {gain:?}"
        );
    }
}

#[test]
fn the_same_plan_on_any_number_of_threads() {
    let world = world(|o| o.drift = 0.5);
    let config = DynamicConfig {
        bootstrap: 3,
        ..config(DynamicConfig::improved())
    };
    let rows = rows(&world, &config, 40, 0.25);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            Planner::fit(&rows, request(&world, config.clone()))
                .unwrap()
                .schedule()
                .unwrap()
        })
    };
    assert_eq!(run(1), run(3));
}

/// A monitor that counts, and asks to stop after some plans.
struct StopAfter(AtomicI64, AtomicU64);

impl Monitor for StopAfter {
    fn advance(&self, by: u64) {
        self.0.fetch_sub(by as i64, Ordering::Relaxed);
        self.1.fetch_add(by, Ordering::Relaxed);
    }

    fn stop_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }
}

#[test]
fn planning_stops_when_asked_to_and_counts_its_plans() {
    let world = world(|_| {});
    let config = DynamicConfig {
        bootstrap: 6,
        ..config(DynamicConfig::improved())
    };
    let rows = rows(&world, &config, 40, 0.25);
    let planner = Planner::fit(&rows, request(&world, config)).unwrap();
    let stop_after = |plans: i64| StopAfter(plans.into(), 0.into());
    // On one thread: others could end their plans before they see the request.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let alone = alone.unwrap();
    for plans in [0, 1, 4] {
        let stopped = || planner.schedule_monitored(&stop_after(plans)).unwrap_err();
        assert!(alone.install(stopped).is_interrupted(), "{plans}");
        let stopped = || planner.accuracy(5, &stop_after(plans)).unwrap_err();
        assert!(alone.install(stopped).is_interrupted(), "{plans}");
    }
    let patient = stop_after(100);
    let schedule = planner.schedule_monitored(&patient).unwrap();
    assert_eq!(schedule, planner.schedule().unwrap());
    assert_eq!(patient.1.into_inner(), 1 + 6 + 3);
}

#[test]
fn epochs_are_limited_over_the_whole_schedule() {
    let world = world(|o| o.drift = 1.0);
    for base in [DynamicConfig::paper(), DynamicConfig::improved()] {
        let config = config(base);
        let free = request(&world, config.clone());
        let rows = rows(&world, &config, 64, 0.25);
        let open = Planner::fit(&rows, free.clone())
            .unwrap()
            .schedule()
            .unwrap();
        let domains = world.domains().names();
        // The domain with the largest share may have half of it.
        let (scarce, share) = (open.mean.iter())
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap();
        let scarce = scarce.to_string();
        let available = domains.map(|d| {
            let tokens = if d == scarce {
                0.5 * share * 5e6 / 2.0
            } else {
                5e6
            };
            (d.to_owned(), tokens)
        });
        let budget = Budget {
            available: available.collect(),
            target_tokens: 5e6,
            max_epochs: 2.0,
        };
        let tight = Request {
            budget: Some(budget),
            ..free
        };
        let schedule = Planner::fit(&rows, tight).unwrap().schedule().unwrap();
        let epochs = schedule.epochs[&scarce];
        assert!(epochs < 2.0 + 1e-3, "{epochs}");
        assert!(
            epochs > 1.8,
            "a scarce domain that helps is used up: {epochs}"
        );
        let sum: f64 = schedule.segments.iter().map(|s| s.epochs[&scarce]).sum();
        assert!((sum - epochs).abs() < 1e-3);
    }
}

/// Half of 12 runs is fewer than a stage model is fitted on.
#[test]
fn a_gain_that_cannot_be_measured_is_not_believed() {
    let world = world(|o| (o.drift, o.noise) = (1.5, 0.0));
    let plan = |static_unless: f64| {
        let config = DynamicConfig {
            bootstrap: 8,
            static_unless,
            ..config(DynamicConfig::improved())
        };
        let rows = rows(&world, &config, 12, 0.5);
        let planner = Planner::fit(&rows, request(&world, config)).unwrap();
        planner.schedule().unwrap()
    };
    let safe = plan(2.0);
    assert!(safe.fell_back && safe.gain.is_none(), "{:?}", safe.notes);
    let why = |s: &Schedule| s.notes.join(" ");
    assert!(why(&safe).contains("could not be measured, the best single"));
    assert!(why(&safe).contains("of 4 splits of the runs in halves gave none"));
    let segments = &safe.segments[1..];
    assert!(segments.windows(2).all(|l| l[0].mixture == l[1].mixture));
    let asked = plan(0.0);
    assert!(!asked.fell_back && asked.gain.is_none());
    assert!(why(&asked).contains("the schedule is kept without a check"));
    assert_ne!(asked.segments[1].mixture, asked.segments[4].mixture);
}

/// The mixtures online of a target whose losses differ from what proxies let
/// expect, and whether each decision kept the plan.
fn online(planner: &Planner, schedule: &Schedule) -> Vec<(Mixture, bool)> {
    let mut controller = Controller::new(planner, schedule, "test").unwrap();
    let steps = controller.decision_steps().to_vec();
    let names = controller.losses().to_vec();
    for (i, step) in steps.iter().enumerate() {
        let loss = |(d, name): (usize, &String)| {
            let spread = 1.0 + 0.1 * ((d + i) % 3) as f64;
            (name.clone(), (4.0 - 0.3 * i as f64) * spread)
        };
        let losses = names.iter().enumerate().map(loss).collect();
        controller.observe(*step, &losses).unwrap();
    }
    (controller.state().decisions().iter())
        .map(|d| (d.mixture.clone(), d.kept_plan))
        .collect()
}

#[test]
fn one_mixture_is_left_online_only_for_a_clear_promise() {
    let world = world(|o| o.noise = 0.02);
    let config = DynamicConfig {
        bootstrap: 12,
        ..config(DynamicConfig::improved())
    };
    let rows = rows(&world, &config, 64, 0.5);
    let plan = |config: DynamicConfig| {
        let planner = Planner::fit(&rows, request(&world, config)).unwrap();
        let schedule = planner.schedule().unwrap();
        (online(&planner, &schedule), schedule)
    };
    // So much is asked of a gain that none is clear.
    let (strict, schedule) = plan(DynamicConfig {
        static_unless: 1e3,
        ..config.clone()
    });
    assert!(schedule.fell_back && schedule.gain.is_some());
    let single = &schedule.segments[1].mixture;
    assert!(strict.iter().all(|(m, kept)| *kept && m == single));
    // Nothing is asked, and the same losses move the mixture.
    let (free, _) = plan(config.clone());
    assert!(free.iter().all(|(_, kept)| !kept));
    assert!(free.iter().any(|(m, _)| m.tv_distance(single) > 0.01));
    // Nothing can be measured: the mixture stays.
    let rows = self::rows(&world, &config, 12, 0.5);
    let config = DynamicConfig {
        static_unless: 2.0,
        ..config
    };
    let planner = Planner::fit(&rows, request(&world, config)).unwrap();
    let schedule = planner.schedule().unwrap();
    assert!(schedule.fell_back && schedule.gain.is_none());
    let decisions = online(&planner, &schedule);
    let single = &schedule.segments[1].mixture;
    assert!(decisions.iter().all(|(m, kept)| *kept && m == single));
}

#[test]
fn a_trust_region_bounds_every_step() {
    let world = world(|o| o.drift = 1.5);
    for base in [DynamicConfig::paper(), DynamicConfig::improved()] {
        let config = DynamicConfig {
            trust: Some(0.05),
            ..config(base)
        };
        let planner =
            Planner::fit(&rows(&world, &config, 64, 0.0), request(&world, config)).unwrap();
        let schedule = planner.schedule().unwrap();
        let mut moved: f64 = 0.0;
        for pair in schedule.segments.windows(2) {
            for (a, b) in pair[0]
                .mixture
                .weights()
                .iter()
                .zip(pair[1].mixture.weights())
            {
                moved = moved.max((a - b).abs());
            }
        }
        assert!(moved <= 0.05 + 1e-6 && moved > 0.02, "{moved}");
    }
}

#[test]
fn planning_ahead_beats_greed_where_skills_need_the_first() {
    let world = world(|o| {
        o.need = 6.0;
        o.noise = 0.0;
    });
    let run = |base: DynamicConfig| {
        let config = config(base);
        let planner =
            Planner::fit(&rows(&world, &config, 96, 0.5), request(&world, config)).unwrap();
        truth(&world, &planner.schedule().unwrap())
    };
    let ahead = run(DynamicConfig::improved());
    let greedy = run(DynamicConfig {
        lookahead: regmix_dynamic::Lookahead::Stage,
        first: regmix_dynamic::FirstMixture::Prior,
        ..DynamicConfig::improved()
    });
    assert!(ahead < greedy - 0.002, "{ahead} {greedy}");
}

#[test]
fn bad_requests_are_refused_before_work() {
    let world = world(|_| ());
    let config = config(DynamicConfig::improved());
    let rows = rows(&world, &config, 32, 0.0);
    type Change = fn(&mut Request);
    let changes: [(&str, Change); 6] = [
        ("unknown target", |r| r.objective = Objective::parse("law")),
        ("stage points", |r| r.config.stages = 3),
        ("expected at least one step", |r| r.target.steps = 3),
        ("draws", |r| r.config.best = 0),
        ("worst case", |r| {
            r.objective = Objective::parse("worst");
            r.config = DynamicConfig {
                stages: 4,
                ..DynamicConfig::paper()
            };
        }),
        ("unknown domain", |r| {
            let other = regmix_data::DomainSet::from_names(["x", "y"]).unwrap();
            r.prior = Mixture::uniform(other);
        }),
    ];
    for (said, change) in changes {
        let mut request = request(&world, config.clone());
        change(&mut request);
        let error = Planner::fit(&rows, request).unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
}

#[test]
fn accuracy_is_of_held_out_runs() {
    let world = world(|o| o.drift = 0.5);
    let config = config(DynamicConfig::improved());
    let good = rows(&world, &config, 64, 0.5);
    let judged = StageAccuracy::cross_validate(&good, &config, 4, &Silent).unwrap();
    assert_eq!(judged.len(), 4 * 5);
    for one in &judged {
        assert_eq!(one.rows, 64);
        assert!(one.spearman > 0.9 && one.mae < one.mae_of_mean, "{one:?}");
        assert!(one.fall_spearman > 0.7 && one.coverage90 > 0.7, "{one:?}");
    }
    // Trees that see the objective only are judged in the same way.
    let exact = self::config(DynamicConfig::paper());
    let scalar = good.scalar(&Objective::Mean).unwrap();
    let judged = StageAccuracy::cross_validate(&scalar, &exact, 3, &Silent).unwrap();
    assert_eq!(judged.len(), 4);
    assert!(judged.iter().all(|one| one.spearman > 0.8), "{judged:?}");
}

#[test]
fn refits_that_predict_impossible_losses_do_not_count() {
    // Few runs of many domains with much noise: some resampled runs leave a
    // stage model that predicts astronomical losses.
    let world = world(|o| {
        o.domains = 16;
        o.noise = 0.15;
    });
    let config = DynamicConfig {
        bootstrap: 20,
        static_unless: 2.0,
        ..config(DynamicConfig::improved())
    };
    let rows = rows(&world, &config, 16, 0.5);
    let planner = Planner::fit(&rows, request(&world, config)).unwrap();
    let schedule = planner.schedule().unwrap();
    let said = schedule.notes.join("\n");
    assert!(said.contains("the range of the measured ones"), "{said}");
    let spreads = (schedule.segments.iter()).flat_map(|s| s.predicted.values());
    let all = spreads.chain(&schedule.predicted).chain(&schedule.gain);
    for spread in all {
        assert!(spread.sd < 10.0 && spread.mean.abs() < 20.0, "{spread:?}");
    }
}

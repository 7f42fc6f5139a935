//! Limits, penalties and objectives on simulated losses.

mod common;

use std::collections::BTreeMap;

use common::{domains, losses, observations, quick};
use regmix_data::table::{Observations, ValueTable};
use regmix_data::{DomainSet, Mixture};
use regmix_regress::search::Surface;
use regmix_regress::{
    Baseline, Bound, Budget, Constraints, Fit, Front, Method, Objective, RecommendOptions,
    Recommendation, Scorer, Support, best_observed, pareto, recommend,
};

fn options() -> RecommendOptions {
    RecommendOptions {
        bootstrap: 0,
        ..RecommendOptions::default()
    }
}

fn fit() -> Fit {
    Fit::train(&observations(0.01), &quick()).unwrap()
}

#[test]
fn limits_of_groups_hold_and_are_reported() {
    let fit = fit();
    let none = Constraints::none(domains());
    let limited = none.with_group("text", &["web", "law"], 0.0, 0.3).unwrap();
    let found = recommend(
        &fit,
        &RecommendOptions {
            constraints: Some(limited.clone()),
            ..options()
        },
    )
    .unwrap();
    let get = |name: &str| found.mixture.get(name).unwrap();
    assert!((get("web") + get("law") - 0.3).abs() < 1e-9);
    let bound: Vec<_> = found
        .binding
        .iter()
        .map(|b| (b.name.as_str(), b.bound))
        .collect();
    assert_eq!(bound, [("text", Bound::GroupCap)]);
    // Inside the group the weights are the best ones: law has what web gives
    // to all others as well.
    let scorer = Scorer::new(&fit, &Objective::Mean).unwrap();
    for step in -20..=20 {
        let shift = 0.01 * f64::from(step);
        let (web, law) = (get("web") + shift, get("law") - shift);
        if web >= 0.0 && law >= 0.0 {
            let other = [web, get("code"), law, get("junk")];
            assert!(scorer.mean(&other) >= found.predicted.mean - 1e-6);
        }
    }
    let budget = Budget {
        available: [("web", 1e9), ("code", 1e9), ("law", 1e7), ("junk", 1e9)]
            .map(|(d, t)| (d.to_owned(), t))
            .into(),
        target_tokens: 1e9,
        max_epochs: 4.0,
    };
    let rare = Constraints::none(domains());
    let err = recommend(
        &fit,
        &RecommendOptions {
            constraints: Some(rare.with_group("rare", &["law"], 0.1, 1.0).unwrap()),
            budget: Some(budget),
            ..options()
        },
    )
    .unwrap_err();
    assert!(
        err.to_string().contains(
            "group `rare` needs at least 0.1 but the caps of its domains sum to 0.04: `law` 0.04"
        ),
        "{err}"
    );
}

#[test]
fn divergence_pulls_towards_the_natural_mixture() {
    let fit = fit();
    let at = |kl: f64| recommend(&fit, &RecommendOptions { kl, ..options() }).unwrap();
    let found = [0.0, 0.02, 0.2, 50.0].map(at);
    assert_eq!(found[0].divergence_penalty, None);
    let pulls: Vec<f64> = (found[1..].iter())
        .map(|r| r.divergence_penalty.as_ref().unwrap().divergence)
        .collect();
    assert!(pulls.is_sorted_by(|a, b| a > b), "{pulls:?}");
    // The objective is reported without the penalty.
    assert!(found.is_sorted_by(|a, b| a.predicted.mean <= b.predicted.mean + 1e-9));
    let natural = fit.natural().unwrap();
    assert!(found[3].mixture.tv_distance(&natural) < 0.01);
    assert_eq!(
        found[1].divergence_penalty.as_ref().unwrap().towards,
        "natural"
    );

    // A penalised search beats all others on the penalised value.
    let scorer = Scorer::new(&fit, &Objective::Mean)
        .unwrap()
        .with_kl(0.2, &natural)
        .unwrap();
    for other in [&found[0], &found[1], &found[3]] {
        assert!(scorer.value(found[2].mixture.weights()) <= scorer.value(other.mixture.weights()));
    }

    let gap = Mixture::new(domains(), vec![0.5, 0.3, 0.0, 0.2]).unwrap();
    let err = fit.with_natural(&gap).unwrap();
    let err = recommend(
        &err,
        &RecommendOptions {
            kl: 0.1,
            ..options()
        },
    )
    .unwrap_err();
    assert!(err.to_string().contains("no weight on `law`"), "{err}");
}

#[test]
fn distance_keeps_a_search_where_proxies_were() {
    let fit = fit();
    // The best for code alone is nearly all code, where no proxy is.
    let at = |distance: f64, method: Method| {
        recommend(
            &fit,
            &RecommendOptions {
                objective: Objective::parse("code"),
                distance,
                method,
                ..options()
            },
        )
        .unwrap()
    };
    let free = at(0.0, Method::Descend);
    assert!(free.penalties.is_none());
    assert!(free.support.far, "{:?}", free.support);
    let found = [0.05, 0.5, 20.0].map(|k| at(k, Method::Descend));
    let distances: Vec<f64> = found.iter().map(|r| r.support.distance).collect();
    assert!(distances[0] <= free.support.distance + 1e-6);
    assert!(
        distances.is_sorted_by(|a, b| *a >= *b - 1e-6),
        "{distances:?}"
    );
    // Dear enough, it holds, but for the rounded corners.
    assert!(distances[2] < free.support.limit + 0.01, "{distances:?}");
    // The objective is reported without the penalty, which is reported beside it.
    assert!(found[2].predicted.mean >= free.predicted.mean - 1e-9);
    let penalties = found[1].penalties.as_ref().unwrap();
    assert_eq!((penalties.distance, penalties.caution), (0.5, 0.0));
    assert!((penalties.cost - 0.5 * penalties.beyond).abs() < 1e-12);

    // A penalised search beats all others on the penalised value.
    let scorer = Scorer::new(&fit, &Objective::parse("code")).unwrap();
    let scorer = scorer.with_distance(0.5, &fit).unwrap();
    let value = |r: &Recommendation| scorer.value(r.mixture.weights());
    let drawn = at(0.5, Method::Simulate);
    for other in [&free, &found[0], &found[2], &drawn] {
        assert!(value(&found[1]) <= value(other) + 1e-4, "{found:?}");
    }
    assert!(drawn.penalties.is_some());
    let err = scorer.clone().with_distance(-1.0, &fit).unwrap_err();
    assert!(err.to_string().contains("not negative"), "{err}");
}

#[test]
fn derivatives_of_penalised_objectives_match_differences() {
    let fit = fit();
    let natural = fit.natural().unwrap();
    let weighted = [("web", 1.0), ("code", -0.4)].map(|(t, w)| (t.to_owned(), w));
    let objectives = [
        Objective::Mean,
        Objective::weighted(weighted.into()).unwrap(),
        Objective::Mean.maximize(),
        Objective::Worst(Baseline::None),
    ];
    let inside = [0.2, 0.3, 0.1, 0.4];
    let beyond = [0.02, 0.93, 0.03, 0.02];
    let all = objectives
        .into_iter()
        .flat_map(|o| [(o.clone(), inside), (o, beyond)]);
    for (objective, w) in all {
        let scorer = Scorer::new(&fit, &objective).unwrap();
        let scorer = (scorer.with_caution(1.5).with_kl(0.3, &natural))
            .and_then(|scorer| scorer.with_distance(0.7, &fit))
            .unwrap();
        let (value, gradient) = scorer.value_and_gradient(&w);
        assert_eq!(value, scorer.value(&w));
        let gradient = gradient.unwrap();
        assert_eq!(Some(&gradient), scorer.gradient(&w).as_ref());
        for (i, analytic) in gradient.iter().enumerate() {
            let moved = |h: f64| {
                let mut w = w;
                w[i] += h;
                scorer.value(&w)
            };
            let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!(
                (numeric - analytic).abs() < 1e-3 * (1.0 + numeric.abs()),
                "{objective} {i}: {numeric} {analytic}"
            );
        }
    }
}

#[test]
fn the_worst_target_is_made_as_good_as_can_be() {
    let fit = fit();
    for baseline in [Baseline::Natural, Baseline::Uniform, Baseline::None] {
        let worst = Objective::Worst(baseline);
        let found = recommend(
            &fit,
            &RecommendOptions {
                objective: worst.clone(),
                ..options()
            },
        )
        .unwrap();
        let from = match baseline {
            Baseline::Natural => fit.natural(),
            Baseline::Uniform => Some(Mixture::uniform(domains())),
            Baseline::None => None,
        };
        let from: Vec<f64> = match &from {
            Some(mixture) => fit
                .predict(mixture)
                .unwrap()
                .iter()
                .map(|p| p.mean)
                .collect(),
            None => vec![0.0; 3],
        };
        let gains: Vec<f64> = (found.targets.iter().zip(&from))
            .map(|(t, base)| t.predicted.mean - base)
            .collect();
        let largest = gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // What is reported is the true worst, not a smooth one.
        assert!((found.predicted.mean - largest).abs() < 1e-12);
        let scorer = Scorer::new(&fit, &worst).unwrap();
        for step in 0..2000 {
            let raw = [7, 11, 13, 17].map(|p| f64::from(step * p % 101) + 0.5);
            let other = Mixture::normalized(domains(), raw.to_vec()).unwrap();
            assert!(scorer.mean(other.weights()) >= found.predicted.mean - 2e-5);
        }
        // Nothing but the worst three is left to trade: they are level.
        assert!(
            gains.iter().all(|g| largest - g < 1e-3),
            "{baseline:?} {gains:?}"
        );
        assert!(found.predicted.sd > 0.0 && found.predicted.sd < 0.05);
    }
}

/// The study with scores instead of losses: higher is better.
fn scores() -> Observations {
    let o = observations(0.01);
    let rows = (o.values.runs().iter().zip(o.values.rows()))
        .map(|(run, row)| (run.clone(), row.iter().map(|loss| 5.0 - loss).collect()));
    let values = ValueTable::new(o.values.targets().to_vec(), rows.collect::<Vec<_>>()).unwrap();
    Observations::join(o.mixtures.clone(), values).unwrap()
}

#[test]
fn scores_are_made_large_and_shown_as_they_are() {
    let fit = Fit::train(&scores(), &quick()).unwrap();
    let find = |objective: Objective| {
        let bootstrap = 4;
        let options = RecommendOptions {
            objective,
            bootstrap,
            ..options()
        };
        recommend(&fit, &options).unwrap()
    };
    let up = find(Objective::parse("code").maximize());
    assert!(up.mixture.get("code").unwrap() > 0.7);
    // As with a negative weight, but for the sign of what is shown.
    let down = find(Objective::weighted([("code".to_owned(), -1.0)].into()).unwrap());
    assert_eq!(up.mixture, down.mixture);
    assert_eq!(up.predicted.mean, -down.predicted.mean);
    assert!(up.predicted.low < up.predicted.mean && up.predicted.mean < up.predicted.high);
    // The promise is the model's own prediction with what it flatters taken off.
    let promised = up.targets[1].predicted.mean - up.optimism.unwrap();
    assert!(up.optimism_taken_off && (promised - up.predicted.mean).abs() < 1e-12);
    for (a, b) in up.references.iter().zip(&down.references) {
        assert_eq!(a.gap, b.gap);
        assert!(a.gap.mean > 0.0 && a.predicted.mean < up.predicted.mean);
    }
    assert_eq!(up.optimism, down.optimism);
    let (_, _, best) = best_observed(&fit, &up.objective).unwrap().unwrap();
    let highest = (fit.observations().values.rows().iter())
        .map(|row| row[1])
        .fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(best, highest);

    // The least gain of any score over the uniform mixture.
    let least = find(Objective::Worst(Baseline::Uniform).maximize());
    let even = fit.predict(&Mixture::uniform(domains())).unwrap();
    let gains = least
        .targets
        .iter()
        .zip(&even)
        .map(|(t, e)| t.predicted.mean - e.mean);
    let smallest = gains.fold(f64::INFINITY, f64::min);
    let promised = smallest - least.optimism.unwrap_or(0.0);
    assert!(smallest > 0.0 && (promised - least.predicted.mean).abs() < 1e-12);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mixture.json");
    up.save(&path).unwrap();
    assert_eq!(Recommendation::load(&path).unwrap(), up);
    assert_eq!(Objective::Mean.maximize().maximize(), Objective::Mean);
}

#[test]
fn a_front_is_monotone_and_nothing_beats_it() {
    let fit = fit();
    let (code, law) = (Objective::parse("code"), Objective::parse("law"));
    let front = pareto(&fit, &code, &law, 9, &options()).unwrap();
    assert_eq!(front.points.len(), 9);
    let points = &front.points;
    assert!(points.is_sorted_by(|p, q| p.a.mean < q.a.mean && p.b.mean > q.b.mean));
    assert!(points.is_sorted_by(|p, q| p.weight < q.weight));
    let (first, last) = (&points[0], &points[8]);
    for (objective, end) in [(&code, first.a.mean), (&law, last.b.mean)] {
        let alone = recommend(
            &fit,
            &RecommendOptions {
                objective: objective.clone(),
                ..options()
            },
        )
        .unwrap();
        assert!((alone.predicted.mean - end).abs() < 1e-5);
    }
    // No mixture is better in both, and every point is the lowest of its sum.
    let (a, b) = (
        Scorer::new(&fit, &code).unwrap(),
        Scorer::new(&fit, &law).unwrap(),
    );
    for step in 0..3000 {
        let raw = [7, 11, 13, 17].map(|p| (f64::from(step * p % 101) / 40.0).exp());
        let other = Mixture::normalized(domains(), raw.to_vec()).unwrap();
        let (x, y) = (a.mean(other.weights()), b.mean(other.weights()));
        for p in points {
            assert!(!(x < p.a.mean - 1e-5 && y < p.b.mean - 1e-5));
            let sum = |x: f64, y: f64| (1.0 - p.weight) * x + p.weight * y;
            assert!(sum(x, y) >= sum(p.a.mean, p.b.mean) - 1e-5);
        }
    }
    let csv = front.to_csv();
    assert!(
        csv.starts_with("weight,code,code_low,code_high,law,law_low,law_high,web,code,law,junk\n")
    );
    assert_eq!(csv.lines().count(), 10);

    // With limits, with a worst case, and in the direction of each.
    let capped = RecommendOptions {
        constraints: Some(Constraints::none(domains()).with_cap("code", 0.5).unwrap()),
        ..options()
    };
    let worst = Objective::Worst(Baseline::Uniform);
    let front = pareto(&fit, &code, &worst, 5, &capped).unwrap();
    assert!(
        front
            .points
            .iter()
            .all(|p| p.mixture.get("code").unwrap() < 0.5 + 1e-9)
    );
    let scored = Fit::train(&scores(), &quick()).unwrap();
    let up: Front = pareto(
        &scored,
        &Objective::parse("code").maximize(),
        &Objective::parse("law"),
        4,
        &options(),
    )
    .unwrap();
    assert!(
        up.points
            .is_sorted_by(|p, q| p.a.mean > q.a.mean && p.b.mean > q.b.mean)
    );
    // Nothing to trade: one point.
    let same = pareto(&fit, &code, &code, 5, &options()).unwrap();
    assert_eq!(same.points.len(), 1);
    let err = pareto(&fit, &code, &law, 1, &options()).unwrap_err();
    assert!(err.to_string().contains("1 points by Descend"), "{err}");
}

#[test]
fn repetition_is_counted_and_unimax_compared_with() {
    let fit = fit();
    let available: BTreeMap<String, f64> =
        [("web", 1e9), ("code", 5e7), ("law", 1e9), ("junk", 1e9)]
            .map(|(d, t)| (d.to_owned(), t))
            .into();
    let found = recommend(
        &fit,
        &RecommendOptions {
            budget: Some(Budget {
                available,
                target_tokens: 1e9,
                max_epochs: 4.0,
            }),
            ..options()
        },
    )
    .unwrap();
    let names: Vec<&str> = found.references.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["natural", "uniform", "unimax", "best_observed"]);
    let even = &found.references[2].mixture;
    for (w, expected) in even
        .weights()
        .iter()
        .zip([0.8 / 3.0, 0.2, 0.8 / 3.0, 0.8 / 3.0])
    {
        assert!((w - expected).abs() < 1e-12);
    }
    // Four epochs of code are worth 3.73; what is not repeated counts in full.
    let effective = |i: usize| found.weights[i].effective_tokens.unwrap();
    assert!((effective(1) / 5e7 - 3.7258).abs() < 1e-3);
    assert!((effective(0) / (1e9 * found.weights[0].weight) - 1.0).abs() < 1e-12);
}

#[test]
fn models_that_are_unsure_are_a_warning_of_their_own() {
    let fit = fit();
    let inside = Support::at(&fit, &Mixture::uniform(domains()), &Objective::Mean).unwrap();
    let limit = inside.sd_limit.unwrap();
    assert!(!inside.unsure && inside.sd > 0.0 && inside.sd <= limit);
    // Where two domains have nothing, the law is steepest and least known.
    let corner = Mixture::new(domains(), vec![0.0, 0.0, 0.0, 1.0]).unwrap();
    let there = Support::at(&fit, &corner, &Objective::Mean).unwrap();
    assert!(
        there.unsure && there.sd > limit && there.out_of_distribution,
        "{there:?}"
    );
    assert_eq!(there.sd_limit, inside.sd_limit);
}

#[test]
fn searches_do_not_depend_on_threads() {
    let fit = fit();
    let all = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let front = pareto(
                &fit,
                &Objective::Mean,
                &Objective::parse("law"),
                4,
                &options(),
            );
            let worst = RecommendOptions {
                objective: Objective::parse("worst"),
                caution: 0.5,
                ..options()
            };
            (front.unwrap(), recommend(&fit, &worst).unwrap())
        })
    };
    assert_eq!(all(1), all(4));
}

#[test]
fn the_made_up_losses_are_what_the_fit_says() {
    // Guards the other tests: what the law predicts is near the truth.
    let fit = fit();
    let w = [0.3, 0.3, 0.3, 0.1];
    let set: DomainSet = domains();
    let predicted = fit
        .predict(&Mixture::new(set, w.to_vec()).unwrap())
        .unwrap();
    for (p, truth) in predicted.iter().zip(losses(&w)) {
        assert!((p.mean - truth).abs() < 0.02, "{p:?} {truth}");
    }
}

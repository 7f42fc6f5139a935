//! The page as a whole.

mod tables;
mod well_formed;

use std::collections::BTreeMap;

use regmix_data::manifest::{DomainEntry, Manifest, SplitEntry, TokenizerEntry};
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Mixture};
use regmix_dynamic::{Point, Schedule, StageAccuracy, StageGrid, Trajectories};
use regmix_regress::{
    Binding, Bound, Budget, Fit, FitOptions, Interactions, Objective, Prediction, RecommendOptions,
    Recommendation, recommend,
};

use super::{Report, Subject, UNIT};
use crate::check::{TargetCheck, TargetRun};
use well_formed::{checked, text};

/// Everything a page can show, owned.
struct Parts {
    fit: Fit,
    recommendation: Recommendation,
    interactions: Interactions,
    trajectories: Trajectories,
    check: TargetCheck,
    schedule: Schedule,
    manifest: Manifest,
    proxy_epochs: Vec<(String, f64)>,
    facts: Vec<(String, String)>,
    commands: Vec<(String, String)>,
}

impl Parts {
    /// A study over a number of domains, with one more target, of the given
    /// name, that is not a domain.
    fn new(domains: usize, runs: usize, regressor: &str, target: &str) -> Self {
        let names: Vec<String> = (0..domains).map(|i| format!("domain_{i}")).collect();
        let set = DomainSet::from_names(&names).unwrap();
        let mixtures: Vec<Mixture> = (0..runs)
            .map(|r| {
                // No run is a copy of another.
                let lap = 0.01 * (r / 23) as f64;
                let weights = (0..domains).map(|d| 0.1 + lap + ((r * (d + 3) * 7) % 23) as f64);
                Mixture::normalized(set.clone(), weights.collect()).unwrap()
            })
            .collect();
        let losses = |m: &Mixture, t: f64| -> Vec<f64> {
            let loss = |w: &f64| 2.0 + 0.5 * (0.1 + w).powf(-0.3) + (t + 0.1).powf(-0.5);
            m.weights().iter().map(loss).collect()
        };
        let run = |r: usize| format!("run-{r:04}");
        let table = MixtureTable::new(
            set.clone(),
            mixtures
                .iter()
                .enumerate()
                .map(|(r, m)| (run(r), m.clone())),
        )
        .unwrap();
        let targets = names.iter().cloned().chain([target.to_owned()]).collect();
        let rows = mixtures.iter().enumerate().map(|(r, m)| {
            let mut row = losses(m, 1.0);
            row.push(row.iter().sum::<f64>() / row.len() as f64);
            (run(r), row)
        });
        let values = ValueTable::new(targets, rows).unwrap();
        let natural_weights = (0..domains).map(|d| (d + 1) as f64).collect();
        let natural = Mixture::normalized(set.clone(), natural_weights).unwrap();
        let fit = Fit::train(
            &Observations::join(table, values).unwrap(),
            &FitOptions {
                regressors: vec![regressor.to_owned()],
                natural: Some(natural.clone()),
                ..FitOptions::default()
            },
        )
        .unwrap();
        let available = (natural.iter()).map(|(d, w)| (d.to_string(), 1e6 * w));
        let recommendation = recommend(
            &fit,
            &RecommendOptions {
                objective: Objective::Mean,
                budget: Some(Budget {
                    available: available.collect(),
                    target_tokens: 5e5,
                    max_epochs: 4.0,
                }),
                bootstrap: 12,
                ..RecommendOptions::default()
            },
        )
        .unwrap();
        let mut trajectories = Trajectories::new(set.clone());
        for (r, m) in mixtures.iter().enumerate().take(3) {
            let point = |s: u64| Point {
                step: s,
                tokens: 1000 * s,
                loss: losses(m, s as f64 / 5.0),
            };
            trajectories
                .push(run(r), (1..=5).map(point).collect())
                .unwrap();
        }
        Self {
            interactions: Interactions::around(&fit, &natural).unwrap(),
            check: check(&recommendation, &natural),
            schedule: schedule(&recommendation, &natural),
            manifest: manifest(&set),
            proxy_epochs: vec![(names[0].clone(), 2.5)],
            facts: vec![("Proxy".into(), "tiny & <quick>".into())],
            commands: vec![("Check it".into(), "regmix target \"a\" --seeds 3".into())],
            fit,
            recommendation,
            trajectories,
        }
    }

    fn small() -> Self {
        Self::new(3, 12, "linear", "score")
    }

    fn report(&self) -> Report<'_> {
        Report {
            name: "small study",
            subject: Subject::Study,
            unit: Some(UNIT),
            recommendation: Some(&self.recommendation),
            fit: Some(&self.fit),
            learning: None,
            interactions: Some(&self.interactions),
            trajectories: Some(&self.trajectories),
            check: Some(&self.check),
            at_target: None,
            compared: None,
            schedule: Some(&self.schedule),
            scheduled: None,
            decisions: &[],
            corpus: Some(&self.manifest),
            design: Some(&self.fit.observations().mixtures),
            proxy_epochs: &self.proxy_epochs,
            facts: &self.facts,
            commands: &self.commands,
            stale: &[],
        }
    }

    fn page(&self) -> String {
        checked(self.report().html())
    }
}

/// From the natural mixture to the one that was found.
fn schedule(found: &Recommendation, natural: &Mixture) -> Schedule {
    let target = regmix_dynamic::RunLength {
        steps: 300,
        tokens: 300_000,
    };
    let mixtures = vec![natural.clone(), natural.clone(), found.mixture.clone()];
    let grid = StageGrid::equal(2).unwrap();
    let mut out = Schedule::of_mixtures(&grid, mixtures, Objective::Mean, target).unwrap();
    out.gain = Some(Prediction {
        mean: 0.02,
        sd: 0.005,
    });
    for weight in out.segments[2].weights.values_mut() {
        (weight.low, weight.high) = (Some(0.5 * weight.weight), Some(1.2 * weight.weight));
    }
    let accuracy = |stage, target: &str, spearman| StageAccuracy {
        stage,
        target: target.to_owned(),
        rows: 12,
        spearman,
        spearman_sd: 0.03,
        fall_spearman: f64::NAN,
        fall_spearman_sd: f64::NAN,
        mae: 0.0123,
        mae_sd: 0.001,
        mae_of_mean: 0.0456,
        coverage90: 0.875,
    };
    out.accuracy = vec![
        accuracy(0, "domain_0", 0.75),
        accuracy(0, "domain_1", 0.95),
        accuracy(1, "domain_0", 0.5),
        accuracy(1, "domain_1", 0.75),
    ];
    out.notes.push("a <note>".to_owned());
    out
}

fn check(found: &Recommendation, natural: &Mixture) -> TargetCheck {
    let run = |arm: &str, seed: u64, objective: f64| TargetRun {
        run: format!("{arm}-{seed}"),
        arm: arm.to_owned(),
        seed,
        objective,
        loss: BTreeMap::new(),
        scores: BTreeMap::new(),
    };
    let runs = (0..3u64).flat_map(|seed| {
        let s = 0.001 * seed as f64;
        [
            run("found", seed, 3.0 + s),
            run("natural", seed, 3.1 + 2.0 * s),
        ]
    });
    let arms = vec![
        ("found".to_owned(), found.mixture.clone(), Some(3.2)),
        ("natural".to_owned(), natural.clone(), Some(3.25)),
    ];
    TargetCheck::new(
        Objective::Mean,
        [1000, 60_000],
        5_000_000,
        arms,
        0,
        runs.collect(),
    )
    .unwrap()
}

fn manifest(domains: &DomainSet) -> Manifest {
    let split = |tokens: u64| SplitEntry {
        tokens,
        bytes: 4 * tokens,
        documents: tokens / 100,
        shards: Vec::new(),
    };
    let tokenizer = TokenizerEntry {
        kind: "bytes".into(),
        hash: String::new(),
        vocab_size: 257,
        separator: 256,
    };
    let entry = |(i, name): (usize, &regmix_data::Domain)| DomainEntry {
        name: name.clone(),
        train: split(123_456 * i as u64),
        valid: split(1000),
    };
    Manifest::new(tokenizer, domains.iter().enumerate().map(entry).collect())
}

const SECTIONS: [&str; 9] = [
    "mixture",
    "check",
    "schedule",
    "proxies",
    "interactions",
    "curves",
    "epochs",
    "facts",
    "next",
];

#[test]
fn all_sections_appear_in_order() {
    let parts = Parts::small();
    let page = parts.page();
    let places: Vec<usize> = (SECTIONS.iter())
        .map(|s| page.find(&format!("<section id=\"{s}\"")).expect(s))
        .collect();
    assert!(places.is_sorted());
    insta::assert_snapshot!(text(&page));
    for part in [
        "a &lt;note",
        "<td class=\"n\">–</td>",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page, parts.page(), "the same artefacts give the same bytes");
}

#[test]
fn missing_parts_are_left_out_or_named() {
    let mut parts = Parts::small();
    for w in &mut parts.recommendation.weights {
        (w.natural, w.sd, w.low, w.high, w.epochs) = (None, None, None, None, None);
    }
    parts.recommendation.references.clear();
    parts.recommendation.optimism = None;
    parts.recommendation.provenance.refits_dropped = 0;
    let page = checked(
        Report {
            interactions: None,
            trajectories: None,
            check: None,
            at_target: None,
            compared: None,
            schedule: None,
            corpus: None,
            design: None,
            proxy_epochs: &[],
            facts: &[],
            commands: &[],
            ..parts.report()
        }
        .html(),
    );
    for gone in ["interactions", "curves", "epochs", "next", "schedule"] {
        assert!(!page.contains(&format!("<section id=\"{gone}\"")), "{gone}");
    }
    assert!(page.contains("Not checked yet. Run <code>regmix target</code>"));
    assert!(page.contains("No bootstrap was run"));
    assert!(!page.contains("Diamonds"));
    // Epochs of proxies alone are worth a chart, too.
    let page = checked(
        Report {
            check: None,
            ..parts.report()
        }
        .html(),
    );
    assert!(page.contains("For the target it is not known"));
}

#[test]
fn verdicts_on_earlier_mixtures_are_named_and_left_out() {
    let parts = Parts::small();
    let stale = [("check", "an <earlier> mixture".to_owned())];
    let report = Report {
        check: None,
        stale: &stale,
        ..parts.report()
    };
    let page = checked(report.html());
    let words = "The check is left out: an &lt;earlier&gt; mixture. Run \
                 <code>regmix target --redo</code>";
    assert!(page.contains(words));
    assert!(page.contains("only for an earlier mixture or objective"));
    assert!(!page.contains("Confirmed on larger models") && !page.contains("Not checked yet"));
}

#[test]
fn what_is_out_of_date_is_marked() {
    let parts = Parts::small();
    let stale = [("mixture", "objective.loss was <mean>, is law".to_owned())];
    let report = Report {
        stale: &stale,
        ..parts.report()
    };
    let page = checked(report.html());
    let words = "<li class=\"warn\">Out of date: the mixture was found from other inputs \
                 (objective.loss was &lt;mean&gt;, is law). Run <code>regmix optimize --redo</code>.";
    assert!(page.contains(words));
    assert!(!parts.page().contains("Out of date"));
}

#[test]
fn text_of_users_is_escaped() {
    let evil = "<script>alert(\"x\")</script> & 'y'";
    let mut parts = Parts::new(2, 10, "linear", evil);
    parts.facts = vec![
        (evil.into(), evil.into()),
        ("Objective".into(), "given".into()),
    ];
    parts.commands = vec![(evil.into(), evil.into())];
    parts.recommendation.support.nearest_run = evil.into();
    let page = checked(
        Report {
            name: evil,
            ..parts.report()
        }
        .html(),
    );
    assert!(!page.contains("<script>alert"));
    assert_eq!(page.matches(">Objective<").count(), 1);
    assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;y&#39;"));
}

#[test]
fn numbers_that_are_missing_do_no_harm() {
    let mut parts = Parts::small();
    let found = &mut parts.recommendation;
    for (i, bad) in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
        .into_iter()
        .enumerate()
    {
        let w = &mut found.weights[i];
        (w.natural, w.low, w.high, w.epochs) = (Some(bad), Some(bad), Some(bad), Some(bad));
        parts.interactions.values[i][i] = bad;
        parts.check.runs[i].objective = bad;
    }
    found.weights[0].weight = f64::NAN;
    found.predicted.mean = f64::NAN;
    found.references[0].gap.mean = f64::NAN;
    found.references[0].gap.model_sd = Some(f64::NAN);
    found.support.distance = f64::INFINITY;
    found.optimism = Some(f64::NAN);
    parts.check.arms[0].mean = f64::NAN;
    parts.check.arms[1].sd = Some(f64::INFINITY);
    parts.check.comparisons[0].interval = Some([f64::NEG_INFINITY, f64::INFINITY]);
    parts.interactions.values.pop();
    parts.proxy_epochs = vec![("domain_1".into(), f64::INFINITY)];
    let mut trajectories = Trajectories::new(parts.fit.domains().clone());
    let point = |step, loss: [f64; 3]| Point {
        step,
        tokens: step,
        loss: loss.to_vec(),
    };
    let points = vec![
        point(1, [f64::NAN, 3.0, f64::INFINITY]),
        point(2, [f64::NAN, 2.0, 1.0]),
    ];
    trajectories.push("one", points).unwrap();
    parts.trajectories = trajectories;
    let page = parts.page();
    // A domain that was never measured has no curve; one point is a dot.
    let curves = &page
        [page.find("id=\"curves\"").unwrap()..page.find("id=\"epochs\"").unwrap_or(page.len())];
    assert_eq!(curves.matches("<figure>").count(), 2);
    assert!(curves.contains("<circle"));
}

#[test]
fn one_domain_and_forty_fit_on_the_page() {
    let one = Parts::new(1, 8, "mean", "score").page();
    assert!(one.contains("Train on 100.0%\u{a0}domain_0."));
    let forty = Parts::new(40, 60, "ridge", "score").page();
    assert!(forty.contains("further domains"));
    assert!(forty.contains("domain_39"));
}

#[test]
fn many_runs_share_paths_and_few_have_tooltips() {
    let few = Parts::small().page();
    assert!(few.contains("run-0003: predicted "));
    let many = Parts::new(2, 200, "linear", "score").page();
    assert!(!many.contains("run-0003: predicted "));
    // 200 dots in paths of 50, three targets.
    assert_eq!(many.matches("<path class=\"dots\"").count(), 12);
}

#[test]
fn the_page_names_what_limits_the_mixture() {
    let mut parts = Parts::small();
    let found = &mut parts.recommendation;
    found.support.out_of_distribution = true;
    found.binding = vec![
        Binding {
            name: "domain_0".into(),
            bound: Bound::Cap,
        },
        Binding {
            name: "domain_2".into(),
            bound: Bound::Floor,
        },
        Binding {
            name: "code".into(),
            bound: Bound::GroupCap,
        },
    ];
    found.support.unsure = true;
    (found.support.sd, found.support.sd_limit) = (0.5, Some(0.25));
    found.weights[0].weight = 0.0;
    found.weights[1].weight = 0.0;
    found.weights[2].weight = 1.0;
    let gap = &mut found.references[0].gap;
    (gap.mean, gap.low, gap.high, gap.exceeds_noise) = (-0.1, -0.2, -0.05, false);
    let page = parts.page();
    assert!(page.contains("Train on 100.0%\u{a0}domain_2."));
    assert!(page.contains("Out of distribution: "));
    assert!(
        page.contains("the cap on domain_0, the floor on domain_2 and the cap on the group code")
    );
    assert!(page.contains("a standard deviation of 0.5000 against at most 0.2500 at 95%"));
    assert!(page.contains("0.1000 above the natural mixture (more than the noise"));
    assert!(page.contains("0.1000 worse"));
}

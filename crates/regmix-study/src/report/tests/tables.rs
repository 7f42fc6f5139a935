//! The page about a fit of tables.

use regmix_data::{Mixture, Silent};
use regmix_regress::scale::{
    LawName, ScaleFit, ScaleOptions, ScalePoint, ScaleQuestion, ScaleRun, ScaleRuns,
};
use regmix_regress::{LearningOptions, Objective, learning_curve};

use super::Parts;
use super::well_formed::{checked, text};
use crate::report::{AtTarget, Expected, Report, Subject};

/// Laws of scale over three domains, with the best mixture at a larger size.
fn at_target(parts: &Parts) -> AtTarget {
    let natural = parts.fit.natural().unwrap();
    let names = natural.domains().names().map(str::to_owned);
    let mut runs = Vec::new();
    for parameters in [1e6_f64, 2e6, 4e6] {
        for (i, mixture) in parts
            .fit
            .observations()
            .mixtures
            .mixtures()
            .iter()
            .enumerate()
        {
            let point = |k: u32| {
                let tokens = 1e7 * f64::from(k);
                let scale = (parameters / 1e6).powf(-0.3) + (tokens / 1e7).powf(-0.3);
                let loss = |w: &f64| 1.5 + scale * (0.1 + w).powf(-0.2);
                ScalePoint {
                    tokens,
                    values: mixture.weights().iter().map(loss).collect(),
                }
            };
            runs.push(ScaleRun {
                run: format!("{parameters}-{i}"),
                weights: mixture.weights().to_vec(),
                parameters,
                points: (1..=4).map(point).collect(),
            });
        }
    }
    let runs = ScaleRuns::new(natural.domains().clone(), names.collect(), runs).unwrap();
    let options = ScaleOptions {
        laws: vec![LawName::Additive],
        ..ScaleOptions::default()
    };
    let fit = ScaleFit::train(&runs, &options).unwrap();
    let asked = ScaleQuestion {
        objective: Objective::Mean,
        constraints: None,
        budget: None,
        natural: Some(natural.clone()),
        parameters: 1e7,
        tokens: 1e8,
    };
    let expected = |mixture: &Mixture| {
        let (objective, losses) = fit.estimate(&asked, mixture).unwrap();
        Some(Expected {
            objective: Some(objective),
            losses,
        })
    };
    AtTarget {
        optimum: Some(fit.optimum(&asked, &Silent).unwrap()),
        found: expected(&parts.recommendation.mixture),
        natural: expected(&natural),
        fit,
    }
}

#[test]
fn a_page_of_tables_has_no_part_of_a_study() {
    let parts = Parts::small();
    let laws = at_target(&parts);
    let learning = LearningOptions {
        regressors: vec!["linear".to_owned()],
        ..LearningOptions::default()
    };
    let learning = learning_curve(&parts.fit, &learning).unwrap();
    let tables = Report {
        subject: Subject::Tables,
        unit: None,
        learning: Some(&learning),
        trajectories: None,
        check: None,
        at_target: Some(&laws),
        schedule: None,
        corpus: None,
        proxy_epochs: &[],
        ..parts.report()
    };
    let page = text(&checked(tables.html()));
    for part in [
        "regmix fit · small study",
        "Expected losses",
        "At the size of the target",
        "better than the found one",
        "How well laws predict",
        "How many runs are enough",
        "Facts of the fit",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for gone in ["nats", "larger models", "regmix study"] {
        assert!(!page.contains(gone), "{gone}");
    }
    // Laws of scale alone: with what was found at a size, and without.
    let alone = Report {
        recommendation: None,
        fit: None,
        learning: None,
        interactions: None,
        design: None,
        ..tables
    };
    let page = text(&checked(alone.html()));
    assert!(page.contains("a model of 10M parameters after 100M tokens of this mixture"));
    // A fit without a mixture.
    let fit = Report {
        recommendation: None,
        at_target: None,
        ..tables
    };
    let page = text(&checked(fit.html()));
    assert!(page.contains("12 runs on mixtures of 3 domains."));
    assert!(page.contains("What each domain does to each value"));
    let no_size = AtTarget {
        optimum: None,
        found: None,
        natural: None,
        ..laws
    };
    let none = Report {
        subject: Subject::Tables,
        recommendation: None,
        fit: None,
        interactions: None,
        check: None,
        at_target: Some(&no_size),
        schedule: None,
        corpus: None,
        design: None,
        ..parts.report()
    };
    let page = text(&checked(none.html()));
    assert!(page.contains("36 runs on mixtures of 3 domains."));
}

//! A fit and its learning curve in words and tables.

use regmix_regress::{AUTO, Entry, Fit, League, LearningCurve};

use super::number::or_dash;
use crate::output::table::table;

/// The league, and the learning curve below it.
pub(crate) fn fitted(fit: &Fit, curve: &LearningCurve) -> String {
    league(fit) + "\n" + &learning_curve(curve)
}

/// Means over targets by the number of runs.
fn learning_curve(curve: &LearningCurve) -> String {
    let rows = curve.means().map(|p| {
        let spread = |mean: f64, sd: f64| match mean.is_nan() {
            true => "-".to_owned(),
            false => format!("{mean:.4} ± {sd:.4}"),
        };
        vec![
            p.regressor.clone(),
            p.runs.to_string(),
            if p.extrapolated {
                "extrapolated"
            } else {
                "measured"
            }
            .to_owned(),
            spread(p.spearman, p.spearman_sd),
            spread(p.mae, p.mae_sd),
        ]
    });
    let mut text = String::from(
        "By number of runs, judged on runs that were not fitted (± sd over folds; where \
         extrapolated, standard error):\n",
    );
    text.push_str(&table(
        &["regressor", "runs", "by", "Spearman", "MAE"],
        rows,
    ));
    for note in curve.notes() {
        text.push_str(&format!("note: {note}\n"));
    }
    text + &curve.summary() + "\n"
}

/// Means over targets per regressor, and for how many targets each was chosen.
pub(crate) fn league(fit: &Fit) -> String {
    // Means over losses and accuracies would say nothing.
    let entries = fit.league().entries().iter();
    let of_losses = |e: &&Entry| fit.losses().any(|loss| loss.target == e.target);
    let league = League::new(entries.filter(of_losses).cloned().collect());
    let mut names = league.regressors();
    names.sort_by(|a, b| {
        league
            .average(a, |e| e.mae)
            .total_cmp(&league.average(b, |e| e.mae))
    });
    let rows = names.into_iter().map(|name| {
        let mean =
            |get: fn(&Entry) -> f64, digits: usize| or_dash(league.average(name, get), digits);
        let own = league.entries().iter().filter(|e| e.regressor == name);
        let chosen = own.filter(|e| e.chosen).count();
        vec![
            name.to_owned(),
            mean(|e| e.spearman, 4),
            mean(|e| e.mae, 4),
            mean(|e| e.r2, 4),
            mean(|e| e.regret, 4),
            mean(|e| e.optimism, 4),
            mean(|e| 100.0 * e.coverage90, 0),
            mean(|e| e.sd_rank, 2),
            mean(|e| e.fit_seconds, 3),
            if name == AUTO {
                "-".to_owned()
            } else {
                format!("{chosen}/{}", fit.losses().count())
            },
        ]
    });
    let judged = fit.rows() - fit.earlier();
    let runs = match fit.earlier() {
        0 => format!("{judged} runs"),
        earlier => format!("{judged} new runs ({earlier} earlier ones were fitted with them)"),
    };
    let targets = match fit.scores().count() {
        0 => format!("{} targets", fit.targets().len()),
        _ => format!("{} losses", fit.losses().count()),
    };
    let mut text = format!("Cross-validated on {runs}, means over {targets}:\n");
    text.push_str(&table(
        &[
            "regressor",
            "Spearman",
            "MAE",
            "R2",
            "regret",
            "optimism",
            "in 90% (%)",
            "sd~error",
            "fit (s)",
            "chosen",
        ],
        rows,
    ));
    text.push_str(&accuracies(fit));
    text.push_str(&without_earlier(fit));
    if let Some(used) = fit.approximate() {
        text.push_str(&format!("{used}\n"));
    }
    text.push_str(&measurement_noise(fit));
    text.push_str(&left_out(fit));
    for warning in fit.warnings() {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}

/// Scores beside losses, with how well they are predicted.
fn accuracies(fit: &Fit) -> String {
    let rows: Vec<_> = (fit.scores())
        .map(|score| {
            let entry = fit.league().get(&score.regressor, &score.target);
            let of = |get: fn(&Entry) -> f64| or_dash(entry.map_or(f64::NAN, get), 4);
            vec![
                score.target.clone(),
                score.regressor.clone(),
                of(|e| e.spearman),
                of(|e| e.mae),
                of(|e| e.r2),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "Accuracies, each by the regressor that was chosen for it:\n{}",
        table(&["accuracy", "regressor", "Spearman", "MAE", "R2"], rows)
    )
}

/// Standard errors of the values beside what was learnt, where they were given.
fn measurement_noise(fit: &Fit) -> String {
    let all = fit.measurement_noise();
    if all.is_empty() {
        return String::new();
    }
    let percent = |share: f64| or_dash(100.0 * share, 0);
    let rows = all.iter().map(|noise| {
        vec![
            noise.target.clone(),
            format!("{:.4}", noise.spread),
            format!("{:.4}", noise.standard_error),
            percent(noise.share),
            percent(noise.predicted.max(0.0)),
        ]
    });
    format!(
        "Standard errors of the values, as parts of the variance between runs; noise between runs \
         of the same items is smaller:\n{}",
        table(
            &[
                "target",
                "sd of runs",
                "std. error",
                "error (%)",
                "predicted (%)"
            ],
            rows
        )
    )
}

/// What the earlier runs are worth, where there are some.
fn without_earlier(fit: &Fit) -> String {
    let errors = fit.targets().iter().filter_map(|t| {
        let with = fit.league().get(&t.regressor, &t.target)?.mae;
        Some((with, t.mae_without_earlier?))
    });
    let (with, alone): (Vec<f64>, Vec<f64>) = errors.unzip();
    if with.is_empty() {
        return String::new();
    }
    let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len() as f64;
    format!(
        "Mean absolute error of the chosen over {} targets: {:.4} with the earlier runs, {:.4} without\n",
        with.len(),
        mean(&with),
        mean(&alone)
    )
}

/// Measurements that were not used, a line for every run.
fn left_out(fit: &Fit) -> String {
    const SHOWN: usize = 10;
    let mut runs: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for d in fit.dropped() {
        match runs.iter_mut().find(|r| r.0 == d.run && r.1 == d.reason) {
            Some((_, _, targets)) => targets.push(&d.target),
            None => runs.push((&d.run, &d.reason, vec![&d.target])),
        }
    }
    let all = fit.targets().len();
    let mut text: String = (runs.iter().take(SHOWN))
        .map(|(run, reason, targets)| match targets.len() {
            n if n == all && n > 1 => format!("left out: run {run} for all targets: {reason}\n"),
            _ => format!("left out: run {run} for {}: {reason}\n", targets.join(", ")),
        })
        .collect();
    if runs.len() > SHOWN {
        text.push_str(&format!(
            "left out: {} runs more, see fit.json\n",
            runs.len() - SHOWN
        ));
    }
    text
}

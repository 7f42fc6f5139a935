//! Targets on the found mixture and on others.

use regmix_study::check::{Comparison, TargetCheck, Verdict};

use super::objective::measured_as;
use crate::output::table::table;

/// The losses of all arms, and their differences.
pub(crate) fn check(check: &TargetCheck) -> String {
    let mut text = format!(
        "Targets of {} parameters ({:.1} x the proxy's), {} tokens each, {}:\n",
        check.target_parameters,
        check.target_parameters as f64 / check.proxy_parameters as f64,
        check.target_tokens,
        measured_as(&check.objective),
    );
    // Checks compare what is to be made small.
    let sign = check.objective.sign();
    let rows = check.arms.iter().map(|arm| {
        let mut seeds: Vec<(u64, f64)> = (check.runs.iter())
            .filter(|r| r.arm == arm.name)
            .map(|r| (r.seed, sign * r.objective))
            .collect();
        seeds.sort_by_key(|s| s.0);
        let seeds: Vec<String> = seeds.iter().map(|s| format!("{:.4}", s.1)).collect();
        let against = check.judged("found").find(|c| c.against == arm.name);
        let predicted = against.and_then(|c| check.predicted_gain(c));
        let gain = against.map_or_else(String::new, measured_gain);
        let verdict = against.map_or("", |c| match c.verdict {
            Verdict::Better => "found is better",
            Verdict::Worse => "found is worse",
            Verdict::Unclear => "unclear",
        });
        vec![
            arm.name.clone(),
            match arm.sd {
                Some(sd) => format!("{:.4} +- {sd:.4}", sign * arm.mean),
                None => format!("{:.4}", sign * arm.mean),
            },
            seeds.join(" "),
            predicted.map_or_else(String::new, |gain| format!("{gain:+.4}")),
            gain,
            verdict.to_owned(),
        ]
    });
    text.push_str(&table(
        &[
            "mixture",
            "mean +- sd",
            "seeds",
            "predicted",
            "gain of found (95%)",
            "",
        ],
        rows,
    ));
    let rows: Vec<Vec<String>> = (check.comparisons.iter())
        .filter(|c| c.of != "found")
        .map(|c| vec![c.of.clone(), c.against.clone(), measured_gain(c)])
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["schedule", "against", "gain (95%)"], rows));
    }
    text.push_str(&format!("{}\n", check.sentence()));
    text
}

/// A gain with its 95% interval, where seeds give one.
fn measured_gain(comparison: &Comparison) -> String {
    match comparison.interval {
        Some([low, high]) => format!("{:+.4} ({low:+.4} to {high:+.4})", comparison.gain),
        None => format!("{:+.4}", comparison.gain),
    }
}

//! Results in words and tables.

mod fitted;

use regmix_data::Result;
use regmix_data::tokenize::Summary;
use regmix_regress::{Bound, Estimate, Front, NextRun, Objective, Recommendation};
use regmix_study::check::{Comparison, TargetCheck, Verdict};
use regmix_study::{RunCounts, Status, Study};

use super::Session;
use crate::args::Format;
use crate::output::print;
use crate::output::table::table;

pub(super) use fitted::{fitted, league_text};

/// Domains of a front in a table for people.
const SHOWN: usize = 8;

pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

pub(super) fn tokenized(session: &Session<'_>, summary: &Summary) -> Result<()> {
    if session.args.format == Format::Json {
        return crate::output::print_json(&summary.manifest);
    }
    let rows = summary.domains.iter().map(|d| {
        vec![
            d.domain.to_string(),
            d.documents.to_string(),
            format!("{:.2}", d.bytes as f64 / 1e6),
            d.tokens.to_string(),
            format!("{:.2}", d.bytes as f64 / d.tokens.max(1) as f64),
        ]
    });
    print(&table(
        &["domain", "documents", "MB", "tokens", "bytes/token"],
        rows,
    ));
    print(&format!(
        "\n{} documents, {:.1} MB, {} tokens in {:.1} s: {:.1} MB/s, {:.0} tokens/s ({} repeats dropped)\n",
        summary.documents,
        summary.bytes as f64 / 1e6,
        summary.tokens,
        summary.seconds,
        summary.megabytes_per_second(),
        summary.tokens_per_second(),
        summary.duplicates,
    ));
    Ok(())
}

pub(super) fn mixture(found: &Recommendation) -> String {
    let mut order: Vec<usize> = (0..found.weights.len()).collect();
    order.sort_by(|&a, &b| found.weights[b].weight.total_cmp(&found.weights[a].weight));
    let rows = order.into_iter().map(|i| {
        let w = &found.weights[i];
        let range = match (w.low, w.high) {
            (Some(low), Some(high)) => format!("{:.1}-{}", 100.0 * low, percent(high)),
            _ => "-".to_owned(),
        };
        vec![
            w.domain.clone(),
            w.natural.map_or_else(|| "-".to_owned(), percent),
            percent(w.weight),
            range,
            w.epochs
                .map_or_else(|| "-".to_owned(), |e| format!("{e:.2}")),
        ]
    });
    let mut text = format!("Mixture for the {}:\n", aim(&found.objective));
    text.push_str(&table(
        &["domain", "natural", "found", "5-95% of refits", "epochs"],
        rows,
    ));
    let p = &found.predicted;
    let unit = match &found.objective {
        Objective::Maximize(_) => "",
        _ => " nats per token",
    };
    text.push_str(&format!(
        "\nPredicted for a proxy: {:.4}{unit} (90% interval {:.4} to {:.4})\n",
        p.mean, p.low, p.high
    ));
    for r in &found.references {
        let beyond = if r.gap.exceeds_noise {
            "beyond"
        } else {
            "within"
        };
        text.push_str(&format!(
            "  {:<14} {:.4}: the found mixture is predicted {:+.4} better (90% {:+.4} to {:+.4}), {beyond} the noise of single runs\n",
            r.name, r.predicted.mean, r.gap.mean, r.gap.low, r.gap.high
        ));
    }
    for b in &found.binding {
        let bound = match b.bound {
            Bound::Floor => "floor of",
            Bound::Cap => "cap of",
            Bound::GroupFloor => "floor of the group",
            Bound::GroupCap => "cap of the group",
        };
        text.push_str(&format!("the {bound} {} binds\n", b.name));
    }
    if let Some(pull) = &found.pull {
        text.push_str(&format!(
            "pulled towards the {} mixture ({} per nat): {:.4} nats from it\n",
            pull.towards, pull.strength, pull.divergence
        ));
    }
    if let Some(p) = &found.penalties {
        text.push_str(&format!(
            "searched with {} standard deviations and {} per unit of distance beyond the proxies ({:.3} beyond) added: {:.4} at the found mixture\n",
            p.caution, p.distance, p.beyond, p.cost
        ));
    }
    for w in &found.weights {
        if let (Some(low), Some(high)) = (w.low, w.high)
            && high - low > 0.5
        {
            text.push_str(&format!(
                "warning: refits put {} anywhere from {} to {}: train more proxies before trusting its weight\n",
                w.domain,
                percent(low),
                percent(high)
            ));
        }
    }
    let s = &found.support;
    if let Some(limit) = s.sd_limit.filter(|_| s.unsure) {
        text.push_str(&format!(
            "warning: the models are unsure there (standard deviation {:.4}, at most {limit:.4} at 95% of the proxies)\n",
            s.sd
        ));
    }
    if s.far {
        text.push_str(&format!(
            "warning: the mixture lies outside of what proxies covered (distance {:.2} to {}, usual {:.2}, limit {:.2})\n",
            s.distance, s.nearest_run, s.typical, s.limit
        ));
    }
    text
}

/// What a mixture is the best for.
pub(super) fn aim(objective: &Objective) -> String {
    match objective {
        Objective::Maximize(inner) => format!("highest {inner}"),
        Objective::Worst(_) => format!("lowest {objective}"),
        _ => format!("lowest {objective} loss"),
    }
}

/// A front: both objectives, and the domains with some weight anywhere.
pub(super) fn front(front: &Front) -> String {
    let first = front.points.first().map(|p| p.mixture.domains().clone());
    let domains: Vec<String> = (first.iter())
        .flat_map(|set| set.names())
        .map(str::to_owned)
        .collect();
    // The largest domains tell mixtures apart; all are in the file.
    let most = |i: usize| {
        (front.points.iter())
            .map(|p| p.mixture.weights()[i])
            .fold(0.0, f64::max)
    };
    let mut shown: Vec<usize> = (0..domains.len()).collect();
    shown.sort_by(|&a, &b| most(b).total_cmp(&most(a)));
    shown.truncate(SHOWN);
    let names = [front.a.to_string(), front.b.to_string()];
    let header: Vec<&str> = (["weight", &names[0], &names[1]].into_iter())
        .chain(shown.iter().map(|&i| domains[i].as_str()))
        .collect();
    let rows = front.points.iter().map(|p| {
        let spread = |e: &Estimate| format!("{:.4} +- {:.4}", e.mean, e.sd);
        let weights = shown.iter().map(|&i| percent(p.mixture.weights()[i]));
        [format!("{:.3}", p.weight), spread(&p.a), spread(&p.b)]
            .into_iter()
            .chain(weights)
            .collect()
    });
    let mut text = format!(
        "Mixtures from the best for {} to the best for {}:\n",
        names[0], names[1]
    );
    text.push_str(&table(&header, rows));
    if domains.len() > SHOWN {
        text.push_str(&format!(
            "and {} domains more in the file\n",
            domains.len() - SHOWN
        ));
    }
    text
}

/// The runs that were proposed, by name.
pub(super) fn next(session: &Session<'_>, runs: &[(String, NextRun)]) -> Result<()> {
    let json: Vec<serde_json::Value> = (runs.iter())
        .map(|(run, next)| {
            serde_json::json!({
                "run": run,
                "mixture": next.mixture,
                "predicted": next.predicted,
                "improvement": next.improvement,
                "distance": next.distance,
            })
        })
        .collect();
    session.result(&json, || {
        let rows = runs.iter().map(|(run, next)| {
            vec![
                run.clone(),
                format!("{:.4}", next.predicted.mean),
                format!("{:.4}", next.predicted.sd),
                format!("{:.2e}", next.improvement),
                format!("{:.3}", next.distance),
            ]
        });
        table(
            &["run", "predicted", "sd", "improvement", "nearest run"],
            rows,
        )
    })
}

pub(super) fn check(check: &TargetCheck) -> String {
    let mut text = format!(
        "Targets of {} parameters ({:.1} x the proxy's), {} tokens each, {} loss in nats per token:\n",
        check.target_parameters,
        check.target_parameters as f64 / check.proxy_parameters as f64,
        check.target_tokens,
        check.objective,
    );
    let rows = check.arms.iter().map(|arm| {
        let mut seeds: Vec<(u64, f64)> = (check.runs.iter())
            .filter(|r| r.arm == arm.name)
            .map(|r| (r.seed, r.objective))
            .collect();
        seeds.sort_by_key(|s| s.0);
        let seeds: Vec<String> = seeds.iter().map(|s| format!("{:.4}", s.1)).collect();
        let against = check.judged("found").find(|c| c.against == arm.name);
        let gain = against.map_or_else(String::new, measured_gain);
        let verdict = against.map_or("", |c| match c.verdict {
            Verdict::Better => "found is better",
            Verdict::Worse => "found is worse",
            Verdict::Unclear => "unclear",
        });
        vec![
            arm.name.clone(),
            match arm.sd {
                Some(sd) => format!("{:.4} +- {sd:.4}", arm.mean),
                None => format!("{:.4}", arm.mean),
            },
            seeds.join(" "),
            gain,
            verdict.to_owned(),
        ]
    });
    text.push_str(&table(
        &["mixture", "mean +- sd", "seeds", "gain of found (95%)", ""],
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

pub(super) fn status(study: &Study, status: &Status) -> String {
    let runs = |c: &RunCounts| match c.planned {
        0 => "not planned".to_owned(),
        _ => {
            let mut text = format!("{} of {} finished", c.done, c.planned);
            for (n, what) in [(c.started, "started"), (c.failed, "failed")] {
                if n > 0 {
                    text.push_str(&format!(", {n} {what}"));
                }
            }
            text
        }
    };
    let done = |yes: bool| if yes { "done" } else { "not yet" }.to_owned();
    let part = |name: &str, how: String| match status.stale.get(name) {
        Some(changes) => format!("{how}; out of date ({changes})"),
        None => how,
    };
    let corpus = match (status.domains, status.tokens) {
        (Some(domains), Some(tokens)) => format!("{domains} domains, {tokens} training tokens"),
        _ => "not tokenized".to_owned(),
    };
    let mut text = format!(
        "study {} in {}\n",
        study.config().study.name,
        study.root().display()
    );
    for (what, how) in [
        ("corpus", part("corpus", corpus)),
        ("proxies", part("design", runs(&status.proxies))),
        ("second", runs(&status.second)),
        ("fit", part("fit", done(status.fitted))),
        ("mixture", part("mixture", done(status.optimized))),
        ("schedule", part("schedule", done(status.scheduled))),
        ("targets", runs(&status.targets)),
        ("report", done(status.reported)),
    ] {
        // A second size is an option.
        if what == "second" && status.second.planned == 0 {
            continue;
        }
        text.push_str(&format!("  {what:<9} {how}\n"));
    }
    if let Some(next) = &status.next {
        let verb = next.strip_prefix("regmix ").unwrap_or(next);
        text.push_str(&format!("next: {}\n", super::command(study.root(), verb)));
    }
    text
}

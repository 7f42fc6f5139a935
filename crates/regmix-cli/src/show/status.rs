//! The progress of a study.

use regmix_study::{RunCounts, SizeStatus, Status, Study};

use super::runs::{all_runs, notable_runs};
use crate::output::command_line;
use crate::output::progress::duration;

/// A line for every part of the study, the runs that matter or all, and what comes
/// next.
pub(crate) fn status(study: &Study, status: &Status, all: bool) -> String {
    let mut text = parts(study, status);
    match all {
        true => text.push_str(&format!("\n{}", all_runs(&status.runs))),
        false => text.push_str(&notable_runs(study.root(), &status.runs)),
    }
    if text.contains("\n\n") {
        text.push('\n');
    }
    if let Some(next) = &status.next {
        let next = command_line::in_study(study.root(), next);
        text.push_str(&format!("next: {next}\n"));
    }
    text
}

/// A line for every part of the study.
fn parts(study: &Study, status: &Status) -> String {
    let runs = |section: &str, c: &RunCounts| {
        let mut text = counts(c);
        if let Some(pace) = status.pace.get(section) {
            text.push_str(&format!(
                "; {:.0} tokens/s, ETA {}",
                pace.tokens_per_second,
                duration(pace.eta_seconds)
            ));
        }
        text
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
    let share = status.text_share.map_or_else(String::new, |share| {
        format!(", on 1/{:.1} of every domain (match_epochs)", 1.0 / share)
    });
    let mut text = format!(
        "study {} in {}\n",
        study.config().study.name,
        study.root().display()
    );
    let mut line = |what: &str, how: String| text.push_str(&format!("  {what:<9} {how}\n"));
    line("corpus", part("corpus", corpus));
    let proxies = format!("{}{share}", runs("proxies", &status.proxies));
    line("proxies", part("design", proxies));
    if let Some(asked) = status.asked {
        let of = status.proxies.done;
        line(
            "eval",
            format!("{asked} of {of} finished proxies were asked all questions"),
        );
    }
    for size in &status.sizes {
        line("size", size_line(size));
    }
    if let Some(experts) = &status.experts {
        let mixed = match experts.mixed {
            true => "predictions mixed",
            false => "predictions not mixed yet",
        };
        line("experts", format!("{}; {mixed}", counts(&experts.runs)));
    }
    if let Some(changes) = status.stale.get("runs") {
        line("changed", changes.clone());
    }
    line("fit", part("fit", done(status.fitted)));
    if !status.sizes.is_empty() {
        line("scale", part("scale", done(status.scale_fitted)));
    }
    line("mixture", part("mixture", done(status.optimized)));
    line("schedule", part("schedule", done(status.scheduled)));
    line("targets", part("check", runs("targets", &status.targets)));
    if status.stale.contains_key("compare") {
        line("compare", part("compare", done(true)));
    }
    line("report", done(status.reported));
    text
}

/// Another size of proxies.
fn size_line(size: &SizeStatus) -> String {
    format!(
        "{}: {}; {:.3e} parameters, {:.3e} tokens, {:.2} of the proxies' cost",
        size.name,
        counts(&size.runs),
        size.parameters as f64,
        size.tokens as f64,
        size.cost
    )
}

/// Runs by how far they are.
pub(super) fn counts(c: &RunCounts) -> String {
    if c.planned == 0 {
        return "not planned".to_owned();
    }
    let mut text = format!("{} of {} finished", c.done, c.planned);
    let stopped = c.started - c.running - c.stale;
    for (n, what) in [
        (c.running, "running"),
        (stopped, "stopped"),
        (c.stale, "stale"),
        (c.failed, "failed"),
        (c.outdated, "of another configuration"),
    ] {
        if n > 0 {
            text.push_str(&format!(", {n} {what}"));
        }
    }
    text
}

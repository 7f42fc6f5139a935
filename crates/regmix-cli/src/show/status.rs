//! Where a study stands.

use regmix_study::{RunCounts, Status, Study};

use crate::output::command_line;

/// A line for every part of the study, and what comes next.
pub(crate) fn status(study: &Study, status: &Status) -> String {
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
        // A second size is optional.
        if what == "second" && status.second.planned == 0 {
            continue;
        }
        text.push_str(&format!("  {what:<9} {how}\n"));
    }
    if let Some(next) = &status.next {
        let next = command_line::in_study(study.root(), next);
        text.push_str(&format!("next: {next}\n"));
    }
    text
}

//! The answer in one sentence, and what it promises.

use regmix_regress::{Gap, Objective, Recommendation, Reference};

use super::kit::number::{self, UNIT, list, loss, percent, plural, range};
use super::{Node, Report, objective_words, paragraph, target_words};

/// Domains named in the headline at most.
const NAMED: usize = 4;
/// Weights below this would read 0.0%.
const VISIBLE: f64 = 0.0005;

pub(super) fn headline(report: &Report<'_>) -> Node {
    let found = report.recommendation;
    let title = Node::new("div")
        .class("top")
        .push(paragraph(format!("regmix study · {}", report.name)))
        .push(
            Node::new("button")
                .attr("type", "button")
                .attr("id", "theme")
                .attr("hidden", "")
                .text("Theme"),
        );
    let tiles = std::iter::once(predicted(report))
        .chain(found.references.iter().map(reference))
        .chain(std::iter::once(promise(report)));
    Node::new("header")
        .push(title)
        .push(Node::new("h1").text(sentence(report)))
        .push(paragraph(promised(report)).class("lead"))
        .push(Node::new("div").class("tiles").extend(tiles))
}

/// The mixture in one sentence: its largest domains and how many more.
fn sentence(report: &Report<'_>) -> String {
    let weights = &report.recommendation.weights;
    let weight = |name: &str| {
        let of = weights.iter().find(|w| w.domain == name);
        of.map_or(0.0, |w| w.weight)
    };
    let visible: Vec<(&str, f64)> = (report.domains().into_iter())
        .map(|name| (name, weight(name)))
        .filter(|(_, w)| *w >= VISIBLE)
        .collect();
    if visible.is_empty() {
        return "No mixture was found.".to_owned();
    }
    // Where one more domain would complete the list, it is named, too.
    let named = if visible.len() == NAMED + 1 {
        visible.len()
    } else {
        visible.len().min(NAMED)
    };
    let mut parts: Vec<String> = (visible.iter().take(named))
        // No line break between a share and its domain.
        .map(|(name, w)| format!("{}\u{a0}{name}", percent(*w)))
        .collect();
    let rest = &visible[named..];
    if !rest.is_empty() {
        let share = rest.iter().map(|r| r.1).sum();
        parts.push(format!(
            "{} spread over {}",
            percent(share),
            plural(rest.len(), "further domain")
        ));
    }
    format!("Train on {}.", list(&parts))
}

/// The prediction and the gaps in words.
fn promised(report: &Report<'_>) -> String {
    let found = report.recommendation;
    let mut text = format!(
        "A proxy trained on this mixture is predicted to reach a {} of {} {UNIT} (90% interval \
         {}).",
        objective_words(&found.objective, &target_words(report.fit)),
        loss(found.predicted.mean),
        range(found.predicted.low, found.predicted.high),
    );
    let gaps: Vec<String> = (found.references.iter())
        .filter(|r| r.name != "best_observed")
        .map(|r| {
            format!(
                "{} the {} mixture ({} the noise of single runs)",
                side(&r.gap, found.objective.sign()),
                r.name,
                against_noise(&r.gap)
            )
        })
        .collect();
    if !gaps.is_empty() {
        text.push_str(&format!(" That is {}.", list(&gaps)));
    }
    text
}

fn side(gap: &Gap, sign: f64) -> String {
    let word = match sign * gap.mean < 0.0 {
        true => "above",
        false => "below",
    };
    format!("{} {word}", loss(gap.mean.abs()))
}

fn against_noise(gap: &Gap) -> &'static str {
    if gap.exceeds_noise || gap.high < 0.0 {
        "more than"
    } else {
        "within"
    }
}

fn predicted(report: &Report<'_>) -> Node {
    let found = report.recommendation;
    let what = match &found.objective {
        Objective::Target(name) => format!("Predicted loss on {name}"),
        Objective::Mean => "Predicted mean loss".to_owned(),
        Objective::Weighted(_) => "Predicted weighted loss".to_owned(),
        Objective::Worst(_) => "Predicted worst case".to_owned(),
        Objective::Maximize(_) => "Predicted score".to_owned(),
    };
    tile(
        &what,
        &loss(found.predicted.mean),
        &format!(
            "{UNIT}, 90%: {}",
            range(found.predicted.low, found.predicted.high)
        ),
        ("open", "for a proxy"),
    )
}

fn reference(reference: &Reference) -> Node {
    let gap = &reference.gap;
    let class = match () {
        () if gap.exceeds_noise => "good",
        () if gap.high < 0.0 => "bad",
        () => "open",
    };
    let against = match reference.name.as_str() {
        "best_observed" => "Against the best proxy".to_owned(),
        "unimax" => "Against UniMax".to_owned(),
        name => format!("Against {name}"),
    };
    let verdict = match against_noise(gap) {
        "within" => "within the noise",
        _ => "exceeds the noise",
    };
    let better = if gap.mean < 0.0 { "worse" } else { "better" };
    tile(
        &against,
        &format!("{} {better}", loss(gap.mean.abs())),
        &format!("{UNIT}, 90%: {}", range(gap.low, gap.high)),
        (class, verdict),
    )
}

fn promise(report: &Report<'_>) -> Node {
    let (value, text, badge) = match report.check {
        None => (
            "Not checked",
            "no target was trained yet",
            ("open", "run regmix target"),
        ),
        Some(check) if check.comparisons.is_empty() => {
            ("Open", "nothing to compare with", ("open", "open"))
        }
        Some(check) if check.held() => (
            "Held",
            "better than all it was compared with",
            ("good", "exceeds the noise"),
        ),
        Some(check) if check.is_worse() => (
            "Did not hold",
            "worse than what it was compared with",
            ("bad", "see below"),
        ),
        Some(_) => (
            "Not confirmed",
            "not clearly better than all it was compared with",
            ("open", "within the noise"),
        ),
    };
    tile("The promise, on targets", value, text, badge)
}

fn tile(label: &str, value: &str, unit: &str, (class, badge): (&str, &str)) -> Node {
    Node::new("div")
        .class("tile")
        .push(Node::new("p").text(label))
        .push(Node::new("p").class("value").text(value))
        .push(Node::new("p").class("unit").text(unit))
        .push(Node::new("p").class(&format!("badge {class}")).text(badge))
}

/// How the noise of a gap splits into that of runs and that of models.
pub(super) fn models_alone(found: &Recommendation) -> Option<String> {
    let spreads: Vec<String> = (found.references.iter())
        .filter(|r| r.name != "best_observed")
        .filter_map(|r| {
            let sd = r.gap.model_sd.filter(|sd| sd.is_finite())?;
            Some(format!("{} to {}", loss(sd), r.name))
        })
        .collect();
    (!spreads.is_empty()).then(|| {
        format!(
            "Intervals of gaps above are for one run of each mixture. The models alone are surer: \
             over bootstrap refits the gap has a standard deviation of {} ({UNIT}).",
            list(&spreads)
        )
    })
}

/// By how much a fit underestimates the loss at its own optimum; `None` where
/// that is too small to show.
pub(super) fn optimism(found: &Recommendation) -> Option<String> {
    let optimism = found.optimism.filter(|o| o.is_finite() && *o >= 5e-5)?;
    let what = match found.optimism_taken_off {
        true => "The prediction and the gaps above have that taken off.",
        false => "Expect the true value to be that much above the prediction.",
    };
    Some(format!(
        "A fit predicts too low a loss at its own optimum: over {} by {} {UNIT} on average. {what}",
        plural(found.provenance.refits, "bootstrap refit"),
        number::loss(optimism),
    ))
}

//! The answer in one sentence, and its predicted gain.

use regmix_regress::scale::ScaleOptimum;
use regmix_regress::{Fit, Gap, Objective, Recommendation, Reference};

use crate::check::TargetCheck;
use crate::compare::{Difference, MethodComparison};
use crate::files::FOUND;

use super::kit::number::{self, decimals, list, loss, mean, percent, plural, range, short};
use super::{AtTarget, Node, Report, Subject, objective_words, paragraph};

/// Domains named in the headline at most.
const NAMED: usize = 4;
/// Weights below this would read 0.0%.
const VISIBLE: f64 = 0.0005;

pub(super) fn headline(report: &Report<'_>) -> Node {
    let what = match report.subject {
        Subject::Study => "study",
        Subject::Tables => "fit",
    };
    let title = Node::new("div")
        .class("top")
        .push(paragraph(format!("regmix {what} · {}", report.name)))
        .push(
            Node::new("button")
                .attr("type", "button")
                .attr("id", "theme")
                .attr("hidden", "")
                .text("Theme"),
        );
    let (first, lead, tiles) = answer(report);
    Node::new("header")
        .push(title)
        .push(Node::new("h1").text(first))
        .push(paragraph(lead).class("lead"))
        .extend(out_of_date(report))
        .push(Node::new("div").class("tiles").extend(tiles))
}

/// The parts of the page that were made from other inputs than those of the study now.
fn out_of_date(report: &Report<'_>) -> Option<Node> {
    let shown = report.stale.iter().filter_map(|(part, changes)| {
        let (what, verb) = match *part {
            "runs" => (
                "the runs were made with another configuration than that of study.toml",
                "train",
            ),
            "corpus" => ("the corpus was made from other inputs", "tokenize"),
            "design" => ("the design was made from other inputs", "design"),
            "fit" => ("the fit was made from other inputs", "fit"),
            "scale" => ("the laws of scale were made from other inputs", "fit"),
            "mixture" => ("the mixture was found from other inputs", "optimize"),
            "schedule" => ("the schedule was planned from other inputs", "schedule"),
            // They are not on the page.
            _ => return None,
        };
        let text = format!("Out of date: {what} ({changes}). Run ");
        let command = Node::new("code").text(format!("regmix {verb} --redo"));
        let item = Node::new("li").class("warn").text(text).push(command);
        Some(item.text("."))
    });
    let items: Vec<Node> = shown.collect();
    (!items.is_empty()).then(|| Node::new("ul").class("notes").extend(items))
}

/// The mixture in a sentence, what is predicted for it, and the numbers behind it.
fn answer(report: &Report<'_>) -> (String, String, Vec<Node>) {
    if let Some(found) = report.recommendation {
        let check = (report.subject == Subject::Study).then(|| checked(report));
        let tiles = std::iter::once(predicted(report, found))
            .chain(found.references.iter().map(|r| reference(report, r)))
            .chain(check);
        return (sentence(report), lead(report, found), tiles.collect());
    }
    if let Some((at, optimum)) = report
        .at_target
        .and_then(|at| Some((at, at.optimum.as_ref()?)))
    {
        let lead = lead_at(report, at, optimum);
        return (sentence(report), lead, tiles_at(report, optimum));
    }
    match (report.fit, report.at_target) {
        (Some(fit), _) => without_mixture(report, fit),
        (None, Some(at)) => (
            runs_sentence(at.fit.runs().runs().len(), at.fit.domains().len()),
            "No mixture yet: `regmix optimize --parameters N --tokens D` finds the best one at a \
             size, and `report --mixture` shows it."
                .to_owned(),
            Vec::new(),
        ),
        (None, None) => (
            "No mixture was found.".to_owned(),
            String::new(),
            Vec::new(),
        ),
    }
}

fn runs_sentence(runs: usize, domains: usize) -> String {
    format!(
        "{} on mixtures of {}.",
        plural(runs, "run"),
        plural(domains, "domain")
    )
}

/// A fit of which no mixture is known: how well it predicts.
fn without_mixture(report: &Report<'_>, fit: &Fit) -> (String, String, Vec<Node>) {
    let lead = format!(
        "No mixture yet: `regmix optimize` finds the best one with this fit, and `report \
         --mixture` shows it. Below: how well mixtures predict {} {} of runs that were not fitted.",
        fit.targets().len(),
        report.word().plural(),
    );
    let chosen: Vec<_> = (fit.league().entries().iter())
        .filter(|e| e.chosen)
        .collect();
    let over = format!("mean over {}", report.target_words());
    let tiles = vec![
        tile(
            "Spearman, held out",
            &decimals(mean(chosen.iter().map(|e| e.spearman)), 3),
            &over,
            ("open", "of the chosen regressors"),
        ),
        tile(
            "Mean absolute error",
            &loss(mean(chosen.iter().map(|e| e.mae))),
            &format!("{over}{}", report.unit_listed()),
            ("open", "of the chosen regressors"),
        ),
    ];
    (runs_sentence(fit.rows(), fit.domains().len()), lead, tiles)
}

fn lead_at(report: &Report<'_>, at: &AtTarget, optimum: &ScaleOptimum) -> String {
    format!(
        "By laws of scale, fitted to {}, a model of {} parameters after {} tokens of this mixture \
         is expected to reach an objective of {}{} (90% interval {}).",
        plural(at.fit.runs().runs().len(), "run"),
        short(optimum.parameters),
        short(optimum.tokens),
        loss(optimum.objective.mean),
        report.unit_behind(),
        range(optimum.objective.low, optimum.objective.high),
    )
}

fn tiles_at(report: &Report<'_>, optimum: &ScaleOptimum) -> Vec<Node> {
    let unit = |low, high| interval(report.unit, low, high);
    let best = &optimum.objective;
    let mut tiles = vec![tile(
        "Expected objective",
        &loss(best.mean),
        &unit(best.low, best.high),
        ("open", "by laws of scale"),
    )];
    if let Some((natural, factor)) = &optimum.natural {
        let more = match factor {
            Some(factor) => format!("{} times the tokens for the same", decimals(*factor, 2)),
            None => "over 100 times the tokens for the same".to_owned(),
        };
        tiles.push(tile(
            "The natural mixture there",
            &loss(natural.mean),
            &unit(natural.low, natural.high),
            ("open", &more),
        ));
    }
    tiles
}

/// `nats per token, 90%: 3.1 to 3.2`.
fn interval(unit: Option<&str>, low: f64, high: f64) -> String {
    let of = format!("90%: {}", range(low, high));
    unit.map_or_else(|| of.clone(), |unit| format!("{unit}, {of}"))
}

/// The mixture in one sentence: its largest domains and how many more.
fn sentence(report: &Report<'_>) -> String {
    let weights = report.weights();
    let weight = |name: &str| {
        let of = weights.iter().find(|(domain, _)| *domain == name);
        of.map_or(0.0, |(_, weight)| *weight)
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
fn lead(report: &Report<'_>, found: &Recommendation) -> String {
    let mut text = format!(
        "A proxy trained on this mixture is predicted to reach a {} of {}{} (90% interval {}).",
        objective_words(&found.objective, &report.target_words()),
        loss(found.predicted.mean),
        report.objective_unit_behind(),
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

fn predicted(report: &Report<'_>, found: &Recommendation) -> Node {
    let (objective, word) = match &found.objective {
        Objective::Maximize(inner) => (&**inner, "score"),
        other => (other, "loss"),
    };
    let what = match objective {
        Objective::Target(name) => format!("Predicted {word} on {name}"),
        Objective::Mean => format!("Predicted mean {word}"),
        Objective::Weighted(_) => format!("Predicted weighted {word}"),
        Objective::Worst(_) => "Predicted worst case".to_owned(),
        Objective::Maximize(_) => format!("Predicted {word}"),
    };
    tile(
        &what,
        &loss(found.predicted.mean),
        &interval(
            report.objective_unit(),
            found.predicted.low,
            found.predicted.high,
        ),
        ("open", "for a proxy"),
    )
}

fn reference(report: &Report<'_>, reference: &Reference) -> Node {
    let gap = &reference.gap;
    let badge = match () {
        () if gap.exceeds_noise => ("good", "90% interval above 0"),
        () if gap.high < 0.0 => ("bad", "90% interval below 0"),
        () => ("open", "90% interval contains 0"),
    };
    let against = match reference.name.as_str() {
        "best_observed" => "Against the best proxy".to_owned(),
        "unimax" => "Against UniMax".to_owned(),
        name => format!("Against {name}"),
    };
    let better = if gap.mean < 0.0 { "worse" } else { "better" };
    tile(
        &against,
        &format!("{} {better}", loss(gap.mean.abs())),
        &interval(report.objective_unit(), gap.low, gap.high),
        badge,
    )
}

/// A value, what it means, and a badge with its class.
type Verdict = (&'static str, &'static str, (&'static str, &'static str));

const NOT_CHECKED: Verdict = (
    "Not checked",
    "no target was trained yet",
    ("open", "run regmix target"),
);
const EARLIER: [Verdict; 2] = [
    (
        "Not checked",
        "only for an earlier mixture or objective",
        ("open", "regmix target --redo"),
    ),
    (
        "Not checked",
        "only for an earlier mixture or objective",
        ("open", "regmix compare --redo"),
    ),
];
const NOTHING_ELSE: Verdict = (
    "No comparison",
    "nothing to compare with",
    ("open", "no interval"),
);
const ONE_SEED: Verdict = (
    "No comparison",
    "one seed of each mixture",
    ("open", "no interval"),
);

/// Whether the found mixture was better than the natural one where methods were compared.
fn by_comparison(compared: &MethodComparison) -> Verdict {
    let found = compared.methods.iter().find(|method| method.name == FOUND);
    match found.and_then(|found| found.over_natural) {
        None => NOTHING_ELSE,
        Some(Difference { interval: None, .. }) => ONE_SEED,
        Some(Difference {
            interval: Some([low, _]),
            ..
        }) if low > 0.0 => (
            "Better",
            "than the natural mixture",
            ("good", "95% interval above 0"),
        ),
        Some(Difference {
            interval: Some([_, high]),
            ..
        }) if high < 0.0 => (
            "Worse",
            "than the natural mixture",
            ("bad", "95% interval below 0"),
        ),
        Some(_) => (
            "Unclear",
            "the seeds differ too much to decide",
            ("open", "95% interval contains 0"),
        ),
    }
}

/// Whether the found mixture was better than all single mixtures of the check.
fn by_check(check: &TargetCheck) -> Verdict {
    let mut own = check.judged(FOUND).peekable();
    match () {
        () if own.peek().is_none() => NOTHING_ELSE,
        () if own.all(|c| c.interval.is_none()) => ONE_SEED,
        () if check.is_better() => (
            "Better",
            "than every mixture it was compared with",
            ("good", "all 95% intervals above 0"),
        ),
        () if check.is_worse() => (
            "Worse",
            "than at least one mixture",
            ("bad", "a 95% interval below 0"),
        ),
        () => (
            "Unclear",
            "the seeds differ too much to decide",
            ("open", "a 95% interval contains 0"),
        ),
    }
}

fn checked(report: &Report<'_>) -> Node {
    let (value, text, badge) = match (report.check, report.compared) {
        (Some(check), _) => by_check(check),
        (None, Some(compared)) => by_comparison(compared),
        (None, None) if report.earlier("check").is_some() => EARLIER[0],
        (None, None) if report.earlier("compare").is_some() => EARLIER[1],
        (None, None) => NOT_CHECKED,
    };
    tile("Checked on larger models", value, text, badge)
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
pub(super) fn models_alone(report: &Report<'_>, found: &Recommendation) -> Option<String> {
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
             over bootstrap refits the gap has a standard deviation of {}{}.",
            list(&spreads),
            (report.objective_unit()).map_or_else(String::new, |unit| format!(" ({unit})")),
        )
    })
}

/// By how much a fit flatters its own optimum; `None` where that is too small to show.
pub(super) fn optimism(report: &Report<'_>, found: &Recommendation) -> Option<String> {
    let (low, above, word) = match found.objective.sign() < 0.0 {
        true => ("high", "below", "score"),
        false => ("low", "above", "loss"),
    };
    let optimism = found.optimism.filter(|o| o.is_finite() && *o >= 5e-5)?;
    let what = match found.optimism_taken_off {
        true => "The prediction and the gaps above have that taken off.".to_owned(),
        false => format!("Expect the true value to be that much {above} the prediction."),
    };
    Some(format!(
        "A fit predicts too {low} a {word} at its own optimum: over {} by {}{} on average. {what}",
        plural(found.provenance.refits, "bootstrap refit"),
        number::loss(optimism),
        report.objective_unit_behind(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::check_of;
    use crate::compare::tests::comparison;

    #[test]
    fn a_comparison_shows_whether_the_found_mixture_is_better() {
        let value = |found: &[f64]| {
            let natural = [3.21, 3.29, 3.4];
            let natural = &natural[..found.len()];
            by_comparison(&comparison(&[("found", found), ("natural", natural)])).0
        };
        assert_eq!(value(&[3.0, 3.1, 3.2]), "Better");
        assert_eq!(value(&[3.4, 3.5, 3.6]), "Worse");
        assert_eq!(value(&[3.0, 3.4, 3.4]), "Unclear");
        assert_eq!(
            by_comparison(&comparison(&[("found", &[3.0]), ("natural", &[3.2])])),
            ONE_SEED
        );
        assert_eq!(
            by_comparison(&comparison(&[("natural", &[3.0])])),
            NOTHING_ELSE
        );
    }

    #[test]
    fn a_check_shows_whether_the_found_mixture_is_better_than_every_other() {
        let value = |natural: &[f64], uniform: &[f64]| {
            let found = &[3.0, 3.1, 3.2][..natural.len()];
            let all = [("found", found), ("natural", natural), ("uniform", uniform)];
            by_check(&check_of(&all)).0
        };
        let [higher, lower, near] = [[3.2, 3.3, 3.4001], [2.8, 2.9, 3.0001], [3.3, 3.0, 3.2]];
        assert_eq!(value(&higher, &higher), "Better");
        assert_eq!(value(&higher, &near), "Unclear");
        assert_eq!(value(&higher, &lower), "Worse");
        assert_eq!(value(&near, &lower), "Worse");
        let one = check_of(&[("found", &[3.0]), ("natural", &[3.2])]);
        assert_eq!(by_check(&one), ONE_SEED);
        assert_eq!(by_check(&check_of(&[("found", &[3.0])])), NOTHING_ELSE);
    }
}

//! Laws of scale, what they were judged on, and the mixtures that they find.

use regmix_regress::scale::{Cmr, CriticalRatio, FittedLaw, RankTransfer, ScaleFit, ScaleOptimum};

use super::number::{or_dash, percent};
use crate::output::table::table;

/// The judgement of the laws, and how far they can be trusted.
pub(crate) fn scale_fit(fit: &ScaleFit) -> String {
    let mut text = judged(fit);
    text.push_str(&trust(fit));
    for warning in fit.warnings() {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}

fn judged(fit: &ScaleFit) -> String {
    let names: Vec<&str> = fit.laws().iter().map(|law| law.as_str()).collect();
    let correction = fit.corrections();
    let rows = fit.judged().iter().map(|j| {
        vec![
            j.law.clone(),
            j.direction.words().to_owned(),
            format!("{:.2}", j.size_factor),
            format!("{:.2}", j.tokens_factor),
            or_dash(100.0 * j.error, 2),
            or_dash(j.spearman, 4),
        ]
    });
    format!(
        "Chosen: the mean of {}{correction}.\nJudged on runs that were not fitted, means over \
         targets:\n{}",
        names.join(", "),
        table(
            &[
                "law",
                "judged",
                "x size",
                "x tokens",
                "error (%)",
                "Spearman"
            ],
            rows
        )
    )
}

fn trust(fit: &ScaleFit) -> String {
    let all = fit.trust();
    let mut laws: Vec<&str> = Vec::new();
    for t in &all {
        if !laws.contains(&t.law.as_str()) {
            laws.push(&t.law);
        }
    }
    if laws.is_empty() {
        return String::new();
    }
    let rows = laws.into_iter().map(|law| {
        let each = all.iter().filter(|t| t.law == law);
        let error = each.map(|t| {
            let mark = if t.measured { "" } else { " *" };
            format!("{:.2}{mark}", 100.0 * t.error)
        });
        std::iter::once(law.to_owned()).chain(error).collect()
    });
    format!(
        "\nError to expect (%) at so many times the largest size (* beyond what was judged):\n{}",
        table(&["law", "2x", "4x", "10x"], rows)
    )
}

/// Rank transfer, exponents and the verdict.
pub(crate) fn scale(fit: &ScaleFit, transfers: &[RankTransfer], verdict: &str) -> String {
    let mut text = String::new();
    if !transfers.is_empty() {
        let rows = transfers.iter().map(|t| {
            vec![
                format!("{:.3e} to {:.3e}", t.smaller, t.larger),
                t.mixtures.to_string(),
                format!("{:.4}", t.spearman),
                format!("{:.4}", t.lowest),
                format!("{:.4}", t.spearman_of_mean),
                format!("{:.4}", t.regret),
                format!("{:.4}", t.regret_of_five),
                t.seed_noise
                    .map_or_else(|| "-".to_owned(), |n| format!("{n:.4}")),
            ]
        });
        text.push_str("Ranks of mixtures from one size to another:\n");
        text.push_str(&table(
            &[
                "parameters",
                "mixtures",
                "Spearman",
                "lowest",
                "of mean",
                "regret",
                "of best 5",
                "seed noise",
            ],
            rows,
        ));
        text.push('\n');
    }
    text.push_str(&exponents(fit));
    text.push('\n');
    text.push_str(&scale_fit(fit));
    text.push_str(&format!("\n{verdict}\n"));
    text
}

/// Exponents and floors of every target and law.
fn exponents(fit: &ScaleFit) -> String {
    let rows = (fit.runs().targets().iter().enumerate()).flat_map(|(t, target)| {
        fit.target_laws(t).iter().map(move |law| {
            let get = |name: &str| value(law, name);
            vec![
                target.clone(),
                law.law().as_str().to_owned(),
                get("E"),
                get("a"),
                get("b"),
                format!("{:.2}", 100.0 * law.residual_sd()),
            ]
        })
    });
    format!(
        "Floors E and exponents of size (a) and tokens (b):\n{}",
        table(
            &["target", "law", "E", "a", "b", "residual (%)"],
            rows.collect::<Vec<_>>()
        )
    )
}

/// A parameter, in brackets where the runs do not determine it.
fn value(law: &FittedLaw, name: &str) -> String {
    let found = law.parameters().into_iter().find(|(n, _)| n == name);
    match found {
        None => "-".to_owned(),
        Some((_, v)) if law.tied().iter().any(|t| t == name) => format!("({v:.3})"),
        Some((_, v)) => format!("{v:.3}"),
    }
}

/// The best mixture at a size, and how it moves from the proxies to there.
pub(crate) fn scale_optimum(found: &ScaleOptimum) -> String {
    let header: Vec<String> = (found.path.iter())
        .map(|s| format!("{:.3e} / {:.3e}", s.parameters, s.tokens))
        .collect();
    let header: Vec<&str> = std::iter::once("parameters / tokens")
        .chain(header.iter().map(String::as_str))
        .collect();
    let names: Vec<&str> = found.mixture.domains().names().collect();
    let weights = found.mixture.weights();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    let mut rows: Vec<Vec<String>> = (order.into_iter())
        .map(|i| {
            let each = found.path.iter().map(|s| percent(s.weights[i]));
            std::iter::once(names[i].to_owned()).chain(each).collect()
        })
        .collect();
    let mut line = |name: &str, values: &mut dyn Iterator<Item = String>| {
        rows.push(std::iter::once(name.to_owned()).chain(values).collect());
    };
    line(
        "objective",
        &mut found.path.iter().map(|s| format!("{:.4}", s.value)),
    );
    line(
        "moved",
        &mut found.path.iter().map(|s| format!("{:.3}", s.moved)),
    );
    let mut text = format!(
        "Best mixtures from the proxies' size to the target's:\n{}",
        table(&header, rows)
    );
    let o = &found.objective;
    let unit = (found.unit.as_ref()).map_or_else(String::new, |unit| format!(" {unit}"));
    text.push_str(&format!(
        "\nExpected at {:.3e} parameters and {:.3e} tokens: {:.4}{unit} (90% interval {:.4} to \
         {:.4})\n",
        found.parameters, found.tokens, o.mean, o.low, o.high
    ));
    let losses = found.losses.iter().map(|l| {
        let number = |x: f64| format!("{x:.4}");
        vec![
            l.name.clone(),
            number(l.mean),
            number(l.low),
            number(l.high),
        ]
    });
    text.push_str(&table(&["target", "expected", "low", "high"], losses));
    if let Some((natural, saved)) = &found.natural {
        text.push_str(&format!("\nThe natural mixture: {:.4}", natural.mean));
        text.push_str(&match saved {
            Some(factor) => format!("; it needs {factor:.2} times the tokens for the same\n"),
            None => "; not even 100 times as many tokens reach it\n".to_owned(),
        });
    }
    for warning in &found.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}

/// The critical mixture ratio, and what more tokens do to it.
pub(crate) fn cmr(found: &Cmr, special: &str) -> String {
    let ratio = |c: &CriticalRatio| match c.low.is_nan() {
        true => format!("{:.4} (no interval)", c.special_share),
        false => format!(
            "{:.4} (90% interval {:.4} to {:.4})",
            c.special_share, c.low, c.high
        ),
    };
    let mut text = format!(
        "General loss before: {:.4}; it may rise by {}.\n",
        found.general_before, found.epsilon
    );
    text.push_str(&match &found.critical {
        Some(c) => format!(
            "Feasible shares of {special} after {:.3e} tokens: 0 to {}\n",
            found.tokens,
            ratio(c)
        ),
        None => format!(
            "No share of {special} is feasible after {:.3e} tokens.\n",
            found.tokens
        ),
    });
    let law = |l: &regmix_regress::scale::PowerLaw, x: &str| {
        format!("{:.4} + {:.4} {x}^{:.3}", l.level, l.scale, l.exponent)
    };
    text.push_str(&format!(
        "At the last measurement: general loss {}, special loss {}\n",
        law(&found.general_law, "(1 - r)"),
        law(&found.special_law, "r")
    ));
    let rows = found.by_tokens.iter().map(|c| {
        vec![
            format!("{:.3e}", c.tokens),
            format!("{:.4}", c.special_share),
            or_dash(c.low, 4),
            or_dash(c.high, 4),
        ]
    });
    text.push_str(&table(&["tokens", "critical share", "low", "high"], rows));
    for note in &found.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

//! What is refused before a fit, and what a reader should know after it.

use std::collections::BTreeMap;

use regmix_data::{DomainSet, Error, Result};

use crate::scale::blend::Blend;
use crate::scale::options::ScaleOptions;
use crate::scale::runs::ScaleRuns;

/// What runs leave open, or have that no law describes.
pub(crate) fn cautions(runs: &ScaleRuns, blend: &Blend) -> Vec<String> {
    let mut out = Vec::new();
    let (sizes, lengths) = (runs.sizes().len(), runs.lengths());
    if sizes < 3 {
        out.push(format!(
            "{sizes} size{}: how far the laws hold for larger models was not judged; that \
             takes three sizes",
            if sizes == 1 { "" } else { "s" }
        ));
    }
    if sizes == 1 {
        out.push(
            "with one size the exponent of size cannot be known; it is 0.34, that of \
             Hoffmann et al."
                .to_owned(),
        );
    }
    if lengths < 2 {
        out.push(
            "with one length the exponent of tokens cannot be known from it; it is 0.4, or \
             that of the mixtures where a law ties the two"
                .to_owned(),
        );
    }
    out.extend(rises(runs));
    let mut tied: BTreeMap<(&str, &str), usize> = Default::default();
    for law in blend.targets.iter().flat_map(|t| &t.laws) {
        for name in law.tied() {
            *tied.entry((law.law().as_str(), name)).or_default() += 1;
        }
    }
    for ((law, name), count) in tied {
        if count == runs.targets().len() && count > 0 {
            out.push(format!(
                "`{}` of `{law}` is not determined by the runs of any target: it stays \
                 near its start",
                named(name, runs.domains())
            ));
        }
    }
    out
}

/// A parameter with the name of its domain in place of its number.
fn named(parameter: &str, domains: &DomainSet) -> String {
    let parts = parameter.strip_suffix(']').and_then(|p| p.split_once('['));
    let domain = parts.and_then(|(_, j)| domains.names().nth(j.parse().ok()?));
    match (parts, domain) {
        (Some((parameter, _)), Some(domain)) => format!("{parameter}[{domain}]"),
        _ => parameter.to_owned(),
    }
}

/// Runs in which losses rise along training: laws only fall with tokens.
fn rises(runs: &ScaleRuns) -> Option<String> {
    /// A rise of most targets by this part is more than noise.
    const RISE: f64 = 0.02;
    let mut first: Option<String> = None;
    let mut count = 0;
    for run in runs.runs() {
        let rise = run.points.windows(2).find(|pair| {
            let each = pair[0].values.iter().zip(&pair[1].values);
            let up = each.filter(|(a, b)| **b > (1.0 + RISE) * **a).count();
            2 * up > runs.targets().len()
        });
        if let Some(pair) = rise {
            count += 1;
            first.get_or_insert_with(|| {
                format!(
                    "`{}` from {:e} to {:e} tokens",
                    run.run, pair[0].tokens, pair[1].tokens
                )
            });
        }
    }
    first.map(|first| {
        format!(
            "in {count} run{} the losses of most targets rise by more than 2 % from one point to \
             the next (first: {first}), as after a restart of the learning rate; laws only fall \
             with tokens, so that such points count as noise",
            if count == 1 { "" } else { "s" }
        )
    })
}

/// Refuses options that no fit can use.
pub(crate) fn check(runs: &ScaleRuns, options: &ScaleOptions) -> Result<()> {
    if options.laws.is_empty() || options.starts == 0 {
        return Err(Error::input(format!(
            "{} laws from {} starts: expected at least one of each",
            options.laws.len(),
            options.starts
        )));
    }
    let domains = runs.domains().len();
    for (what, given) in [
        ("available tokens", &options.available),
        ("data per token", &options.per_token),
    ] {
        let wrong = |x: &f64| !(x.is_finite() && *x > 0.0);
        if !given.is_empty() && (given.len() != domains || given.iter().any(wrong)) {
            return Err(Error::input(format!(
                "{what} {given:?}: expected a positive number for each of {domains} domains"
            )));
        }
    }
    let sizes = runs.sizes();
    let shared = (runs.by_mixture().iter()).any(|members| {
        let first = runs.runs()[members[0]].parameters;
        members.iter().any(|&r| runs.runs()[r].parameters != first)
    });
    if sizes.len() > 1 && !shared {
        return Err(Error::input(format!(
            "{} sizes, and no mixture was trained at two of them",
            sizes.len()
        ))
        .help("what size does cannot be told from what the mixtures do: train some mixtures at every size"));
    }
    Ok(())
}

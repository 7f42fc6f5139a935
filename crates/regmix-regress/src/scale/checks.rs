//! What is refused before a fit, and what a reader should know after it.

use std::collections::BTreeMap;

use regmix_data::{DomainSet, Error, Result};

use crate::scale::blend::Blend;
use crate::scale::ends::Ends;
use crate::scale::form::LawName;
use crate::scale::options::ScaleOptions;
use crate::scale::runs::{ScaleRun, ScaleRuns};

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
             Hoffmann et al., and intervals for other sizes are wide"
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
    out.extend(shares(runs));
    out.extend(units(runs));
    let few = few_points(runs, blend);
    let mut tied: BTreeMap<(&str, &str), usize> = Default::default();
    let all = blend.targets.iter().flat_map(|t| &t.laws);
    for law in all.filter(|law| few.iter().all(|(few, _)| *few != law.law())) {
        for name in law.tied() {
            *tied.entry((law.law().as_str(), name)).or_default() += 1;
        }
    }
    out.extend(few.into_iter().map(|(_, warning)| warning));
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

/// The warning where last points lie on another curve.
pub(crate) fn of_last_points(ends: &Ends) -> Option<String> {
    let (one, other) = ends.errors?;
    let (what, named) = match ends.decayed {
        true => ("have an excess of their own", "laws with an excess"),
        false => ("are left out", "laws of last points"),
    };
    Some(format!(
        "points along the way lie on another curve than the last points of runs, and {what}: at \
         the last points of the largest size, laws of one curve are wrong by {:.2} %, {named} by \
         {:.2} %",
        100.0 * one,
        100.0 * other
    ))
}

/// Domains whose share is the same in all runs.
fn shares(runs: &ScaleRuns) -> Option<String> {
    let first = &runs.runs()[0].weights;
    let varies = |j: usize| {
        let mut others = runs.runs().iter();
        others.any(|run| (run.weights[j] - first[j]).abs() > 1e-4)
    };
    let fixed: Vec<&str> = (runs.domains().names().enumerate())
        .filter(|(j, _)| !varies(*j))
        .map(|(_, name)| name)
        .collect();
    let all = fixed.len() == runs.domains().len();
    match (all, fixed.is_empty()) {
        (_, true) => None,
        (true, _) => Some(
            "all runs have one mixture: what other mixtures do cannot be known, and predictions \
             for them are those of the start of the fit"
                .to_owned(),
        ),
        (false, _) => Some(format!(
            "the share of {} is the same in all runs: what another share does cannot be known",
            fixed.join(", ")
        )),
    }
}

/// Sizes and lengths that hardly are of one unit.
fn units(runs: &ScaleRuns) -> Vec<String> {
    /// Sizes of one table span less than this, and no run reads more tokens per
    /// parameter than that.
    const SPAN: f64 = 1000.0;
    const PER_PARAMETER: f64 = 2e4;
    let sizes = runs.sizes();
    let (smallest, largest) = (sizes[0], sizes[sizes.len() - 1]);
    let mut out = Vec::new();
    if largest / smallest > SPAN {
        out.push(format!(
            "the sizes reach from {smallest:e} to {largest:e} parameters: are all of them counted \
             one by one?"
        ));
    }
    let most = |run: &&ScaleRun| run.points.last().map_or(0.0, |p| p.tokens) / run.parameters;
    let densest = (runs.runs().iter()).max_by(|a, b| most(a).total_cmp(&most(b)));
    if let Some(run) = densest.filter(|run| run.parameters > 1.0 && most(run) > PER_PARAMETER) {
        out.push(format!(
            "run `{}` has {:e} parameters and {:.0} tokens for each: are parameters and tokens \
             counted one by one?",
            run.run,
            run.parameters,
            most(&run)
        ));
    }
    out
}

/// Laws with more parameters than a target has measurements.
fn few_points(runs: &ScaleRuns, blend: &Blend) -> Vec<(LawName, String)> {
    let measured = |t: usize| {
        let all = runs.runs().iter().flat_map(|run| &run.points);
        all.filter(|p| p.values[t].is_finite()).count()
    };
    let counts = (0..runs.targets().len()).map(|t| (measured(t), t));
    let Some((fewest, target)) = counts.min() else {
        return Vec::new();
    };
    (blend.targets[target].laws.iter())
        .filter_map(|law| {
            let parameters = law.parameters().len();
            let held: Vec<String> = (law.tied().iter())
                .map(|name| format!("`{}`", named(name, runs.domains())))
                .collect();
            (parameters > fewest).then(|| {
                let warning = format!(
                    "`{}` of `{}` has {fewest} measurements, and the law {parameters} parameters: \
                     {} stay near their start, and what they do is a guess",
                    runs.targets()[target],
                    law.law().as_str(),
                    held.join(", ")
                );
                (law.law(), warning)
            })
        })
        .collect()
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
    if options.starts == 0 {
        return Err(Error::input("0 starts: expected at least one"));
    }
    let epochs = options.laws.iter().find(|law| law.needs_available());
    if let Some(law) = epochs.filter(|_| options.available.is_empty()) {
        return Err(Error::input(format!(
            "`{}` is a law of epochs, and the tokens that there are of every domain are not known",
            law.as_str()
        ))
        .field("--laws")
        .help("give them with --available, such as web=1e12,law=2e9"));
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
    /// No run reads fewer tokens per parameter.
    const FEW: f64 = 1e-4;
    let read = |run: &ScaleRun| run.points.last().map_or(0.0, |p| p.tokens);
    let longest = (runs.runs().iter()).max_by(|a, b| read(a).total_cmp(&read(b)));
    if let Some(run) = longest.filter(|run| read(run) < FEW * run.parameters) {
        return Err(Error::input(format!(
            "the longest run, `{}`, has {} tokens for {:e} parameters: expected tokens such as 46e9",
            run.run,
            read(run),
            run.parameters
        ))
        .field("tokens")
        .help("tokens are counted one by one: the step times the tokens of one step"));
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

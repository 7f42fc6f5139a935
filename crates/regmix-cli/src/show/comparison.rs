//! Methods compared with each other.

use regmix_study::compare::{Difference, MethodComparison};

use super::objective::measured_as;
use crate::output::table::table;

/// A row for every method, the best first.
pub(crate) fn comparison(compared: &MethodComparison) -> String {
    // Methods are compared by what is to be made small.
    let sign = compared.objective.sign();
    let rows = compared.methods.iter().map(|method| {
        vec![
            method.name.clone(),
            match method.sd {
                Some(sd) => format!("{:.4} +- {sd:.4}", sign * method.mean),
                None => format!("{:.4}", sign * method.mean),
            },
            gain(method.over_natural),
            p_value(method.over_natural),
            gain(method.over_found),
            p_value(method.over_found),
            match method.cost.tokens {
                0 => "0".to_owned(),
                tokens => format!("{:.2} M", tokens as f64 / 1e6),
            },
            format!("{:.2}", method.cost.flops / compared.target_flops),
            format!("{:.0}", method.cost.seconds),
            (method.gain_per_million_tokens).map_or_else(String::new, |g| format!("{g:+.5}")),
        ]
    });
    format!(
        "Targets of {} parameters, {} tokens each, {}:\n{}{}\n",
        compared.target_parameters,
        compared.target_tokens,
        measured_as(&compared.objective),
        table(
            &[
                "method",
                "mean +- sd",
                "gain over natural (95%)",
                "p",
                "over found (95%)",
                "p",
                "proxy tokens",
                "in targets",
                "seconds",
                "gain / M tokens",
            ],
            rows
        ),
        compared.sentence()
    )
}

/// A gain with its interval, where seeds give one.
fn gain(difference: Option<Difference>) -> String {
    match difference {
        None => String::new(),
        Some(Difference {
            gain,
            interval: Some([low, high]),
            ..
        }) => format!("{gain:+.4} ({low:+.4} to {high:+.4})"),
        Some(Difference { gain, .. }) => format!("{gain:+.4}"),
    }
}

/// The p-value after Holm's correction.
fn p_value(difference: Option<Difference>) -> String {
    (difference.as_ref().and_then(Difference::p_text)).unwrap_or_default()
}

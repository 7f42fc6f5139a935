//! Numbers as text.

/// A share of one, in per cent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// A value with its standard deviation, to four digits.
pub(super) fn mean_and_sd(mean: f64, sd: f64) -> String {
    format!("{mean:.4} +- {sd:.4}")
}

/// A value to so many digits, or a dash where it was not measured.
pub(super) fn or_dash(x: f64, digits: usize) -> String {
    match x.is_nan() {
        true => "-".to_owned(),
        false => format!("{x:.digits$}"),
    }
}

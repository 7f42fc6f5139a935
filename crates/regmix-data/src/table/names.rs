//! Names of columns and runs.

use std::cmp::Ordering;

use crate::error::{Error, Result};

/// Refuses a name that comes twice.
pub(super) fn check_unique(names: &[String]) -> Result<()> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|p| p[0] == p[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::input(format!(
            "duplicate `{}`: expected every name once",
            pair[0]
        ))),
    }
}

/// Strips a prefix and a suffix where every name has both and something is
/// left in between.
pub(super) fn strip_all(names: &[String], prefix: &str, suffix: &str) -> Vec<String> {
    let stripped: Option<Vec<String>> = names
        .iter()
        .map(|n| n.strip_prefix(prefix)?.strip_suffix(suffix))
        .map(|n| n.filter(|n| !n.is_empty()).map(str::to_owned))
        .collect();
    stripped.unwrap_or_else(|| names.to_vec())
}

/// The order of names of runs in which numbers within them count as numbers: `run-2` before
/// `run-10`, `0.25` before `0.5`. Different names are never equal.
///
/// ```
/// use regmix_data::table::compare_runs;
///
/// let mut runs = ["run-10", "run-2", "natural"];
/// runs.sort_by(|a, b| compare_runs(a, b));
/// assert_eq!(runs, ["natural", "run-2", "run-10"]);
/// ```
pub fn compare_runs(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) {
        let order = match x.is_ascii_digit() && y.is_ascii_digit() {
            true => {
                let (whole, rest) = digits(left);
                let (other, others_rest) = digits(right);
                (left, right) = (rest, others_rest);
                let value = |digits: &str| digits.trim_start_matches('0').to_owned();
                let (whole, other) = (value(whole), value(other));
                (whole.len().cmp(&other.len()))
                    .then_with(|| whole.cmp(&other))
                    .then_with(|| {
                        let decimals;
                        let others_decimals;
                        (decimals, left) = fraction(left);
                        (others_decimals, right) = fraction(right);
                        decimals.cmp(others_decimals)
                    })
            }
            false => {
                (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
                x.cmp(&y)
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The digits that a text begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// The decimals that a text begins with, and the rest.
fn fraction(text: &str) -> (&str, &str) {
    match text.strip_prefix('.').map(digits) {
        Some((decimals, rest)) if !decimals.is_empty() => (decimals.trim_end_matches('0'), rest),
        _ => ("", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let sorted = |names: &[&str]| {
            let mut names = names.to_vec();
            names.sort_by(|a, b| compare_runs(a, b));
            names.join(" ")
        };
        assert_eq!(sorted(&["10", "9", "1", "100"]), "1 9 10 100");
        assert_eq!(sorted(&["p-10", "p-9", "p", "p-1b"]), "p p-1b p-9 p-10");
        assert_eq!(sorted(&["w0.5", "w0.125", "w0.25"]), "w0.125 w0.25 w0.5");
        assert_eq!(sorted(&["b1", "a2", "01", "1", "1.0"]), "01 1 1.0 a2 b1");
        assert_eq!(sorted(&["1.", "1.x", "1"]), "1 1. 1.x");
    }

    proptest! {
        #[test]
        fn the_order_is_one(names in prop::collection::vec("[01.a-]{0,5}", 3)) {
            let [a, b, c] = &names[..] else { unreachable!() };
            prop_assert_eq!(compare_runs(a, b), compare_runs(b, a).reverse());
            prop_assert_eq!(compare_runs(a, b) == Ordering::Equal, a == b);
            if compare_runs(a, b).is_le() && compare_runs(b, c).is_le() {
                prop_assert!(compare_runs(a, c).is_le(), "{} {} {}", a, b, c);
            }
        }
    }
}

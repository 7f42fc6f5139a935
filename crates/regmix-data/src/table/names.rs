//! Names of columns and runs.

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

//! The mixtures of the proxies.

use std::path::Path;

use regmix_data::table::MixtureTable;

use super::number::percent;
use crate::output::table::table;

/// Mean, least and largest weight of every domain, and the epochs that the
/// proxy with the most of it sees.
pub(crate) fn design(mixtures: &MixtureTable, epochs: &[(String, f64)], path: &Path) -> String {
    let rows = mixtures.domains().iter().enumerate().map(|(i, domain)| {
        let weights = || mixtures.mixtures().iter().map(move |m| m.weights()[i]);
        let n = mixtures.len() as f64;
        vec![
            domain.to_string(),
            percent(weights().sum::<f64>() / n),
            percent(weights().fold(f64::INFINITY, f64::min)),
            percent(weights().fold(0.0, f64::max)),
            format!("{:.2}", epochs[i].1),
        ]
    });
    format!(
        "{} mixtures in {}\n\n{}",
        mixtures.len(),
        path.display(),
        table(&["domain", "mean", "least", "most", "most epochs"], rows)
    )
}

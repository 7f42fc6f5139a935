//! Mixtures between two objectives.

use regmix_regress::{Estimate, Front};

use super::number::{mean_and_sd, percent};
use crate::output::table::table;

/// Domains in the table; the file has all of them.
const SHOWN: usize = 8;

/// A front: both objectives, and the domains with some weight anywhere.
pub(crate) fn front(front: &Front) -> String {
    let first = front.points.first().map(|p| p.mixture.domains().clone());
    let domains: Vec<String> = (first.iter())
        .flat_map(|set| set.names())
        .map(str::to_owned)
        .collect();
    // The largest domains tell mixtures apart; all are in the file.
    let largest = |i: usize| {
        (front.points.iter())
            .map(|p| p.mixture.weights()[i])
            .fold(0.0, f64::max)
    };
    let mut shown: Vec<usize> = (0..domains.len()).collect();
    shown.sort_by(|&a, &b| largest(b).total_cmp(&largest(a)));
    shown.truncate(SHOWN);
    let names = [front.a.to_string(), front.b.to_string()];
    let header: Vec<&str> = (["weight", &names[0], &names[1]].into_iter())
        .chain(shown.iter().map(|&i| domains[i].as_str()))
        .collect();
    let rows = front.points.iter().map(|p| {
        let value = |e: &Estimate| mean_and_sd(e.mean, e.sd);
        let weights = shown.iter().map(|&i| percent(p.mixture.weights()[i]));
        [format!("{:.3}", p.weight), value(&p.a), value(&p.b)]
            .into_iter()
            .chain(weights)
            .collect()
    });
    let mut text = format!(
        "Mixtures from the best for {} to the best for {}:\n",
        names[0], names[1]
    );
    text.push_str(&table(&header, rows));
    if domains.len() > SHOWN {
        text.push_str(&format!(
            "and {} more domains in the file\n",
            domains.len() - SHOWN
        ));
    }
    text
}

//! What DoReMi found.

use regmix_study::DoremiOutcome;

use super::number::percent;
use crate::output::table::table;

/// The mixture of the last round, beside what its reference was trained on.
pub(crate) fn doremi(outcome: &DoremiOutcome) -> String {
    let Some(round) = outcome.rounds.last() else {
        return String::new();
    };
    let mut order: Vec<usize> = (0..round.mixture.weights().len()).collect();
    let weights = round.mixture.weights();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    let names: Vec<&str> = round.mixture.domains().names().collect();
    let [own, reference] = &round.losses;
    let rows = order.into_iter().map(|i| {
        let loss = |losses: &std::collections::BTreeMap<String, f64>| {
            (losses.get(names[i])).map_or_else(|| "-".to_owned(), |loss| format!("{loss:.4}"))
        };
        vec![
            names[i].to_owned(),
            percent(round.reference.weights()[i]),
            percent(weights[i]),
            percent(round.last.weights()[i]),
            loss(reference),
            loss(own),
        ]
    });
    let header = [
        "domain",
        "reference",
        "doremi",
        "at the end",
        "loss of reference",
        "of proxy",
    ];
    let mut text = table(&header, rows);
    let rounds = outcome.rounds.len();
    text.push_str(&format!(
        "\n{rounds} round{}, {:.2} M tokens in all; the greatest change of a weight in the last: {}\n",
        if rounds == 1 { "" } else { "s" },
        outcome.tokens as f64 / 1e6,
        percent(round.change)
    ));
    if let Some(domain) = &round.collapsed {
        text.push_str(&format!(
            "warning: nearly all weight went to {domain}: such a mixture is of little use; train \
             the reference on the natural mixture, lower `step_size` (0.1), or raise `batch_size` in [doremi]\n"
        ));
    }
    text
}

//! Mixtures that need no proxies.

use regmix_study::PlainMixtures;

use super::number::percent;
use crate::output::table::table;

/// The weights of every domain, and the entropies that they follow from.
pub(crate) fn plain_mixtures(found: &PlainMixtures) -> String {
    let names: Vec<String> = found.mixtures.iter().map(|m| m.name.to_string()).collect();
    let header: Vec<&str> = (std::iter::once("domain"))
        .chain(names.iter().map(String::as_str))
        .collect();
    let domains = found.mixtures.first().map(|m| m.mixture.domains().clone());
    let rows = domains.iter().flat_map(|set| set.names()).map(|domain| {
        let weights = (found.mixtures.iter())
            .map(|m| m.mixture.get(domain).map_or_else(String::new, percent));
        std::iter::once(domain.to_owned()).chain(weights).collect()
    });
    let mut text = table(&header, rows);
    if !found.entropies.is_empty() {
        let rows = found.entropies.iter().map(|e| {
            let values = [e.shannon, e.joint, e.conditional, e.von_neumann];
            [e.domain.to_string(), e.tokens.to_string()]
                .into_iter()
                .chain(values.map(|x| format!("{x:.4}")))
                .collect()
        });
        let header = [
            "domain",
            "tokens",
            "Shannon",
            "joint",
            "conditional",
            "von Neumann",
        ];
        text.push_str("\nEntropies in nats:\n");
        text.push_str(&table(&header, rows));
    }
    text
}

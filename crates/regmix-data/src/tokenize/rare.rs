//! Domains with too few documents, found by reading the corpus once before.

use std::collections::BTreeMap;

use super::summary::RareDomain;
use crate::corpus::{Documents, Meters, Source};
use crate::error::Result;
use crate::monitor::Monitor;

/// Counts the documents of every domain and returns those with fewer than
/// `least`, in order of names.
pub(super) fn rare_domains(
    source: &Source,
    least: u64,
    monitor: &dyn Monitor,
) -> Result<Vec<RareDomain>> {
    if least == 0 {
        return Ok(Vec::new());
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for file in source.files() {
        let documents = Documents::open_named(
            &file.path,
            &file.content,
            source.options().clone(),
            Meters::default(),
        );
        let Some(mut documents) = source.unless_bad_file(documents.map(Some))? else {
            continue;
        };
        while let Some(outcome) = source.unless_bad_file(documents.next_outcome())? {
            monitor.check()?;
            let Ok(document) = outcome else { continue };
            if document.text.is_empty() {
                continue;
            }
            let name = match (&file.domain, document.label) {
                (Some(domain), _) => domain.to_string(),
                (None, label) => label.unwrap_or_default().trim().to_owned(),
            };
            *counts.entry(name).or_default() += 1;
        }
    }
    Ok(counts
        .into_iter()
        .filter(|(_, documents)| *documents < least)
        .map(|(name, documents)| RareDomain { name, documents })
        .collect())
}

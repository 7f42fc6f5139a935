//! A sample of a corpus's text.

use std::collections::BTreeMap;

use super::Source;
use crate::corpus::compression::Meters;
use crate::corpus::documents::Documents;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::shard::Split;

impl Source {
    /// Training texts of at most about `max_bytes`, to train a tokenizer on: the
    /// same number of bytes from every domain that has as many, taken from the
    /// beginning of its files. Documents that cannot be read are passed over.
    ///
    /// Where the domain is a label of each document, reading stops after four
    /// times `max_bytes`.
    ///
    /// # Errors
    /// When a file cannot be read, no document can, or `monitor` requested a
    /// stop.
    pub fn sample(&self, max_bytes: usize, monitor: &dyn Monitor) -> Result<Vec<String>> {
        let train: Vec<_> = self.files().filter(|f| f.split == Split::Train).collect();
        let mut by_domain: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
        let mut files_left: BTreeMap<&str, usize> = BTreeMap::new();
        for file in &train {
            let name = file.domain.as_ref().map_or("", |d| d.as_str());
            *files_left.entry(name).or_default() += 1;
        }
        let known = self.domains().map(|d| d.len());
        let mut read = 0;
        let mut unreadable: Option<Error> = None;
        for file in train {
            let name = file.domain.as_ref().map_or("", |d| d.as_str());
            let left = files_left
                .get_mut(name)
                .map_or(1, |n| std::mem::replace(n, *n - 1));
            let mut of_file = 0;
            let documents = Documents::open_named(
                &file.path,
                &file.content,
                self.options().clone(),
                Meters::default(),
            );
            let Some(mut documents) = self.unless_bad_file(documents.map(Some))? else {
                continue;
            };
            while let Some(outcome) = self.unless_bad_file(documents.next_outcome())? {
                monitor.check()?;
                let document = match outcome {
                    Ok(document) => document,
                    Err(e) => {
                        unreadable.get_or_insert(e.error);
                        continue;
                    }
                };
                read += document.text.len();
                let key = document.label.as_deref().unwrap_or(name);
                if !by_domain.contains_key(key) {
                    by_domain.insert(key.to_owned(), (0, Vec::new()));
                }
                let share = max_bytes / known.unwrap_or(by_domain.len());
                if let Some((bytes, texts)) = by_domain.get_mut(key)
                    && *bytes < share
                {
                    *bytes += document.text.len();
                    of_file += document.text.len();
                    texts.push(document.text);
                    // An even share of each file, so that later ones take part.
                    if known.is_some() && of_file >= (share - (*bytes - of_file).min(share)) / left
                    {
                        break;
                    }
                }
                if known.is_none() && read >= max_bytes.saturating_mul(4) {
                    return Ok(trim(by_domain, max_bytes));
                }
            }
        }
        match unreadable {
            Some(error) if by_domain.is_empty() => Err(error),
            _ => Ok(trim(by_domain, max_bytes)),
        }
    }
}

/// Cuts every domain to its even share, now that all domains are known.
fn trim(by_domain: BTreeMap<String, (usize, Vec<String>)>, max_bytes: usize) -> Vec<String> {
    let share = max_bytes / by_domain.len().max(1);
    let mut out = Vec::new();
    for (_, texts) in by_domain.into_values() {
        let mut bytes = 0;
        out.extend(texts.into_iter().take_while(|text| {
            let fits = bytes < share;
            bytes += text.len();
            fits
        }));
    }
    out
}

//! Targets that text beside a number tells apart, as in `run,step,domain,loss`.

use std::collections::{BTreeMap, BTreeSet};

use super::log::Places;

/// Columns and keys of such text, by rank.
const NAMES: [&str; 9] = [
    "domain",
    "domain_name",
    "target",
    "task",
    "dataset",
    "subset",
    "source",
    "split",
    "metric",
];

/// The rank of a column or key that may tell targets apart.
pub(super) fn label_rank(name: &str) -> Option<usize> {
    NAMES.iter().position(|n| n.eq_ignore_ascii_case(name))
}

/// Whether a text is a label: a number is one of a domain only, since other columns of
/// these names may hold settings.
pub(super) fn is_label(rank: usize, text: &str) -> bool {
    !text.is_empty() && (NAMES[rank].starts_with("domain") || text.parse::<f64>().is_err())
}

/// The labels of a row, by rank.
pub(super) type Labels = BTreeMap<usize, String>;

/// The targets of a file with the labels of the rows that measured them.
#[derive(Debug, Default)]
pub(super) struct Labelled {
    /// Target and labels, by place.
    parts: Vec<(usize, Labels)>,
    places: BTreeMap<Labels, BTreeMap<usize, usize>>,
    /// The first place of a target in a run at a step.
    first: BTreeMap<(usize, u64, usize), usize>,
    /// Ranks of labels that differ within a run and a step.
    varying: BTreeSet<usize>,
}

/// The targets of a file.
pub(super) struct Resolved {
    pub(super) names: Vec<String>,
    /// The target of every place of [`Labelled`].
    pub(super) targets: Vec<usize>,
    /// Ranks of the labels that are part of names.
    pub(super) varying: BTreeSet<usize>,
}

impl Labelled {
    /// The place of a target in a row with labels.
    pub(super) fn place(&mut self, run: usize, step: f64, target: usize, labels: &Labels) -> usize {
        if !self.places.contains_key(labels) {
            self.places.insert(labels.clone(), BTreeMap::new());
        }
        let next = self.parts.len();
        let place = match self.places.get_mut(labels) {
            Some(of_labels) => *of_labels.entry(target).or_insert(next),
            None => next,
        };
        if place == next {
            self.parts.push((target, labels.clone()));
        }
        if !labels.is_empty() {
            let key = (run, step.to_bits(), target);
            let first = *self.first.entry(key).or_insert(place);
            if first != place {
                let before = &self.parts[first].1;
                let differs = |rank: &usize| before.get(rank) != labels.get(rank);
                self.varying.extend((0..NAMES.len()).filter(differs));
            }
        }
        place
    }

    /// Names of targets: with the labels, where a run has several at a step, as they are
    /// elsewhere: a name of a data set that is the same in all rows says nothing.
    pub(super) fn resolve(self, targets: &[String]) -> Resolved {
        let own = |labels: &Labels| -> Vec<String> {
            let varying = self.varying.iter();
            varying
                .filter_map(|rank| labels.get(rank))
                .cloned()
                .collect()
        };
        let distinct: BTreeSet<usize> = self.parts.iter().map(|(target, _)| *target).collect();
        let several = distinct.len() > 1;
        let mut names = Places::default();
        if self.varying.is_empty() {
            targets.iter().for_each(|target| {
                names.of(target);
            });
        }
        let of_places = (self.parts.iter())
            .map(|(target, labels)| {
                let mut name = own(labels);
                if several || name.is_empty() {
                    name.push(targets[*target].clone());
                }
                names.of(&name.join("/"))
            })
            .collect();
        Resolved {
            names: names.into_names(),
            targets: of_places,
            varying: self.varying,
        }
    }
}

impl Resolved {
    /// What a person should know of names that the file gives; `labels` are their columns
    /// or keys.
    pub(super) fn note(&self, path: &std::path::Path, labels: &[String]) -> Option<String> {
        let quoted: Vec<String> = labels.iter().map(|name| format!("`{name}`")).collect();
        (!labels.is_empty()).then(|| {
            format!(
                "{}: runs have several rows at a step, which differ in {}: every one is a target",
                path.display(),
                quoted.join(", ")
            )
        })
    }
}

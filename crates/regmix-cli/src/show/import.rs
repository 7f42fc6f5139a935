//! Tables that were imported.

use std::collections::BTreeMap;

use regmix_study::tables::ImportedTables;

/// Names of one kind that are listed one by one.
const FEW: usize = 4;

/// The files with what they hold, and the targets.
pub(crate) fn imported(tables: &ImportedTables) -> String {
    let mut text = String::new();
    for (path, about) in &tables.files {
        text.push_str(&format!("{}: {about}\n", path.display()));
    }
    text.push_str(&format!("targets: {}\n", tables.targets.join(", ")));
    text
}

/// Names of numbers that do not count; of many that begin alike, the beginning.
pub(crate) fn skipped(names: &[String]) -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        let group = name.rsplit_once('/').map_or("", |(group, _)| group);
        groups.entry(group).or_default().push(name);
    }
    let groups = groups.into_iter().flat_map(|(group, names)| {
        match group.is_empty() || names.len() <= FEW {
            true => names.into_iter().map(str::to_owned).collect(),
            false => vec![format!("{group}/* ({})", names.len())],
        }
    });
    groups.collect::<Vec<String>>().join(", ")
}

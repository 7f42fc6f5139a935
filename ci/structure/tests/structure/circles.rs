//! Circles in a graph of imports.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::ModulePath;

type Imports = BTreeMap<ModulePath, BTreeSet<ModulePath>>;

/// The groups of files that import each other in circles, each as the imports
/// inside it. What a module imports from one that it is inside of does not
/// count: a module and its own children are one thing.
pub(crate) fn circles(imports: &Imports) -> Vec<Vec<(ModulePath, ModulePath)>> {
    let mut imports = imports.clone();
    for (from, to) in &mut imports {
        to.retain(|to| !from.starts_with(to));
    }
    let reached: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = (imports.keys())
        .map(|from| (from, reachable(from, &imports)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for from in imports.keys() {
        if !reached[from].contains(from) || !seen.insert(from) {
            continue;
        }
        let group: BTreeSet<&ModulePath> = (reached[from].iter().copied())
            .filter(|to| reached[to].contains(from))
            .collect();
        seen.extend(&group);
        let inside = group.iter().flat_map(|from| {
            let to = imports[*from].iter().filter(|to| group.contains(to));
            to.map(|to| ((*from).clone(), to.clone()))
        });
        out.push(inside.collect());
    }
    out
}

fn reachable<'a>(from: &ModulePath, imports: &'a Imports) -> BTreeSet<&'a ModulePath> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&ModulePath> = imports[from].iter().collect();
    while let Some(at) = open.pop() {
        if found.insert(at) {
            open.extend(imports.get(at).into_iter().flatten());
        }
    }
    found
}

#[test]
fn circles_are_found() {
    let graph = |edges: &[(&str, &str)]| -> Imports {
        let path = |text: &str| text.split("::").map(str::to_owned).collect::<ModulePath>();
        let mut out = Imports::new();
        for (from, to) in edges {
            out.entry(path(to)).or_default();
            out.entry(path(from)).or_default().insert(path(to));
        }
        out
    };
    assert!(circles(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    assert_eq!(
        circles(&graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]))[0].len(),
        3
    );
    assert!(circles(&graph(&[("a", "a::b"), ("a::b", "a")])).is_empty());
    assert_eq!(
        circles(&graph(&[("a::b", "a::c"), ("a::c", "a::b")])).len(),
        1
    );
}

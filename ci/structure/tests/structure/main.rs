//! The structure of the workspace: no import circles between files, no file and
//! no function that is too long to read in one go, no link of a page to a missing file.

mod circles;
mod source;

use std::path::{Path, PathBuf};

use source::Source;

/// Lines of a file.
const FILE: usize = 500;
/// Lines of a function.
const FUNCTION: usize = 80;
/// Functions that are longer for a reason, which stands beside them.
const LONG: [&str; 0] = [];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources() -> Vec<(String, Source)> {
    let folders = std::fs::read_dir(workspace().join("crates")).unwrap();
    let mut crates: Vec<PathBuf> = folders.map(|f| f.unwrap().path()).collect();
    crates.sort();
    // Crates beside the workspace.
    crates.extend(["python", "ci/api"].map(|folder| workspace().join(folder)));
    (crates.iter())
        .map(|folder| {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            (name, Source::read(&folder.join("src")))
        })
        .collect()
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    let mut found = String::new();
    let sources = sources();
    for (name, source) in &sources {
        let others = sources.iter().filter(|(other, _)| other != name);
        let elsewhere = others.flat_map(|(_, other)| other.method_names()).collect();
        for circle in circles::circles(&source.imports(&elsewhere)) {
            found += &format!("{name}:\n");
            for (from, to) in circle {
                found += &format!("  {} -> {}\n", from.join("::"), to.join("::"));
            }
        }
    }
    assert!(found.is_empty(), "imports in circles:\n{found}");
}

#[test]
fn functions_are_short() {
    let mut found = String::new();
    for (name, source) in sources() {
        for module in source.modules.values() {
            for (function, lines) in &module.functions {
                if *lines > FUNCTION && !LONG.contains(&function.as_str()) {
                    let file = module.file.display();
                    found += &format!("{name}: {function}, {lines} lines, in {file}\n");
                }
            }
        }
    }
    assert!(found.is_empty(), "above {FUNCTION} lines:\n{found}");
}

#[test]
fn files_are_short() {
    let mut found = String::new();
    let folders = ["crates", "benches", "python/src", "ci/api/src"];
    let mut folders: Vec<PathBuf> = folders.iter().map(|f| workspace().join(f)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                if lines > FILE {
                    found += &format!("{}: {lines} lines\n", path.display());
                }
            }
        }
    }
    assert!(found.is_empty(), "above {FILE} lines:\n{found}");
}

#[test]
fn links_of_pages_lead_to_files() {
    let mut found = String::new();
    let folders = ["docs", "benches", "python", "examples", "crates"];
    let mut entries: Vec<PathBuf> = folders.iter().map(|f| workspace().join(f)).collect();
    let root = std::fs::read_dir(workspace()).unwrap();
    entries.extend(
        root.map(|e| e.unwrap().path())
            .filter(|path| path.is_file()),
    );
    let mut links = 0;
    while let Some(path) = entries.pop() {
        if path.is_dir() {
            if !path.ends_with("target") {
                let inner = std::fs::read_dir(&path).unwrap();
                entries.extend(inner.map(|e| e.unwrap().path()));
            }
        } else if path.extension().is_some_and(|e| e == "md") {
            let page = std::fs::read_to_string(&path).unwrap();
            let targets = page
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|target| !target.contains("://")) {
                let file = target.split('#').next().unwrap();
                links += 1;
                if !path.parent().unwrap().join(file).exists() {
                    found += &format!("{}: {target}\n", path.display());
                }
            }
        }
    }
    assert!(found.is_empty(), "no such files:\n{found}");
    assert!(links > 100, "only {links} links were found");
}

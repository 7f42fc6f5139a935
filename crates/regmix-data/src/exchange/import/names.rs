//! How runs are called.

use std::path::{Component, Path, PathBuf};

use super::kind::{is_trainer_state, stands_for_its_folder};
use super::pattern::Pattern;
use crate::error::{Error, Result};

/// How runs are named.
#[derive(Debug, Clone, Default)]
pub enum RunNames {
    /// As the file names them; where it names none, by the part of the paths in which
    /// files differ.
    #[default]
    Differing,
    /// By what the stars of a pattern stand for in that name, or else in the path of
    /// the file.
    Pattern(Pattern),
}

/// The names of the runs of one file.
#[derive(Debug)]
pub(super) struct Namer<'a> {
    path: &'a Path,
    names: &'a RunNames,
    differing: String,
}

impl Namer<'_> {
    /// The run of a file that names none.
    pub(super) fn of_file(&self) -> Result<String> {
        match self.names {
            RunNames::Differing => Ok(self.differing.clone()),
            RunNames::Pattern(pattern) => {
                let in_path = || pattern.capture(&self.path.to_string_lossy());
                pattern
                    .capture(&self.differing)
                    .or_else(in_path)
                    .ok_or_else(|| {
                        let own = &self.differing;
                        Error::input(format!("neither `{own}` nor the path matches `{pattern}`"))
                            .in_file(self.path)
                            .field("--run-names")
                            .help("`*` stands for a part of a name, `**` also for folders")
                    })
            }
        }
    }

    /// A run that the file names.
    pub(super) fn in_file(&self, run: &str) -> Result<String> {
        match self.names {
            _ if run.is_empty() => {
                Err(Error::input("a row has no name of a run: expected one").in_file(self.path))
            }
            RunNames::Differing => Ok(run.to_owned()),
            RunNames::Pattern(pattern) => pattern.capture(run).ok_or_else(|| {
                Error::input(format!("run `{run}` does not match `{pattern}`"))
                    .in_file(self.path)
                    .field("--run-names")
                    .help("`*` stands for text without `/`, `**` for any text")
            }),
        }
    }
}

/// Names for every file.
pub(super) fn namers<'a>(files: &'a [PathBuf], names: &'a RunNames) -> Vec<Namer<'a>> {
    let subjects: Vec<Vec<String>> = files.iter().map(|path| subject(path)).collect();
    let all_have = |part: &dyn Fn(&Vec<String>) -> Option<&String>| {
        let wanted = subjects.first().and_then(part);
        wanted.is_some() && subjects.iter().all(|s| part(s) == wanted)
    };
    let shortest = subjects.iter().map(Vec::len).min().unwrap_or(0);
    // Every name keeps a part, also that of a file beside a folder of the same name.
    let before = (0..shortest.saturating_sub(1))
        .take_while(|&i| all_have(&|s| s.get(i)))
        .count();
    let behind = (0..shortest - before)
        .take_while(|&i| all_have(&|s| s.len().checked_sub(i + 1).and_then(|at| s.get(at))))
        .count();
    (files.iter().zip(&subjects))
        .map(|(path, subject)| Namer {
            path,
            names,
            differing: match &subject[before..subject.len() - behind] {
                // All files are about one run.
                [] => subject.last().cloned().unwrap_or_default(),
                differing => differing.join("/"),
            },
        })
        .collect()
}

/// What a file is about, by the parts of its path: its folder, where every run has
/// a folder of such files.
fn subject(path: &Path) -> Vec<String> {
    let parent = path.parent().unwrap_or(path);
    let own = match stands_for_its_folder(path) {
        true if is_trainer_state(path) && is_checkpoint(parent) => {
            parent.parent().unwrap_or(parent).to_path_buf()
        }
        true => parent.to_path_buf(),
        false if path.extension().is_some_and(|e| e == "gz") => {
            path.with_extension("").with_extension("")
        }
        false => path.with_extension(""),
    };
    (own.components())
        .filter(|c| matches!(c, Component::Normal(_)))
        .map(|c| c.as_os_str().to_string_lossy().into_owned())
        .collect()
}

/// Whether a folder holds a checkpoint of a run, as `checkpoint-500`.
fn is_checkpoint(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let step = name.strip_prefix("checkpoint-");
    step.is_some_and(|step| !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(paths: &[&str], names: &RunNames) -> Vec<String> {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let namers = namers(&paths, names);
        namers.iter().map(|n| n.of_file().unwrap()).collect()
    }

    #[test]
    fn runs_are_named_by_what_differs() {
        let named = |paths: &[&str]| named(paths, &RunNames::Differing);
        assert_eq!(
            named(&["logs/a/history.csv", "logs/b/history.csv"]),
            ["a", "b"]
        );
        assert_eq!(named(&["w/run-1.csv", "w/run-2.csv"]), ["run-1", "run-2"]);
        assert_eq!(named(&["w/history.csv"]), ["history"]);
        let events = [
            "tb/a/x/events.out.tfevents.1.h",
            "tb/b/x/events.out.tfevents.2.h",
        ];
        assert_eq!(named(&events), ["a", "b"]);
        let resumed = [
            "tb/a/events.out.tfevents.1.h",
            "tb/a/events.out.tfevents.2.h",
        ];
        assert_eq!(named(&resumed), ["a", "a"]);
        // A file of settings beside files of runs.
        assert_eq!(named(&["w/a/b.csv", "w/a.csv"]), ["a/b", "a"]);
        assert_eq!(named(&["events.out.tfevents.1"]), [""]);
        assert_eq!(named(&["w/a.jsonl.gz", "w/b.csv"]), ["a", "b"]);
        // Checkpoints are of the run that wrote them.
        let states = [
            "hf/a/checkpoint-10/trainer_state.json",
            "hf/a/checkpoint-5/trainer_state.json",
            "hf/a/trainer_state.json",
            "hf/b/checkpoint-5/trainer_state.json",
        ];
        assert_eq!(named(&states), ["a", "a", "a", "b"]);
    }

    #[test]
    fn a_pattern_is_matched_with_names_and_paths() {
        let pattern = RunNames::Pattern("logs/run-*/**.csv".parse().unwrap());
        assert_eq!(named(&["logs/run-7/x/y.csv"], &pattern), ["7/x/y"]);
        let path = [PathBuf::from("x/a.csv")];
        let of_other = namers(&path, &pattern);
        assert_eq!(
            of_other[0].of_file().unwrap_err().to_string(),
            "x/a.csv: `--run-names`: neither `a` nor the path matches `logs/run-*/**.csv`"
        );
        let of_name = RunNames::Pattern("proxy-*".parse().unwrap());
        let results = ["r/proxy-1/m/results_1.json", "r/proxy-2/m/results_7.json"];
        assert_eq!(named(&results, &of_name), ["1", "2"]);
        let of_table = namers(&path, &of_name);
        assert_eq!(of_table[0].in_file("proxy-12").unwrap(), "12");
        assert_eq!(
            of_table[0].in_file("target").unwrap_err().to_string(),
            "x/a.csv: `--run-names`: run `target` does not match `proxy-*`"
        );
    }
}

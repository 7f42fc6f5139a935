//! Which names can be names of folders.

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};

use crate::stamp::is_aside;

/// What names of arms and of sizes are made of.
pub(super) const PLAIN: &str = "letters, digits, _ and -";

/// The longest name of a run in bytes: with the suffix of a run that is set aside, file
/// systems still take it.
const LONGEST: usize = 200;

/// Whether a name of `study.toml` is made of [`PLAIN`] characters.
pub(super) fn is_plain(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.chars().all(fits)
}

/// Checks the names of the runs of a design, which become names of folders.
///
/// # Errors
/// When one is not the name of a single folder, or is one that regmix uses.
pub(crate) fn check_runs(table: &MixtureTable) -> Result<()> {
    let refused = |run: &&String| !can_be_folder(run) || is_aside(run, None);
    match table.runs().iter().find(refused) {
        None => Ok(()),
        Some(run) => Err(Error::input(format!(
            "the run `{}` cannot be the name of a folder: expected 1 to {LONGEST} bytes without /, \
             \\ and control characters, and neither `.`, `..`, `lock` nor an ending .old-<number>",
            run.escape_debug()
        ))
        .help("rename the run: every run of a study is trained in a folder of its name")),
    }
}

fn can_be_folder(run: &str) -> bool {
    let separates = |c: char| c == '/' || c == '\\' || c.is_control();
    (1..=LONGEST).contains(&run.len())
        && !run.contains(separates)
        && !["", ".", ".."].contains(&run.trim())
        // Some file systems do not distinguish upper case from lower case.
        && !run.eq_ignore_ascii_case("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_names_of_single_folders() {
        let check = |run: &str| {
            let quoted = run.replace('"', "\"\"");
            let text = format!("run,web,code\nfirst,0.5,0.5\n\"{quoted}\",0.1,0.9\n");
            let table = MixtureTable::parse(&text, "m.csv".as_ref()).unwrap();
            check_runs(&table).map_err(|e| e.to_string())
        };
        let long = "x".repeat(201);
        for run in [
            "",
            ".",
            "..",
            "../../victim",
            "/tmp/x",
            "a/b",
            "a\\b",
            "a\nb",
            "a\0",
            "lock",
            "Lock",
            "x.old-1",
            &long,
        ] {
            let message = check(run).expect_err(run);
            let expected = "cannot be the name of a folder: expected 1 to 200 bytes";
            assert!(message.contains(expected), "{message}");
        }
        for run in [
            "run-0001", "1", "web 0.5", "größer", ".5", "x.old", "x.old-1b", "locked",
        ] {
            assert_eq!(check(run), Ok(()), "{run}");
        }
    }
}

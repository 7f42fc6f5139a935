//! Temporary files of processes that were killed.
//!
//! The name of a temporary file says which process writes it. A file whose
//! process has ended is removed at the next start; where that cannot be known,
//! for example for a process of another machine, it is removed after a day.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::process::Process;

/// How the names of temporary files begin and end.
const START: &str = ".regmix-";
pub(crate) const END: &str = ".tmp";

/// The age at which a file goes whose process may still run.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// Removes the temporary files of ended processes from a folder, and with
/// `below` from all folders in it. Returns how many there were. What cannot be
/// read or removed stays.
pub fn sweep(folder: &Path, below: bool) -> usize {
    let mut removed = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && below {
            removed += sweep(&entry.path(), true);
        } else if kind.is_file()
            && let Some(owner) = owner_of(&entry.file_name().to_string_lossy())
        {
            let changed = entry.metadata().and_then(|m| m.modified());
            let age = changed.map(|t| SystemTime::now().duration_since(t).unwrap_or_default());
            let ended = owner.parse().ok().and_then(|p: Process| p.has_ended());
            if ended.unwrap_or(age.is_ok_and(|age| age > OLD))
                && fs::remove_file(entry.path()).is_ok()
            {
                removed += 1;
            }
        }
    }
    removed
}

/// How the names of this process's temporary files begin.
pub(crate) fn prefix() -> String {
    let own = Process::this().map(|own| format!("{own}-"));
    format!("{START}{}", own.unwrap_or_default())
}

/// The process in the name of a temporary file; empty where it names none.
fn owner_of(name: &str) -> Option<&str> {
    let inner = name.strip_prefix(START)?.strip_suffix(END)?;
    Some(inner.split_once('-').map_or("", |(owner, _)| owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_ended_processes_and_old_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("runs/r0");
        fs::create_dir_all(&inner).unwrap();
        let make = |name: &str| {
            let path = inner.join(name);
            fs::write(&path, "half").unwrap();
            path
        };
        let own = make(&format!("{}Ab3{END}", prefix()));
        let strange = make(&format!("{START}elsewhere_1_1-Ab3{END}"));
        let old = make(&format!("{START}Ab3{END}"));
        let yesterday = SystemTime::now() - 2 * OLD;
        let file = fs::File::options().write(true).open(&old).unwrap();
        file.set_modified(yesterday).unwrap();
        let user = make("notes.tmp");
        let mut ended = Vec::new();
        if let Some(own) = Process::this() {
            let (world, _) = own
                .to_string()
                .split_once('_')
                .map(|(w, r)| (w.to_owned(), r.to_owned()))
                .unwrap();
            let mut child = std::process::Command::new("true").spawn().unwrap();
            child.wait().unwrap();
            ended.push(make(&format!("{START}{world}_{}_7-Ab3{END}", child.id())));
            // A later process with the same number.
            let id = std::process::id();
            ended.push(make(&format!("{START}{world}_{id}_7-Ab3{END}")));
        }
        assert_eq!(sweep(dir.path(), false), 0);
        assert_eq!(sweep(dir.path(), true), 1 + ended.len());
        assert!(own.exists() && strange.exists() && user.exists() && !old.exists());
        assert!(ended.iter().all(|path| !path.exists()));
    }
}

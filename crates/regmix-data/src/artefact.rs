//! Writing files so that a reader never sees half of one.

use std::fs::{File, Metadata, TryLockError};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind, Result};
use crate::leftovers;
use crate::monitor::Monitor;

pub use crate::leftovers::sweep;

/// Writes a file under a temporary name in the same folder, syncs it, renames it
/// into place, and syncs the folder, so that a power cut leaves the old file or the
/// new one. Missing folders are made.
///
/// # Errors
/// When a folder cannot be made or written. The old file, if any, is then
/// untouched.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    write_atomic_with(path, |w| w.write_all(bytes).map_err(|e| Error::io(path, e)))
}

/// Like [`write_atomic`], for contents that are written piece by piece.
///
/// # Errors
/// Those of `write`, and when a folder cannot be made or written.
pub fn write_atomic_with<T>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut std::io::BufWriter<&mut std::fs::File>) -> Result<T>,
) -> Result<T> {
    let path = path.as_ref();
    let mut temp = temporary_beside(path)?;
    let mut writer = std::io::BufWriter::new(temp.as_file_mut());
    let out = write(&mut writer)?;
    writer.flush().map_err(|e| Error::io(path, e))?;
    drop(writer);
    temp.as_file().sync_all().map_err(|e| Error::io(path, e))?;
    temp.persist(path).map_err(|e| Error::io(path, e.error))?;
    sync_folder(folder_of(path));
    Ok(out)
}

/// Waits until the names in a folder are on the disk, where the system can do that.
pub fn sync_folder(folder: &Path) {
    // Some systems and file systems refuse it; there is nothing else to do then.
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
}

/// The time that the file system of a folder gives to a file that is written now:
/// of a network file system, its server's.
///
/// # Errors
/// When no file can be written there.
pub fn time_of_writing(folder: &Path) -> Result<SystemTime> {
    let path = folder.join("time");
    let mut probe = temporary_beside(&path)?;
    let io = |e| Error::io(folder, e);
    probe.write_all(b"0").map_err(io)?;
    // Until then a network file system may answer by this host's clock.
    probe.as_file().sync_all().map_err(io)?;
    let about = probe.as_file().metadata().map_err(io)?;
    about.modified().map_err(io)
}

/// Removes the file that shows that a result of several files is complete,
/// before the others are written.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn withdraw(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, e)),
        _ => Ok(()),
    }
}

/// When a file was changed: nanoseconds since 1970, in text, since JSON numbers
/// are not that long. A time before 1970 identifies a state of the file as well
/// as any other.
///
/// # Errors
/// When the file system does not say.
pub fn time_of_change(metadata: &Metadata, path: &Path) -> Result<String> {
    let time = metadata.modified().map_err(|e| Error::io(path, e))?;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(since.as_nanos().to_string())
}

/// Whether the file system refuses to create a file that exists already, which
/// leases rely on.
///
/// # Errors
/// When no file can be written there.
pub fn creates_atomically(folder: &Path) -> Result<bool> {
    let probe = temporary_beside(&folder.join("probe"))?;
    let again = File::options()
        .write(true)
        .create_new(true)
        .open(probe.path());
    Ok(again.is_err_and(|e| e.kind() == std::io::ErrorKind::AlreadyExists))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A temporary file in the folder of `path`, to be renamed to it. A missing
/// folder is made.
pub(crate) fn temporary_beside(path: &Path) -> Result<tempfile::NamedTempFile> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let mut builder = tempfile::Builder::new();
    let prefix = leftovers::prefix();
    builder.prefix(&prefix).suffix(leftovers::END);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Artefacts are for sharing: leave access to the user's umask.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
        .tempfile_in(folder)
        .map_err(|e| Error::io(folder, e))
}

/// Takes the lock of a folder, its file `lock`, as [`lock`]; an error names the
/// folder.
///
/// # Errors
/// As [`lock`].
pub fn lock_folder(folder: impl AsRef<Path>, busy: &str) -> Result<File> {
    in_folder(folder.as_ref(), |path| lock(path, busy))
}

/// The same, shared with all others that share it: it excludes only those who take
/// it alone.
///
/// # Errors
/// As [`lock`].
pub fn share_folder(folder: impl AsRef<Path>, busy: &str) -> Result<File> {
    in_folder(folder.as_ref(), |path| {
        locked(path, busy, File::try_lock_shared)
    })
}

/// The same as [`lock_folder`], waiting for those who have it.
///
/// # Errors
/// When the file cannot be made, or `monitor` requests a stop.
pub fn wait_for_folder(folder: impl AsRef<Path>, monitor: &dyn Monitor) -> Result<File> {
    const AGAIN: Duration = Duration::from_millis(20);
    let folder = folder.as_ref();
    let file = open_lock(&folder.join("lock"))?;
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        monitor.check()?;
        std::thread::sleep(AGAIN);
    }
    Ok(file)
}

fn in_folder(folder: &Path, take: impl FnOnce(&Path) -> Result<File>) -> Result<File> {
    take(&folder.join("lock")).map_err(|e| match e.is_io() {
        true => e.in_file(folder),
        false => e,
    })
}

/// Takes a lock until the returned file is dropped: the file `path`, which is
/// made for it and stays. A missing folder is made.
///
/// # Errors
/// When another process has the lock, which `busy` describes, or the file
/// cannot be made. Without an error, too, on file systems that have no locks.
pub fn lock(path: impl AsRef<Path>, busy: &str) -> Result<File> {
    locked(path.as_ref(), busy, File::try_lock)
}

fn locked(
    path: &Path,
    busy: &str,
    take: impl FnOnce(&File) -> std::result::Result<(), TryLockError>,
) -> Result<File> {
    let file = open_lock(path)?;
    match take(&file) {
        Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::Io, busy)
            .in_file(path)
            .help("wait for that process, or stop it")),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Readable as well as writable: network file systems ask for both.
fn open_lock(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    let file = File::options()
        .create(true)
        .read(true)
        .append(true)
        .open(path);
    file.map_err(|e| Error::io(path, e))
}

/// Writes a value as indented JSON with a final newline, atomically.
///
/// # Errors
/// When the value cannot be written as JSON or the file cannot be written.
pub fn write_json(path: impl AsRef<Path>, value: &impl serde::Serialize) -> Result<()> {
    let path = path.as_ref();
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::failed(format!("cannot be written as JSON: {e}")).in_file(path))?;
    text.push('\n');
    write_atomic(path, text.as_bytes())
}

/// Reads a JSON file.
///
/// # Errors
/// When the file cannot be read or does not hold the expected value; the
/// error names the line.
pub fn read_json<T: serde::de::DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    parse_json(&text, path)
}

/// The value of a JSON text that was read from `path`.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        Error::input(format!("not the expected JSON: {e}"))
            .in_file(path)
            .line(e.line() as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        write_atomic(&path, b"old").unwrap();
        let err = write_atomic_with(&path, |w| {
            w.write_all(b"new").unwrap();
            Err::<(), _>(Error::failed("no"))
        })
        .unwrap_err();
        assert_eq!(err.problem(), "no");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn one_process_at_a_time_has_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runs/lock");
        let held = lock(&path, "another process trains here").unwrap();
        let error = lock(&path, "another process trains here").unwrap_err();
        assert_eq!(error.problem(), "another process trains here");
        drop(held);
        drop(lock(&path, "").unwrap());

        let folder = path.parent().unwrap();
        let shared = [(); 2].map(|()| share_folder(folder, "").unwrap());
        assert!(lock_folder(folder, "others").is_err());
        let stop = std::sync::atomic::AtomicBool::new(true);
        let stopped = wait_for_folder(folder, &stop).unwrap_err();
        assert!(stopped.is_interrupted());
        drop(shared);
        let alone = wait_for_folder(folder, &crate::Silent).unwrap();
        assert!(share_folder(folder, "others").is_err());
        drop(alone);
    }

    #[test]
    fn the_time_of_writing_is_that_of_files_written_before_and_after() {
        let dir = tempfile::tempdir().unwrap();
        let written = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, name).unwrap();
            path.metadata().unwrap().modified().unwrap()
        };
        let before = written("before");
        let now = time_of_writing(dir.path()).unwrap();
        assert!(before <= now && now <= written("after"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_unwritable_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        write_atomic(&file, b"x").unwrap();
        let err = write_atomic(file.join("below.txt"), b"x").unwrap_err();
        assert!(err.is_io());
        assert_eq!(err.path(), Some(file.as_path()));
    }
}

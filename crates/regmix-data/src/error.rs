//! The one error type of the regmix crates.
//!
//! An [`Error`] holds separately where the problem is (file, line, field), what
//! is wrong, what was expected, and what to do, so that a program can show
//! these as it likes; its `Display` writes them on one line.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something the user supplied is wrong: a file, a value, a flag.
    Input,
    /// The operating system reported an error: a missing file, a full disk, a
    /// read-only folder.
    Io,
    /// Inputs of a finished artefact changed, and the user has not allowed to
    /// make it again.
    Stale,
    /// The device is not compiled in, not present, or lacks a feature.
    Device,
    /// A stop was requested; finished work is saved.
    Interrupted,
    /// The computation itself failed, for example a run that diverged.
    Failed,
}

/// An error with its place and its remedy.
///
/// ```
/// use regmix_data::Error;
///
/// let err = Error::input("weights sum to 0.5, expected 1 (within 0.01)")
///     .in_file("design/mixtures.csv")
///     .line(7)
///     .help("rescale the row, or remove it");
/// assert!(err.is_input());
/// assert_eq!(
///     err.to_string(),
///     "design/mixtures.csv:7: weights sum to 0.5, expected 1 (within 0.01)",
/// );
/// assert_eq!(err.help_text(), Some("rescale the row, or remove it"));
/// ```
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Clone)]
struct Parts {
    kind: ErrorKind,
    problem: String,
    path: Option<PathBuf>,
    line: Option<u64>,
    field: Option<String>,
    help: Option<String>,
    span: Option<Range<usize>>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a given kind. Prefer the named constructors.
    pub fn new(kind: ErrorKind, problem: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            problem: problem.into(),
            path: None,
            line: None,
            field: None,
            help: None,
            span: None,
            source: None,
        }))
    }

    /// Something the user supplied is wrong. `problem` should state what was
    /// found and what was expected.
    pub fn input(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, problem)
    }

    /// An operation of the operating system on `path` failed.
    ///
    /// A file that is not UTF-8, where text is read, is an error of its contents.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        if is_not_utf8(&source) {
            return Self::input("not UTF-8, expected UTF-8 text")
                .in_file(path)
                .help("convert the file to UTF-8, for example with `iconv`");
        }
        let help = match source.kind() {
            std::io::ErrorKind::NotFound => Some("check the path"),
            std::io::ErrorKind::PermissionDenied => Some(match unreadable(path.as_ref()) {
                true => "it may not be read: change its permissions, or those of its folder",
                false => "choose a folder that can be written, or change its permissions",
            }),
            std::io::ErrorKind::ReadOnlyFilesystem => Some("choose a folder that can be written"),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Some("free some space and run the same command again; finished parts are kept")
            }
            std::io::ErrorKind::FileTooLarge => Some(
                "the file system or a limit (`ulimit -f`) refuses files of this size: choose \
                 another folder or raise the limit",
            ),
            std::io::ErrorKind::NotADirectory => {
                Some("a part of the path is a file, expected a folder: choose another path")
            }
            std::io::ErrorKind::AlreadyExists => {
                Some("a file is where a folder should be: move it away, or choose another path")
            }
            std::io::ErrorKind::IsADirectory => Some("it is a folder, expected a file"),
            _ => None,
        };
        let mut err = Self::new(ErrorKind::Io, source.to_string()).in_file(path);
        err.0.help = help.map(str::to_owned);
        err.0.source = Some(Arc::new(source));
        err
    }

    /// A stop was requested. `problem` should state what was interrupted.
    pub fn interrupted(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Interrupted, problem)
    }

    /// The computation failed, although the input is well-formed.
    pub fn failed(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, problem)
    }

    /// Names the file.
    #[must_use]
    pub fn in_file(mut self, path: impl AsRef<Path>) -> Self {
        self.0.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// Names the file, unless one is named already.
    #[must_use]
    pub fn in_file_if_none(self, path: impl AsRef<Path>) -> Self {
        match self.path() {
            Some(_) => self,
            None => self.in_file(path),
        }
    }

    /// Names the line, counted from 1.
    #[must_use]
    pub fn line(mut self, line: u64) -> Self {
        self.0.line = Some(line);
        self
    }

    /// Names the field, column or key.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Marks the bytes of the file that are at fault.
    #[must_use]
    pub fn span(mut self, span: Range<usize>) -> Self {
        self.0.span = Some(span);
        self
    }

    /// Keeps the underlying error.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether something the user supplied is wrong.
    pub fn is_input(&self) -> bool {
        self.0.kind == ErrorKind::Input
    }

    /// Whether the operating system reported an error.
    pub fn is_io(&self) -> bool {
        self.0.kind == ErrorKind::Io
    }

    /// Whether a stop was requested.
    pub fn is_interrupted(&self) -> bool {
        self.0.kind == ErrorKind::Interrupted
    }

    /// What is wrong, without the place.
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// The file at fault.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The line at fault, counted from 1.
    pub fn line_number(&self) -> Option<u64> {
        self.0.line
    }

    /// The field, column or key at fault.
    pub fn field_name(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// What to do.
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The bytes of the file that are at fault.
    pub fn byte_span(&self) -> Option<Range<usize>> {
        self.0.span.clone()
    }
}

/// Whether text was read of a file that is not UTF-8. Errors of decoders have a
/// cause, that of the standard library for text has none.
fn is_not_utf8(source: &std::io::Error) -> bool {
    source.kind() == std::io::ErrorKind::InvalidData
        && source.get_ref().is_none()
        && source.raw_os_error().is_none()
}

/// Whether the user may not read what is at a path, or not even look there.
fn unreadable(path: &Path) -> bool {
    let denied = |e: std::io::Error| e.kind() == std::io::ErrorKind::PermissionDenied;
    let read = match path.metadata() {
        Ok(about) if about.is_dir() => path.read_dir().map(drop),
        Ok(_) => std::fs::File::open(path).map(drop),
        Err(e) => Err(e),
    };
    read.is_err_and(denied)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &*self.0;
        if let Some(path) = &parts.path {
            write!(f, "{}:", path.display())?;
            if let Some(line) = parts.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if let Some(field) = &parts.field {
            write!(f, "`{field}`: ")?;
        }
        f.write_str(&parts.problem)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self}", self.0.kind)?;
        if let Some(help) = &self.0.help {
            write!(f, "; help: {help}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| &**s as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf8_is_an_error_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("study.toml");
        std::fs::write(&path, b"name = \"\xff\"").unwrap();
        let error = Error::io(&path, std::fs::read_to_string(&path).unwrap_err());
        assert!(error.is_input());
        assert_eq!(error.problem(), "not UTF-8, expected UTF-8 text");
        assert!(error.help_text().unwrap().contains("convert the file"));
        // A damaged archive is something else.
        let damaged = std::io::Error::new(std::io::ErrorKind::InvalidData, "bad stream");
        assert!(Error::io(&path, damaged).is_io());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_may_not_be_read_gets_help_for_reading() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("losses.csv");
        std::fs::write(&path, "x").unwrap();
        let closed = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(&path, closed).unwrap();
        let help = |path: &Path| {
            let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
            Error::io(path, denied).help_text().unwrap().to_owned()
        };
        // The administrator may read everything.
        if std::fs::File::open(&path).is_err() {
            assert!(help(&path).starts_with("it may not be read"));
        }
        assert!(help(dir.path()).contains("can be written"));
    }
}

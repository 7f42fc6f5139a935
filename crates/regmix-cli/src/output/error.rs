//! Errors as a person reads them: what, where with the line itself, and what
//! to do.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};
use regmix_data::{Error, ErrorKind};

use super::{command_line, log, message, on_stderr};
use crate::args::Command;
use crate::interrupt::Signal;

/// Larger files are named but not quoted.
const QUOTED: u64 = 4 << 20;

/// Shows on stderr what became of a command that a signal stopped and how to
/// continue, and gives the exit code.
pub(crate) fn show_interrupted(error: &Error, signal: Signal, command: &Command) -> ExitCode {
    message(match signal {
        Signal::Interrupt => "interrupted by Ctrl-C",
        Signal::Terminate => "stopped by SIGTERM",
        Signal::TimeLimit => "stopped: the time of `--max-time` is over",
    });
    let kept = match command {
        Command::Demo(_) | Command::Train(_) | Command::Launch(_) | Command::Target(_) => {
            "what was finished is kept; continue with"
        }
        _ => "no result was written; start again with",
    };
    // An error with a remedy of its own knows better what is kept.
    let remedy = error.help_text().unwrap_or(kept);
    message(&format!("{remedy}: {}", command_line::running()));
    ExitCode::from(signal.exit_code())
}

/// Shows an error on stderr and gives the exit code. Commands in its help are
/// given as they are typed for the study in `folder`.
pub(crate) fn show(error: &Error, folder: &Path) -> ExitCode {
    let mut shown = Shown::new(error);
    shown.help = (error.help_text()).map(|help| command_line::commands_in_study(folder, help));
    let plain = std::env::var_os("NO_COLOR").is_some()
        || !std::io::IsTerminal::is_terminal(&std::io::stderr());
    let theme = if plain {
        GraphicalTheme::unicode_nocolor()
    } else {
        GraphicalTheme::unicode()
    };
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(100);
    if handler.render_report(&mut text, &shown).is_err() {
        text = format!("{error}");
    }
    let code: u8 = match error.kind() {
        ErrorKind::Failed => 1,
        _ => 2,
    };
    log::event!(
        error,
        file = error.path().map(|path| path.display().to_string()),
        line = error.line_number(),
        field = error.field_name(),
        help = shown.help,
        exit_code = code,
        "{}",
        error.problem()
    );
    on_stderr(text.trim_end());
    ExitCode::from(code)
}

struct Shown<'a> {
    error: &'a Error,
    help: Option<String>,
    source: Option<NamedSource<String>>,
    span: Option<(usize, usize)>,
}

impl<'a> Shown<'a> {
    fn new(error: &'a Error) -> Self {
        let mut shown = Self {
            error,
            help: None,
            source: None,
            span: None,
        };
        let Some(path) = error.path() else {
            return shown;
        };
        if error.line_number().is_none() && error.byte_span().is_none() {
            return shown;
        }
        let small = std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= QUOTED);
        let Some(text) = small.then(|| std::fs::read_to_string(path).ok()).flatten() else {
            return shown;
        };
        let span = match (error.byte_span(), error.line_number()) {
            (Some(span), _) if span.end <= text.len() => Some((span.start, span.len())),
            (_, Some(line)) => {
                let mut at = 0;
                text.split_inclusive('\n')
                    .map(|l| {
                        let here = (at, l.trim_end().len());
                        at += l.len();
                        here
                    })
                    .nth(line.saturating_sub(1) as usize)
            }
            _ => None,
        };
        // A line of a shard or a corpus can be a megabyte long.
        shown.span = span.filter(|(_, length)| *length <= 400);
        if shown.span.is_some() {
            shown.source = Some(NamedSource::new(path.display().to_string(), text));
        }
        shown
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.error, f)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.error, f)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        (self.help.as_ref()).map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (start, length) = self.span?;
        let label = LabeledSpan::new(Some("here".to_owned()), start, length);
        Some(Box::new(std::iter::once(label)))
    }
}

//! What every command works with: the study's folder, progress on stderr, and
//! results on stdout in the requested form.

use std::path::Path;

use regmix_data::{Monitor, Result};
use regmix_study::{Context, Study};
use serde::Serialize;

use crate::args::{Args, Format};
use crate::metrics_server::MetricsServer;
use crate::output::progress::Display;
use crate::output::{command_line, print, print_json};

/// Arguments of all commands, and the display of progress.
pub(crate) struct Session<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) format: Format,
    pub(crate) display: &'a Display,
}

impl<'a> Session<'a> {
    pub(crate) fn new(args: &'a Args, display: &'a Display) -> Self {
        Self {
            folder: &args.study,
            format: args.format,
            display,
        }
    }

    pub(crate) fn context(&self, redo: bool) -> Context<'_> {
        Context {
            monitor: self.display,
            redo,
        }
    }

    /// Answers Prometheus at this address, if one is given, until the result is
    /// dropped.
    pub(crate) fn serve_metrics(&self, address: Option<&str>) -> Result<Option<MetricsServer>> {
        let Some(address) = address else {
            return Ok(None);
        };
        let (server, port) = MetricsServer::start(address, self.display.run_metrics())?;
        self.message(&format!("metrics for Prometheus on port {port}: /metrics"));
        Ok(Some(server))
    }

    pub(crate) fn open_study(&self) -> Result<Study> {
        Study::open(self.folder)
    }

    /// A line on stderr, unless `--quiet` was given.
    pub(crate) fn message(&self, line: &str) {
        self.display.message(line);
    }

    /// Prints a result as JSON or as text.
    pub(crate) fn print_result(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        match self.format {
            Format::Json => print_json(value),
            Format::Table => {
                print(&text());
                Ok(())
            }
        }
    }

    /// A line on stderr with the command that comes next in a study. What is
    /// wrong elsewhere in the study does not make the finished step fail.
    pub(crate) fn message_next(&self, study: &Study) -> Result<()> {
        match study.status(self.display) {
            Ok(status) => {
                if let Some(step) = status.next {
                    self.message_step(study, &step);
                }
            }
            Err(e) if e.is_interrupted() => return Err(e),
            Err(e) => self.message(&format!("what comes next cannot be said: {e}")),
        }
        Ok(())
    }

    /// The same with a given command.
    pub(crate) fn message_step(&self, study: &Study, step: &str) {
        let step = command_line::in_study(study.root(), step);
        self.message(&format!("next: {step}"));
    }
}

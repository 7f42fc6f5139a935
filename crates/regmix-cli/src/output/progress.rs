//! Progress on stderr: a bar for a person, plain lines for a log.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use regmix_data::{Monitor, RunEvent, Unit};

use super::metrics::RunMetrics;
use super::{log, message, on_stderr};
use crate::interrupt;

/// How often a plain line is written.
const PLAIN_EVERY: Duration = Duration::from_secs(15);

/// Shows the progress of long computations, one part at a time.
pub(crate) struct Display {
    quiet: bool,
    terminal: bool,
    part: Mutex<Option<Part>>,
    metrics: OnceLock<Arc<RunMetrics>>,
}

struct Part {
    what: String,
    unit: Unit,
    total: u64,
    done: u64,
    note: String,
    begun: Instant,
    /// Where the part stood when this attempt went on with it.
    skipped: Option<u64>,
    shown: Instant,
    bar: Option<ProgressBar>,
}

impl Display {
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal(),
            part: Mutex::new(None),
            metrics: OnceLock::new(),
        }
    }

    /// The metrics of the runs that are trained from now on.
    pub(crate) fn run_metrics(&self) -> Arc<RunMetrics> {
        Arc::clone((self.metrics).get_or_init(|| Arc::new(RunMetrics::new())))
    }

    fn with(&self, change: impl FnOnce(&mut Part)) {
        if let Some(part) = self.lock().as_mut() {
            change(part);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Part>> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line on stderr, above the bar if there is one.
    pub(crate) fn line(&self, line: &str) {
        match self.lock().as_ref().and_then(|part| part.bar.as_ref()) {
            Some(bar) => {
                log::event!(info, "{line}");
                bar.println(line);
            }
            None => message(line),
        }
    }

    /// Takes away the bar of a part that did not come to its end.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.lock().take().and_then(|part| part.bar) {
            bar.finish_and_clear();
        }
    }
}

impl Monitor for Display {
    fn begin(&self, what: &str, total: u64, unit: Unit) {
        if self.quiet {
            return;
        }
        let bar = (self.terminal && !log::is_json_on_stderr()).then(|| {
            let bar = ProgressBar::new(total);
            let counts = match unit {
                Unit::Bytes => "{bytes}/{total_bytes} {binary_bytes_per_sec}",
                Unit::Tokens => "{human_pos}/{human_len} tokens {per_sec:>12}",
                Unit::Items => "{human_pos}/{human_len}",
            };
            let style = format!(
                "{{prefix:<15}} {{bar:28}} {{percent:>3}}%  {counts}  {{msg}}  ETA {{eta}}"
            );
            let style = ProgressStyle::with_template(&style)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("━╸─"));
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        let now = Instant::now();
        *self.lock() = Some(Part {
            what: what.to_owned(),
            unit,
            total,
            done: 0,
            note: String::new(),
            begun: now,
            skipped: None,
            shown: now,
            bar,
        });
    }

    fn at(&self, done: u64) {
        self.with(|part| {
            if part.skipped.is_none() {
                // What an earlier attempt did says nothing about the speed.
                part.skipped = Some(if part.unit == Unit::Bytes { 0 } else { done });
                if let Some(bar) = &part.bar {
                    bar.set_position(done);
                    bar.reset_eta();
                }
            }
            part.done = done;
            part.show();
        });
    }

    fn advance(&self, by: u64) {
        self.with(|part| {
            part.done += by;
            part.show();
        });
    }

    fn note(&self, text: &str) {
        self.with(|part| {
            part.note = text.to_owned();
            if let Some(bar) = &part.bar {
                bar.set_message(text.to_owned());
            }
        });
    }

    fn end(&self) {
        let part = self.lock().take();
        let Some(part) = part else { return };
        let seconds = part.begun.elapsed().as_secs_f64();
        if let Some(bar) = &part.bar {
            bar.finish_and_clear();
        }
        if part.unit == Unit::Items && self.stop_requested() {
            return; // The part was cut short: its count would look like a result.
        }
        let note = if part.note.is_empty() {
            String::new()
        } else {
            format!(", {}", part.note)
        };
        message(&format!(
            "{:<15} {}{note} in {}",
            part.what,
            part.amount(),
            duration(seconds)
        ));
    }

    fn run(&self, run: &str, event: &RunEvent<'_>) {
        if let Some(metrics) = self.metrics.get() {
            metrics.observe(run, event);
        }
    }

    fn message(&self, line: &str) {
        match self.quiet {
            // The log may be a file.
            true => log::event!(info, "{line}"),
            false => self.line(line),
        }
    }

    fn stop_requested(&self) -> bool {
        interrupt::received().is_some()
    }
}

impl Part {
    fn show(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        }
        if self.shown.elapsed() < PLAIN_EVERY {
            return;
        }
        self.shown = Instant::now();
        let share = 100.0 * self.done as f64 / self.total.max(1) as f64;
        let new = self.done.saturating_sub(self.skipped.unwrap_or(0));
        let rate = new as f64 / self.begun.elapsed().as_secs_f64();
        let left = self.total.saturating_sub(self.done) as f64 / rate.max(1e-9);
        let note = if self.note.is_empty() {
            String::new()
        } else {
            format!("  {}", self.note)
        };
        let line = format!(
            "{:<15} {share:>3.0}%  {}{note}  ETA {}",
            self.what,
            self.amount(),
            duration(left)
        );
        let Self {
            what, done, total, ..
        } = &*self;
        log::event!(info, part = what, done, total, eta_seconds = left, "{line}");
        if self.bar.is_none() {
            on_stderr(&line);
        }
    }

    fn amount(&self) -> String {
        let n = self.done as f64;
        match self.unit {
            Unit::Bytes => format!("{:.1} MB", n / 1e6),
            Unit::Tokens => format!("{:.2} M tokens", n / 1e6),
            Unit::Items => format!("{}", self.done),
        }
    }
}

/// `75.2` as `1m15s`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".to_owned();
    }
    let s = seconds.round() as u64;
    match s {
        _ if seconds < 10.0 => format!("{seconds:.1}s"),
        0..=59 => format!("{s}s"),
        60..=3599 => format!("{}m{:02}s", s / 60, s % 60),
        _ => format!("{}h{:02}m", s / 3600, s / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_well() {
        let cases = [
            (0.25, "0.2s"),
            (59.0, "59s"),
            (75.2, "1m15s"),
            (7260.0, "2h01m"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(f64::INFINITY), "?");
    }
}

//! The log: events of `tracing`, from this program and its libraries.
//!
//! Without options no events are collected, and stderr is for people: messages
//! and progress. `REGMIX_LOG` adds events to it as lines of text; `--log-format
//! json` turns all of stderr into JSON lines; `--log-file` writes the log into
//! a file and leaves stderr as it is.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use regmix_data::{Error, Result};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{LogArgs, LogFormat};

/// Names the events to collect.
const LEVEL: &str = "REGMIX_LOG";

/// Whether messages for a person are events of the log, too.
static TAKES_MESSAGES: AtomicBool = AtomicBool::new(false);

/// Whether stderr holds JSON lines and nothing else.
static JSON_ON_STDERR: AtomicBool = AtomicBool::new(false);

pub(crate) fn takes_messages() -> bool {
    TAKES_MESSAGES.load(Ordering::Relaxed)
}

pub(crate) fn is_json_on_stderr() -> bool {
    JSON_ON_STDERR.load(Ordering::Relaxed)
}

/// Adds an event of this program with fields to the log.
macro_rules! event {
    ($level:ident, $($rest:tt)*) => {
        if $crate::output::log::takes_messages() {
            tracing::$level!(target: "regmix", $($rest)*);
        }
    };
}
pub(crate) use event;

/// Begins the log as the arguments and `REGMIX_LOG` say. `for_person` writes lines on
/// stderr between those for a person.
pub(crate) fn install<W>(args: &LogArgs, quiet: bool, for_person: W) -> Result<()>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let given = std::env::var(LEVEL).ok().filter(|text| !text.is_empty());
    let json = args.log_format == LogFormat::Json;
    let to_file = args.log_file.is_some();
    if !json && !to_file && given.is_none() {
        return Ok(());
    }
    let events = match &given {
        Some(text) => parse(text)?,
        // `--quiet` is about stderr.
        None if quiet && !to_file => Targets::new().with_default(LevelFilter::WARN),
        None => Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("regmix", LevelFilter::INFO),
    };
    match &args.log_file {
        Some(path) => subscribe(json, events, Mutex::new(open(path)?)),
        None if json => subscribe(true, events, std::io::stderr),
        None => subscribe(false, events, for_person),
    }
    TAKES_MESSAGES.store(json || to_file, Ordering::Relaxed);
    if json && !to_file {
        JSON_ON_STDERR.store(true, Ordering::Relaxed);
        std::panic::set_hook(Box::new(|panic| event!(error, "{panic}")));
    }
    Ok(())
}

/// Begins the log for arguments that cannot be read but ask for JSON on stderr.
pub(crate) fn install_for_usage_error() {
    let args: Vec<_> = std::env::args_os().collect();
    let option = "--log-format";
    let asked = args.iter().any(|arg| *arg == *"--log-format=json")
        || (args.windows(2)).any(|pair| pair[0] == *option && pair[1] == *"json");
    if asked {
        let events = Targets::new().with_default(LevelFilter::INFO);
        subscribe(true, events, std::io::stderr);
        TAKES_MESSAGES.store(true, Ordering::Relaxed);
        JSON_ON_STDERR.store(true, Ordering::Relaxed);
    }
}

fn subscribe<W>(json: bool, events: Targets, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    let layer = match json {
        true => (layer.json().flatten_event(true))
            .with_span_list(false)
            .boxed(),
        false => layer.with_target(false).boxed(),
    };
    let log = tracing_subscriber::registry().with(layer.with_filter(events));
    // There is one log; a second would be a mistake of this program.
    log.try_init().ok();
}

/// The levels in the words of `REGMIX_LOG`: `debug`, or `info,regmix_model=debug`.
fn parse(text: &str) -> Result<Targets> {
    // The parser takes a word that is no level for the name of a module.
    let is_level = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    let parts = text.split(',').map(str::trim);
    let unknown = parts
        .filter(|part| !part.is_empty())
        .find(|part| !is_level(part));
    let events = match unknown {
        Some(part) => Err(format!("`{part}` is no level")),
        None => (text.parse::<Targets>()).map_err(|e| format!("`{text}`: {e}")),
    };
    events.map_err(|problem| {
        Error::input(format!("{problem}, in the environment"))
            .field(LEVEL)
            .help(
                "expected off, error, warn, info, debug or trace, or such levels by module: \
                 info,regmix_model=debug",
            )
    })
}

fn open(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path);
    file.map_err(|e| Error::io(path, e))
}

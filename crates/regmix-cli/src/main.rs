//! The `regmix` command: find the best data mixture for a language model.

mod args;
mod commands;
mod interrupt;
mod metrics_server;
mod output;
mod session;
mod show;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::args::Args;
use crate::output::above_bar::AboveBar;
use crate::output::progress::Display;
use crate::output::{error, log};
use crate::session::Session;

fn main() -> ExitCode {
    regmix_model::keep_freed_buffers();
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Clap knows whether this is help (stdout, 0) or a mistake (stderr, 2).
        Err(e) => {
            let code = u8::try_from(e.exit_code()).unwrap_or(2);
            if e.use_stderr() {
                log::install_for_usage_error();
            }
            if log::is_json_on_stderr() {
                log::event!(error, exit_code = code, "{}", e.to_string().trim_end());
                return ExitCode::from(code);
            }
            // A closed pipe is no reason to fail.
            e.print().ok();
            return ExitCode::from(code);
        }
    };
    let display = Arc::new(Display::new(args.quiet));
    if let Err(e) = log::install(&args.log, args.quiet, AboveBar(Arc::clone(&display))) {
        return error::show(&e, &args.study);
    }
    let shown = Arc::clone(&display);
    interrupt::install(move |signal| shown.line(signal.first_message()));
    let session = Session::new(&args, &display);
    let ended = commands::run(&args.command, &session);
    match ended.and_then(|code| output::finish().map(|()| code)) {
        Ok(code) => code,
        Err(e) => {
            display.clear();
            match interrupt::received() {
                Some(signal) if e.is_interrupted() => {
                    error::show_interrupted(&e, signal, &args.command)
                }
                _ => error::show(&e, &args.study),
            }
        }
    }
}

//! The `regmix` command: find the best data mixture for a language model.

mod args;
mod commands;
mod interrupt;
mod output;
mod session;
mod show;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::args::Args;
use crate::output::error;
use crate::output::progress::Display;
use crate::session::Session;

fn main() -> ExitCode {
    regmix_model::keep_freed_buffers();
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Clap knows whether this is help (stdout, 0) or a mistake (stderr, 2).
        Err(e) => {
            let code = u8::try_from(e.exit_code()).unwrap_or(2);
            // A closed pipe is no reason to fail.
            e.print().ok();
            return ExitCode::from(code);
        }
    };
    let display = Arc::new(Display::new(args.quiet));
    let shown = Arc::clone(&display);
    interrupt::install(move |signal| shown.line(signal.first_message()));
    let session = Session::new(&args, &display);
    match commands::run(&args.command, &session) {
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

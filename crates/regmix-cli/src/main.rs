//! The `regmix` command: find the best data mixture for a language model.

mod args;
mod commands;
mod interrupt;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::output::error;

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
    interrupt::install();
    match commands::run(&args) {
        Ok(code) => code,
        Err(e) => error::show(&e),
    }
}

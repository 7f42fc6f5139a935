//! `regmix completions`: a script for a shell.

use clap::CommandFactory;
use regmix_data::Result;

use crate::args::{Args, CompletionsArgs};
use crate::output::print;

pub(super) fn run(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "regmix", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(())
}

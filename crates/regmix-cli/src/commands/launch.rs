//! `regmix launch`: workers on an engine, or on this machine.

use std::process::ExitCode;

use clap::Parser;
use regmix_data::{Error, Result};
use regmix_study::launch::{self, Engine, Request};

use crate::args::{
    Args, Command, ComputeArgs, LaunchArgs, LaunchOn, LocalArgs, QueuedArgs, WorkerArgs,
};
use crate::output::print;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &LaunchArgs) -> Result<ExitCode> {
    match &args.on {
        LaunchOn::Slurm(slurm) => {
            let through = slurm.through.map(launch::Step::from);
            if through.is_some_and(|step| step >= launch::Step::Target) {
                parsed("target", &slurm.queued.arguments)?;
            }
            queue(session, Engine::Slurm, &slurm.queued, through)?;
        }
        LaunchOn::Kubernetes(args) => queue(session, Engine::Kubernetes, args, None)?,
        LaunchOn::HyperQueue(args) => queue(session, Engine::HyperQueue, args, None)?,
        LaunchOn::Local(args) => local(session, args)?,
        LaunchOn::Status => {
            let jobs = launch::status(&session.open_study()?)?;
            session.print_result(&jobs, || show::launch_status(&jobs))?;
        }
        LaunchOn::Cancel => {
            let jobs = launch::cancel(&session.open_study()?)?;
            session.print_result(&jobs, || show::cancelled(&jobs))?;
        }
        LaunchOn::Ready => launch::ready(&session.open_study()?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn queue(
    session: &Session<'_>,
    engine: Engine,
    args: &QueuedArgs,
    through: Option<launch::Step>,
) -> Result<()> {
    parsed("train", &args.arguments)?;
    let study = session.open_study()?;
    let request = Request {
        program: this_program()?,
        workers: args.workers,
        arguments: args.arguments.clone(),
        through,
        again: args.again,
    };
    if args.dry_run {
        print(&launch::dry_run(&study, engine, &request)?);
        return Ok(());
    }
    let jobs = launch::launch(&study, engine, &request, session.display)?;
    session.print_result(&jobs, || show::launched(&jobs))?;
    session.message_step(&study, "regmix launch status");
    Ok(())
}

fn local(session: &Session<'_>, args: &LocalArgs) -> Result<()> {
    let (compute, worker) = parsed("train", &args.arguments)?;
    // A limit of time counts for the workers and for this process, which then does
    // not start them again.
    worker.options(&compute)?;
    let study = session.open_study()?;
    let mut arguments = args.arguments.clone();
    let parallel = |arg: &String| arg == "--parallel" || arg.starts_with("--parallel=");
    if !arguments.iter().any(parallel) {
        // Each of them alone would take every core.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let each = (cores / args.workers as usize).max(1);
        arguments.extend(["--parallel".to_owned(), each.to_string()]);
    }
    let request = Request {
        program: this_program()?,
        workers: Some(args.workers),
        arguments,
        ..Request::default()
    };
    launch::local::run(&study, &request, session.display)?;
    let counts = study.proxy_counts()?;
    session.print_result(&counts, || show::trained(&counts))?;
    session.message_next(&study)
}

/// Parses the arguments that workers get: those that cannot read them would fail
/// one by one, later.
fn parsed(verb: &str, arguments: &[String]) -> Result<(ComputeArgs, WorkerArgs)> {
    let words = ["regmix", verb].map(str::to_owned);
    let parsed = Args::try_parse_from(words.iter().chain(arguments));
    let parsed = parsed.map_err(|e| {
        let text = e.to_string();
        let first = text.lines().next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        Error::input(format!("after `--`: {first}"))
            .help(format!("give arguments of the command `{verb}` there"))
    })?;
    let (compute, worker, redo) = match parsed.command {
        Command::Train(args) => (args.compute, args.worker, args.redo),
        Command::Target(args) => (args.compute, args.worker, args.redo),
        _ => {
            let problem = format!("after `--`: expected arguments of `regmix {verb}`");
            return Err(Error::input(problem));
        }
    };
    if worker.campaign.is_some() {
        return Err(
            Error::input("after `--`: `--campaign` is given to workers by the launch")
                .help("leave it out"),
        );
    }
    match redo {
        true => Err(Error::input(
            "`--redo` for several workers: each of them would set the runs of the others aside",
        )
        .help("run one `regmix train --redo` first, stop it when it trains, and launch then")),
        false => Ok((compute, worker)),
    }
}

/// The path of this program, for workers.
fn this_program() -> Result<String> {
    let path = std::env::current_exe().map_err(|e| Error::io("regmix", e))?;
    match path.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => Err(Error::input("the path of regmix is not UTF-8").in_file(path)),
    }
}

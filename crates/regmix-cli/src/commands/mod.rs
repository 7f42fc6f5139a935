//! One module per verb: it takes the verb's arguments, calls the libraries and
//! prints what they give.

mod clean;
mod cmr;
mod compare;
mod completions;
mod demo;
mod design;
mod devices;
mod doremi;
mod eval;
mod export;
mod export_model;
mod fit;
mod import;
mod init;
mod launch;
mod mixtures;
mod online;
mod optimize;
mod predict;
mod report;
mod retry;
mod scale;
mod schedule;
mod status;
mod target;
mod tokenize;
mod train;

use std::process::ExitCode;

use regmix_data::Result;

use crate::args::Command;
use crate::session::Session;

pub(crate) fn run(command: &Command, session: &Session<'_>) -> Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(session, args)?,
        Command::Init(args) => init::run(session, args)?,
        Command::Tokenize(args) => tokenize::run(session, args)?,
        Command::Mixtures(args) => mixtures::run(session, args)?,
        Command::Design(args) => design::run(session, args)?,
        Command::Train(args) => return train::run(session, args),
        Command::Launch(args) => return launch::run(session, args),
        Command::Status(args) => status::run(session, args)?,
        Command::Retry(args) => retry::run(session, args)?,
        Command::Clean(args) => clean::run(session, args)?,
        Command::Import(args) => import::run(session, args)?,
        Command::Fit(args) => fit::run(session, args)?,
        Command::Predict(args) => predict::run(session, args)?,
        Command::Optimize(args) => optimize::run(session, args)?,
        Command::Doremi(args) => doremi::run(session, args)?,
        Command::Scale(args) => scale::run(session, args)?,
        Command::Cmr(args) => cmr::run(session, args)?,
        Command::Schedule(args) => schedule::run(session, args)?,
        Command::Online(args) => online::run(session, args)?,
        Command::Target(args) => return target::run(session, args),
        Command::Compare(args) => compare::run(session, args)?,
        Command::Eval(args) => eval::run(session, args)?,
        Command::Export(args) => export::run(session, args)?,
        Command::ExportModel(args) => export_model::run(session, args)?,
        Command::Report(args) => report::run(session, args)?,
        Command::Devices(args) => devices::run(session, args)?,
        Command::Completions(args) => completions::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

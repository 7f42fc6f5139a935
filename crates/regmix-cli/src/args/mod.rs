//! The command line: one module and one struct per verb.

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
mod worker;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use regmix_model::DeviceSpec;

pub(crate) use clean::CleanArgs;
pub(crate) use cmr::CmrArgs;
pub(crate) use compare::CompareArgs;
pub(crate) use completions::CompletionsArgs;
pub(crate) use demo::DemoArgs;
pub(crate) use design::DesignArgs;
pub(crate) use devices::DevicesArgs;
pub(crate) use doremi::DoremiArgs;
pub(crate) use eval::EvalArgs;
pub(crate) use export::ExportArgs;
pub(crate) use export_model::ExportModelArgs;
pub(crate) use fit::FitArgs;
pub(crate) use import::ImportArgs;
pub(crate) use init::InitArgs;
pub(crate) use launch::{LaunchArgs, LaunchOn, LocalArgs, QueuedArgs};
pub(crate) use mixtures::MixturesArgs;
pub(crate) use online::OnlineArgs;
pub(crate) use optimize::OptimizeArgs;
pub(crate) use predict::PredictArgs;
pub(crate) use report::ReportArgs;
pub(crate) use retry::RetryArgs;
pub(crate) use scale::ScaleArgs;
pub(crate) use schedule::ScheduleArgs;
pub(crate) use status::StatusArgs;
pub(crate) use target::TargetArgs;
pub(crate) use tokenize::TokenizeArgs;
pub(crate) use train::TrainArgs;
pub(crate) use worker::WorkerArgs;

const AFTER: &str = "\
Examples:
  regmix demo                                       a whole study in minutes, on text that is already on this machine
  regmix init --corpus ~/corpus && regmix tokenize  begin a study of your own
  regmix fit --mixtures m.csv --losses l.csv --out fit   start from runs that you have

Exit codes:
  0 done   1 a computation or a run failed for good, or `target --gate` did not find the
  mixture better than all others   2 wrong input, file or usage   130 interrupted by Ctrl-C
  75 stopped by SIGTERM or --max-time: run the same command again
After 130 and 75, what was finished is kept and the last lines say how to continue.

REGMIX_LOG=info or debug adds what happens to each run to stderr or the log, also by
module: REGMIX_LOG=warn,regmix_model=debug.";

/// Finds the best data mixture for pre-training a language model.
///
/// regmix trains many tiny proxy models on different mixtures of your domains,
/// fits a regression from mixture to loss, and searches it for the best
/// mixture (RegMix, arXiv 2407.01492). A study is a folder with a `study.toml`;
/// every step reads and writes files there and can be repeated at any time.
#[derive(Debug, Parser)]
#[command(name = "regmix", version, after_help = AFTER, max_term_width = 100)]
pub(crate) struct Args {
    /// Folder of the study.
    #[arg(
        long,
        short = 'C',
        global = true,
        default_value = ".",
        value_name = "DIR"
    )]
    pub(crate) study: PathBuf,
    /// How results are printed to stdout.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// No progress on stderr.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The log of what happens. `REGMIX_LOG` names its levels.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Form of the log; with json, stderr holds JSON lines only.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Append the log to a file, and leave stderr as it is.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
}

/// Forms of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: a JSON object per line.
    Json,
}

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Init(InitArgs),
    Tokenize(TokenizeArgs),
    Mixtures(MixturesArgs),
    Design(DesignArgs),
    Train(TrainArgs),
    Launch(LaunchArgs),
    Status(StatusArgs),
    Retry(RetryArgs),
    Import(ImportArgs),
    Fit(FitArgs),
    Predict(PredictArgs),
    Optimize(OptimizeArgs),
    Doremi(DoremiArgs),
    Scale(ScaleArgs),
    Cmr(CmrArgs),
    Schedule(ScheduleArgs),
    Online(OnlineArgs),
    Target(TargetArgs),
    Compare(CompareArgs),
    Eval(EvalArgs),
    Export(ExportArgs),
    ExportModel(ExportModelArgs),
    Report(ReportArgs),
    Clean(CleanArgs),
    Devices(DevicesArgs),
    Completions(CompletionsArgs),
}

/// Where models are trained, and how many at once.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ComputeArgs {
    /// auto, cpu, cuda:N, cuda:all, vulkan:N, wgpu:N, tch or tch:N; `:N` may be left out.
    #[arg(long, default_value = "auto", value_parser = |s: &str| s.parse::<DeviceSpec>())]
    pub(crate) device: DeviceSpec,
    /// Models trained at once; auto: on a CPU one per core, as far as memory
    /// goes; on a GPU as many as bring more tokens per second, measured before.
    #[arg(long, default_value = "auto", value_name = "auto|N", value_parser = parse_parallel)]
    pub(crate) parallel: usize,
    /// Answer Prometheus there with metrics of the runs while they train, for
    /// example 127.0.0.1:9464.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics_listen: Option<String>,
}

/// A number of models, or 0 for `auto`.
fn parse_parallel(text: &str) -> Result<usize, String> {
    match text {
        "auto" => Ok(0),
        _ => text
            .parse()
            .map_err(|_| "expected `auto` or a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}

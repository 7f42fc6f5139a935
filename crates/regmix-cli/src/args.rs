//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use regmix_dynamic::{SizeLaw, Trainer};
use regmix_model::DeviceSpec;

const AFTER: &str = "\
Examples:
  regmix demo                                       a whole study in minutes, on text that is here already
  regmix init --corpus ~/corpus && regmix tokenize  begin a study of your own
  regmix fit --mixtures m.csv --losses l.csv --out fit   start from runs that you have

Exit codes:
  0 done   1 a computation failed, or the check of `target --gate` did not hold
  2 wrong input, file or usage   130 interrupted (what was done is saved)";

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

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A number of models, or 0 for `auto`.
fn parallel(text: &str) -> Result<usize, String> {
    match text {
        "auto" => Ok(0),
        _ => text
            .parse()
            .map_err(|_| "expected `auto` or a number".to_owned()),
    }
}

/// Where and how many at once.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Compute {
    /// auto, cpu, cuda:N, vulkan:N, wgpu:N, tch or tch:N; `:N` may be left out.
    #[arg(long, default_value = "auto", value_parser = |s: &str| s.parse::<DeviceSpec>())]
    pub(crate) device: DeviceSpec,

    /// Models trained at once; auto: on a CPU one per core, as far as memory
    /// goes; on a GPU as many as bring more tokens per second, measured before.
    #[arg(long, default_value = "auto", value_name = "auto|N", value_parser = parallel)]
    pub(crate) parallel: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole study on text that is on this machine already.
    #[command(after_help = "\
Examples:
  regmix demo                        sources of regmix's own dependencies, in seven domains
  regmix demo --corpus ~/corpus --out my-demo

A second `regmix demo` goes on where the first was stopped.")]
    Demo {
        /// Your own text instead: a folder in any layout that `regmix init` explains.
        #[arg(long, value_name = "DIR")]
        corpus: Option<PathBuf>,
        /// Folder of the demo's study.
        #[arg(long, default_value = "regmix-demo", value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        compute: Compute,
    },

    /// Write a commented study.toml.
    #[command(after_help = "Example:\n  regmix -C my-study init --corpus ~/corpus")]
    Init {
        /// Folder or file with the text.
        #[arg(long, value_name = "PATH")]
        corpus: PathBuf,
        /// Name shown in the report; the folder's name by default.
        #[arg(long)]
        name: Option<String>,
    },

    /// Turn the text into tokens.
    Tokenize {
        /// Make it again if its inputs changed.
        #[arg(long)]
        redo: bool,
    },

    /// Draw the mixtures that the proxies are trained on.
    #[command(after_help = "\
Examples:
  regmix design                                        the design of the study
  regmix design --next 16                              16 more, where its fit expects the most
  regmix design --next 16 --fit fit --out next.csv     the same from a fit of your own runs

After `--next` in a study: regmix train, regmix fit --redo, regmix optimize --redo.")]
    Design {
        /// Add so many mixtures where the fit expects the most improvement.
        #[arg(long, value_name = "N")]
        next: Option<usize>,
        /// Folder of a fit of your own runs.
        #[arg(long, requires_all = ["next", "out"], value_name = "DIR")]
        fit: Option<PathBuf>,
        /// `mean`, `worst`, a target, or a .toml file as for `optimize`.
        #[arg(long, requires = "fit", value_name = "NAME|FILE")]
        objective: Option<String>,
        /// File for the mixtures.
        #[arg(long, requires = "fit", value_name = "CSV")]
        out: Option<PathBuf>,
        /// Seed of draws and fits.
        #[arg(long, requires = "fit", default_value_t = 42)]
        seed: u64,
        /// Draw again if the inputs changed, old runs are kept aside; with --fit, overwrite the file.
        #[arg(long)]
        redo: bool,
    },

    /// Train the proxies; goes on where it was stopped.
    #[command(
        after_help = "Examples:\n  regmix train\n  regmix train --device cuda:0 --parallel 4"
    )]
    Train {
        #[command(flatten)]
        compute: Compute,
        /// Train runs again that were made with another configuration, or failed.
        #[arg(long)]
        redo: bool,
    },

    /// Say what is done and what comes next.
    Status,

    /// Fit losses to mixtures, judged by cross-validation.
    #[command(after_help = "\
Examples:
  regmix fit                                             the proxies of the study
  regmix fit --mixtures m.csv --losses l.csv --out fit   runs that you have
  regmix fit --learning-curve                            how many proxies are enough?
  regmix fit --mixtures new.csv --losses new-losses.csv --out fit \
    --earlier-mixtures old.csv --earlier-losses old-losses.csv --split code=rust:0.3,c:0.7
                                                         runs from before a domain was added

Earlier runs are fitted with the new ones, with weight 0 on domains they did not know, and are
never judged. They must have been trained like the new ones: same model, tokens, tokenizer and
validation text. In a study: [fit.earlier] in study.toml.

Tables: `run,<domain>...` and `run,<target>...`, joined by run. The published RegMix tables are read as they are.")]
    Fit {
        /// Mixtures of your own runs.
        #[arg(long, requires_all = ["losses", "out"], value_name = "CSV")]
        mixtures: Option<PathBuf>,
        /// Losses of your own runs.
        #[arg(long, requires_all = ["mixtures", "out"], value_name = "CSV")]
        losses: Option<PathBuf>,
        /// Folder for the fit of your own runs.
        #[arg(long, requires = "mixtures", value_name = "DIR")]
        out: Option<PathBuf>,
        /// Regressors to judge, separated by commas; all by default.
        #[arg(
            long,
            value_delimiter = ',',
            requires = "mixtures",
            value_name = "NAMES"
        )]
        regressors: Option<Vec<String>>,
        /// Folds of the cross-validation.
        #[arg(long, requires = "mixtures", default_value_t = 5, value_name = "N")]
        folds: usize,
        /// Repeats of the cross-validation, each with folds of its own.
        #[arg(long, requires = "mixtures", default_value_t = 1, value_name = "N")]
        repeats: usize,
        /// Mixtures of runs from before a domain was added, split or removed.
        #[arg(long, requires_all = ["mixtures", "earlier_losses"], value_name = "CSV")]
        earlier_mixtures: Option<PathBuf>,
        /// Losses of those runs.
        #[arg(long, requires = "earlier_mixtures", value_name = "CSV")]
        earlier_losses: Option<PathBuf>,
        /// A domain of the earlier runs that was split since, with its parts and their shares of
        /// its tokens, such as `code=rust:0.3,c:0.7`; may be repeated.
        #[arg(long, requires = "earlier_mixtures", value_name = "DOMAIN=PARTS", value_parser = split)]
        split: Vec<(String, BTreeMap<String, f64>)>,
        /// Also measure how accuracy grows with the number of runs, and what twice as many would
        /// bring: `learning.csv`. For `ensemble` and `law1`, or the regressors asked for; takes
        /// about as long as the fit itself.
        #[arg(long)]
        learning_curve: bool,
        /// Seed of folds and fits.
        #[arg(long, requires = "mixtures", default_value_t = 42)]
        seed: u64,
        /// Fit again if the inputs changed.
        #[arg(long)]
        redo: bool,
    },

    /// Predict the losses of mixtures.
    #[command(after_help = "\
Examples:
  regmix predict --fit fit --mixtures candidates.csv --out predicted.csv
  regmix predict --fit fit --mixtures million.csv --means-only --out predicted.csv")]
    Predict {
        /// Folder of a fit; the study's by default.
        #[arg(long, value_name = "DIR")]
        fit: Option<PathBuf>,
        /// Mixtures to predict.
        #[arg(long, value_name = "CSV")]
        mixtures: PathBuf,
        /// File for the predictions; stdout by default.
        #[arg(long, value_name = "CSV")]
        out: Option<PathBuf>,
        /// No standard deviations: many times faster where Gaussian processes take part.
        #[arg(long, requires = "out")]
        means_only: bool,
        /// Overwrite the file.
        #[arg(long)]
        redo: bool,
    },

    /// Search the best mixture.
    #[command(after_help = "\
Examples:
  regmix optimize                                  the objective and limits of the study
  regmix optimize --fit fit --objective pile_cc --out mixture.json
  regmix optimize --fit fit --objective goal.toml --prior natural.csv --out mixture.json
  regmix optimize --fit fit --pareto pile_cc,github --objective goal.toml --out front.csv

An objective file holds `loss` (mean, worst or a target) or `[weights]`, and optionally
`maximize = true` for scores that are better when higher, `relative_to` for worst (natural,
uniform, none), `kl` (cost of a nat of divergence from the natural mixture), `caution` (standard
deviations added while searching), `distance` (cost of a unit of total variation beyond what the
proxies covered; both are 0 by default), `[constraints]` (floor, cap, group.<name>, max_epochs, target_tokens) and
`[available]` (tokens per domain).")]
    Optimize {
        /// Folder of a fit of your own runs.
        #[arg(long, requires = "out", value_name = "DIR")]
        fit: Option<PathBuf>,
        /// `mean`, `worst`, a target, or a .toml file.
        #[arg(long, requires = "fit", value_name = "NAME|FILE")]
        objective: Option<String>,
        /// Mixtures between the best for one objective and the best for another, as CSV. Each is
        /// given as to --objective, which here is a .toml file with limits and penalties, or absent.
        #[arg(long, requires = "fit", value_name = "A,B", value_parser = pair)]
        pareto: Option<[String; 2]>,
        /// Mixtures of the front.
        #[arg(long, requires = "pareto", default_value_t = 11, value_name = "N")]
        points: usize,
        /// The natural mixture: a table of mixtures whose first row it is.
        #[arg(long, requires = "fit", value_name = "CSV")]
        prior: Option<PathBuf>,
        /// How it is searched.
        #[arg(long, requires = "fit", value_enum, default_value_t = Search::Descend, conflicts_with = "pareto")]
        method: Search,
        /// File for the mixture, or for the front.
        #[arg(long, requires = "fit", value_name = "JSON|CSV")]
        out: Option<PathBuf>,
        /// Seed of draws and resampling.
        #[arg(long, requires = "fit", default_value_t = 42)]
        seed: u64,
        /// Search again if the inputs changed.
        #[arg(long)]
        redo: bool,
    },

    /// Plan a mixture for every stage of training (RegMix-D), from how losses fell in the proxies.
    #[command(after_help = "\
Examples:
  regmix schedule                                    the target of the study, into schedule.json
  regmix schedule --export nanotron                  the finished schedule, as a trainer takes it
  regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out plan

Tables: `run,step,tokens,<domain>...` with losses (CSV or .parquet), and `run,<domain>...` with weights, or
`run,from,<domain>...` where runs change their mixture at a fraction of training. Trainers:
levanter, nanotron, megatron, olmo_core. A controller for `regmix online` is written beside it.")]
    Schedule {
        /// Losses of your own runs along training.
        #[arg(long, requires_all = ["mixtures", "steps", "tokens", "out"], value_name = "CSV|PARQUET")]
        trajectories: Option<PathBuf>,
        /// Mixtures of your own runs.
        #[arg(long, requires = "trajectories", value_name = "CSV")]
        mixtures: Option<PathBuf>,
        /// Steps of the run that the schedule is for.
        #[arg(long, requires = "trajectories", value_name = "N")]
        steps: Option<u64>,
        /// Tokens of that run.
        #[arg(long, requires = "trajectories", value_name = "N", value_parser = count)]
        tokens: Option<u64>,
        /// A .toml file as for `optimize`; the mean of all domains without it.
        #[arg(long, requires = "trajectories", value_name = "FILE")]
        objective: Option<PathBuf>,
        /// The natural mixture: a table of mixtures whose first row it is. The runs' mean without it.
        #[arg(long, requires = "trajectories", value_name = "CSV")]
        prior: Option<PathBuf>,
        /// A .toml file with the keys of section `dynamic` of study.toml.
        #[arg(long, requires = "trajectories", value_name = "FILE")]
        settings: Option<PathBuf>,
        /// Steps of a whole run of yours; those of the longest one without it.
        #[arg(long, requires = "trajectories", value_name = "N")]
        proxy_steps: Option<u64>,
        /// Losses along training of runs of a second size, by which losses of the target are brought
        /// to the proxies' scale. Runs with the names of proxies are on the same mixtures.
        #[arg(long, requires_all = ["trajectories", "second_ratio"], value_name = "CSV|PARQUET")]
        second_trajectories: Option<PathBuf>,
        /// How the size correction goes on from there.
        #[arg(long, requires = "second_trajectories", value_enum, default_value_t = Law::PowerLaw)]
        second_law: Law,
        /// Parameters of the second size by those of a proxy.
        #[arg(long, requires = "second_trajectories", value_name = "X")]
        second_ratio: Option<f64>,
        /// Parameters of the target by those of a proxy; those of the second size without it.
        #[arg(long, requires = "second_trajectories", value_name = "X")]
        target_ratio: Option<f64>,
        /// Print the finished schedule as a trainer takes it, into `--out` if that is given.
        #[arg(long, conflicts_with = "trajectories", value_name = "TRAINER", value_parser = |s: &str| Trainer::parse(s).map_err(|e| e.to_string()))]
        export: Option<Trainer>,
        /// Folder for the schedule of your own runs, or file for an export.
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
        /// Seed of draws and resampling.
        #[arg(long, requires = "trajectories", default_value_t = 42)]
        seed: u64,
        /// Plan again if the inputs changed.
        #[arg(long)]
        redo: bool,
    },

    /// Choose the mixture of a run while it trains, from the losses it reports.
    #[command(after_help = "\
Examples:
  regmix online                                       JSON lines on stdin and stdout
  regmix online --listen 127.0.0.1:7070               the same over HTTP
  echo '{\"step\":500,\"losses\":{\"web\":3.1,\"code\":2.2}}' | regmix online

Answers say whether to switch, and the mixture in force: {\"ok\":true,\"switch\":true,\"mixture\":...}.
HTTP: POST /observe, GET /mixture, GET /state, GET /health. The state is written after every
observation, so that a restart goes on.")]
    Online {
        /// What `regmix schedule` wrote; controller.json of the study without it.
        #[arg(long, value_name = "JSON")]
        controller: Option<PathBuf>,
        /// Where the state is kept; online.json of the study without it.
        #[arg(long, value_name = "JSON")]
        state: Option<PathBuf>,
        /// Listen here for HTTP instead of reading stdin.
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<String>,
        /// A file with the token that requests must bring; needed where other machines can reach it.
        #[arg(long, requires = "listen", value_name = "FILE")]
        token_file: Option<PathBuf>,
    },

    /// Train larger models on the found mixture and others, to check the promise.
    Target {
        #[command(flatten)]
        compute: Compute,
        /// Also train on the schedule, as planned or as the controller changes it; may be repeated.
        #[arg(long, value_enum, value_name = "MODE")]
        schedule: Vec<Mode>,
        /// Train runs again that were made with another configuration, or failed.
        #[arg(long)]
        redo: bool,
        /// Exit with 1 unless the found mixture beats all others beyond the spread of seeds.
        #[arg(long)]
        gate: bool,
    },

    /// Write report.html.
    Report,

    /// List what this binary can run on, and how fast each device trains.
    ///
    /// Every device that is compiled in is opened and adds up some numbers.
    /// Those that are present train the `nano` preset (vocabulary 1,024, 8
    /// sequences of 128 tokens a step, f32) for a second; on a GPU kernels are
    /// compiled before, which takes some seconds the first time.
    Devices {
        /// Only list them.
        #[arg(long)]
        no_measure: bool,
    },

    /// Print completions for a shell.
    #[command(
        after_help = "Example:\n  regmix completions bash > ~/.local/share/bash-completion/completions/regmix"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Ways to change the mixture of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// As schedule.json says.
    Offline,
    /// As the controller decides from the target's losses.
    Online,
}

/// Forms of the size correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Law {
    /// One exponent, continued to the size of the target.
    PowerLaw,
    /// A line per loss, for targets of the second size.
    Affine,
}

impl Law {
    pub(crate) fn law(self) -> SizeLaw {
        match self {
            Self::PowerLaw => SizeLaw::PowerLaw,
            Self::Affine => SizeLaw::Affine,
        }
    }
}

/// A count, written as 26000000000 or 26e9.
fn count(text: &str) -> Result<u64, String> {
    let wrong = || "expected a whole number, such as 26e9".to_owned();
    if let Ok(count) = text.parse() {
        return Ok(count);
    }
    match text.parse::<f64>() {
        Ok(x) if x >= 0.0 && x.fract() == 0.0 && x < 9e15 => Ok(x as u64),
        _ => Err(wrong()),
    }
}

/// Ways to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Search {
    /// Downhill from several starts.
    Descend,
    /// RegMix's own: the mean of the best of many random mixtures.
    Simulate,
}

/// A domain with its parts, `code=rust:0.3,c:0.7`.
fn split(text: &str) -> Result<(String, BTreeMap<String, f64>), String> {
    let wrong = || "expected a domain and its parts with shares, such as code=rust:0.3,c:0.7";
    let (domain, parts) = text.split_once('=').ok_or_else(wrong)?;
    let parts = (parts.split(','))
        .map(|part| {
            let (name, share) = part.split_once(':')?;
            Some((name.to_owned(), share.parse().ok()?))
        })
        .collect::<Option<BTreeMap<String, f64>>>()
        .ok_or_else(wrong)?;
    Ok((domain.to_owned(), parts))
}

/// Two names with a comma between them.
fn pair(text: &str) -> Result<[String; 2], String> {
    match text.split_once(',') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() && !b.contains(',') => {
            Ok([a.to_owned(), b.to_owned()])
        }
        _ => Err("expected two objectives with a comma between them".to_owned()),
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

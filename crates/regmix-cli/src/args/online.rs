use std::path::PathBuf;

use clap::ValueEnum;
use regmix_study::config::ScheduleMode;

/// Choose the mixture of a run while it trains, from the losses it reports.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix online                                       JSON lines on stdin and stdout
  regmix online --listen 127.0.0.1:7070               the same over HTTP
  regmix online --method odm                          online data mixing, from training losses
  regmix online --method ado --prior natural.csv --steps 20000 --state run.json
                                                      the same without a study, by ADO
  echo '{\"step\":500,\"losses\":{\"web\":3.1,\"code\":2.2}}' | regmix online

Answers say whether to switch, and the mixture in force: {\"ok\":true,\"switch\":true,\"mixture\":...}.
ODM and ADO need no proxies. They take the mean training losses of every step, numbered from 1, of
the domains that the batch held, and answer with the mixture of the next step; a step may be
several of the trainer's. Aioli needs no proxies either: it takes the validation losses of all
domains at the decision steps, which {\"op\":\"health\"} lists.
HTTP: POST /observe, GET /mixture, GET /state, GET /health. The state is written after every
observation, so that a restart continues from there.")]
pub(crate) struct OnlineArgs {
    /// Choose by this method in place of the controller.
    #[arg(long, value_enum, conflicts_with = "controller")]
    pub(crate) method: Option<PeerMethod>,
    /// Without a study: a table of mixtures whose first row is the natural one.
    #[arg(long, requires_all = ["method", "steps", "state"], value_name = "CSV")]
    pub(crate) prior: Option<PathBuf>,
    /// Without a study: the steps of the run.
    #[arg(long, requires = "prior", value_name = "N")]
    pub(crate) steps: Option<u64>,
    /// What `regmix schedule` wrote; by default the study's controller.json.
    #[arg(long, value_name = "JSON")]
    pub(crate) controller: Option<PathBuf>,
    /// Where the state is kept; by default the study's online.json, with a method
    /// online-METHOD.json.
    #[arg(long, value_name = "JSON")]
    pub(crate) state: Option<PathBuf>,
    /// Listen here for HTTP instead of reading stdin.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// A file with the token that requests must bring; needed where other machines can reach it.
    #[arg(long, requires = "listen", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Methods that choose mixtures from losses of the run alone.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PeerMethod {
    /// Online data mixing, a bandit on training losses.
    Odm,
    /// Adaptive data optimization, from laws of training losses.
    Ado,
    /// Aioli, from what training on every domain does to every validation loss.
    Aioli,
}

impl From<PeerMethod> for ScheduleMode {
    fn from(method: PeerMethod) -> Self {
        match method {
            PeerMethod::Odm => Self::Odm,
            PeerMethod::Ado => Self::Ado,
            PeerMethod::Aioli => Self::Aioli,
        }
    }
}

use std::path::PathBuf;

/// Choose the mixture of a run while it trains, from the losses it reports.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix online                                       JSON lines on stdin and stdout
  regmix online --listen 127.0.0.1:7070               the same over HTTP
  echo '{\"step\":500,\"losses\":{\"web\":3.1,\"code\":2.2}}' | regmix online

Answers say whether to switch, and the mixture in force: {\"ok\":true,\"switch\":true,\"mixture\":...}.
HTTP: POST /observe, GET /mixture, GET /state, GET /health. The state is written after every
observation, so that a restart continues from there.")]
pub(crate) struct OnlineArgs {
    /// What `regmix schedule` wrote; by default the study's controller.json.
    #[arg(long, value_name = "JSON")]
    pub(crate) controller: Option<PathBuf>,
    /// Where the state is kept; by default the study's online.json.
    #[arg(long, value_name = "JSON")]
    pub(crate) state: Option<PathBuf>,
    /// Listen here for HTTP instead of reading stdin.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// A file with the token that requests must bring; needed where other machines can reach it.
    #[arg(long, requires = "listen", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

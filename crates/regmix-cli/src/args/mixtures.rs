use std::path::PathBuf;

use regmix_study::PlainMixture;

/// Show mixtures that need no proxies.
///
/// They are what a found mixture has to be better than. The study needs a tokenized corpus only;
/// the entropies of its domains are measured once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix mixtures                                            one of every kind
  regmix mixtures --method conditional_entropy,unimax --out plain.csv
  regmix mixtures --method conditional_entropy:2             entropies in bits
  regmix mixtures --method utilimax --utilities accuracies.csv

Methods:
  natural               proportional to the tokens of each domain
  uniform               the same for all domains
  temperature:POWER     natural weights to this power, rescaled; 0.5 if it is left out
  unimax                as even as the limit of repetition in [constraints] allows
  utilimax              near the best of every task by --utilities, within [constraints] (arXiv
                        2501.11747)
  shannon_entropy, joint_entropy, conditional_entropy, von_neumann_entropy
                        e^H with the entropy H of a domain's tokens (BiMix, arXiv 2405.14908);
                        :BASE of its logarithm may follow, e if it is left out
  pile:human, pile:doremi, pile:regmix
                        published for the Pile, over those of its domains that are there

`against` and [check.others] in study.toml take the same names, so that targets are trained on these
mixtures; `regmix predict --mixtures plain.csv` predicts them.")]
pub(crate) struct MixturesArgs {
    /// Which ones, with commas between them; one of every kind by default.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = parse_name)]
    pub(crate) method: Vec<PlainMixture>,
    /// Utilities for `utilimax`: a row `domain,<task>...` for every domain; by default the table that
    /// study.toml names for `compare`.
    #[arg(long, value_name = "CSV")]
    pub(crate) utilities: Option<PathBuf>,
    /// File for the mixtures.
    #[arg(long, value_name = "CSV")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite the file.
    #[arg(long, requires = "out")]
    pub(crate) redo: bool,
}

fn parse_name(text: &str) -> Result<PlainMixture, String> {
    text.parse()
        .map_err(|e: regmix_data::Error| match e.help_text() {
            Some(help) => format!("{}; {help}", e.problem()),
            None => e.problem().to_owned(),
        })
}

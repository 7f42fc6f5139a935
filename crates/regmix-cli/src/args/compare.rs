use super::{ComputeArgs, WorkerArgs};

/// Train targets on the mixtures of several methods; compare losses and costs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix compare                       the methods of [compare] in study.toml
  regmix compare --format json

[compare] has `methods` and `seeds`. Methods: found, natural and uniform always; best_observed,
at_target ([sizes]); unimax, temperature:0.5, conditional_entropy and others of `regmix mixtures`;
utilimax (by the table `utilities` in [compare]); regmix, regmix_d, regmix_d_online, dml, bimix,
olmix (published, on the study's proxies); doremi; mixmin (experts of single domains); climb
(further proxies, in rounds); offline, online (the study's schedules); odm, ado, aioli (while the
target trains). Those that search keep to [constraints]. The result is in compare.json, the mixtures
are in compare.csv before targets are trained. What was trained is kept, and the same command
continues; targets of `regmix target` on the same mixtures are not trained again.")]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// Train runs again that were made with another configuration, or failed.
    #[arg(long)]
    pub(crate) redo: bool,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
}

/// List what this binary can run on, and how fast each device trains.
///
/// Every device that is compiled in is opened and adds up some numbers.
/// Those that are present train the `nano` preset (vocabulary 1,024, 8
/// sequences of 128 tokens a step, f32) for a second; on a GPU kernels are
/// compiled before, which takes some seconds the first time.
#[derive(Debug, clap::Args)]
pub(crate) struct DevicesArgs {
    /// Only list them.
    #[arg(long)]
    pub(crate) no_measure: bool,
}

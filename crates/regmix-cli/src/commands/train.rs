//! `regmix train`: the proxies of a study.

use regmix_data::Result;
use regmix_model::Device;
use regmix_study::files;

use crate::args::TrainArgs;
use crate::session::Session;

pub(super) fn run(session: &Session<'_>, args: &TrainArgs) -> Result<()> {
    let study = session.open_study()?;
    let device = Device::open(args.compute.device)?;
    let trajectories = study.train(&device, args.compute.parallel, session.context(args.redo))?;
    let counts = study.proxy_counts()?;
    session.print_result(&counts, || {
        format!(
            "{} finished proxies; their losses are in {}\n",
            trajectories.len(),
            study.path(files::TRAJECTORIES).display()
        )
    })?;
    session.message_next(&study)
}

//! `regmix doremi`: the mixture of DoReMi.

use regmix_data::{Error, Result};
use regmix_model::Device;
use regmix_study::{TrainOptions, files};

use crate::args::DoremiArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &DoremiArgs) -> Result<()> {
    let study = session.open_study()?;
    let _metrics = session.serve_metrics(args.compute.metrics_listen.as_deref())?;
    let device = Device::open(args.compute.device)?;
    let options = TrainOptions::parallel(args.compute.parallel);
    let outcome = study.doremi(&device, options, session.context(args.redo))?;
    let outcome = outcome.ok_or_else(|| {
        Error::failed("a run of DoReMi is not finished").in_file(study.path(files::DOREMI))
    })?;
    session.print_result(&outcome, || show::doremi(&outcome))
}

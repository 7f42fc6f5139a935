//! `regmix compare`: several methods on the user's own data.

use regmix_data::Result;
use regmix_model::Device;

use crate::args::CompareArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &CompareArgs) -> Result<()> {
    let study = session.open_study()?;
    args.worker.check_campaign(&study)?;
    let options = args.worker.options(&args.compute)?;
    let _metrics = session.serve_metrics(args.compute.metrics_listen.as_deref())?;
    let device = Device::open(args.compute.device)?;
    let Some(compared) = study.compare(&device, options, session.context(args.redo))? else {
        session.message(
            "runs are left to other workers; the comparison follows when all are finished",
        );
        return Ok(());
    };
    session.print_result(&compared, || show::comparison(&compared))
}

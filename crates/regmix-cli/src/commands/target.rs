//! `regmix target`: larger models, which check the predictions of the fit.

use std::process::ExitCode;

use regmix_data::Result;
use regmix_model::Device;

use crate::args::TargetArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &TargetArgs) -> Result<ExitCode> {
    let study = session.open_study()?;
    args.worker.check_campaign(&study)?;
    let options = args.worker.options(&args.compute)?;
    let _metrics = session.serve_metrics(args.compute.metrics_listen.as_deref())?;
    let device = Device::open(args.compute.device)?;
    let schedules: Vec<_> = args.schedule.iter().map(|&mode| mode.into()).collect();
    let context = session.context(args.redo);
    if args.dry_run {
        let found = study.estimate_targets(&device, options, &schedules, context)?;
        session.print_result(&found, || show::estimate(&found))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(check) = study.target(&device, options, &schedules, context)? else {
        session
            .message("targets are left to other workers; the check follows when all are finished");
        return Ok(ExitCode::SUCCESS);
    };
    session.print_result(&check, || show::check(&check))?;
    if args.gate && !check.is_better() {
        return Ok(ExitCode::FAILURE);
    }
    session.message_next(&study)?;
    Ok(ExitCode::SUCCESS)
}

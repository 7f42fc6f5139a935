//! `regmix train`: the proxies of a study.

use std::process::ExitCode;

use regmix_data::Result;
use regmix_model::Device;
use regmix_study::files;

use crate::args::TrainArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &TrainArgs) -> Result<ExitCode> {
    let study = session.open_study()?;
    args.worker.check_campaign(&study)?;
    let options = args.worker.options(&args.compute)?;
    let _metrics = session.serve_metrics(args.compute.metrics_listen.as_deref())?;
    let device = Device::open(args.compute.device)?;
    if args.dry_run {
        let found = study.estimate_training(&device, options, session.context(args.redo))?;
        session.print_result(&found, || show::estimate(&found))?;
        return Ok(ExitCode::SUCCESS);
    }
    let trained = study.train(&device, options, session.context(args.redo))?;
    let counts = study.proxy_counts()?;
    session.print_result(&counts, || {
        let mut text = format!(
            "{} finished proxies; their losses are in {}\n",
            trained.trajectories.len(),
            study.path(files::TRAJECTORIES).display()
        );
        if let Some(asked) = trained.asked {
            text.push_str(&format!(
                "{asked} of them were asked all questions of [eval]\n"
            ));
        }
        text
    })?;
    if trained.left > 0 {
        session.message(&format!("{} runs are left to other workers", trained.left));
        return Ok(ExitCode::SUCCESS);
    }
    session.message_next(&study)?;
    Ok(match trained.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

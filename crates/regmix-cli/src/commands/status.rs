//! `regmix status`: what is done, what runs, and what comes next.

mod watch;

use std::time::Duration;

use regmix_data::Result;

use crate::args::StatusArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &StatusArgs) -> Result<()> {
    let study = session.open_study()?;
    if let Some(seconds) = args.watch {
        return watch::watch(session, &study, Duration::from_secs(seconds), args.runs);
    }
    let status = study.status(session.display)?;
    session.print_result(&status, || show::status(&study, &status, args.runs))
}

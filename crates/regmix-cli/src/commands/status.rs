//! `regmix status`: what is done and what comes next.

use regmix_data::Result;

use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>) -> Result<()> {
    let study = session.open_study()?;
    let status = study.status(session.display)?;
    session.print_result(&status, || show::status(&study, &status))
}

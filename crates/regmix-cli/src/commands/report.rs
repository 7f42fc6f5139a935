//! `regmix report`: the page with all results of a study.

use regmix_data::Result;

use crate::session::Session;

pub(super) fn run(session: &Session<'_>) -> Result<()> {
    let path = session.open_study()?.report(session.display)?;
    session.print_result(&path, || format!("{}\n", path.display()))
}

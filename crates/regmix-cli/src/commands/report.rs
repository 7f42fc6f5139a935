//! `regmix report`: the page with all results of a study, or of a fit of tables.

use regmix_data::Result;
use regmix_study::tables;

use crate::args::ReportArgs;
use crate::session::Session;

pub(super) fn run(session: &Session<'_>, args: &ReportArgs) -> Result<()> {
    let path = match &args.fit {
        None => session.open_study()?.report(session.display)?,
        Some(fit) => {
            let out = args.out.clone().unwrap_or_else(|| fit.join("report.html"));
            tables::report(fit, &args.mixture, (&out, args.redo), session.display)?;
            out
        }
    };
    session.print_result(&path, || format!("{}\n", path.display()))
}

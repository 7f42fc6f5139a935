//! `regmix retry`: runs that are trained again.

use regmix_data::Result;

use crate::args::RetryArgs;
use crate::session::Session;

pub(super) fn run(session: &Session<'_>, args: &RetryArgs) -> Result<()> {
    let study = session.open_study()?;
    let names = (!args.failed).then_some(&args.runs[..]);
    let retried = study.retry(names)?;
    session.print_result(&retried, || match retried.is_empty() {
        true => "no run failed\n".to_owned(),
        false => (retried.iter())
            .map(|r| format!("{}: kept as {}\n", r.folder.display(), r.kept.display()))
            .collect(),
    })?;
    for verb in ["train", "target", "doremi", "compare"] {
        if retried.iter().any(|r| r.made_by == verb) {
            session.message_step(&study, verb);
        }
    }
    Ok(())
}

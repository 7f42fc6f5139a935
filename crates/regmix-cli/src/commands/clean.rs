//! `regmix clean`: what is not needed any more.

use regmix_data::Result;
use serde_json::json;

use crate::args::CleanArgs;
use crate::output::command_line;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &CleanArgs) -> Result<()> {
    let study = session.open_study()?;
    let found = study.leftovers(args.weights)?;
    if args.yes {
        study.remove(&found)?;
    }
    let bytes: u64 = found.iter().map(|leftover| leftover.bytes).sum();
    let result = json!({ "removed": args.yes, "bytes": bytes, "leftovers": found });
    session.print_result(&result, || show::leftovers(&found, args.yes))?;
    if !args.yes && !found.is_empty() {
        let weights = if args.weights { " --weights" } else { "" };
        let command = command_line::in_study(study.root(), &format!("clean{weights} --yes"));
        session.message(&format!("nothing was removed; to remove it: {command}"));
    }
    Ok(())
}

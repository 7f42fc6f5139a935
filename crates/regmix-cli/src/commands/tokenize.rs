//! `regmix tokenize`: the corpus of a study.

use regmix_data::Result;

use crate::args::{Format, TokenizeArgs};
use crate::output::print_json;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &TokenizeArgs) -> Result<()> {
    let study = session.open_study()?;
    match study.tokenize(session.context(args.redo))? {
        Some(summary) => {
            session.print_result(&summary.manifest, || show::tokenized(&summary))?;
            session.message(&show::read_files(&summary));
            // Not progress: shown with `--quiet`, too.
            for line in show::left_out(&summary) {
                session.display.line(&line);
            }
        }
        None => {
            session.message("the corpus is tokenized already");
            if session.format == Format::Json {
                print_json(study.corpus()?.manifest())?;
            }
        }
    }
    session.message_next(&study)
}

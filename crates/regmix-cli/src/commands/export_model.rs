//! `regmix export-model`: a trained model in Hugging Face's layout.

use regmix_data::Result;
use regmix_study::models::{GivenTokenizer, export};

use crate::args::ExportModelArgs;
use crate::session::Session;

pub(super) fn run(session: &Session<'_>, args: &ExportModelArgs) -> Result<()> {
    let given = args.tokenizer.as_ref().map(|path| GivenTokenizer {
        path: path.clone(),
        separator: args.separator.clone(),
    });
    let run = session.folder.join(&args.run);
    let exported = export(&run, given.as_ref(), &args.out, args.redo)?;
    session.message(&format!(
        "a Llama of {} parameters in {}",
        exported.parameters,
        args.out.display()
    ));
    for note in &exported.notes {
        session.message(&format!("note: {note}"));
    }
    session.print_result(&exported, || {
        let lines = exported.files.iter();
        lines.map(|path| format!("{}\n", path.display())).collect()
    })
}

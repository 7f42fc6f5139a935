//! `regmix init`: a study of the user's own text.

use std::path::Path;

use regmix_data::{Error, Result};
use regmix_study::Study;
use regmix_study::config::hub_dataset;

use crate::args::InitArgs;
use crate::output::command_line;
use crate::session::Session;

pub(super) fn run(session: &Session<'_>, args: &InitArgs) -> Result<()> {
    let root = session.folder;
    let absolute = std::path::absolute(root).map_err(|e| Error::io(root, e))?;
    require_text(&args.corpus)?;
    let folder = absolute.file_name().map(|n| n.to_string_lossy());
    let name = (args.name.clone())
        .or_else(|| folder.map(|name| name.into_owned()))
        .unwrap_or_else(|| "study".to_owned());
    // The study may be anywhere; an absolute path stays right.
    let corpus = match hub_dataset(&args.corpus).is_some() {
        true => args.corpus.clone(),
        false => std::path::absolute(&args.corpus).map_err(|e| Error::io(&args.corpus, e))?,
    };
    let study = Study::init(root, &name, &corpus, session.display)?;
    let path = study.path(regmix_study::STUDY_FILE);
    session.print_result(&path, || format!("{}\n", path.display()))?;
    session.message(&format!(
        "check and edit it, then: {}",
        command_line::in_study(root, "tokenize")
    ));
    Ok(())
}

/// An error unless there is something to read at a path.
pub(super) fn require_text(corpus: &Path) -> Result<()> {
    if corpus.exists() || hub_dataset(corpus).is_some() {
        return Ok(());
    }
    Err(
        Error::input("there is nothing at this path, expected a folder or a file of text")
            .in_file(corpus)
            .help("give the corpus as `--corpus PATH`"),
    )
}

//! `regmix import`: tables of runs from logs.

use std::path::Path;

use regmix_data::exchange::{Imported, RunNames, Selection, find_logs, read_logs};
use regmix_data::{Error, Result};
use regmix_study::tables::{
    ImportedTables, import_logs, import_olmix, import_tables, is_imported, select_by,
};

use crate::args::ImportArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &ImportArgs) -> Result<()> {
    let tables = import(session, args)?;
    for note in &tables.notes {
        session.message(&format!("note: {note}"));
    }
    if !tables.skipped.is_empty() {
        session.message(&format!("skipped: {}", show::skipped(&tables.skipped)));
    }
    session.print_result(&tables, || show::imported(&tables))?;
    for next in &tables.next {
        session.message(&format!("next: {next}"));
    }
    Ok(())
}

fn import(session: &Session<'_>, args: &ImportArgs) -> Result<ImportedTables> {
    let into = (args.out.as_path(), args.redo);
    if let (Some(mixtures), Some(losses)) = (&args.mixtures, &args.losses) {
        return import_tables(mixtures, losses, into, session.display);
    }
    let is_yaml = |path: &Path| path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    match &args.paths[..] {
        [config] if is_yaml(config) => return import_olmix(config, into, session.display),
        paths if paths.iter().any(|path| is_yaml(path)) => {
            return Err(Error::input(
                "a configuration of Olmix among other files: expected it alone",
            ));
        }
        _ => {}
    }
    let mut selection = Selection {
        targets: args.target.clone(),
        weights: args.weights.clone(),
        run: args.run.clone(),
        step: args.step.clone(),
        tokens: args.tokens.clone(),
        parameters: args.parameters.clone(),
        tokens_per_step: args.tokens_per_step,
        at_step: args.at_step,
        last: args.last,
        ..Selection::default()
    };
    if let Some(path) = &args.mapping {
        select_by(path, &mut selection)?;
    }
    let names = (args.run_names.clone()).map_or(RunNames::Differing, RunNames::Pattern);
    let mut files = find_logs(&args.paths)?;
    files.retain(|file| !is_imported(file, &args.out));
    let logs = read_logs(&files, &names, &selection, session.display)?;
    let imported = Imported::of(logs, &selection)?;
    import_logs(imported, args.mixtures.as_deref(), into)
}

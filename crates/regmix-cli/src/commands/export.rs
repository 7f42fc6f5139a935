//! `regmix export`: a mixture or a schedule as a trainer reads it.

use std::path::{Path, PathBuf};

use regmix_data::exchange::{ExportOptions, ExportPlan, Exported, Mapping, export};
use regmix_data::{Error, Result, artefact};
use regmix_study::tables::{plan_of_schedule, read_mapping, read_plan, refuse_to_overwrite};

use crate::args::{ExportArgs, Format};
use crate::output::{print, print_json};
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &ExportArgs) -> Result<()> {
    let plan = plan(session, args)?;
    let mapping = mapping(args, &plan)?;
    let options = ExportOptions {
        force: args.force,
        align: args.align,
    };
    let exported = export(&plan, &mapping, args.to, &options).map_err(|e| {
        // What a field names stands in the mapping.
        match (&args.mapping, e.field_name()) {
            (Some(path), Some(_)) => e.in_file_if_none(path),
            _ => e,
        }
    })?;
    let written = match &args.out {
        Some(out) => write(&exported, out, args.redo)?,
        None if exported.files.len() > 1 && session.format == Format::Table => {
            return Err(Error::input(format!(
                "{} takes {} files here: expected a folder for them",
                args.to,
                exported.files.len()
            ))
            .field("--out"));
        }
        None => Vec::new(),
    };
    for line in show::exported(&exported).lines() {
        session.message(line);
    }
    if session.format == Format::Json {
        return print_json(&exported);
    }
    match written.is_empty() {
        true => exported.files.iter().for_each(|file| print(&file.text)),
        false => (written.iter()).for_each(|path| print(&format!("{}\n", path.display()))),
    }
    Ok(())
}

fn plan(session: &Session<'_>, args: &ExportArgs) -> Result<ExportPlan> {
    match (&args.mixture, &args.schedule) {
        (Some(path), _) | (None, Some(Some(path))) => read_plan(path, args.run.as_deref()),
        (None, Some(None)) => {
            plan_of_schedule(&session.open_study()?.current_schedule(session.display)?)
        }
        (None, None) => {
            let found = session.open_study()?.current_mixture(session.display)?;
            Ok(ExportPlan::of_mixture(found.mixture))
        }
    }
}

/// The mapping of the arguments: flags take the place of its `[run]`.
fn mapping(args: &ExportArgs, plan: &ExportPlan) -> Result<Mapping> {
    let mut mapping = match (&args.mapping, &args.path) {
        (Some(path), _) => read_mapping(path)?,
        (None, Some(pattern)) => {
            Mapping::from_pattern(plan.domains(), pattern).map_err(|e| e.field("--path"))?
        }
        (None, None) if args.to.needs_paths() => {
            return Err(Error::input(format!(
                "{} reads the data of every domain from its path: expected `--mapping` or `--path`",
                args.to
            ))
            .help(
                "give a pattern, such as `--path '/data/{domain}'`, or see `regmix export --help`",
            ));
        }
        (None, None) => Mapping::default(),
    };
    let run = &mut mapping.run;
    run.tokens = args.tokens.map(|n| n as f64).or(run.tokens);
    run.sequence_length = args.sequence_length.or(run.sequence_length);
    run.batch_size = args.batch_size.or(run.batch_size);
    run.max_epochs = args.max_epochs.or(run.max_epochs);
    run.unit = args.unit.or(run.unit);
    Ok(mapping)
}

/// Writes one file to `out`, or several into it.
fn write(exported: &Exported, out: &Path, redo: bool) -> Result<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = match &exported.files[..] {
        [_] => vec![out.to_path_buf()],
        files => files.iter().map(|file| out.join(&file.name)).collect(),
    };
    for path in &paths {
        refuse_to_overwrite(path, redo)?;
    }
    for (path, file) in paths.iter().zip(&exported.files) {
        artefact::write_atomic(path, file.text.as_bytes())?;
    }
    Ok(paths)
}

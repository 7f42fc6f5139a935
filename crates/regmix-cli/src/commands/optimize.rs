//! `regmix optimize`: the best mixture of a study, of a fit, or all mixtures
//! between the best for two objectives.

use std::path::Path;
use std::process::ExitCode;

use regmix_data::artefact::write_atomic;
use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};
use regmix_regress::{Fit, RecommendOptions};
use regmix_study::{optimize_file, pareto, recommend_watched};

use super::objective::{ObjectiveArgument, with_field_if_none};
use super::overwrite::refuse_to_overwrite;
use crate::args::OptimizeArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &OptimizeArgs) -> Result<ExitCode> {
    match (&args.fit, &args.out) {
        (Some(fit), Some(out)) => optimize_fit(session, args, fit, out)?,
        _ => optimize_study(session, args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn optimize_study(session: &Session<'_>, args: &OptimizeArgs) -> Result<()> {
    let study = session.open_study()?;
    let found = study.optimize(session.context(args.redo))?;
    session.print_result(&found, || show::mixture(&found))?;
    session.message_next(&study)
}

fn optimize_fit(session: &Session<'_>, args: &OptimizeArgs, fit: &Path, out: &Path) -> Result<()> {
    let mut fit = Fit::load(fit)?;
    refuse_to_overwrite(out, args.redo)?;
    if let Some(path) = &args.prior {
        let table = MixtureTable::read_csv(path)?;
        fit = (fit.with_natural(&table.mixtures()[0])).map_err(|e| e.in_file(path))?;
    }
    let options = RecommendOptions {
        method: args.method.into(),
        seed: args.seed,
        ..RecommendOptions::default()
    };
    if let Some(ends) = &args.pareto {
        return search_front(session, args, &fit, ends, out, options);
    }
    let objective = args.objective.as_deref().unwrap_or("mean");
    let found = match ObjectiveArgument::read(objective)? {
        ObjectiveArgument::File(path, file) => optimize_file(&fit, &file, options, session.display)
            .map_err(|e| e.in_file_if_none(path))?,
        ObjectiveArgument::Named(objective) => {
            let options = RecommendOptions {
                objective,
                ..options
            };
            recommend_watched(&fit, &options, session.display)
                .map_err(|e| with_field_if_none(e, "--objective"))?
        }
    };
    found.save(out)?;
    session.print_result(&found, || show::mixture(&found))
}

fn search_front(
    session: &Session<'_>,
    args: &OptimizeArgs,
    fit: &Fit,
    ends: &[String; 2],
    out: &Path,
    options: RecommendOptions,
) -> Result<()> {
    let limits = match (args.objective.as_deref())
        .map(ObjectiveArgument::read)
        .transpose()?
    {
        None => None,
        Some(ObjectiveArgument::File(path, file)) => Some((path, file)),
        Some(ObjectiveArgument::Named(_)) => {
            return Err(Error::input(
                "both objectives are those of `--pareto`: expected a .toml file with limits",
            )
            .field("--objective")
            .help("leave `--objective` out, or give the limits in a file"));
        }
    };
    let objective = |text: &str| match ObjectiveArgument::read(text)? {
        ObjectiveArgument::Named(objective) => Ok(objective),
        ObjectiveArgument::File(path, file) => {
            file.objective().map_err(|e| e.in_file_if_none(path))
        }
    };
    let [a, b] = [objective(&ends[0])?, objective(&ends[1])?];
    let file = limits.as_ref().map(|(_, file)| file);
    let found = pareto(fit, [&a, &b], args.points, file, options).map_err(|e| match &limits {
        Some((path, _)) if e.field_name().is_some() => e.in_file_if_none(path),
        _ => with_field_if_none(e, "--pareto"),
    })?;
    write_atomic(out, found.to_csv().as_bytes())?;
    session.print_result(&found, || show::front(&found))
}

//! `regmix design`: the mixtures of the proxies, and the next ones to try.

use std::path::Path;

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};
use regmix_regress::{Fit, NextOptions, NextRun};
use regmix_study::files;
use regmix_study::tables::{ChosenRun, choose_from_files, next_runs, refuse_to_overwrite};
use serde_json::json;

use crate::args::DesignArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &DesignArgs) -> Result<()> {
    if let (Some(pool), Some(runs)) = (&args.pool, args.runs) {
        return match &args.out {
            Some(out) => choose(session, args, pool, runs, out),
            None => add_from_pool(session, args, pool, runs),
        };
    }
    match (args.next, &args.fit, &args.out) {
        (Some(runs), Some(fit), Some(out)) => propose_from_fit(session, args, runs, fit, out),
        (Some(runs), ..) => add_to_design(session, args, runs),
        _ => draw(session, args),
    }
}

fn draw(session: &Session<'_>, args: &DesignArgs) -> Result<()> {
    let study = session.open_study()?;
    let mixtures = study.design(session.context(args.redo))?;
    let epochs = study.proxy_epochs()?;
    let json: Vec<_> = (mixtures.iter())
        .map(|(run, mixture)| json!({ "run": run, "mixture": mixture }))
        .collect();
    session.print_result(&json, || {
        let path = study.path(files::DESIGN);
        show::design(&mixtures, &epochs, &path)
    })?;
    session.message_next(&study)
}

fn add_to_design(session: &Session<'_>, args: &DesignArgs, runs: usize) -> Result<()> {
    refuse_redo(args, "--next")?;
    let study = session.open_study()?;
    let found = study.next_design(runs, session.context(false))?;
    print_proposed(session, &found)?;
    session.message_next(&study)
}

fn refuse_redo(args: &DesignArgs, option: &str) -> Result<()> {
    match args.redo {
        false => Ok(()),
        true => Err(Error::input(format!(
            "`{option}` adds to the design, `--redo` draws it again: expected one of them"
        ))
        .field(option)),
    }
}

fn add_from_pool(session: &Session<'_>, args: &DesignArgs, pool: &Path, runs: usize) -> Result<()> {
    refuse_redo(args, "--pool")?;
    let study = session.open_study()?;
    let chosen = study.add_from_pool(pool, runs, session.context(false))?;
    print_chosen(session, &chosen)?;
    session.message_next(&study)
}

fn choose(
    session: &Session<'_>,
    args: &DesignArgs,
    pool: &Path,
    runs: usize,
    out: &Path,
) -> Result<()> {
    refuse_to_overwrite(out, args.redo)?;
    let chosen = choose_from_files(pool, args.have.as_deref(), runs, session.display)?;
    if let Some(first) = chosen.first() {
        let rows = (chosen.iter()).map(|c| (c.run.clone(), c.mixture.clone()));
        MixtureTable::new(first.mixture.domains().clone(), rows)?.write_csv(out)?;
    }
    print_chosen(session, &chosen)
}

fn print_chosen(session: &Session<'_>, runs: &[ChosenRun]) -> Result<()> {
    let json: Vec<_> = (runs.iter())
        .map(|c| json!({ "run": c.run, "mixture": c.mixture, "distance": c.distance }))
        .collect();
    session.print_result(&json, || show::chosen(runs))
}

fn propose_from_fit(
    session: &Session<'_>,
    args: &DesignArgs,
    runs: usize,
    fit: &Path,
    out: &Path,
) -> Result<()> {
    let fit = Fit::load(fit)?;
    refuse_to_overwrite(out, args.redo)?;
    let options = NextOptions {
        runs,
        seed: args.seed,
        ..NextOptions::default()
    };
    let objective = args.objective.as_deref().unwrap_or("mean");
    let found = next_runs(&fit, objective, options, session.display)?;
    let rows = (found.iter()).map(|(run, next)| (run.clone(), next.mixture.clone()));
    MixtureTable::new(fit.domains().clone(), rows)?.write_csv(out)?;
    print_proposed(session, &found)
}

fn print_proposed(session: &Session<'_>, runs: &[(String, NextRun)]) -> Result<()> {
    let json: Vec<_> = (runs.iter())
        .map(|(run, next)| {
            json!({
                "run": run,
                "mixture": next.mixture,
                "predicted": next.predicted,
                "improvement": next.improvement,
                "distance": next.distance,
            })
        })
        .collect();
    session.print_result(&json, || show::proposed(runs))
}

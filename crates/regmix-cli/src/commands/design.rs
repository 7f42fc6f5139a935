//! `regmix design`: the mixtures of the proxies, and the next ones to try.

use std::path::Path;

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};
use regmix_regress::{Fit, NextOptions, NextRun};
use regmix_study::files;
use regmix_study::tables::{next_runs, refuse_to_overwrite};
use serde_json::json;

use crate::args::DesignArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &DesignArgs) -> Result<()> {
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
    if args.redo {
        return Err(Error::input(
            "`--next` adds to the design, `--redo` draws it again: expected one of them",
        )
        .field("--next"));
    }
    let study = session.open_study()?;
    let found = study.next_design(runs, session.context(false))?;
    print_proposed(session, &found)?;
    session.message_next(&study)
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

//! `regmix predict`: losses of mixtures, to stdout or into a file.

use std::collections::BTreeMap;

use regmix_data::table::{MixtureTable, ValueTable};
use regmix_data::{Monitor, Result};
use regmix_regress::Fit;
use regmix_regress::scale::ScaleFit;
use regmix_study::tables::{Extrapolations, predict_file, refuse_to_overwrite};

use crate::args::PredictArgs;
use crate::session::Session;

pub(super) fn run(session: &Session<'_>, args: &PredictArgs) -> Result<()> {
    if let Some(out) = &args.out {
        refuse_to_overwrite(out, args.redo)?;
    }
    if let (Some(parameters), Some(tokens)) = (args.parameters, args.tokens) {
        let fit = match &args.fit {
            Some(folder) => ScaleFit::load(folder)?,
            None => session.open_study()?.current_scale(session.display)?,
        };
        return predict_at(session, args, &fit, (parameters, tokens));
    }
    let fit = match &args.fit {
        Some(folder) => Fit::load(folder)?,
        None => session.open_study()?.current_fit(session.display)?,
    };
    match &args.out {
        Some(out) => {
            predict_file(&fit, &args.mixtures, out, args.means_only, session.display).map(drop)
        }
        None => print_predictions(session, args, &fit),
    }
}

fn print_predictions(session: &Session<'_>, args: &PredictArgs, fit: &Fit) -> Result<()> {
    let table = MixtureTable::read_csv(&args.mixtures)?;
    let predicted = (fit.predict_table_monitored(&table, session.display))
        .map_err(|e| e.in_file_if_none(&args.mixtures))?;
    let mut found = Extrapolations::of(fit)?;
    let beyond = (found.look(fit, &table)).map_err(|e| e.in_file_if_none(&args.mixtures))?;
    let rows: Vec<BTreeMap<&str, serde_json::Value>> = (predicted.runs().iter())
        .zip(predicted.rows().iter().zip(&beyond))
        .map(|(run, (row, &beyond))| {
            let values = predicted.targets().iter().zip(row);
            [
                ("run", run.as_str().into()),
                ("extrapolation", beyond.into()),
            ]
            .into_iter()
            .chain(values.map(|(target, &value)| (target.as_str(), value.into())))
            .collect()
        })
        .collect();
    session.print_result(&rows, || predicted.to_csv())?;
    if let Some(sentence) = found.sentence() {
        session.display.message(&format!("warning: {sentence}"));
    }
    Ok(())
}

/// Losses at a size and length, by laws of scale.
fn predict_at(
    session: &Session<'_>,
    args: &PredictArgs,
    fit: &ScaleFit,
    at: (f64, f64),
) -> Result<()> {
    for warning in fit.check_setting(at.0, at.1)? {
        session.message(&format!("warning: {warning}"));
    }
    let table = MixtureTable::read_csv(&args.mixtures)?;
    let mut predicted = (fit.predict_table(&table, at, session.display))
        .map_err(|e| e.in_file_if_none(&args.mixtures))?;
    if args.means_only {
        let means: Vec<usize> = (0..predicted.targets().len()).step_by(2).collect();
        predicted = predicted.with_targets(&means);
    }
    match &args.out {
        Some(out) => predicted.write_csv(out),
        None => print_table(session, &predicted),
    }
}

fn print_table(session: &Session<'_>, predicted: &ValueTable) -> Result<()> {
    let rows: Vec<BTreeMap<&str, serde_json::Value>> = (predicted.runs().iter())
        .zip(predicted.rows())
        .map(|(run, row)| {
            let values = predicted.targets().iter().zip(row);
            std::iter::once(("run", run.as_str().into()))
                .chain(values.map(|(target, &value)| (target.as_str(), value.into())))
                .collect()
        })
        .collect();
    session.print_result(&rows, || predicted.to_csv())
}

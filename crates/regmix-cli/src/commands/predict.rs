//! `regmix predict`: losses of mixtures, to stdout or into a file.

use std::collections::BTreeMap;

use regmix_data::table::MixtureTable;
use regmix_data::{Monitor, Result};
use regmix_regress::Fit;
use regmix_study::tables::{Extrapolations, predict_file, refuse_to_overwrite};

use crate::args::PredictArgs;
use crate::session::Session;

pub(super) fn run(session: &Session<'_>, args: &PredictArgs) -> Result<()> {
    if let Some(out) = &args.out {
        refuse_to_overwrite(out, args.redo)?;
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

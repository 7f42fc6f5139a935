//! What an exported mixture means, beside its file.

use regmix_data::exchange::{Exported, SampleUnit};

use crate::output::table::table;

/// The unit of the weights, tokens and epochs of every domain, and notes.
pub(crate) fn exported(exported: &Exported) -> String {
    let converted = matches!(exported.unit, SampleUnit::Documents | SampleUnit::Bytes);
    let meaning = match converted {
        true => "shares of tokens, divided by the mean tokens of one",
        false => "their shares are those of tokens",
    };
    let mut text = format!(
        "weights of {} count {}: {meaning}\n",
        exported.trainer, exported.unit
    );
    let share = |x: f64| format!("{:.3}%", 100.0 * x);
    let or_dash =
        |x: Option<f64>, write: fn(f64) -> String| x.map_or_else(|| "-".to_owned(), write);
    let rows = exported.domains.iter().map(|d| {
        let mut row = vec![d.domain.clone(), share(d.weight)];
        if converted {
            row.push(share(d.written));
        }
        row.extend([
            or_dash(d.tokens, |x| format!("{x:.0}")),
            or_dash(d.available, |x| format!("{x:.0}")),
            or_dash(d.epochs, |x| format!("{x:.3}")),
            or_dash(d.max_epochs, |x| x.to_string()),
        ]);
        row
    });
    let written = format!("of {}", exported.unit);
    let mut header = vec!["domain", "of tokens"];
    if converted {
        header.push(&written);
    }
    header.extend(["tokens", "available", "epochs", "at most"]);
    text.push_str(&table(&header, rows));
    for note in &exported.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

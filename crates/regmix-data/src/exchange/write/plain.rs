//! Formats without paths: DoReMi's JSON, and tables for other programs.

use serde::Serialize;

use super::text::object;
use super::{Job, one_file};
use crate::error::{Error, Result};
use crate::exchange::exported_file::ExportedFile;
use crate::exchange::shares::WHOLE;
use crate::exchange::unit::SampleUnit;
use crate::table::records::render;

/// DoReMi's domain weights. Domains have numbers by their place in the file, so
/// that all are there, in the order of the mixture. Losses of all count the same.
pub(super) fn doremi(job: &Job<'_>) -> Vec<ExportedFile> {
    let train = job.entries.iter().map(|e| (&e.name, e.weight(0)));
    let eval = job.entries.iter().map(|e| (&e.name, "1.0".to_owned()));
    let text = object(
        "",
        [
            ("train_domain_weights", object("  ", train)),
            ("eval_domain_weights", object("  ", eval)),
        ],
    );
    one_file("domain_weights.json", text + "\n")
}

/// A row for every domain, and for every segment where the mixture changes.
pub(super) fn csv(job: &Job<'_>) -> Vec<ExportedFile> {
    let share = format!("share_of_{}", job.unit);
    let steps = |of: [String; 2]| match job.spans.len() {
        1 => Vec::new(),
        _ => of.to_vec(),
    };
    let header = steps(["from_step", "to_step"].map(str::to_owned));
    let header = header.into_iter().chain(["domain".to_owned(), share]);
    let rows = job.spans.iter().enumerate().flat_map(|(place, span)| {
        let of = move |entry: &super::Entry<'_>| {
            let own = [entry.name.clone(), entry.weight(place)];
            let mut row = steps([span.from, span.to].map(|step| step.to_string()));
            row.extend(own);
            row
        };
        job.entries.iter().map(of)
    });
    one_file("mixture.csv", render(header, rows))
}

/// Everything that is known, for a program that someone writes.
pub(super) fn json(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    #[derive(Serialize)]
    struct Domain<'a> {
        name: &'a str,
        paths: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tokens: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        epochs: Option<f64>,
    }
    #[derive(Serialize)]
    struct Segment {
        from_step: u64,
        to_step: u64,
        weights: Vec<f64>,
    }
    #[derive(Serialize)]
    struct Whole<'a> {
        unit: SampleUnit,
        domains: Vec<Domain<'a>>,
        /// Weights in the order of the domains.
        #[serde(skip_serializing_if = "Option::is_none")]
        weights: Option<Vec<f64>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        segments: Option<Vec<Segment>>,
    }
    let weights = |place: usize| -> Vec<f64> {
        (job.entries.iter())
            .map(|e| e.parts[place] as f64 / WHOLE as f64)
            .collect()
    };
    let several = job.spans.len() > 1;
    let segments = (job.spans.iter().enumerate()).map(|(place, span)| Segment {
        from_step: span.from,
        to_step: span.to,
        weights: weights(place),
    });
    let whole = Whole {
        unit: job.unit,
        domains: (job.entries.iter())
            .map(|e| Domain {
                name: &e.name,
                paths: e.source.places().collect(),
                tokens: e.account.tokens.map(f64::round),
                epochs: e.account.epochs,
            })
            .collect(),
        weights: (!several).then(|| weights(0)),
        segments: several.then(|| segments.collect()),
    };
    let text = serde_json::to_string_pretty(&whole)
        .map_err(|e| Error::failed(format!("cannot be written as JSON: {e}")))?;
    Ok(one_file("mixture.json", text + "\n"))
}

//! The tables of an Olmix fit, with its objective and limits.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::exchange::{OlmixFit, read_olmix};
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Error, Mixture, Monitor, Result};
use serde::Serialize;

use super::{ImportedTables, Next, Table, write};

/// Writes the tables of an Olmix fit, with its objective and limits as the file
/// `goal.toml` of `optimize --objective`, and its natural mixture.
///
/// # Errors
/// When the configuration or a table cannot be read, the configuration names domains
/// or targets that the tables do not have, or a file is there already and `redo` is
/// false.
pub fn import_olmix(
    config: &Path,
    (out, redo): (&Path, bool),
    monitor: &dyn Monitor,
) -> Result<ImportedTables> {
    let fit = read_olmix(config)?;
    let joined = Observations::read_csv(&fit.ratios, &fit.metrics)?;
    monitor.check()?;
    let here = |e: Error| e.in_file(config);
    let mut notes: Vec<String> = joined.notes().cloned().collect();
    let (losses, skipped) = targets(&fit, &joined.values, &mut notes).map_err(here)?;
    let domains = joined.mixtures.domains();
    let named = [
        ("priors", &fit.sizes),
        ("priors", &fit.tokens),
        ("filtering.fixed_weight", &fit.fixed),
    ];
    for (section, names) in named {
        for name in names.keys() {
            (domains.require(name)).map_err(|e| here(e.field(section)))?;
        }
    }
    let goal = goal(&fit, losses.targets()).map_err(here)?;
    let mut tables = vec![
        Table::losses(&losses),
        Table::mixtures(&joined.mixtures),
        Table::new("goal.toml", goal, "objective and limits"),
    ];
    let natural = natural(&fit, domains).map_err(here)?;
    if let Some(natural) = &natural {
        let about = "the natural mixture";
        tables.push(Table::new("natural.csv", natural.to_csv(), about));
    }
    if !fit.skipped.is_empty() {
        notes.push(format!(
            "these settings have no counterpart and do not count: {}",
            fit.skipped.join(", ")
        ));
    }
    Ok(ImportedTables {
        files: write(out, redo, tables)?,
        runs: losses.runs().len(),
        targets: losses.targets().to_vec(),
        skipped,
        notes,
        next: Next::fit(out)
            .and_objective()
            .and_prior(natural.is_some())
            .commands(),
    })
}

/// The targets of a fit, and the metrics that do not count: single metrics, or the
/// means of families.
fn targets(
    fit: &OlmixFit,
    table: &ValueTable,
    notes: &mut Vec<String>,
) -> Result<(ValueTable, Vec<String>)> {
    let place = |metric: &String| table.targets().iter().position(|t| t == metric);
    let listed: Vec<&String> = match fit.families.is_empty() {
        true => table.targets().iter().collect(),
        false => fit.families.values().flatten().collect(),
    };
    let unknown: Vec<&str> = (listed.iter().chain(&fit.dropped.iter().collect::<Vec<_>>()))
        .filter(|metric| place(metric).is_none())
        .map(|metric| metric.as_str())
        .collect();
    if !unknown.is_empty() {
        notes.push(format!(
            "metrics that the table does not have: {}",
            unknown.join(", ")
        ));
    }
    let counts = |metric: &&&String| !fit.dropped.contains(metric);
    let kept: Vec<usize> = (listed.iter().filter(counts))
        .filter_map(|metric| place(metric))
        .collect();
    let skipped: Vec<String> = (table.targets().iter().enumerate())
        .filter(|(t, _)| !kept.contains(t))
        .map(|(_, name)| name.clone())
        .collect();
    if kept.is_empty() {
        return Err(Error::input(
            "no metric of the table counts: expected at least one",
        ));
    }
    if !fit.by_family || fit.families.is_empty() {
        return Ok((table.with_targets(&kept), skipped));
    }
    let families: Vec<(&String, Vec<usize>)> = (fit.families.iter())
        .map(|(family, metrics)| {
            let of_family = metrics.iter().filter(|m| !fit.dropped.contains(m));
            (family, of_family.filter_map(place).collect::<Vec<_>>())
        })
        .filter(|(_, metrics)| !metrics.is_empty())
        .collect();
    let names = families.iter().map(|(name, _)| (*name).clone()).collect();
    let rows = table.runs().iter().zip(table.rows()).map(|(run, row)| {
        let mean = |metrics: &Vec<usize>| {
            metrics.iter().map(|m| row[*m]).sum::<f64>() / metrics.len() as f64
        };
        let means = families.iter().map(|(_, metrics)| mean(metrics)).collect();
        (run.clone(), means)
    });
    Ok((ValueTable::new(names, rows)?, skipped))
}

fn natural(fit: &OlmixFit, domains: &DomainSet) -> Result<Option<MixtureTable>> {
    let sizes = match fit.sizes.is_empty() {
        true => &fit.tokens,
        false => &fit.sizes,
    };
    if sizes.is_empty() {
        return Ok(None);
    }
    let size = |name: &str| sizes.get(name).copied().unwrap_or(0.0);
    let natural = Mixture::normalized(domains.clone(), domains.names().map(size).collect())
        .map_err(|e| e.field("priors"))?;
    MixtureTable::new(domains.clone(), [("natural".to_owned(), natural)]).map(Some)
}

/// The objective of an Olmix fit, as an objective file.
fn goal(fit: &OlmixFit, targets: &[String]) -> Result<String> {
    #[derive(Serialize)]
    struct Goal<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        loss: Option<&'a str>,
        kl: f64,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        weights: BTreeMap<&'a str, f64>,
        constraints: Limits<'a>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        available: &'a BTreeMap<String, f64>,
    }
    #[derive(Serialize)]
    struct Limits<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        target_tokens: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_epochs: Option<f64>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        floor: &'a BTreeMap<String, f64>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        cap: &'a BTreeMap<String, f64>,
    }
    if let Some(unknown) = fit.objective.keys().find(|name| !targets.contains(name)) {
        return Err(Error::input(format!(
            "`{unknown}` has a weight and is no target: expected one of {}",
            targets.join(", ")
        ))
        .field("filtering.obj_weights"));
    }
    // Olmix gives targets without a weight 1, and divides by the sum.
    let weight = |target: &String| fit.objective.get(target).copied().unwrap_or(1.0);
    let sum: f64 = targets.iter().map(weight).sum();
    let weights = match fit.objective.is_empty() {
        true => BTreeMap::new(),
        false => (targets.iter().map(|t| (t.as_str(), weight(t) / sum))).collect(),
    };
    let limited = fit.target_tokens.is_some() && fit.max_epochs.is_some() && !fit.tokens.is_empty();
    let no_tokens = BTreeMap::new();
    let goal = Goal {
        loss: weights.is_empty().then_some("mean"),
        kl: fit.kl,
        weights,
        constraints: Limits {
            target_tokens: fit.target_tokens.filter(|_| limited),
            max_epochs: fit.max_epochs.filter(|_| limited),
            floor: &fit.fixed,
            cap: &fit.fixed,
        },
        available: if limited { &fit.tokens } else { &no_tokens },
    };
    toml::to_string(&goal).map_err(|e| Error::failed(format!("cannot be written as TOML: {e}")))
}

//! From a plan to the files of a trainer.

use serde::Serialize;

use super::account::{DomainAccount, account};
use super::exported_file::ExportedFile;
use super::mapping::Mapping;
use super::plan::ExportPlan;
use super::shares::{SegmentShares, Shares, shares};
use super::trainer::Trainer;
use super::unit::SampleUnit;
use super::write::{Entry, Job, write};
use crate::error::{Error, Result};

/// How a plan is exported.
///
/// | field | default | |
/// |---|---|---|
/// | `force` | false | write it although domains are read more often than allowed |
/// | `align` | false | move changes of the mixture to steps at which the trainer can change |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Write it although domains are read more often than allowed.
    pub force: bool,
    /// Move changes of the mixture to the nearest step that the trainer can change at.
    pub align: bool,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exported {
    /// The name of the trainer.
    pub trainer: &'static str,
    /// What the weights count.
    pub unit: SampleUnit,
    /// The files: several where the trainer is started once for every mixture.
    pub files: Vec<ExportedFile>,
    /// What they mean.
    pub domains: Vec<DomainAccount>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Levanter changes its mixture between blocks of so many sequences.
const LEVANTER_BLOCK: u64 = 2048;

/// Writes a plan in the format of a trainer.
///
/// # Errors
/// When the mapping is about other domains, lacks what the trainer needs, or has
/// what the trainer would misread; a domain is read more often than its cap, unless
/// that is forced; the mixture changes and the trainer keeps one, or cannot change
/// at these steps.
pub fn export(
    plan: &ExportPlan,
    mapping: &Mapping,
    trainer: Trainer,
    options: &ExportOptions,
) -> Result<Exported> {
    mapping.check(plan.domains())?;
    let unit = unit_of(trainer, mapping)?;
    let tokens = tokens_of(plan, mapping)?;
    let plan = placed(plan, mapping, trainer, options)?;
    let names: Vec<&str> = plan.domains().names().collect();
    let shares = shares(&plan, mapping, (trainer, unit), tokens, options.force)?;
    let mut planned = vec![0.0; names.len()];
    let segments = plan.segments();
    let steps = segments.last().map_or(1, |s| s.to) as f64;
    for segment in &segments {
        let length = (segment.to - segment.from) as f64 / steps;
        for (sum, w) in planned.iter_mut().zip(segment.mixture.weights()) {
            *sum += length * w;
        }
    }
    let domains = account(&names, &planned, &shares, mapping, tokens);
    let job = job(&names, &shares, mapping, (trainer, unit), &domains)?;
    let files = write(&job, options.force)?;
    let mut notes = job.notes(plan.changes());
    notes.extend(unchecked(&domains));
    Ok(Exported {
        trainer: trainer.name(),
        unit,
        files,
        domains,
        notes,
    })
}

fn unit_of(trainer: Trainer, mapping: &Mapping) -> Result<SampleUnit> {
    let units = trainer.units();
    let wanted = mapping.run.unit.unwrap_or(units[0]);
    if units.contains(&wanted) {
        return Ok(wanted);
    }
    let known: Vec<&str> = units.iter().map(|u| u.as_str()).collect();
    Err(Error::input(format!(
        "`{wanted}`: {trainer} draws {}",
        known.join(" or ")
    ))
    .field("run.unit"))
}

fn tokens_of(plan: &ExportPlan, mapping: &Mapping) -> Result<Option<f64>> {
    let tokens = match (plan.tokens(), mapping.run.tokens) {
        (Some(own), Some(given)) if (own - given).abs() > 1e-6 * own => {
            return Err(Error::input(format!(
                "{given} tokens, and the schedule is for {own}: expected the same, or none"
            ))
            .field("run.tokens"));
        }
        (own, given) => own.or(given),
    };
    let capped = mapping.run.max_epochs.is_some()
        || mapping.domains.values().any(|s| s.max_epochs.is_some());
    if capped && tokens.is_none() {
        return Err(
            Error::input("`max_epochs` without the tokens of the run: expected both")
                .field("run.tokens")
                .help("add `tokens` under `[run]`, or give `--tokens`"),
        );
    }
    Ok(tokens)
}

/// The plan with changes at steps where the trainer can change.
fn placed(
    plan: &ExportPlan,
    mapping: &Mapping,
    trainer: Trainer,
    options: &ExportOptions,
) -> Result<ExportPlan> {
    if !plan.changes() {
        return Ok(plan.clone());
    }
    if !trainer.knows_stages() {
        let stages: Vec<&str> = (Trainer::ALL.iter())
            .filter(|t| t.knows_stages())
            .map(|t| t.name())
            .collect();
        return Err(Error::input(format!(
            "the mixture changes {} times, and {trainer} keeps one for the whole run",
            plan.segments().len() - 1
        ))
        .help(format!(
            "export a single mixture, or to {}",
            stages.join(", ")
        )));
    }
    if trainer != Trainer::Levanter {
        return Ok(plan.clone());
    }
    let Some(batch) = mapping.run.batch_size else {
        return Err(Error::input(format!(
            "levanter changes its mixture every {LEVANTER_BLOCK} sequences: expected the sequences \
             of a step"
        ))
        .field("run.batch_size")
        .help("add `batch_size` under `[run]`, or give `--batch-size`"));
    };
    let block = LEVANTER_BLOCK / greatest_common_divisor(LEVANTER_BLOCK, batch);
    let why = format!("levanter changes it only after blocks of {LEVANTER_BLOCK} sequences");
    plan.at_multiples(block, options.align, &why)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// The entries that are written, with names that differ.
fn job<'a>(
    names: &[&str],
    shares: &'a Shares,
    mapping: &'a Mapping,
    (trainer, unit): (Trainer, SampleUnit),
    accounts: &'a [DomainAccount],
) -> Result<Job<'a>> {
    let written: Vec<usize> = (0..names.len())
        .filter(|&d| trainer.keeps_zeros() || shares.segments.iter().any(|s| s.parts[d] > 0))
        .collect();
    let kept: Vec<&str> = written.iter().map(|d| names[*d]).collect();
    let sources = mapping.require(&kept, trainer)?;
    let mut entries: Vec<Entry<'a>> = Vec::with_capacity(written.len());
    for (d, source) in written.into_iter().zip(sources) {
        let name = source.name.clone().unwrap_or_else(|| names[d].to_owned());
        if let Some(other) = entries.iter().find(|e| e.name == name) {
            return Err(Error::input(format!(
                "`{name}` is the name of `{}` as well: expected one of its own",
                other.account.domain
            ))
            .field(format!("domains.{}.name", names[d])));
        }
        entries.push(Entry {
            name,
            source,
            account: &accounts[d],
            parts: shares.segments.iter().map(|s| s.parts[d]).collect(),
        });
    }
    // What is drawn in the run, where that is known.
    let of = |span: &SegmentShares| match unit {
        SampleUnit::Sequences => Some(span.tokens? / mapping.run.sequence_length? as f64),
        _ => Some(span.tokens? / shares.tokens_per_unit(span)),
    };
    let samples = shares.segments.iter().map(of).sum();
    Ok(Job {
        trainer,
        unit,
        samples,
        entries,
        spans: &shares.segments,
        run: &mapping.run,
    })
}

/// What could not be checked.
fn unchecked(domains: &[DomainAccount]) -> Option<String> {
    let unknown: Vec<&str> = (domains.iter())
        .filter(|d| d.max_epochs.is_some() && d.implied > 0.0 && d.available.is_none())
        .map(|d| d.domain.as_str())
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "the mapping has no `tokens` for {}: how often they are read is not checked",
            unknown.join(", ")
        )
    })
}

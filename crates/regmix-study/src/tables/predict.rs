//! Predicting large tables of mixtures.

use std::io::Write;
use std::path::Path;

use regmix_data::artefact::write_atomic_with;
use regmix_data::table::{MixtureTable, ValueTable};
use regmix_data::{Error, Monitor, Result, Unit};
use regmix_regress::{Coverage, Fit};

/// Mixtures that are predicted together.
const PART: usize = 8192;

/// Which mixtures of a table are unlike those that a fit's runs tried: their
/// predictions are extrapolations.
#[derive(Debug, Clone, PartialEq)]
pub struct Extrapolations {
    coverage: Coverage,
    asked: usize,
    found: usize,
    first: Vec<String>,
}

impl Extrapolations {
    /// Names shown.
    const SHOWN: usize = 5;

    /// None yet.
    ///
    /// # Errors
    /// Never for a fit that was trained.
    pub fn of(fit: &Fit) -> Result<Self> {
        Ok(Self {
            coverage: Coverage::of(fit.observations().mixtures.mixtures())?,
            asked: 0,
            found: 0,
            first: Vec::new(),
        })
    }

    /// Looks at a table over the domains of the fit; says for every mixture
    /// whether it is one.
    ///
    /// # Errors
    /// When the table is over other domains.
    pub fn look(&mut self, fit: &Fit, table: &MixtureTable) -> Result<Vec<bool>> {
        let table = table.reordered(fit.domains())?;
        let weights: Vec<&[f64]> = table.mixtures().iter().map(|m| m.weights()).collect();
        let beyond: Vec<bool> = (self.coverage.covers_all(&weights).iter())
            .map(|covered| !covered)
            .collect();
        for (run, _) in table
            .runs()
            .iter()
            .zip(&beyond)
            .filter(|(_, beyond)| **beyond)
        {
            self.found += 1;
            if self.first.len() < Self::SHOWN {
                self.first.push(run.clone());
            }
        }
        self.asked += beyond.len();
        Ok(beyond)
    }

    /// What to say about them, where there are any.
    pub fn sentence(&self) -> Option<String> {
        let others = if self.found > self.first.len() {
            " and others"
        } else {
            ""
        };
        (self.found > 0).then(|| {
            format!(
                "{} of {} mixtures are unlike those that were tried ({}{others}): 95% of the runs \
                 are within the limit that these exceed, and their predictions are extrapolations",
                self.found,
                self.asked,
                self.first.join(", ")
            )
        })
    }
}

/// Predicts a table of mixtures into a file: a column per target and, unless
/// `means_only`, one with its standard deviation. Returns how many mixtures
/// there were. Mixtures unlike those that were tried are named in a message.
///
/// Tables may be larger than memory would hold as mixtures: they are read and
/// written a part at a time, after a look at every row.
///
/// # Errors
/// When the table cannot be read or is over other domains, or the file cannot
/// be written; it is then not there.
pub fn predict_file(
    fit: &Fit,
    mixtures: &Path,
    out: &Path,
    means_only: bool,
    monitor: &dyn Monitor,
) -> Result<usize> {
    let named = |e: Error| e.in_file_if_none(mixtures);
    let mut notes = Vec::new();
    let check = |part: MixtureTable| {
        notes = part.notes().to_vec();
        part.reordered(fit.domains()).map(drop).map_err(named)
    };
    let rows = MixtureTable::read_parts(mixtures, PART, check)?;
    let mut beyond = Extrapolations::of(fit)?;
    notes.iter().for_each(|note| monitor.message(note));
    monitor.begin("predicting", rows as u64, Unit::Items);
    let written = write_atomic_with(out, |writer| {
        let mut first = true;
        MixtureTable::read_parts(mixtures, PART, |part| {
            monitor.check()?;
            beyond.look(fit, &part)?;
            let predicted = match means_only {
                true => means(fit, &part)?,
                false => fit.predict_table_monitored(&part, monitor)?,
            };
            let text = predicted.to_csv();
            let text = match std::mem::take(&mut first) {
                true => &text[..],
                false => text.split_once('\n').map_or("", |(_, rows)| rows),
            };
            writer
                .write_all(text.as_bytes())
                .map_err(|e| Error::io(out, e))?;
            monitor.advance(part.len() as u64);
            Ok(())
        })
    });
    monitor.end();
    if let (Ok(_), Some(sentence)) = (&written, beyond.sentence()) {
        monitor.message(&format!("warning: {sentence}"));
    }
    written
}

/// Expected values alone: many times faster than with standard deviations.
fn means(fit: &Fit, part: &MixtureTable) -> Result<ValueTable> {
    let part = part.reordered(fit.domains())?;
    let weights: Vec<&[f64]> = part.mixtures().iter().map(|m| m.weights()).collect();
    let names: Vec<String> = fit.targets().iter().map(|t| t.target.clone()).collect();
    let values = fit.score(&weights);
    let rows = values.chunks_exact(names.len()).map(<[f64]>::to_vec);
    ValueTable::new(names, part.runs().iter().cloned().zip(rows))
}

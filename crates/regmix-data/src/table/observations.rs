//! Mixtures and values of the same runs, joined.

use std::collections::BTreeMap;

use super::mixtures::MixtureTable;
use super::values::ValueTable;
use crate::error::{Error, Result};

/// Mixtures and values of the same runs, in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Observations {
    /// The mixtures, one per run.
    pub mixtures: MixtureTable,
    /// The values, rows in the order of the mixtures.
    pub values: ValueTable,
}

impl Observations {
    /// Joins the two tables by run; the order of the mixtures is kept.
    ///
    /// # Errors
    /// When a run is in one table only.
    pub fn join(mixtures: MixtureTable, values: ValueTable) -> Result<Self> {
        let by_run: BTreeMap<&str, &Vec<f64>> =
            (values.runs().iter().map(String::as_str).zip(values.rows())).collect();
        let missing = |runs: Vec<&str>, has: &str, lacks: &str| {
            let shown = runs.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let more = runs.len().saturating_sub(5);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            Error::input(format!(
                "runs with {has} but no {lacks}: {shown}{more}; expected the same runs in both \
                 tables"
            ))
            .help("remove those rows, or add the missing ones")
        };
        let without: Vec<&str> = (mixtures.runs().iter().map(String::as_str))
            .filter(|run| !by_run.contains_key(run))
            .collect();
        if !without.is_empty() {
            return Err(missing(without, "a mixture", "losses"));
        }
        if values.runs().len() > mixtures.len() {
            let without = (values.runs().iter().map(String::as_str))
                .filter(|run| mixtures.get(run).is_none())
                .collect();
            return Err(missing(without, "losses", "mixture"));
        }
        let rows = (mixtures.runs().iter()).map(|run| (run.clone(), by_run[run.as_str()].clone()));
        let values = ValueTable::new(values.targets().to_vec(), rows)?;
        Ok(Self { mixtures, values })
    }
}

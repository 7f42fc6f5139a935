//! What the examples share: their arguments, their threads, their figures.
#![allow(dead_code)] // No example uses everything.

pub(crate) mod detection;

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;

use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, Result};
use regmix_regress::metrics::mean_and_sd;

/// Words of the command line: plain ones, and values of options.
pub(crate) struct Arguments {
    pub(crate) plain: Vec<String>,
    options: BTreeMap<String, String>,
}

impl Arguments {
    /// Reads the command line; every option takes a value.
    pub(crate) fn read(known: &[&str]) -> Result<Self> {
        let mut words: VecDeque<String> = std::env::args().skip(1).collect();
        let (mut plain, mut options) = (Vec::new(), BTreeMap::new());
        while let Some(word) = words.pop_front() {
            if !word.starts_with("--") {
                plain.push(word);
                continue;
            }
            if !known.contains(&word.as_str()) {
                return Err(Error::input(format!(
                    "unknown option `{word}`: expected one of {}",
                    known.join(", ")
                )));
            }
            let value = words
                .pop_front()
                .ok_or_else(|| Error::input(format!("`{word}` without a value: expected one")))?;
            options.insert(word, value);
        }
        Ok(Self { plain, options })
    }

    pub(crate) fn text(&self, option: &str) -> Option<&str> {
        self.options.get(option).map(String::as_str)
    }

    pub(crate) fn number<N: FromStr>(&self, option: &str, default: N) -> Result<N> {
        self.text(option)
            .map_or(Ok(default), |text| number(option, text))
    }

    /// Numbers separated by commas.
    pub(crate) fn numbers<N: FromStr>(&self, option: &str, default: Vec<N>) -> Result<Vec<N>> {
        self.text(option).map_or(Ok(default), |text| {
            text.split(',').map(|n| number(option, n)).collect()
        })
    }
}

fn number<N: FromStr>(option: &str, text: &str) -> Result<N> {
    text.parse()
        .map_err(|_| Error::input(format!("`{text}`, expected a number")).field(option))
}

/// A table of mixtures joined with one of values.
pub(crate) fn observations(mixtures: &str, values: &str) -> Result<Observations> {
    Observations::join(
        MixtureTable::read_csv(mixtures)?,
        ValueTable::read_csv(values)?,
    )
}

/// Some runs of a table.
pub(crate) fn some_runs(table: &Observations, places: &[usize]) -> Result<Observations> {
    let mixtures = &table.mixtures;
    let run = |i: &usize| mixtures.runs()[*i].clone();
    Observations::join(
        MixtureTable::new(
            mixtures.domains().clone(),
            (places.iter()).map(|i| (run(i), mixtures.mixtures()[*i].clone())),
        )?,
        ValueTable::new(
            table.values.targets().to_vec(),
            (places.iter()).map(|i| (run(i), table.values.rows()[*i].clone())),
        )?,
    )
}

/// Runs something with so many threads.
pub(crate) fn with_threads<T: Send>(
    threads: usize,
    run: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::failed(format!("no threads: {e}")))?
        .install(run)
}

pub(crate) fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation with divisor n - 1; 0 of one value.
pub(crate) fn spread(values: &[f64]) -> f64 {
    let sd = mean_and_sd(values).1;
    if values.len() > 1 { sd } else { 0.0 }
}

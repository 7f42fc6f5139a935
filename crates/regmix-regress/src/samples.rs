//! What a regressor is fitted to.

use std::collections::BTreeMap;

use regmix_data::table::Observations;
use regmix_data::{Error, Result};

use crate::metrics::variance;

/// Mixtures with the measured value of one target, checked: same lengths,
/// finite numbers.
///
/// ```
/// use regmix_regress::Samples;
///
/// let rows = [vec![0.2, 0.8], vec![0.6, 0.4]];
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), vec![3.1, 2.9])?;
/// assert_eq!((samples.len(), samples.domains()), (2, 2));
/// assert!(Samples::new(rows.iter().map(Vec::as_slice), vec![3.1, f64::NAN]).is_err());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    rows: Vec<&'a [f64]>,
    values: Vec<f64>,
    own: Option<usize>,
}

impl<'a> Samples<'a> {
    /// Pairs weights, `[runs][domains]`, with one value per run.
    ///
    /// # Errors
    /// When there are no rows, the lengths differ, or a number is not finite.
    pub fn new(rows: impl IntoIterator<Item = &'a [f64]>, values: Vec<f64>) -> Result<Self> {
        let rows: Vec<&[f64]> = rows.into_iter().collect();
        if rows.is_empty() || rows.len() != values.len() {
            return Err(Error::input(format!(
                "{} mixtures and {} values: expected the same number, at least one",
                rows.len(),
                values.len()
            )));
        }
        let domains = rows[0].len();
        for (i, (row, value)) in rows.iter().zip(&values).enumerate() {
            if row.len() != domains || domains == 0 {
                return Err(Error::input(format!(
                    "row {i} has {} weights, expected {domains} and at least one",
                    row.len()
                )));
            }
            if !value.is_finite() || row.iter().any(|w| !w.is_finite() || *w < 0.0) {
                return Err(Error::input(format!(
                    "row {i} holds a negative weight or a number that is not finite"
                ))
                .help("leave out rows without a measurement"));
            }
        }
        Ok(Self {
            rows,
            values,
            own: None,
        })
    }

    /// Says which domain the target is the loss of, if any. The laws expect
    /// that one to matter most.
    #[must_use]
    pub fn with_own_domain(mut self, own: Option<usize>) -> Self {
        self.own = own.filter(|&i| i < self.domains());
        self
    }

    /// The weights, one slice per run.
    pub fn rows(&self) -> &[&'a [f64]] {
        &self.rows
    }

    /// The measured values, one per run.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The place of the target's own domain.
    pub fn own_domain(&self) -> Option<usize> {
        self.own
    }

    /// How many runs there are; at least one.
    #[allow(clippy::len_without_is_empty)] // Samples are never empty.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many domains a mixture has.
    pub fn domains(&self) -> usize {
        self.rows[0].len()
    }

    /// A number per row, the same for rows with the same weights, in the
    /// order in which mixtures first come.
    pub(crate) fn groups(&self) -> Vec<usize> {
        groups(self.rows.iter().copied())
    }

    /// Whether all rows have the same weights.
    pub(crate) fn same_mixture(&self) -> bool {
        self.rows.iter().all(|row| row == &self.rows[0])
    }

    /// The standard deviation between runs of the same mixture, pooled over
    /// the mixtures that were run more than once; `None` when none was.
    pub fn repeat_noise(&self) -> Option<f64> {
        let mut by_mixture: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (group, value) in self.groups().into_iter().zip(&self.values) {
            by_mixture.entry(group).or_default().push(*value);
        }
        let (mut squares, mut freedom) = (0.0, 0.0);
        for values in by_mixture.values().filter(|v| v.len() > 1) {
            squares += variance(values) * values.len() as f64;
            freedom += values.len() as f64 - 1.0;
        }
        (freedom > 0.0).then(|| (squares / freedom).sqrt())
    }

    /// Every pair of mixture and value once, in the order in which they first
    /// come, and how often each occurs. Resamples repeat runs; one row that
    /// counts twice gives the same fit as two rows, and is cheaper.
    pub(crate) fn distinct(&self) -> (Self, Vec<f64>) {
        let mut places: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        let (mut first, mut times) = (Vec::new(), Vec::new());
        for (i, group) in self.groups().into_iter().enumerate() {
            let place = *(places.entry((group, self.values[i].to_bits()))).or_insert(first.len());
            if place == first.len() {
                first.push(i);
                times.push(0.0);
            }
            times[place] += 1.0;
        }
        let some = Self {
            rows: first.iter().map(|&i| self.rows[i]).collect(),
            values: first.iter().map(|&i| self.values[i]).collect(),
            own: self.own,
        };
        (some, times)
    }

    /// Whether all values are the same. By comparison: the variance of equal
    /// numbers is rarely exactly 0.
    pub(crate) fn same_value(&self) -> bool {
        self.values.iter().all(|v| *v == self.values[0])
    }

    /// Refuses what `law`, a law of losses, cannot describe: values that are
    /// not positive, or all the same.
    ///
    /// # Errors
    /// When there are such values.
    pub(crate) fn require_losses(&self, law: &str) -> Result<()> {
        if let Some(low) = self.values.iter().find(|v| **v <= 0.0) {
            return Err(Error::input(format!(
                "value {low}: {law} describes losses, expected positive values"
            ))
            .help("use another regressor for scores that can be zero or negative"));
        }
        self.require_spread()
    }

    /// Refuses values that are all the same.
    ///
    /// # Errors
    /// When they are.
    pub(crate) fn require_spread(&self) -> Result<()> {
        let spread = variance(&self.values);
        if self.same_value() || !(spread > 0.0 && spread.is_finite()) {
            return Err(Error::input(
                "all values are the same or out of range: expected some spread",
            ));
        }
        Ok(())
    }

    /// These and others of the same target, after them.
    ///
    /// # Errors
    /// When the others are over another number of domains.
    pub(crate) fn and(&self, others: &Self) -> Result<Self> {
        let values = [&self.values[..], &others.values].concat();
        let rows = self.rows.iter().chain(&others.rows).copied();
        Ok(Self::new(rows, values)?.with_own_domain(self.own))
    }

    /// Those that share no mixture with `others`; none where all do.
    pub(crate) fn apart_from(&self, others: &[&[f64]]) -> Option<Self> {
        let kept: Vec<usize> = (0..self.len())
            .filter(|&i| others.iter().all(|other| *other != self.rows[i]))
            .collect();
        self.pick(&kept).ok()
    }

    /// The same mixtures, with something taken from their values.
    ///
    /// # Errors
    /// When what is left is not finite.
    pub(crate) fn less(&self, taken: impl Fn(&[f64]) -> f64) -> Result<Self> {
        let left = self.rows.iter().zip(&self.values);
        let values = left.map(|(row, value)| value - taken(row)).collect();
        Ok(Self::new(self.rows.iter().copied(), values)?.with_own_domain(self.own))
    }

    /// The samples at some places, which may repeat (a bootstrap).
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn pick(&self, places: &[usize]) -> Result<Self> {
        let values = places.iter().map(|&i| self.values[i]).collect();
        Ok(Self::new(places.iter().map(|&i| self.rows[i]), values)?.with_own_domain(self.own))
    }
}

/// Rows with a finite value of one target.
pub(crate) fn measured(
    observations: &Observations,
    target: usize,
) -> Result<(Vec<usize>, Samples<'_>)> {
    let column = |i: usize| observations.values.rows()[i][target];
    let mixtures = observations.mixtures.mixtures();
    let places: Vec<usize> = (0..mixtures.len())
        .filter(|&i| column(i).is_finite())
        .collect();
    let name = &observations.values.targets()[target];
    let samples = Samples::new(
        places.iter().map(|&i| mixtures[i].weights()),
        places.iter().map(|&i| column(i)).collect(),
    )
    .map_err(|e| e.field(name))?
    .with_own_domain(observations.mixtures.domains().position(name));
    Ok((places, samples))
}

/// A number per row of weights, the same for equal rows, in the order in which they
/// first come.
pub(crate) fn groups<'a>(rows: impl Iterator<Item = &'a [f64]>) -> Vec<usize> {
    let mut seen: BTreeMap<Vec<u64>, usize> = BTreeMap::new();
    rows.map(|row| {
        let next = seen.len();
        // Adding zero makes -0 and 0 one number.
        let key = row.iter().map(|w| (w + 0.0).to_bits()).collect();
        *seen.entry(key).or_insert(next)
    })
    .collect()
}

//! Fits of losses to mixtures.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use pyo3::prelude::*;
use regmix_data::table::MixtureTable;
use regmix_data::{Error, ErrorKind, Mixture, Result, artefact};
use regmix_regress::{Coverage, FitOptions, Recommendation};

use crate::interrupt::interruptible;
use crate::question::Question;
use crate::raised::{not_json, raised};
use crate::tables::Table;

/// A fit of losses to mixtures.
#[pyclass(frozen, module = "regmix._regmix")]
pub(crate) struct Fit {
    inner: regmix_regress::Fit,
}

/// How to fit.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    regressors: Option<Vec<String>>,
    folds: usize,
    repeats: usize,
    seed: u64,
    natural: Option<Table>,
    unit: Option<String>,
    keep_outliers: bool,
    scores: Vec<String>,
    /// Mixtures and approximate losses.
    approximate: Option<(Table, Table)>,
}

/// Means, and standard deviations where they are asked for, by row and target.
type Predicted = (Vec<Vec<f64>>, Option<Vec<Vec<f64>>>);

fn train(mixtures: &Table, losses: &Table, asked: Options, stop: &AtomicBool) -> Result<Fit> {
    let observations = mixtures.with_losses(losses)?;
    let defaults = FitOptions::default();
    let natural = asked.natural.as_ref().map(Table::mixture).transpose()?;
    let approximate = (asked.approximate.as_ref())
        .map(|(mixtures, losses)| mixtures.with_losses(losses))
        .transpose()?;
    let options = FitOptions {
        regressors: asked.regressors.unwrap_or(defaults.regressors),
        folds: asked.folds,
        repeats: asked.repeats,
        seed: asked.seed,
        natural,
        unit: asked.unit,
        keep_outliers: asked.keep_outliers,
        scores: asked.scores.into_iter().collect(),
        approximate,
        ..FitOptions::default()
    };
    let inner = regmix_regress::Fit::train_monitored(&observations, &options, stop)?;
    Ok(Fit { inner })
}

/// Expected values alone are many times faster.
fn predict(
    fit: &regmix_regress::Fit,
    table: &MixtureTable,
    sd: bool,
    stop: &AtomicBool,
) -> Result<Predicted> {
    if !sd {
        let weights: Vec<&[f64]> = table.mixtures().iter().map(Mixture::weights).collect();
        let values = fit.score(&weights);
        let rows = values
            .chunks_exact(fit.targets().len())
            .map(<[f64]>::to_vec);
        return Ok((rows.collect(), None));
    }
    let both = fit.predict_table_monitored(table, stop)?;
    let every_second = |from: usize| -> Vec<Vec<f64>> {
        let of_row = |row: &Vec<f64>| row.iter().skip(from).step_by(2).copied().collect();
        both.rows().iter().map(of_row).collect()
    };
    Ok((every_second(0), Some(every_second(1))))
}

/// Refuses to overwrite what is there, unless that is asked for.
fn may_write(path: &Path, overwrite: bool) -> Result<()> {
    if path.exists() && !overwrite {
        return Err(Error::new(ErrorKind::Stale, "it is there already")
            .in_file(path)
            .help("choose another place, or overwrite it with `overwrite=True`"));
    }
    Ok(())
}

/// Writes what `optimize` gave as `mixture.json`, which the command reads.
#[pyfunction]
pub(crate) fn save_mixture(
    py: Python<'_>,
    found: &str,
    path: PathBuf,
    overwrite: bool,
) -> PyResult<()> {
    interruptible(py, |_| {
        let found: Recommendation = serde_json::from_str(found)
            .map_err(|e| Error::input(format!("not what `optimize` gives: {e}")))?;
        may_write(&path, overwrite)?;
        found.save(path)
    })
}

impl Fit {
    /// The mixtures of a table in the order of the fit's domains.
    fn ordered(&self, table: &Table) -> Result<MixtureTable> {
        let mixtures = table.mixtures()?;
        (mixtures.reordered(self.inner.domains())).map_err(|e| e.in_file_if_none("mixtures"))
    }
}

#[pymethods]
impl Fit {
    /// Judges regressors, chooses one for every target, and fits it.
    #[staticmethod]
    fn train(py: Python<'_>, mixtures: Table, losses: Table, options: Options) -> PyResult<Self> {
        interruptible(py, |stop| train(&mixtures, &losses, options, stop))
    }

    /// Reads what `save` or `regmix fit` wrote.
    #[staticmethod]
    fn load(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        interruptible(py, |_| {
            let inner = regmix_regress::Fit::load(folder)?;
            Ok(Self { inner })
        })
    }

    /// Writes the fit into a folder, as `regmix fit` does.
    fn save(&self, py: Python<'_>, folder: PathBuf, overwrite: bool) -> PyResult<()> {
        interruptible(py, |_| {
            let complete = folder.join("fit.json");
            may_write(&complete, overwrite)?;
            artefact::withdraw(&complete)?;
            self.inner.save(&folder)
        })
    }

    #[getter]
    fn domains(&self) -> Vec<String> {
        self.inner.domains().names().map(str::to_owned).collect()
    }

    #[getter]
    fn targets(&self) -> Vec<String> {
        let targets = self.inner.targets().iter();
        targets.map(|t| t.target.clone()).collect()
    }

    /// The chosen regressor of every target.
    #[getter]
    fn regressors(&self) -> Vec<String> {
        let targets = self.inner.targets().iter();
        targets.map(|t| t.regressor.clone()).collect()
    }

    #[getter]
    fn runs(&self) -> usize {
        self.inner.rows()
    }

    #[getter]
    fn unit(&self) -> Option<String> {
        self.inner.unit().map(str::to_owned)
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.inner.warnings().to_vec()
    }

    /// How approximate losses were used, as JSON: an object or null.
    fn approximate(&self) -> PyResult<String> {
        let text = serde_json::to_string(&self.inner.approximate());
        text.map_err(|e| raised(not_json(e)))
    }

    /// Measurements that were left out, as JSON: a list of entries.
    fn dropped(&self) -> PyResult<String> {
        let text = serde_json::to_string(self.inner.dropped());
        text.map_err(|e| raised(not_json(e)))
    }

    /// The league as JSON: a list of entries.
    fn league(&self) -> PyResult<String> {
        let text = serde_json::to_string(&self.inner.league().entries());
        text.map_err(|e| raised(not_json(e)))
    }

    fn predict(&self, py: Python<'_>, mixtures: Table, sd: bool) -> PyResult<Predicted> {
        interruptible(py, |stop| {
            predict(&self.inner, &self.ordered(&mixtures)?, sd, stop)
        })
    }

    /// Whether every mixture is like those that were fitted.
    fn covers(&self, py: Python<'_>, mixtures: Table) -> PyResult<Vec<bool>> {
        interruptible(py, |_| {
            let table = self.ordered(&mixtures)?;
            let weights: Vec<&[f64]> = table.mixtures().iter().map(Mixture::weights).collect();
            let fitted = Coverage::of(self.inner.observations().mixtures.mixtures())?;
            Ok(fitted.covers_all(&weights))
        })
    }

    /// What `mixture.json` holds.
    fn optimize(&self, py: Python<'_>, question: Question) -> PyResult<String> {
        interruptible(py, |stop| {
            let found = question.answer(&self.inner, stop)?;
            serde_json::to_string(&found).map_err(not_json)
        })
    }
}

//! A controller in the loop of a trainer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use regmix_data::{Error, Mixture, Result};
use regmix_dynamic::StateLock;

use crate::interrupt::interruptible;
use crate::raised::{not_json, raised, text};

/// A controller, with the file that its state is kept in.
#[pyclass(module = "regmix._regmix")]
pub(crate) struct Controller {
    inner: regmix_dynamic::Controller,
    /// Locked as long as the controller is open.
    state: Option<(PathBuf, StateLock)>,
}

/// Domains with their weights, in order.
type Weights = Vec<(String, f64)>;

fn weights(mixture: &Mixture) -> Weights {
    let all = mixture.iter();
    all.map(|(domain, weight)| (domain.to_string(), weight))
        .collect()
}

/// The user of a state file may be a controller of this process.
fn in_use(error: Error) -> Error {
    if !error.problem().starts_with("another process") {
        return error;
    }
    error.help(
        "end that process, or close the controller of this one that uses the file: \
         `controller.close()`",
    )
}

fn open(controller: &Path, state: Option<PathBuf>) -> Result<Controller> {
    let mut inner = regmix_dynamic::Controller::load(controller)?;
    let state = match state {
        None => None,
        Some(path) => {
            let lock = StateLock::take(&path).map_err(in_use)?;
            inner.load_state(&path)?;
            Some((path, lock))
        }
    };
    Ok(Controller { inner, state })
}

/// Takes an observation and writes the state before the answer: what a trainer acts on is
/// never forgotten. Where it cannot be written, the observation is undone.
fn observe(
    controller: &mut regmix_dynamic::Controller,
    state: Option<&Path>,
    step: u64,
    losses: &BTreeMap<String, f64>,
) -> Result<Option<Mixture>> {
    let before = controller.state().clone();
    let answer = controller.observe(step, losses);
    if let Some(path) = state
        && *controller.state() != before
        && let Err(e) = controller.save_state(path)
    {
        controller.resume(before)?;
        return Err(e);
    }
    answer
}

#[pymethods]
impl Controller {
    #[new]
    fn new(py: Python<'_>, controller: PathBuf, state: Option<PathBuf>) -> PyResult<Self> {
        interruptible(py, |_| open(&controller, state))
    }

    /// The mixture in force.
    #[getter]
    fn mixture(&self) -> Weights {
        weights(self.inner.mixture())
    }

    /// The losses that it expects.
    #[getter]
    fn losses(&self) -> Vec<String> {
        self.inner.losses().to_vec()
    }

    /// The steps at which it decides.
    #[getter]
    fn decision_steps(&self) -> Vec<u64> {
        self.inner.decision_steps().to_vec()
    }

    /// The step of the last observation.
    #[getter]
    fn last_step(&self) -> Option<u64> {
        self.inner.state().last_step()
    }

    /// What it decided so far, and why: a list, as JSON.
    fn decisions(&self) -> PyResult<String> {
        let text = serde_json::to_string(self.inner.state().decisions());
        text.map_err(|e| raised(not_json(e)))
    }

    /// Takes the losses of a validation. The mixture to switch to, if any; or why the
    /// observation was refused.
    fn observe(
        &mut self,
        py: Python<'_>,
        step: u64,
        losses: BTreeMap<String, f64>,
    ) -> PyResult<(Option<Weights>, Option<String>)> {
        let state = self.state.as_ref().map(|(path, _)| path.as_path());
        let inner = &mut self.inner;
        interruptible(py, move |_| {
            Ok(match observe(inner, state, step, &losses) {
                Ok(switch) => (switch.as_ref().map(weights), None),
                Err(e) => (None, Some(text(&e))),
            })
        })
    }

    /// Lets others use the state file.
    fn close(&mut self) {
        self.state = None;
    }
}

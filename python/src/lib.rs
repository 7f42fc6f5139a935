//! What the Python module `regmix` is built on. `regmix/_tables.py` turns data frames,
//! arrays and dictionaries into the text of tables that is taken here, and numbers back
//! into the form that was given.

mod controller;
mod fit;
mod interrupt;
mod question;
mod raised;
mod tables;

use pyo3::prelude::*;

/// The compiled part of `regmix`.
#[pymodule]
fn _regmix(module: &Bound<'_, PyModule>) -> PyResult<()> {
    interrupt::keep_faults();
    module.add("Error", module.py().get_type::<raised::Error>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<fit::Fit>()?;
    module.add_class::<controller::Controller>()?;
    module.add_function(wrap_pyfunction!(fit::save_mixture, module)?)?;
    module.add_function(wrap_pyfunction!(tables::column_of_runs, module)?)?;
    module.add_function(wrap_pyfunction!(interrupt::_fault, module)?)
}

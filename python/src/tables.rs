//! Tables from Python, read by the code that reads the command's files.

use std::path::Path;

use pyo3::prelude::*;
use regmix_data::table::{MixtureTable, Observations};
use regmix_data::{Error, Mixture, Result};

/// The place of the names of runs among the columns of a table that has row numbers, too.
#[pyfunction]
pub(crate) fn column_of_runs(names: Vec<String>) -> Option<usize> {
    regmix_data::table::column_of_runs(&names)
}

/// A table as CSV text.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Table {
    /// What it is called in errors.
    what: String,
    text: String,
    /// What every row is called in errors.
    rows: Vec<String>,
}

impl Table {
    fn path(&self) -> &Path {
        Path::new(&self.what)
    }

    /// Names the row of an error, where it names a line of the text.
    fn by_row(&self, error: Error) -> Error {
        let Some(line) = error
            .line_number()
            .filter(|_| error.path() == Some(self.path()))
        else {
            return error;
        };
        // Below the header, which is line 1.
        let row = usize::try_from(line)
            .ok()
            .and_then(|line| line.checked_sub(2));
        let place = match row.and_then(|row| self.rows.get(row)) {
            Some(row) => format!("{}, row {row}", self.what),
            None => self.what.clone(),
        };
        let mut named = Error::new(error.kind(), error.problem()).in_file(place);
        if let Some(field) = error.field_name() {
            named = named.field(field);
        }
        match error.help_text() {
            Some(help) => named.help(help),
            None => named,
        }
    }

    /// Its mixtures.
    pub(crate) fn mixtures(&self) -> Result<MixtureTable> {
        MixtureTable::parse(&self.text, self.path()).map_err(|e| self.by_row(e))
    }

    /// The only mixture, or the first.
    pub(crate) fn mixture(&self) -> Result<Mixture> {
        Ok(self.mixtures()?.mixtures()[0].clone())
    }

    /// Mixtures with losses, joined by run.
    pub(crate) fn with_losses(&self, losses: &Self) -> Result<Observations> {
        let joined = Observations::parse((&self.text, self.path()), (&losses.text, losses.path()))
            .map_err(|e| losses.by_row(self.by_row(e)))?;
        let domains = joined.mixtures.domains();
        domains
            .more_than_one()
            .map_err(|e| e.in_file(self.path()))?;
        Ok(joined)
    }
}

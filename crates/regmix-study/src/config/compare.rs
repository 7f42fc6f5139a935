//! `[compare]`.

use std::path::{Path, PathBuf};

use regmix_data::Error;
use serde::{Deserialize, Serialize};

use crate::compare::Method;

/// `[compare]`: the methods that `regmix compare` trains targets by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompareSection {
    /// Names of [`Method`]s. The found, the natural and the uniform mixture always take
    /// part.
    pub methods: Vec<String>,
    /// Targets per method.
    pub seeds: u64,
    /// A table `domain,<task>...` for UtiliMax, see [`regmix_regress::Utilities`]; relative to
    /// the study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilities: Option<PathBuf>,
}

impl Default for CompareSection {
    fn default() -> Self {
        let methods = ["unimax", "regmix", "dml", "olmix"];
        Self {
            methods: methods.map(str::to_owned).to_vec(),
            seeds: 3,
            utilities: None,
        }
    }
}

impl CompareSection {
    /// The table of utilities of a study in the folder `root`.
    pub(crate) fn utilities(&self, root: &Path) -> Option<PathBuf> {
        self.utilities.as_ref().map(|path| root.join(path))
    }

    /// The methods, each once, with those that always take part.
    ///
    /// # Errors
    /// When a name is unknown or the number of seeds is out of range.
    pub fn chosen(&self) -> Result<Vec<Method>, Error> {
        if !(1..=1000).contains(&self.seeds) {
            let e = Error::input(format!("{}: expected 1 to 1000", self.seeds));
            return Err(e.field("seeds"));
        }
        let mut out: Vec<Method> = Vec::new();
        let always = ["found", "natural", "uniform"];
        let named = self.methods.iter().map(String::as_str);
        for name in always.into_iter().chain(named) {
            let method = name.parse().map_err(|e: Error| e.field("methods"))?;
            if !out.contains(&method) {
                out.push(method);
            }
        }
        Ok(out)
    }
}

//! `[compare]`.

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
}

impl Default for CompareSection {
    fn default() -> Self {
        let methods = ["unimax", "regmix", "dml", "olmix"];
        Self {
            methods: methods.map(str::to_owned).to_vec(),
            seeds: 3,
        }
    }
}

impl CompareSection {
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

//! What was measured on targets, and whether it is about the mixture that was found.

use std::collections::BTreeMap;

use regmix_data::{Mixture, Result, artefact};
use regmix_regress::{Objective, Recommendation};
use serde::de::DeserializeOwned;

use crate::check::TargetCheck;
use crate::compare::MethodComparison;
use crate::files;
use crate::study::Study;

/// The results of `target` and `compare` that are about the mixture that was found.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// Targets compared with each other.
    pub(super) check: Option<TargetCheck>,
    /// Methods compared with each other.
    pub(super) compared: Option<MethodComparison>,
    /// Why a result is not among these: it is about an earlier mixture or objective. By
    /// part, `check` or `compare`.
    pub(super) earlier: BTreeMap<&'static str, String>,
}

impl Verdicts {
    /// Reads what was written.
    ///
    /// # Errors
    /// When a file is damaged; the error names the command that writes it again.
    pub(super) fn read(study: &Study, found: &Recommendation) -> Result<Self> {
        let mut out = Self {
            check: written(study, files::CHECK, "target")?,
            compared: written(study, files::COMPARISON, "compare")?,
            earlier: BTreeMap::new(),
        };
        let of_check = out.check.as_ref().and_then(|check| {
            let own = check.arms.iter().find(|arm| arm.name == files::FOUND);
            earlier(&check.objective, own.map(|arm| &arm.mixture), found)
        });
        if let Some(why) = of_check {
            out.check = None;
            out.earlier.insert("check", why);
        }
        let of_comparison = out.compared.as_ref().and_then(|compared| {
            let own = compared.methods.iter().find(|m| m.name == files::FOUND);
            earlier(&compared.objective, own.map(|m| &m.mixture), found)
        });
        if let Some(why) = of_comparison {
            out.compared = None;
            out.earlier.insert("compare", why);
        }
        Ok(out)
    }
}

/// Why targets are not about the mixture that was found, if they are not. `own` is the
/// mixture that was the found one when they were trained, if they have it.
fn earlier(objective: &Objective, own: Option<&Mixture>, found: &Recommendation) -> Option<String> {
    /// What a weight may lose on its way through a file, and more.
    const ROUNDING: f64 = 1e-9;
    let is_found = |own: &Mixture| {
        let own = own.reordered(found.mixture.domains());
        own.is_ok_and(|own| own.tv_distance(&found.mixture) < ROUNDING)
    };
    match (own.is_none_or(is_found), *objective == found.objective) {
        (true, true) => None,
        (false, _) => Some("its targets were trained on an earlier mixture".to_owned()),
        (true, false) => Some(format!(
            "its targets were judged by an earlier objective, {objective}"
        )),
    }
}

/// What a step wrote as JSON, if it did.
fn written<T: DeserializeOwned>(study: &Study, file: &str, verb: &str) -> Result<Option<T>> {
    let path = study.path(file);
    if !path.exists() {
        return Ok(None);
    }
    let read = artefact::read_json(path).map(Some);
    read.map_err(|e| match e.is_input() {
        true => e.help(format!("write it again with `regmix {verb}`")),
        false => e,
    })
}

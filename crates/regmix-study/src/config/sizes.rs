//! `[sizes]`: proxies of other sizes and lengths.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use regmix_data::Error;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::names::{PLAIN, is_plain};
use super::{RunSection, StudyConfig};
use crate::files;

/// `[sizes]`: proxies of other sizes and lengths, trained on some of the design's
/// mixtures. Laws of scale are fitted to them and the proxies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizesSection {
    /// The greatest cost of all of these runs, in floating-point operations; the cost
    /// of the proxies is 1.
    pub max_cost: f64,
    /// How schedules convert losses of the target; by default the laws of scale where
    /// there are two sizes besides the proxies', else a power law.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub law: Option<SizesLaw>,
    /// The sizes, by names of your own: `[sizes.NAME]`.
    #[serde(flatten)]
    pub sizes: BTreeMap<String, SizeSection>,
}

/// `[sizes.NAME]`: a size and a length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeSection {
    /// How many of the design's mixtures, of those that do not switch; without a number
    /// as many as its part of `max_cost` pays for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<usize>,
    /// The models and how they are trained.
    pub model: RunSection,
}

/// How schedules convert the losses of a target to those of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizesLaw {
    /// Laws of scale, fitted to all sizes.
    Scale,
    /// One exponent for all losses, from the largest of the sizes.
    PowerLaw,
    /// A line per loss, from the largest of the sizes, which is that of the target.
    Affine,
}

/// A size of a study, whichever section it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Size<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The section of `study.toml` that has its number of runs.
    pub(crate) section: String,
    /// The folder of its runs, in the study.
    pub(crate) folder: PathBuf,
    /// How many runs; `None` to choose by cost.
    pub(crate) runs: Option<usize>,
    /// The models and how they are trained.
    pub(crate) model: &'a RunSection,
}

/// The name of the size of `[second_size]`.
const SECOND: &str = "second";

impl StudyConfig {
    /// The sizes of `[sizes]`, or that of `[second_size]`.
    pub(crate) fn sizes(&self) -> Vec<Size<'_>> {
        let second = self.second_size.iter().map(|second| Size {
            name: SECOND,
            section: "second_size".to_owned(),
            folder: PathBuf::from(files::SECOND_SIZE),
            runs: Some(second.runs),
            model: &second.model,
        });
        let named = self.sizes.iter().flat_map(|section| &section.sizes);
        let named = named.map(|(name, size)| Size {
            name,
            section: format!("sizes.{name}"),
            folder: Path::new(files::SIZES).join(name),
            runs: size.runs,
            model: &size.model,
        });
        second.chain(named).collect()
    }

    /// What the runs of other sizes may cost, by what the proxies cost.
    pub(crate) fn max_cost_of_sizes(&self) -> f64 {
        self.sizes.as_ref().map_or(f64::INFINITY, |s| s.max_cost)
    }
}

impl<'de> Deserialize<'de> for SizesSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SizesVisitor)
    }
}

/// Reads settings and sizes from one table. A flattened map would lose the places of
/// errors.
struct SizesVisitor;

impl<'de> Visitor<'de> for SizesVisitor {
    type Value = SizesSection;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`max_cost`, `law` and tables [sizes.NAME] with `runs` and `model`")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<SizesSection, M::Error> {
        let mut out = SizesSection {
            max_cost: 1.0,
            law: None,
            sizes: BTreeMap::new(),
        };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "max_cost" => out.max_cost = map.next_value()?,
                "law" => out.law = Some(map.next_value()?),
                _ => {
                    let size = map.next_value()?;
                    out.sizes.insert(key, size);
                }
            }
        }
        Ok(out)
    }
}

/// What `[sizes]` and `[second_size]` must satisfy beyond their types; an error comes
/// with its section.
pub(super) fn check(config: &StudyConfig) -> Result<(), (String, Error)> {
    if let Some(section) = &config.sizes {
        let at = |e: Error, field: &str| Err(("sizes".to_owned(), e.field(field)));
        if config.second_size.is_some() {
            let e = Error::input("[sizes] and [second_size]: expected one of them");
            let e = e.help("[sizes] replaces [second_size]: make it a [sizes.NAME]");
            return Err(("second_size".to_owned(), e.field("model")));
        }
        if !(section.max_cost > 0.0 && section.max_cost.is_finite()) {
            return at(
                Error::input("out of range, expected a number above 0"),
                "max_cost",
            );
        }
        for name in section.sizes.keys() {
            if !is_plain(name) {
                let e = Error::input(format!("`{name}`: expected {PLAIN}"));
                return at(e, name);
            }
        }
        if section.sizes.is_empty() {
            let e = Error::input("no size: expected a table [sizes.NAME]");
            return at(e, "max_cost");
        }
    }
    for size in config.sizes() {
        if size.runs.is_some_and(|runs| runs < 3) {
            let e = Error::input("out of range, expected at least 3").field("runs");
            return Err((size.section, e));
        }
        let section = format!("{}.model", size.section);
        // The vocabulary is not known yet; the true one is checked later.
        let sound = size.model.model(1).and_then(|_| size.model.training());
        sound.map_err(|e| (section.clone(), e))?;
        if size.model.match_epochs {
            let e = Error::input("the target's epochs are matched by proxies: expected in [proxy]");
            return Err((section, e.field("match_epochs")));
        }
    }
    Ok(())
}

//! Domains and ordered sets of them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The name of one source of text, for example `pile_cc`.
///
/// Names become file names and column names, so they hold only ASCII letters,
/// digits and `_ - . +`, start with a letter or digit, and have at most 64
/// bytes.
///
/// ```
/// use regmix_data::Domain;
///
/// assert_eq!(Domain::new("pile_cc")?.as_str(), "pile_cc");
/// assert_eq!(Domain::from_label("Pile-CC")?.as_str(), "pile_cc");
/// assert!(Domain::new("../etc").is_err());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Arc<str>);

impl Domain {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    /// When the name is empty, too long, or holds other characters.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !starts_well || name.len() > Self::MAX_LEN || !name.chars().all(ok) {
            return Err(Error::input(format!(
                "`{}` is not a domain name: expected 1 to {} ASCII letters, digits, `_`, `-`, `.` \
                 or `+`, starting with a letter or digit",
                name.chars().take(80).collect::<String>().escape_debug(),
                Self::MAX_LEN,
            )));
        }
        Ok(Self(name.into()))
    }

    /// Makes a name of a label, as in the Pile's `meta.pile_set_name`: `"Pile-CC"` becomes `pile_cc`, `"USPTO Backgrounds"` becomes
    /// `uspto_backgrounds`, `"Gutenberg (PG-19)"` becomes `gutenberg_pg_19`.
    ///
    /// # Errors
    /// When no letter or digit is left, or the name is too long.
    pub fn from_label(label: &str) -> Result<Self> {
        let mut name = String::with_capacity(label.len());
        for c in label.chars() {
            if c.is_ascii_alphanumeric() {
                name.push(c.to_ascii_lowercase());
            } else if !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
        }
        Self::new(name.trim_end_matches('_'))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl TryFrom<String> for Domain {
    type Error = Error;
    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.as_str().to_owned()
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Distinct domains in a fixed order.
///
/// Every artefact stores its set, and files are joined by name, never by
/// column order. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Domain>", into = "Vec<Domain>")]
pub struct DomainSet(Arc<[Domain]>);

impl DomainSet {
    /// Checks that the set is not empty and its names are unique.
    ///
    /// # Errors
    /// When it is empty or a domain is duplicated.
    pub fn new(domains: impl IntoIterator<Item = Domain>) -> Result<Self> {
        let domains: Vec<Domain> = domains.into_iter().collect();
        if domains.is_empty() {
            return Err(Error::input("no domains: expected at least one"));
        }
        let mut sorted: Vec<&Domain> = domains.iter().collect();
        sorted.sort();
        if let Some(pair) = sorted.windows(2).find(|p| p[0] == p[1]) {
            return Err(Error::input(format!(
                "duplicate domain `{}`: expected every domain once",
                pair[0]
            )));
        }
        Ok(Self(domains.into()))
    }

    /// Builds a set from names.
    ///
    /// # Errors
    /// When a name is not a domain name or not unique, or there are no names.
    pub fn from_names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::new(
            names
                .into_iter()
                .map(Domain::new)
                .collect::<Result<Vec<_>>>()?,
        )
    }

    /// How many domains there are; at least one.
    #[allow(clippy::len_without_is_empty)] // A set is never empty.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The domains in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Domain> {
        self.0.iter()
    }

    /// The domains in order, as a slice.
    pub fn as_slice(&self) -> &[Domain] {
        &self.0
    }

    /// The place of a domain.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|d| d.as_str() == name)
    }

    /// The place of a domain.
    ///
    /// # Errors
    /// When the domain is unknown; the error lists the known ones.
    pub fn require(&self, name: &str) -> Result<usize> {
        self.position(name).ok_or_else(|| {
            Error::input(format!(
                "unknown domain `{name}`: expected one of {}",
                self.names().collect::<Vec<_>>().join(", ")
            ))
        })
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Domain::as_str)
    }
}

impl std::ops::Index<usize> for DomainSet {
    type Output = Domain;
    fn index(&self, index: usize) -> &Domain {
        &self.0[index]
    }
}

impl<'a> IntoIterator for &'a DomainSet {
    type Item = &'a Domain;
    type IntoIter = std::slice::Iter<'a, Domain>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for DomainSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl TryFrom<Vec<Domain>> for DomainSet {
    type Error = Error;
    fn try_from(domains: Vec<Domain>) -> Result<Self> {
        Self::new(domains)
    }
}

impl From<DomainSet> for Vec<Domain> {
    fn from(set: DomainSet) -> Self {
        set.0.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pile_labels_become_the_published_names() {
        for (label, name) in [
            ("Pile-CC", "pile_cc"),
            ("USPTO Backgrounds", "uspto_backgrounds"),
            ("Gutenberg (PG-19)", "gutenberg_pg_19"),
            ("Wikipedia (en)", "wikipedia_en"),
            ("ArXiv", "arxiv"),
        ] {
            assert_eq!(Domain::from_label(label).unwrap().as_str(), name);
        }
        let err = Domain::from_label("()").unwrap_err();
        assert!(err.problem().contains("`` is not a domain name"), "{err}");
    }

    #[test]
    fn sets_refuse_duplicates_and_emptiness() {
        let err = DomainSet::from_names(["a", "b", "a"]).unwrap_err();
        assert!(err.to_string().contains("duplicate domain `a`"), "{err}");
        let err = DomainSet::from_names::<&str>([]).unwrap_err();
        assert_eq!(err.problem(), "no domains: expected at least one");
        let err = DomainSet::from_names(["a"])
            .unwrap()
            .require("b")
            .unwrap_err();
        assert!(err.to_string().contains("unknown domain `b`"));
    }

    #[test]
    fn names_round_trip_through_json_and_bad_ones_are_refused() {
        let set = DomainSet::from_names(["web", "code"]).unwrap();
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["web","code"]"#);
        assert_eq!(serde_json::from_str::<DomainSet>(&json).unwrap(), set);
        let err = serde_json::from_str::<DomainSet>(r#"["a/b"]"#).unwrap_err();
        assert!(
            err.to_string().contains("`a/b` is not a domain name"),
            "{err}"
        );
    }
}

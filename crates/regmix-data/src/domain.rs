//! Domains and ordered sets of them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The name of one source of text, for example `pile_cc`.
///
/// A name is any printable text of at most 200 bytes without blanks at its
/// ends: `nemotron_cc/hq_actual`, `Wikipedia (en)`, `中文`. Names that differ in
/// any character are different domains. Files of a domain have a safe name that
/// is made from it.
///
/// ```
/// use regmix_data::Domain;
///
/// assert_eq!(Domain::new("Wikipedia (en)")?.as_str(), "Wikipedia (en)");
/// assert_eq!(Domain::from_pile_label("Pile-CC")?.as_str(), "pile_cc");
/// assert!(Domain::new("two\nlines").is_err());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Arc<str>);

/// The labels of the Pile. Its domains have the names of the published tables
/// of mixtures: lower case, with `_` for everything that is no letter or digit.
const PILE_LABELS: [&str; 22] = [
    "ArXiv",
    "BookCorpus2",
    "Books3",
    "DM Mathematics",
    "Enron Emails",
    "EuroParl",
    "FreeLaw",
    "Github",
    "Gutenberg (PG-19)",
    "HackerNews",
    "NIH ExPorter",
    "OpenSubtitles",
    "OpenWebText2",
    "PhilPapers",
    "Pile-CC",
    "PubMed Abstracts",
    "PubMed Central",
    "StackExchange",
    "USPTO Backgrounds",
    "Ubuntu IRC",
    "Wikipedia (en)",
    "YoutubeSubtitles",
];

impl Domain {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 200;

    /// Checks a name.
    ///
    /// # Errors
    /// When the name is empty, too long, begins or ends with a blank, or holds
    /// a character that cannot be printed.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let blank_ends = name.trim() != name;
        let hidden = name.chars().find(|&c| !is_printable(c));
        if name.is_empty() || name.len() > Self::MAX_LEN || blank_ends || hidden.is_some() {
            let found = match hidden {
                Some(c) => format!(", found {}", c.escape_unicode()),
                None => String::new(),
            };
            return Err(Error::input(format!(
                "`{}` is not a domain name: expected 1 to {} bytes of printable text without \
                 blanks at its ends{found}",
                name.chars().take(80).collect::<String>().escape_debug(),
                Self::MAX_LEN,
            )));
        }
        Ok(Self(name.into()))
    }

    /// The domain of a label of the Pile, in `meta.pile_set_name`: it has the
    /// name of the published tables. `"Pile-CC"` is `pile_cc`,
    /// `"Gutenberg (PG-19)"` is `gutenberg_pg_19`. Labels that the Pile does not
    /// have are names as they are.
    ///
    /// # Errors
    /// As [`Domain::new`].
    pub fn from_pile_label(label: &str) -> Result<Self> {
        if !PILE_LABELS.contains(&label) {
            return Self::new(label);
        }
        let words = label.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<String> = words
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        Self::new(words.join("_"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character shows in a table. Characters that change the direction
/// of a line, or separate lines, do not.
pub(crate) fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
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

    /// Refuses one domain only.
    ///
    /// # Errors
    /// When there is nothing to mix.
    pub fn more_than_one(&self) -> Result<()> {
        match &self.0[..] {
            [only] => Err(Error::input(format!(
                "one domain, `{only}`, leaves nothing to mix: expected at least two"
            ))
            .help("add the columns of the other domains")),
            _ => Ok(()),
        }
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
            assert_eq!(Domain::from_pile_label(label).unwrap().as_str(), name);
        }
    }

    #[test]
    fn any_printable_text_is_a_name_and_no_two_labels_are_one() {
        let labels = [
            "C",
            "C++",
            "C#",
            "c",
            "wiki_en",
            "Wiki (en)",
            "wiki-en",
            "web",
            "中文-web",
            "nemotron_cc/hq_actual",
            "dclm:x",
            "🙂",
            "()",
            "a\"b",
            "0",
            "-",
        ];
        for label in labels {
            assert_eq!(Domain::from_pile_label(label).unwrap().as_str(), label);
            assert_eq!(Domain::new(label).unwrap().as_str(), label);
        }
        let long = "x".repeat(201);
        for bad in ["", " ", "web ", "a\tb", "a\u{202e}b", "\u{feff}web", &long] {
            let err = Domain::new(bad).unwrap_err();
            assert!(err.problem().contains("is not a domain name"), "{err}");
        }
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
        let err = serde_json::from_str::<DomainSet>(r#"["a\nb"]"#).unwrap_err();
        assert!(
            err.to_string().contains("`a\\nb` is not a domain name"),
            "{err}"
        );
    }
}

//! Patterns for names of metrics and files.

use std::fmt;
use std::str::FromStr;

use regex_lite::Regex;

use crate::error::{Error, Result};

/// A name with `*` for any text without `/`, and `**` for any text.
///
/// ```
/// use regmix_data::exchange::Pattern;
///
/// let pattern: Pattern = "eval/*/loss".parse()?;
/// assert_eq!(pattern.capture("eval/web/loss").as_deref(), Some("web"));
/// assert_eq!(pattern.capture("eval/web/cc/loss"), None);
/// let exact: Pattern = "val_loss".parse()?;
/// assert_eq!(exact.capture("val_loss").as_deref(), Some("val_loss"));
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// What stands for the stars in a name that matches, joined by `/`; the whole
    /// name where the pattern has none.
    pub fn capture(&self, name: &str) -> Option<String> {
        let found = self.regex.captures(name)?;
        let stars: Vec<&str> = found.iter().skip(1).flatten().map(|m| m.as_str()).collect();
        Some(match stars.is_empty() {
            true => name.to_owned(),
            false => stars.join("/"),
        })
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pattern {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::input(
                "an empty pattern: expected a name, with `*` for its part",
            ));
        }
        let parts: Vec<String> = (text.split("**"))
            .map(|part| {
                let plain: Vec<String> = part.split('*').map(regex_lite::escape).collect();
                plain.join("([^/]+)")
            })
            .collect();
        let regex = Regex::new(&format!("^{}$", parts.join("(.+)")))
            .map_err(|e| Error::input(format!("`{text}` is no pattern: {e}")))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_take_what_they_stand_for_and_signs_are_signs() {
        let capture = |pattern: &str, name: &str| {
            let pattern: Pattern = pattern.parse().unwrap();
            pattern.capture(name)
        };
        assert_eq!(capture("a.b/*", "a.b/c").as_deref(), Some("c"));
        assert_eq!(capture("a.b/*", "axb/c"), None);
        assert_eq!(
            capture("*/loss (*)", "web/loss (nats)").as_deref(),
            Some("web/nats")
        );
        assert_eq!(
            capture("**/loss", "eval/web/loss").as_deref(),
            Some("eval/web")
        );
        assert_eq!(capture("*", ""), None);
        assert!("".parse::<Pattern>().is_err());
    }
}

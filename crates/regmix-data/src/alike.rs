//! Names that look alike and are not the same.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

/// Pairs of names that differ only in Unicode normalisation (an accent that is a character
/// of its own) or in white space, in sentences. `what` says what they name, in the plural.
pub(crate) fn notes<'a>(what: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut notes = Vec::new();
    for name in names {
        let words: Vec<&str> = name.split_whitespace().collect();
        let key: String = words.join(" ").nfc().collect();
        let before = *first.entry(key).or_insert(name);
        if before != name {
            notes.push(format!(
                "the {what} \"{}\" and \"{}\" differ only in white space or in the Unicode form of \
                 a letter: they are kept apart; write them alike if they are the same",
                before.escape_default(),
                name.escape_default()
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_named_and_others_are_not() {
        let found = notes(
            "domains",
            ["caf\u{e9}", "web", "cafe\u{301}", "cafe", "Web"],
        );
        assert_eq!(
            found,
            [
                "the domains \"caf\\u{e9}\" and \"cafe\\u{301}\" differ only in white space or in the \
              Unicode form of a letter: they are kept apart; write them alike if they are the same"
            ]
        );
        assert_eq!(notes("runs", ["a b", "a  b", " a b"]).len(), 2);
        assert!(notes("runs", ["a", "b", "ab"]).is_empty());
    }
}

//! Names of files for domains, which may have any printable name.

use crate::domain::Domain;

/// The longest part of a domain's name in a file name.
const SHOWN: usize = 48;

/// A file name for a domain: the name itself where it is plain (ASCII letters,
/// digits and `_ - . +`, beginning with a letter or digit, at most 64 bytes),
/// otherwise its plain part with a hash of the name. The character `~` before
/// the hash is in no plain name, so different domains have different names.
pub(super) fn file_name(domain: &Domain) -> String {
    let name = domain.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= 64 && name.chars().all(plain) {
        return name.to_owned();
    }
    hashed(domain)
}

/// The name that is used where another domain has the same one in other letter
/// case: some file systems do not tell them apart.
pub(super) fn hashed(domain: &Domain) -> String {
    let mut shown = String::new();
    for c in domain.as_str().chars() {
        if c.is_ascii_alphanumeric() || c == '+' || c == '.' {
            shown.push(c);
        } else if !shown.is_empty() && !shown.ends_with('_') {
            shown.push('_');
        }
    }
    shown.truncate(SHOWN);
    let shown = shown.trim_matches(['_', '.', '+']);
    let hash = blake3::hash(domain.as_str().as_bytes()).to_hex();
    format!(
        "{}~{}",
        if shown.is_empty() { "domain" } else { shown },
        &hash[..12]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_and_others_are_safe_and_different() {
        for name in ["pile_cc", "C++", "a-b.c", "0"] {
            assert_eq!(file_name(&Domain::new(name).unwrap()), name);
        }
        let names = [
            "C#",
            "Wikipedia (en)",
            "wikipedia/en",
            "中文",
            "中国",
            "🙂",
            "../etc",
            ".hidden",
            "a~b",
        ];
        let mut files: Vec<String> = names
            .iter()
            .map(|name| file_name(&Domain::new(name).unwrap()))
            .collect();
        assert!(files[0].starts_with("C~"), "{files:?}");
        assert!(files[1].starts_with("Wikipedia_en~"), "{files:?}");
        for file in &files {
            assert!(!file.starts_with('.'), "{file}");
            let safe = |c: char| c.is_ascii_alphanumeric() || "_-.+~".contains(c);
            assert!(file.chars().all(safe), "{file}");
        }
        files.sort();
        files.dedup();
        assert_eq!(files.len(), names.len());
    }
}

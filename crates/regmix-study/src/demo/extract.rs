//! Telling kinds of text apart in a source tree.

use std::fmt;

/// A kind of text: a domain of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    CCode,
    Changelogs,
    Config,
    Lockfiles,
    Markdown,
    RustCode,
    RustDocs,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CCode => "c_code",
            Self::Changelogs => "changelogs",
            Self::Config => "config",
            Self::Lockfiles => "lockfiles",
            Self::Markdown => "markdown",
            Self::RustCode => "rust_code",
            Self::RustDocs => "rust_docs",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The texts in a file, by kind. A Rust file gives two: code, and the prose of
/// its doc comments.
pub(super) fn pieces(path: &str, text: &str) -> Vec<(Kind, String)> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name
        .rsplit_once('.')
        .map_or("", |(_, e)| e)
        .to_ascii_lowercase();
    let whole = |kind| vec![(kind, text.to_owned())];
    let lower = name.to_ascii_lowercase();
    match extension.as_str() {
        _ if is_table(text) => Vec::new(),
        "c" | "h" | "cpp" | "hpp" | "cc" => whole(Kind::CCode),
        "md" if ["changelog", "changes", "release", "history"]
            .iter()
            .any(|p| lower.starts_with(p)) =>
        {
            whole(Kind::Changelogs)
        }
        "md" => whole(Kind::Markdown),
        "lock" => whole(Kind::Lockfiles),
        "toml" | "yml" | "yaml" | "json" => whole(Kind::Config),
        "rs" => {
            let (docs, code) = split_docs(text);
            vec![(Kind::RustDocs, docs), (Kind::RustCode, code)]
        }
        _ => Vec::new(),
    }
}

/// Tables of numbers and other data make long lines or few letters.
fn is_table(text: &str) -> bool {
    let lines = text.lines().count().max(1);
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    text.len() / lines > 160 || letters * 3 < text.len()
}

/// Doc comments, without their marks, and the rest.
fn split_docs(text: &str) -> (String, String) {
    let mut docs = String::new();
    let mut code = String::new();
    let mut in_docs = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let doc = trimmed.strip_prefix("//!").or_else(|| {
            trimmed
                .strip_prefix("///")
                .filter(|rest| !rest.starts_with('/'))
        });
        if let Some(doc) = doc {
            if !in_docs && !docs.is_empty() {
                docs.push('\n');
            }
            docs.push_str(doc.strip_prefix(' ').unwrap_or(doc));
            docs.push('\n');
        } else {
            code.push_str(line);
            code.push('\n');
        }
        in_docs = doc.is_some();
    }
    (docs, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_files_give_prose_and_code() {
        let text =
            "//! About.\n\n/// Adds one.\n///\n/// Slowly.\nfn add() {} // quick\n//// not docs\n";
        let pieces = pieces("src/lib.rs", text);
        assert_eq!(
            pieces[0],
            (Kind::RustDocs, "About.\n\nAdds one.\n\nSlowly.\n".into())
        );
        assert_eq!(
            pieces[1],
            (
                Kind::RustCode,
                "\nfn add() {} // quick\n//// not docs\n".into()
            )
        );
    }

    #[test]
    fn kinds_follow_names_and_tables_are_left_out() {
        let kind = |path: &str, text: &str| pieces(path, text).first().map(|p| p.0);
        assert_eq!(
            kind("CHANGELOG.md", "Some words here."),
            Some(Kind::Changelogs)
        );
        assert_eq!(
            kind("docs/guide.md", "Some words here."),
            Some(Kind::Markdown)
        );
        assert_eq!(kind("a/b.H", "int main(void);"), Some(Kind::CCode));
        assert_eq!(kind("Cargo.lock", "name = abcdef"), Some(Kind::Lockfiles));
        assert_eq!(kind("x.json", "[1, 2, 3, 4, 5, 6]"), None);
        assert_eq!(kind("x.png", "abc"), None);
    }
}

//! Texts in quotes, and lists.

/// In double quotes: the same in JSON, YAML and Python, where neither control
/// characters nor lone surrogates come.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// A key or value of YAML, in quotes unless it can only be read as text.
pub(super) fn yaml(text: &str) -> String {
    // YAML 1.1 reads these as truth values and nothing.
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let plain = text.starts_with(first)
        && text.chars().all(rest)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    match plain {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// Joined by commas, in brackets.
pub(super) fn list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<String> = items.into_iter().map(|i| i.as_ref().to_owned()).collect();
    format!("[{}]", items.join(", "))
}

/// The same of texts in quotes.
pub(super) fn quoted_list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    list(items.into_iter().map(|i| quoted(i.as_ref())))
}

/// An object of JSON, a key a line, in the order that is given.
pub(super) fn object<K: AsRef<str>, V: AsRef<str>>(
    indent: &str,
    entries: impl IntoIterator<Item = (K, V)>,
) -> String {
    let lines: Vec<String> = (entries.into_iter())
        .map(|(key, value)| format!("{indent}  {}: {}", quoted(key.as_ref()), value.as_ref()))
        .collect();
    format!("{{\n{}\n{indent}}}", lines.join(",\n"))
}

/// Tokens and other counts, as whole numbers.
pub(super) fn count(x: f64) -> String {
    format!("{:.0}", x.round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_would_read_as_something_else_is_quoted() {
        let written = [
            "web",
            "on",
            "No",
            "1e3",
            "a: b",
            "nemotron_cc/hq",
            "-",
            "~",
            "中文",
        ]
        .map(yaml);
        let expected = [
            "web",
            "\"on\"",
            "\"No\"",
            "\"1e3\"",
            "\"a: b\"",
            "\"nemotron_cc/hq\"",
            "\"-\"",
            "\"~\"",
            "\"中文\"",
        ];
        assert_eq!(written, expected);
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}

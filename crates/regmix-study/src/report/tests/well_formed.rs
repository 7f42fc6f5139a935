//! A check of markup: every element closed, every attribute once, every number
//! finite, nothing loaded.

use std::collections::BTreeSet;

/// Checks that a page is well formed and returns it.
pub(super) fn checked(page: String) -> String {
    let mut open: Vec<&str> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut level = 0;
    let mut rest = page.as_str();
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
        assert!(
            !text.contains('>') || open.last().is_some_and(|t| ["style", "script"].contains(t))
        );
        let end = start + rest[start..].find('>').expect("a tag that ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "closed near {}",
                &rest[..rest.len().min(80)]
            );
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut seen = BTreeSet::new();
        // Values are escaped, so each quote begins or ends one.
        let mut fields = attributes.trim_end_matches('/').split('"');
        while let (Some(key), Some(value)) = (fields.next(), fields.next()) {
            assert!(seen.insert(key.trim().to_owned()), "{key} twice in {tag}");
            let numbers = ["aria-label=", "class=", "title=", "content="];
            if !numbers.contains(&key.trim()) {
                assert!(!value.contains("NaN") && !value.contains("inf"), "{tag}");
            }
            if key.trim() == "id=" {
                assert!(ids.insert(value.to_owned()), "id {value} twice");
            }
            assert!(!["src=", "href=", "onload="].contains(&key.trim()), "{tag}");
        }
        if name == "svg" && !seen.contains("aria-hidden=") {
            assert!(
                seen.contains("role=") && seen.contains("aria-label="),
                "{tag}"
            );
        }
        if let Some(next) = name.strip_prefix('h').and_then(|n| n.parse::<usize>().ok()) {
            assert!(next <= level + 1, "heading {next} after {level}");
            level = next;
        }
        if name != "meta" && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    assert!(!page.contains("@import") && !page.contains("url("));
    page
}

/// The text of a page without its pictures, a line per paragraph and row.
pub(super) fn text(page: &str) -> String {
    let mut out = String::new();
    let mut hidden = 0;
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        if hidden == 0 {
            out.push_str(&rest[..start]);
        }
        let end = start + rest[start..].find('>').expect("a tag that ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        let name = tag.split_whitespace().next().unwrap_or_default();
        match name {
            "head" | "script" | "svg" => hidden += 1,
            "/head" | "/script" | "/svg" => hidden -= 1,
            "/td" | "/th" | "/dt" => out.push_str(" | "),
            "/p" | "/h1" | "/h2" | "/h3" | "/tr" | "/li" | "/dd" | "/figcaption" | "/div"
            | "/summary" | "/pre" => out.push('\n'),
            _ => {}
        }
    }
    let lines = out.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

//! Errors of study files, at their place and with the nearest known key.

use std::path::Path;

use regmix_data::Error;

/// Puts an error about a key of a section at that key, or at the head of the section where
/// the key is left out.
pub(crate) fn place(error: Error, section: &str, text: &str, path: &Path) -> Error {
    let key = error.field_name().unwrap_or_default().to_owned();
    let error = error.in_file(path).field(format!("{section}.{key}"));
    let mut inside = false;
    let mut at = 0;
    let mut head = None;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let trimmed = line.trim_start();
        let header = trimmed.starts_with('[');
        let name = trimmed.trim_end().trim_matches(['[', ']']);
        if header {
            inside = name == section || trimmed.starts_with(&format!("[{section}."));
        }
        // A key may be a table of its own.
        let found = match header {
            true => name.strip_prefix(section).and_then(|n| n.strip_prefix('.')) == Some(&*key),
            false => inside && trimmed.split('=').next().is_some_and(|k| k.trim() == key),
        };
        let here = (number as u64 + 1, at..at + line.trim_end().len());
        if found {
            return error.line(here.0).span(here.1);
        }
        if header && name == section && head.is_none() {
            head = Some(here);
        }
        at += line.len();
    }
    match head {
        Some((line, span)) => error.line(line).span(span),
        None => error,
    }
}

/// Turns toml's error into ours, with the nearest known key.
pub(crate) fn explain(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let message = error.message();
    let mut out = Error::input(message.to_owned()).in_file(path);
    if let Some(span) = error.span() {
        let line = 1 + text[..span.start.min(text.len())].matches('\n').count();
        out = out.line(line as u64).span(span);
    }
    let Some(rest) = message.strip_prefix("unknown field ") else {
        return out;
    };
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let Some(unknown) = quoted.next() else {
        return out;
    };
    let nearest = quoted
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2));
    match nearest {
        Some((_, known)) => out.help(format!("did you mean `{known}`?")),
        None => out.help("remove it, or look at the template of `regmix init`"),
    }
}

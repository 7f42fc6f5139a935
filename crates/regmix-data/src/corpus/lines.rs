//! JSON lines.

use std::fmt;
use std::io::BufRead;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::compression::Compression;
use super::document::{
    Cause, Document, Outcome, ReadOptions, Unreadable, no_label, no_text, not_a_label,
    not_a_string, not_utf8, too_long,
};
use super::field::{descend, in_words, label};
use super::lenient;
use crate::error::{Error, Result};

/// The documents of a file with one JSON object per line.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    compression: Compression,
    buffer: Vec<u8>,
    line: u64,
    documents: u64,
}

/// What [`Lines::read_line`] found.
enum Line {
    End,
    Whole,
    TooLong,
}

impl Lines {
    pub(super) fn new(compression: Compression, input: Box<dyn BufRead + Send>) -> Self {
        Self {
            input,
            compression,
            buffer: Vec::new(),
            line: 0,
            documents: 0,
        }
    }

    /// The next document. An error ends the file.
    pub(super) fn next(&mut self, path: &Path, options: &ReadOptions) -> Result<Option<Outcome>> {
        loop {
            self.line += 1;
            let cap = options.max_document_bytes;
            let outcome = match self.read_line(path, cap)? {
                Line::End => return Ok(None),
                Line::TooLong => Err(Cause::TooLong.error(too_long("line", cap))),
                Line::Whole => {
                    // A joined file has the mark of each part at the part's start.
                    let bytes = (self.buffer)
                        .strip_prefix(b"\xef\xbb\xbf")
                        .unwrap_or(&self.buffer);
                    if bytes.trim_ascii().is_empty() {
                        continue;
                    }
                    std::str::from_utf8(bytes)
                        .map_err(|e| Cause::NotUtf8.error(not_utf8(&e)))
                        .and_then(|line| parse(line, options))
                }
            };
            self.documents += u64::from(outcome.is_ok());
            return Ok(Some(outcome.map_err(|unreadable| Unreadable {
                error: unreadable.error.in_file(path).line(self.line),
                ..unreadable
            })));
        }
    }

    /// Reads up to the next line feed.
    fn read_line(&mut self, path: &Path, cap: usize) -> Result<Line> {
        self.buffer.clear();
        let mut too_long = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.compression.explain(e, path, self.documents)),
            };
            let at_end = available.is_empty();
            let end = available.iter().position(|&b| b == b'\n');
            let part = end.unwrap_or(available.len());
            too_long |= self.buffer.len() + part > cap;
            if too_long {
                self.buffer.clear();
            } else {
                self.buffer.extend_from_slice(&available[..part]);
            }
            self.input.consume(part + usize::from(end.is_some()));
            if at_end || end.is_some() {
                return Ok(match (too_long, at_end && self.buffer.is_empty()) {
                    (true, _) => Line::TooLong,
                    (false, true) => Line::End,
                    (false, false) => Line::Whole,
                });
            }
        }
    }
}

fn parse(line: &str, options: &ReadOptions) -> Outcome {
    let found = read_object(line, options).or_else(|e| {
        let repaired = lenient::standard(line).and_then(|line| read_object(&line, options).ok());
        repaired.ok_or_else(|| Cause::BrokenJson.error(broken(&e, line)))
    })?;
    let text_field = &options.text_field;
    let text = match found.text {
        None => return Err(Cause::NoText.error(no_text(text_field))),
        Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => {
            let error = not_a_string(text_field, in_words(&other));
            return Err(Cause::NoText.error(error));
        }
    };
    let Some(field) = &options.label_field else {
        return Ok(Document { text, label: None });
    };
    match label(found.label.unwrap_or_default()) {
        Ok(Some(label)) => Ok(Document {
            text,
            label: Some(label),
        }),
        Ok(None) => Err(Cause::NoLabel.error(no_label(field))),
        Err(found) => Err(Cause::NoLabel.error(not_a_label(field, found))),
    }
}

fn read_object(line: &str, options: &ReadOptions) -> serde_json::Result<Found> {
    let mut json = serde_json::Deserializer::from_str(line);
    let object = json.deserialize_map(Object { options })?;
    json.end()?;
    Ok(object)
}

/// The error for a line that is not JSON.
fn broken(error: &serde_json::Error, line: &str) -> Error {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    let at = error.column();
    let found = match strange(line, at) {
        Some(c) => format!(", found {c}"),
        None => String::new(),
    };
    let error = Error::input(format!("broken JSON: {what} (column {at}{found})"));
    if line.trim_start().starts_with('[') {
        return error.help(
            "expected one JSON object per line, not a list; `jq -c '.[]' FILE` makes lines of it",
        );
    }
    error.help("every line must be one whole JSON object")
}

/// The character at or before a column, if a person cannot see it.
fn strange(line: &str, column: usize) -> Option<String> {
    let at = |column: usize| {
        let bytes = line.as_bytes().get(column.checked_sub(1)?..)?;
        let start = line.len() - bytes.len();
        line.get(start..)?.chars().next()
    };
    let c = [at(column), at(column + 1)]
        .into_iter()
        .flatten()
        .find(|&c| c == '\u{feff}' || (c.is_control() && !matches!(c, '\t' | '\r')))?;
    Some(match c {
        '\0' => "byte 0x00, NUL".to_owned(),
        '\u{feff}' => "bytes 0xEF 0xBB 0xBF, a byte order mark".to_owned(),
        c => format!("the control character U+{:04X}", c as u32),
    })
}

/// Reads text and label of an object; other fields are skipped without being
/// stored.
struct Object<'a> {
    options: &'a ReadOptions,
}

#[derive(Default)]
struct Found {
    text: Option<Value>,
    label: Option<Value>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let text = FieldPath::new(&self.options.text_field);
        let label = self.options.label_field.as_deref().map(FieldPath::new);
        let mut found = Found::default();
        // Fields of the whole name come before those with dots into objects.
        let (mut text_inside, mut label_inside) = (None, None);
        while let Some(role) = map.next_key_seed(Key { text, label })? {
            if role == Role::default() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: Value = map.next_value()?;
            if role.text_head
                && let Some(rest) = text.rest
            {
                text_inside = descend(value.clone(), rest);
            }
            if role.label_head
                && let Some(rest) = label.and_then(|l| l.rest)
            {
                label_inside = descend(value.clone(), rest);
            }
            if role.label {
                found.label = Some(value.clone());
            }
            if role.text {
                found.text = Some(value);
            }
        }
        found.text = found.text.or(text_inside);
        found.label = found.label.or(label_inside);
        Ok(found)
    }
}

/// A field by its whole name, and as a path into an object.
#[derive(Clone, Copy)]
struct FieldPath<'a> {
    whole: &'a str,
    head: &'a str,
    rest: Option<&'a str>,
}

impl<'a> FieldPath<'a> {
    fn new(whole: &'a str) -> Self {
        match whole.split_once('.') {
            Some((head, rest)) => Self {
                whole,
                head,
                rest: Some(rest),
            },
            None => Self {
                whole,
                head: whole,
                rest: None,
            },
        }
    }
}

/// What a key is wanted for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Role {
    text: bool,
    text_head: bool,
    label: bool,
    label_head: bool,
}

/// Compares a key without storing it.
#[derive(Clone, Copy)]
struct Key<'a> {
    text: FieldPath<'a>,
    label: Option<FieldPath<'a>>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Role;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Role, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Role;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Role, E> {
        let is_head = |path: FieldPath<'_>| path.rest.is_some() && path.head == key;
        Ok(Role {
            text: key == self.text.whole,
            text_head: is_head(self.text),
            label: self.label.is_some_and(|l| l.whole == key),
            label_head: self.label.is_some_and(is_head),
        })
    }
}

//! JSON lines.

use std::fmt;
use std::io::BufRead;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::compression::Compression;
use super::document::{Document, ReadOptions, not_utf8};
use crate::error::{Error, Result};

/// The documents of a file with one JSON object per line.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    compression: Compression,
    buffer: Vec<u8>,
    line: u64,
    documents: u64,
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

    pub(super) fn next(&mut self, path: &Path, options: &ReadOptions) -> Result<Option<Document>> {
        loop {
            self.line += 1;
            if !self.read_line(path, options.max_document_bytes)? {
                return Ok(None);
            }
            let at = |err: Error| err.in_file(path).line(self.line);
            let bytes = match self.line {
                1 => self
                    .buffer
                    .strip_prefix(b"\xef\xbb\xbf")
                    .unwrap_or(&self.buffer),
                _ => &self.buffer,
            };
            let line = std::str::from_utf8(bytes).map_err(|e| at(not_utf8(&e)))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let document = parse(line, options).map_err(at)?;
            self.documents += 1;
            return Ok(Some(document));
        }
    }

    /// Reads up to the next line feed; false at the end of the file.
    fn read_line(&mut self, path: &Path, cap: usize) -> Result<bool> {
        self.buffer.clear();
        loop {
            let available = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.compression.explain(e, path, self.documents)),
            };
            if available.is_empty() {
                return Ok(!self.buffer.is_empty());
            }
            let end = available.iter().position(|&b| b == b'\n');
            let part = end.unwrap_or(available.len());
            if self.buffer.len() + part > cap {
                return Err(Error::input(format!("a line of more than {cap} bytes"))
                    .in_file(path)
                    .line(self.line)
                    .help("split the document, or raise the limit `max_document_bytes`"));
            }
            self.buffer.extend_from_slice(&available[..part]);
            self.input.consume(part + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

fn parse(line: &str, options: &ReadOptions) -> Result<Document> {
    let mut json = serde_json::Deserializer::from_str(line);
    let object = json
        .deserialize_map(Object { options })
        .and_then(|object| json.end().map(|()| object))
        .map_err(|e| {
            let text = e.to_string();
            let what = text.split(" at line ").next().unwrap_or(&text);
            Error::input(format!("broken JSON: {what} (column {})", e.column()))
                .help("every line must be one whole JSON object")
        })?;
    let text = object.text.ok_or_else(|| {
        Error::input("no text in this document")
            .field(&options.text_field)
            .help("name the field that holds the text with the option `text_field`")
    })?;
    let label = match &options.label_field {
        None => None,
        Some(field) => Some(object.label.ok_or_else(|| {
            Error::input("no domain label in this document")
                .field(field)
                .help("name the field that holds the domain with the option `label_field`")
        })?),
    };
    Ok(Document { text, label })
}

/// Reads text and label of an object; other fields are skipped without being
/// stored.
struct Object<'a> {
    options: &'a ReadOptions,
}

#[derive(Default)]
struct Found {
    text: Option<String>,
    label: Option<String>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let text = &self.options.text_field;
        let (head, tail) = match &self.options.label_field {
            Some(field) => match field.split_once('.') {
                Some((head, tail)) => (Some(head), Some(tail)),
                None => (Some(field.as_str()), None),
            },
            None => (None, None),
        };
        let mut found = Found::default();
        while let Some(key) = map.next_key_seed(Key { text, label: head })? {
            match key {
                Which::Text => found.text = map.next_value()?,
                Which::Label => {
                    let mut value: serde_json::Value = map.next_value()?;
                    for name in tail.into_iter().flat_map(|t| t.split('.')) {
                        value = value
                            .get_mut(name)
                            .map(serde_json::Value::take)
                            .unwrap_or_default();
                    }
                    found.label = value.as_str().map(str::to_owned);
                }
                Which::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

#[derive(Clone, Copy)]
enum Which {
    Text,
    Label,
    Other,
}

/// Compares a key without storing it.
#[derive(Clone, Copy)]
struct Key<'a> {
    text: &'a str,
    label: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Which;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Which, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Which;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Which, E> {
        Ok(if key == self.text {
            Which::Text
        } else if Some(key) == self.label {
            Which::Label
        } else {
            Which::Other
        })
    }
}

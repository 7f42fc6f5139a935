//! Fields of a row.

use serde_json::{Map, Value};

use super::python;
use crate::error::{Error, Result};

/// A row: a JSON object.
#[derive(Debug, PartialEq)]
pub(super) struct Row(Map<String, Value>);

impl Row {
    pub(super) fn parse(line: &str) -> Result<Self> {
        serde_json::from_str(line)
            .map(Self)
            .map_err(|e| Error::input(format!("not a JSON object: {e}")))
    }

    fn get(&self, name: &str) -> Result<&Value> {
        self.0
            .get(name)
            .ok_or_else(|| Error::input("missing: expected this field").field(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Result<&str> {
        text(self.get(name)?, name)
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        texts(self.get(name)?, name)
    }

    /// A number, or a text with one: data sets have both.
    pub(super) fn index(&self, name: &str) -> Result<usize> {
        let found = self.get(name)?;
        let number = match found {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64().and_then(|n| usize::try_from(n).ok()),
        };
        number.ok_or_else(|| {
            Error::input(format!("{found}: expected a whole number of 0 or more")).field(name)
        })
    }

    /// The place of `key` among `choices.label`, and `choices.text`.
    pub(super) fn labelled(&self, key: &str) -> Result<(Vec<String>, usize)> {
        let choices = self.get("choices")?.as_object();
        let choices = choices.ok_or_else(|| {
            Error::input("expected an object with `text` and `label`").field("choices")
        })?;
        let part = |name: &str| {
            let field = format!("choices.{name}");
            let part = choices.get(name);
            let part =
                part.ok_or_else(|| Error::input("missing: expected this field").field(&field))?;
            texts(part, &field)
        };
        let (texts, labels) = (part("text")?, part("label")?);
        let gold = labels.iter().position(|label| label == key);
        let gold = gold.ok_or_else(|| {
            Error::input(format!(
                "`{key}`: expected one of the labels {}",
                labels.join(", ")
            ))
            .field("answerKey")
        })?;
        Ok((texts, gold))
    }

    /// A list of objects; as JSON, or as a text with a literal of Python.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Row>> {
        let expected = || Error::input("expected a list of objects").field(name);
        let list = match self.get(name)? {
            Value::String(text) => python::parse(text).ok_or_else(expected)?,
            other => other.clone(),
        };
        let Value::Array(list) = list else {
            return Err(expected());
        };
        list.into_iter()
            .map(|value| match value {
                Value::Object(map) => Ok(Row(map)),
                _ => Err(expected()),
            })
            .collect()
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value
        .as_str()
        .ok_or_else(|| Error::input(format!("{value}: expected a text")).field(name))
}

fn texts(value: &Value, name: &str) -> Result<Vec<String>> {
    let list = value.as_array();
    let list =
        list.ok_or_else(|| Error::input(format!("{value}: expected a list of texts")).field(name))?;
    list.iter()
        .map(|v| text(v, name).map(str::to_owned))
        .collect()
}

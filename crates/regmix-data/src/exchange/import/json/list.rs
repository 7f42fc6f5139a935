//! Lists of objects, each of which is read as a line of JSON lines.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::walk::Walk;
use super::{Line, Reader};
use crate::error::{Error, Result};
use crate::exchange::import::log::Logs;
use crate::exchange::import::names::Namer;
use crate::exchange::import::selection::Selection;

/// The list of measurements in `trainer_state.json` of Hugging Face's Trainer.
pub(in crate::exchange::import) const HISTORY: &str = "log_history";

/// Reads a list of objects, each as a line of [`read_lines`]; with a key the one that an
/// object has there.
pub(in crate::exchange::import) fn read_list(
    text: &str,
    key: Option<&'static str>,
    path: &Path,
    namer: &Namer<'_>,
    selection: &Selection,
) -> Result<Logs> {
    let mut out = Reader::new(path, selection, namer);
    out.part = "entry";
    out.number = 0;
    let mut json = serde_json::Deserializer::from_str(text);
    let entries = Entries {
        reader: &mut out,
        key,
    };
    let read = entries.deserialize(&mut json).and_then(|()| json.end());
    match (read, out.refused.take()) {
        (_, Some(refused)) => {
            return Err(placed(&refused, out.number).in_file(path));
        }
        (Err(e), None) => {
            let line = e.line() as u64;
            return Err(Error::input(format!("not JSON: {e}"))
                .in_file(path)
                .line(line));
        }
        (Ok(()), None) => {}
    }
    out.finish()
}

/// An error with the number of the entry at fault.
fn placed(error: &Error, entry: u64) -> Error {
    let mut placed = Error::input(format!("entry {entry}: {}", error.problem()));
    if let Some(field) = error.field_name() {
        placed = placed.field(field);
    }
    match error.help_text() {
        Some(help) => placed.help(help),
        None => placed,
    }
}

/// The entries of a list, each an object; with a key, those of the list that an object has
/// there.
struct Entries<'w, 'a> {
    reader: &'w mut Reader<'a>,
    key: Option<&'static str>,
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        match self.key {
            Some(_) => json.deserialize_map(self),
            None => json.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match Some(&key[..]) == self.key {
                true => map.next_value_seed(Entries {
                    reader: self.reader,
                    key: None,
                })?,
                false => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        loop {
            let (mut key, mut line) = (String::new(), Line::default());
            self.reader.number += 1;
            let entry = seq.next_element_seed(Walk {
                reader: self.reader,
                key: &mut key,
                top: true,
                line: &mut line,
            })?;
            if entry.is_none() {
                return Ok(());
            }
            if let Err(e) = self.reader.line(line) {
                self.reader.refused = Some(e);
                return Err(serde::de::Error::custom("refused"));
            }
        }
    }
}

//! The numbers of an object, as it is read.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Leaf, Line, Reader};
use crate::error::Error;

/// Takes every number below a value, as it is read: an object in memory would be
/// several times as large as its text.
pub(super) struct Walk<'w, 'a> {
    pub(super) reader: &'w mut Reader<'a>,
    /// The keys above, joined by `/`.
    pub(super) key: &'w mut String,
    /// Whether it is the object itself.
    pub(super) top: bool,
    pub(super) line: &'w mut Line,
}

impl Walk<'_, '_> {
    fn leaf<E: serde::de::Error>(self, value: &Leaf<'_>) -> std::result::Result<(), E> {
        if self.top {
            return self.refuse(Error::input("expected an object of names and numbers"));
        }
        match self.reader.leaf(self.key, value, self.line) {
            Ok(()) => Ok(()),
            Err(e) => self.refuse(e),
        }
    }

    fn refuse<E: serde::de::Error>(self, error: Error) -> std::result::Result<(), E> {
        self.reader.refused = Some(error);
        Err(E::custom("refused"))
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of names and numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        loop {
            let length = self.key.len();
            if map.next_key_seed(AddKey(self.key))?.is_none() {
                return Ok(());
            }
            map.next_value_seed(Walk {
                reader: self.reader,
                key: self.key,
                top: false,
                line: self.line,
            })?;
            self.key.truncate(length);
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        if self.top {
            return self.refuse(Error::input("expected an object of names and numbers"));
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> std::result::Result<(), E> {
        self.leaf(&Leaf::Number(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> std::result::Result<(), E> {
        self.leaf(&Leaf::Number(number as f64))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> std::result::Result<(), E> {
        self.leaf(&Leaf::Number(number as f64))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<(), E> {
        self.leaf(&Leaf::Text(text))
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> std::result::Result<(), E> {
        self.leaf(&Leaf::Text(""))
    }

    fn visit_unit<E: serde::de::Error>(self) -> std::result::Result<(), E> {
        self.leaf(&Leaf::Text(""))
    }
}

/// Puts a key behind those above it.
struct AddKey<'k>(&'k mut String);

impl<'de> DeserializeSeed<'de> for AddKey<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for AddKey<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> std::result::Result<(), E> {
        if !self.0.is_empty() {
            self.0.push('/');
        }
        self.0.push_str(key);
        Ok(())
    }
}

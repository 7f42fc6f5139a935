//! JSON files with a checksum: a flipped bit in a number would otherwise be read
//! as another number.
//!
//! The checksum is the last key of the object, on a line of its own, and covers
//! the text without that line. It finds damage, not intent.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artefact::{parse_json, write_atomic};
use crate::error::{Error, Result};
use crate::random::fnv1a;

/// The checksum of a text in hex.
pub fn checksum(text: &[u8]) -> String {
    format!("{:016x}", fnv1a(text.iter().copied()))
}

const KEY: &str = "\"checksum\": \"";
/// Hex digits of a checksum.
const DIGITS: usize = 16;

/// Writes an object as indented JSON with a checksum, atomically.
///
/// # Errors
/// When the value is not written as a JSON object with a key, or the file cannot
/// be written.
pub fn write_sealed(path: impl AsRef<Path>, value: &impl Serialize) -> Result<()> {
    let path = path.as_ref();
    let failed = |e: String| Error::failed(format!("cannot be written as JSON: {e}")).in_file(path);
    let mut text = serde_json::to_string_pretty(value).map_err(|e| failed(e.to_string()))?;
    if !text.ends_with("\n}") {
        return Err(failed("not an object with a key".to_owned()));
    }
    text.push('\n');
    let line = format!(",\n  {KEY}{}\"", checksum(text.as_bytes()));
    text.insert_str(text.len() - "\n}\n".len(), &line);
    write_atomic(path, text.as_bytes())
}

/// Reads what [`write_sealed`] wrote.
///
/// # Errors
/// When the file cannot be read, the checksum does not match or is not there, or
/// the value is not the expected one.
pub fn read_sealed<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let text = unseal(&bytes).map_err(|problem| {
        Error::input(problem).in_file(path).help(
            "it is damaged, was changed by hand or is of an earlier regmix: repeat the step that \
             writes it, with `--redo`",
        )
    })?;
    parse_json(&text, path)
}

/// The text without the line of the checksum.
fn unseal(bytes: &[u8]) -> std::result::Result<String, &'static str> {
    let missing = "no checksum at its end";
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8 text")?;
    let line = ",\n  ".len() + KEY.len() + DIGITS + 1;
    let end = "\n}\n";
    let at = (text.len().checked_sub(line + end.len())).ok_or(missing)?;
    let sealed = text.get(at..).ok_or(missing)?;
    let digits = (sealed.strip_prefix(",\n  "))
        .and_then(|rest| rest.strip_prefix(KEY))
        .and_then(|rest| rest.strip_suffix(end))
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or(missing)?;
    let whole = format!("{}{end}", &text[..at]);
    match checksum(whole.as_bytes()) == digits {
        true => Ok(whole),
        false => Err("the checksum does not match"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value.json");
        let value = BTreeMap::from([("a", 1.5), ("b", -2e-300)]);
        write_sealed(&path, &value).unwrap();
        let good = std::fs::read(&path).unwrap();
        let read = || read_sealed::<BTreeMap<String, f64>>(&path);
        assert_eq!(read().unwrap()["b"], -2e-300);
        // Other programs still read it as JSON.
        let json: serde_json::Value = serde_json::from_slice(&good).unwrap();
        assert_eq!(json["a"], 1.5);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                std::fs::write(&path, bytes).unwrap();
                assert!(read().unwrap_err().is_input(), "byte {at}, bit {bit}");
            }
            std::fs::write(&path, &good[..at]).unwrap();
            let err = read().unwrap_err();
            assert!(err.help_text().unwrap().contains("--redo"), "{err}");
        }
    }

    #[test]
    fn only_objects_have_a_place_for_a_checksum() {
        let dir = tempfile::tempdir().unwrap();
        let err = write_sealed(dir.path().join("list.json"), &[1, 2]).unwrap_err();
        assert!(err.problem().contains("not an object"), "{err}");
    }
}

//! JSON files with a checksum: a flipped bit in a number would otherwise be read
//! as another number.
//!
//! The checksum is the last key of the object, on a line of its own, and covers
//! the text without that line. It detects damage, not deliberate changes.

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

/// Reads what [`write_sealed`] wrote: an object with a key `version`. Files of
/// earlier versions have no checksum. `remedy` says how the file is made again.
///
/// # Errors
/// When the file cannot be read, the checksum does not match, the version is
/// another one, or the value is not the expected one.
pub fn read_sealed<T: DeserializeOwned>(
    path: impl AsRef<Path>,
    version: u32,
    remedy: &str,
) -> Result<T> {
    /// Read first, so that the error for another layout names its version and
    /// not its fields.
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let bad = |problem: String| Error::input(problem).in_file(path).help(remedy);
    let text = unseal(&bytes).map_err(|e| bad(e.to_owned()))?;
    let helped = |e: Error| e.help(remedy);
    let found: Version = parse_json(&text, path).map_err(helped)?;
    if found.version != version {
        return Err(bad(format!(
            "version {}, expected {version}",
            found.version
        )));
    }
    parse_json(&text, path).map_err(helped)
}

/// The text without the line of the checksum, if there is one.
fn unseal(bytes: &[u8]) -> std::result::Result<String, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8 text")?;
    if !text.contains("\"checksum\"") {
        return Ok(text.to_owned());
    }
    let missing = "it was changed after it was written: the checksum is not its last line";
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
        false => Err("it is damaged or was changed by hand: the checksum does not match"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Value {
        version: u32,
        loss: f64,
    }

    const VALUE: Value = Value {
        version: 3,
        loss: -2e-300,
    };

    #[test]
    fn every_flipped_bit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value.json");
        write_sealed(&path, &VALUE).unwrap();
        let good = std::fs::read(&path).unwrap();
        let read = || read_sealed::<Value>(&path, 3, "make it again");
        assert_eq!(read().unwrap(), VALUE);
        // Other programs still read it as JSON.
        let json: serde_json::Value = serde_json::from_slice(&good).unwrap();
        assert_eq!(json["loss"], -2e-300);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                std::fs::write(&path, bytes).unwrap();
                assert!(read().unwrap_err().is_input(), "byte {at}, bit {bit}");
            }
            std::fs::write(&path, &good[..at]).unwrap();
            assert_eq!(read().unwrap_err().help_text(), Some("make it again"));
        }
    }

    #[test]
    fn files_of_earlier_versions_have_no_checksum() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value.json");
        std::fs::write(&path, r#"{"version": 3, "loss": -2e-300}"#).unwrap();
        assert_eq!(read_sealed::<Value>(&path, 3, "").unwrap(), VALUE);
        let err = read_sealed::<Value>(&path, 4, "again").unwrap_err();
        assert_eq!(err.problem(), "version 3, expected 4");
    }

    #[test]
    fn only_objects_have_a_place_for_a_checksum() {
        let dir = tempfile::tempdir().unwrap();
        let err = write_sealed(dir.path().join("list.json"), &[1, 2]).unwrap_err();
        assert!(err.problem().contains("not an object"), "{err}");
    }
}

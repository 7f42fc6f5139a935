//! Checks of a `tokenizer.json` before and after the library reads it.

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer as Inner;

use super::library::call;
use crate::error::{Error, Result};

/// The largest vocabulary.
pub(super) const MAX_VOCABULARY: u64 = 1 << 24;

/// Stands for the separator among the pieces of a model that is asked about
/// documents: private characters, which no text has.
const NO_TEXT: &str = "\u{f0000}\u{f0001}";

/// A tokenizer file as the library reads it, with what was changed in it.
pub(super) struct Checked {
    pub(super) inner: Inner,
    pub(super) notes: Vec<String>,
}

/// Reads a tokenizer file.
pub(super) fn read(bytes: Vec<u8>, path: &Path) -> Result<Checked> {
    let mut notes = Vec::new();
    let mut bytes = bytes;
    if let Ok(mut json) = serde_json::from_slice::<Value>(&bytes) {
        check_sizes(&json).map_err(|e| e.in_file(path))?;
        if without_chance(&mut json, &mut notes) {
            bytes = json.to_string().into_bytes();
        }
    }
    let inner = call(|| Inner::from_bytes(bytes)).map_err(|e| {
        let what = e.problem().trim_start_matches("the tokenizer failed: ");
        Error::input(format!("not a tokenizer: {what}"))
            .in_file(path)
            .help("expected a `tokenizer.json` of the Hugging Face tokenizers library")
    })?;
    Ok(Checked { inner, notes })
}

/// Checks the numbers of a vocabulary: tables of that size are made of them.
fn check_sizes(json: &Value) -> Result<()> {
    let Some(model) = json.get("model").filter(|m| m.is_object()) else {
        return Ok(());
    };
    let (entries, largest) = match model.get("vocab") {
        Some(Value::Object(map)) => (
            map.len() as u64,
            map.values().filter_map(Value::as_u64).max(),
        ),
        Some(Value::Array(list)) => (list.len() as u64, (list.len() as u64).checked_sub(1)),
        _ => return Ok(()),
    };
    if entries == 0 {
        return Err(
            Error::input("the vocabulary is empty: every text would have no tokens")
                .field("model.vocab")
                .help("give the file of a trained tokenizer"),
        );
    }
    let added = json.get("added_tokens").and_then(Value::as_array);
    let added = added.into_iter().flatten();
    let added_ids: Vec<u64> = added.filter_map(|t| t.get("id")?.as_u64()).collect();
    let largest = added_ids.iter().copied().chain(largest).max().unwrap_or(0);
    let entries = entries + added_ids.len() as u64;
    let sparse = largest >= entries.saturating_mul(8).saturating_add(1 << 16);
    if largest >= MAX_VOCABULARY || sparse {
        return Err(Error::input(format!(
            "token identifier {largest} in a vocabulary of {entries} entries, expected less than \
             {MAX_VOCABULARY} and few gaps: a model has a row for every number up to the largest"
        ))
        .field("model.vocab")
        .help("number the tokens from 0 on without gaps"));
    }
    Ok(())
}

/// Switches off what makes tokens depend on chance; whether anything was.
fn without_chance(json: &mut Value, notes: &mut Vec<String>) -> bool {
    let Some(model) = json.get_mut("model").and_then(Value::as_object_mut) else {
        return false;
    };
    let mut changed = false;
    for key in ["dropout", "alpha", "nbest_size"] {
        if let Some(value) = model.get_mut(key)
            && value.as_f64().is_some_and(|x| x != 0.0)
        {
            notes.push(format!(
                "`{key}` = {value} of the tokenizer is not used: with it, the same text becomes \
                 other tokens each time"
            ));
            *value = Value::Null;
            changed = true;
        }
    }
    changed
}

/// A tokenizer that never makes the separator out of text, with the same
/// tokens otherwise. `None` where `inner` is one, or none can be made.
pub(super) fn without_separator(inner: &Inner, json: &str, separator: &str) -> Option<Inner> {
    let added = inner.get_added_vocabulary().get_added_tokens_decoder();
    let found_in_text = added.values().any(|t| t.content == separator && !t.special);
    let is_piece = tokenizers::Model::token_to_id(inner.get_model(), separator).is_some();
    if !found_in_text && !is_piece {
        return None;
    }
    let mut json: Value = serde_json::from_str(json).ok()?;
    if let Some(added) = json.get_mut("added_tokens").and_then(Value::as_array_mut) {
        added.retain(|t| t.get("content").and_then(Value::as_str) != Some(separator));
    }
    match json.get_mut("model")?.get_mut("vocab")? {
        Value::Object(map) => {
            if let Some(id) = map.remove(separator) {
                map.insert(NO_TEXT.to_owned(), id);
            }
        }
        Value::Array(list) => {
            for entry in list {
                if entry.get(0).and_then(Value::as_str) == Some(separator) {
                    entry[0] = Value::String(NO_TEXT.to_owned());
                }
            }
        }
        _ => return None,
    }
    let mut other = call(|| Inner::from_bytes(json.to_string())).ok()?;
    other.set_encode_special_tokens(true);
    Some(other)
}

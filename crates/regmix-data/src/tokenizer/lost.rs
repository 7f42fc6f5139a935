//! Text that a tokenizer has no token for.
//!
//! A tokenizer of characters without byte fallback leaves out what is not in
//! its vocabulary, or puts one unknown token in its place.

use serde_json::Value;
use tokenizers::{Encoding, Tokenizer as Inner};

use super::split::BYTE_CHARS;

/// How lost text is found.
pub(super) struct Lost {
    /// The token that stands for anything unknown.
    unknown: Option<u32>,
}

impl Lost {
    /// For a tokenizer with its file; `None` where every text has tokens.
    pub(super) fn new(inner: &Inner, json: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(json).unwrap_or_default();
        let model = &json["model"];
        let has = |name: &str| inner.token_to_id(name).is_some();
        let falls_back = model["byte_fallback"] == true
            && (0..=255u8).all(|byte| has(&format!("<0x{byte:02X}>")));
        let of_bytes = ["normalizer", "pre_tokenizer"]
            .iter()
            .any(|part| has_type(&json[part], "ByteLevel"));
        let whole = of_bytes && BYTE_CHARS.iter().all(|c| has(&c.to_string()));
        if falls_back || whole {
            return None;
        }
        let by_name = model["unk_token"]
            .as_str()
            .and_then(|t| inner.token_to_id(t));
        let by_place = model["unk_id"].as_u64().and_then(|id| id.try_into().ok());
        Some(Self {
            unknown: by_name.or(by_place),
        })
    }

    /// The bytes of a text that no token stands for, without white space, which
    /// many tokenizers leave out.
    pub(super) fn bytes(&self, text: &str, encoding: &Encoding) -> u64 {
        let known = (encoding.get_ids().iter().zip(encoding.get_offsets()))
            .filter(|(id, _)| Some(**id) != self.unknown);
        let mut end = 0;
        let mut lost = 0;
        let all = (text.len(), text.len());
        for (from, to) in known.map(|(_, offsets)| *offsets).chain([all]) {
            let gap = text.as_bytes().get(end..from).unwrap_or_default();
            lost += gap
                .iter()
                .filter(|byte| !byte.is_ascii_whitespace())
                .count();
            end = end.max(to);
        }
        lost as u64
    }
}

/// Whether a part of a tokenizer file, or a part of it, has this type.
fn has_type(part: &Value, name: &str) -> bool {
    match part {
        Value::Object(map) => {
            part["type"] == name || map.values().any(|inner| has_type(inner, name))
        }
        Value::Array(list) => list.iter().any(|inner| has_type(inner, name)),
        _ => false,
    }
}

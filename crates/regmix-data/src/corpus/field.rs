//! Fields of JSON objects by their names, with dots into objects.

use serde_json::Value;

/// The value at a path within a value, if there is one. Text on the way that
/// holds a JSON object is read as that object: old dumps store `meta` so.
pub(super) fn descend(mut value: Value, path: &str) -> Option<Value> {
    for name in path.split('.') {
        if let Value::String(text) = &value {
            value = serde_json::from_str(text).ok()?;
        }
        value = value.get_mut(name)?.take();
    }
    Some(value)
}

/// A label: a string, or a whole number such as the number of a cluster.
///
/// # Errors
/// The value in words.
pub(super) fn label(value: Value) -> Result<Option<String>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(n) if n.is_i64() || n.is_u64() => Ok(Some(n.to_string())),
        other => Err(in_words(&other)),
    }
}

/// A kind of JSON value in words.
pub(super) fn in_words(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

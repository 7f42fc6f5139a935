//! JSON lines that other programs write and read although the standard forbids
//! them.

/// A line with the same content in standard JSON, if that is what is wrong
/// with it:
///
/// - half of a surrogate pair (`\ud83d` alone) becomes U+FFFD;
/// - `NaN`, `Infinity` and `-Infinity` become null;
/// - control characters within strings are escaped, all but NUL, which no
///   program writes on purpose.
pub(super) fn standard(line: &str) -> Option<String> {
    let mut out = String::with_capacity(line.len() + 16);
    let mut rest = line;
    let mut in_string = false;
    let mut changed = false;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '"' => {
                in_string = !in_string;
                out.push(c);
            }
            '\\' if in_string => match surrogates(rest) {
                Some((length, whole)) => {
                    taken = length;
                    changed |= !whole;
                    out.push_str(if whole { &rest[..length] } else { "\\ufffd" });
                }
                None => {
                    taken = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                    out.push_str(&rest[..taken]);
                }
            },
            '\u{1}'..='\u{1f}' if in_string => {
                out.push_str(&format!("\\u{:04x}", c as u32));
                changed = true;
            }
            _ if !in_string => match not_a_number(rest) {
                Some(length) => {
                    taken = length;
                    out.push_str("null");
                    changed = true;
                }
                None => out.push(c),
            },
            _ => out.push(c),
        }
        rest = &rest[taken..];
    }
    changed.then_some(out)
}

/// The length of an escaped surrogate at the front, and whether it is a pair.
fn surrogates(text: &str) -> Option<(usize, bool)> {
    let unit = |at: usize| {
        let escape = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(escape, 16).ok()
    };
    match unit(0)? {
        0xd800..=0xdbff => match unit(6) {
            Some(0xdc00..=0xdfff) => Some((12, true)),
            _ => Some((6, false)),
        },
        0xdc00..=0xdfff => Some((6, false)),
        _ => None,
    }
}

fn not_a_number(text: &str) -> Option<usize> {
    let word = ["NaN", "-NaN", "Infinity", "-Infinity"]
        .into_iter()
        .find(|word| text.starts_with(word))?;
    let next = text[word.len()..].chars().next();
    next.is_none_or(|c| !c.is_alphanumeric())
        .then_some(word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_programs_write_becomes_standard_json() {
        for (line, expected) in [
            (r#"{"t":"a\ud83db"}"#, r#"{"t":"a\ufffdb"}"#),
            (
                r#"{"t":"\ude00\ud83d\ude00"}"#,
                r#"{"t":"\ufffd\ud83d\ude00"}"#,
            ),
            (r#"{"x":NaN,"t":"NaN"}"#, r#"{"x":null,"t":"NaN"}"#),
            (r#"[-Infinity, Infinity]"#, r#"[null, null]"#),
            ("{\"t\":\"a\tb\"}", r#"{"t":"a\u0009b"}"#),
            (r#"{"t":"\\ud83d","x":NaN}"#, r#"{"t":"\\ud83d","x":null}"#),
        ] {
            assert_eq!(standard(line).as_deref(), Some(expected));
        }
        for line in [
            r#"{"t":"\ud83d\ude00 é \" NaN"}"#,
            r#"{"t": NaNo}"#,
            "\\",
            "\"\\u12",
            "{\"t\":\"a\0\"}",
        ] {
            assert_eq!(standard(line), None, "{line}");
        }
    }
}

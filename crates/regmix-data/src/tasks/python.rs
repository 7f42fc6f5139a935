//! Literals of Python, which some data sets have in their texts: lists, dictionaries,
//! strings, whole numbers.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Value};

/// Depth of nesting that is followed.
const DEEPEST: usize = 32;

/// The value of a literal; `None` where it is none.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut chars = text.chars().peekable();
    let value = value(&mut chars, 0)?;
    blanks(&mut chars);
    chars.peek().is_none().then_some(value)
}

type Input<'a> = Peekable<Chars<'a>>;

fn value(chars: &mut Input<'_>, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    blanks(chars);
    match *chars.peek()? {
        '[' => list(chars, ']', |chars| value(chars, depth + 1)).map(Value::Array),
        '{' => {
            let pairs = list(chars, '}', |chars| {
                let key = value(chars, depth + 1)?;
                blanks(chars);
                chars.next_if_eq(&':')?;
                Some((key.as_str()?.to_owned(), value(chars, depth + 1)?))
            })?;
            Some(Value::Object(pairs.into_iter().collect::<Map<_, _>>()))
        }
        '\'' | '"' => string(chars).map(Value::String),
        _ => {
            let mut digits = String::new();
            while let Some(c) = chars.next_if(|c| c.is_ascii_digit() || *c == '-') {
                digits.push(c);
            }
            digits.parse::<i64>().ok().map(Value::from)
        }
    }
}

/// What stands between an opening bracket and the closing one, by commas.
fn list<T>(
    chars: &mut Input<'_>,
    close: char,
    mut item: impl FnMut(&mut Input<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    chars.next()?;
    let mut items = Vec::new();
    loop {
        blanks(chars);
        if chars.next_if_eq(&close).is_some() {
            return Some(items);
        }
        items.push(item(chars)?);
        blanks(chars);
        if chars.next_if_eq(&',').is_none() {
            return chars.next_if_eq(&close).map(|_| items);
        }
    }
}

fn string(chars: &mut Input<'_>) -> Option<String> {
    let quote = chars.next()?;
    let mut text = String::new();
    loop {
        match chars.next()? {
            c if c == quote => return Some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'x' => text.push(code(chars, 2)?),
                'u' => text.push(code(chars, 4)?),
                'U' => text.push(code(chars, 8)?),
                c @ ('\\' | '\'' | '"') => text.push(c),
                // Python keeps the backslash of what is no escape.
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

fn code(chars: &mut Input<'_>, digits: usize) -> Option<char> {
    let mut number = 0;
    for _ in 0..digits {
        number = number * 16 + chars.next()?.to_digit(16)?;
    }
    char::from_u32(number)
}

fn blanks(chars: &mut Input<'_>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_are_read_as_python_reads_them() {
        let text = r#" [{'question': "it's", 'options': ['a\n', 'b\\', "\x41\u00e9", 'c\d'], 'n': -3}, ] "#;
        let expected =
            json!([{"question": "it's", "options": ["a\n", "b\\", "Aé", "c\\d"], "n": -3}]);
        assert_eq!(parse(text), Some(expected));
        for wrong in [
            "",
            "[",
            "['a'",
            "{'a' 1}",
            "[1] 2",
            "{1: 2}",
            "'a",
            "'\\x4'",
            "['a' 'b']",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), None);
    }
}

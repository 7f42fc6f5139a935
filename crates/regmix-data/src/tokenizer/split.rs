//! The word boundaries of byte-level BPE, without a regular expression.

use std::sync::LazyLock;

/// The characters that stand for bytes in a byte-level vocabulary: printable
/// Latin-1 characters for themselves, the others from U+0100 on.
pub(super) static BYTE_CHARS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100u32;
    std::array::from_fn(|b| {
        let b = b as u8;
        if matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
            return b as char;
        }
        let c = char::from_u32(next).unwrap_or(char::REPLACEMENT_CHARACTER);
        next += 1;
        c
    })
});

/// The class of a character.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

static ASCII: [Class; 128] = {
    let mut table = [Class::Other; 128];
    let mut b = 0u8;
    while b < 128 {
        if b.is_ascii_alphabetic() {
            table[b as usize] = Class::Letter;
        } else if b.is_ascii_digit() {
            table[b as usize] = Class::Number;
        } else if matches!(b, b'\t'..=b'\r' | b' ') {
            table[b as usize] = Class::Space;
        }
        b += 1;
    }
    table
};

/// One bit per code point: general category Letter. Taken from the tables that
/// the regular expressions of the tokenizer library use, so that both have the
/// same version of Unicode.
static LETTERS: LazyLock<Vec<u64>> = LazyLock::new(|| bits(r"\p{L}"));
static NUMBERS: LazyLock<Vec<u64>> = LazyLock::new(|| bits(r"\p{N}"));

fn bits(pattern: &str) -> Vec<u64> {
    use regex_syntax::hir::{Class, HirKind};
    let mut table = vec![0u64; 0x11_0000 / 64];
    let hir = regex_syntax::parse(pattern).map(regex_syntax::hir::Hir::into_kind);
    if let Ok(HirKind::Class(Class::Unicode(class))) = hir {
        for range in class.iter() {
            for c in range.start()..=range.end() {
                table[c as usize / 64] |= 1 << (c as usize % 64);
            }
        }
    }
    table
}

/// Cuts a text into words, as
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
/// does.
pub(super) struct Words<'a> {
    rest: &'a str,
    letters: &'static [u64],
    numbers: &'static [u64],
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            letters: &LETTERS,
            numbers: &NUMBERS,
        }
    }

    /// The class and length of the character at a byte of `rest`.
    fn class(&self, at: usize) -> Option<(Class, usize)> {
        let &byte = self.rest.as_bytes().get(at)?;
        if byte < 128 {
            return Some((ASCII[byte as usize], 1));
        }
        let c = self.rest[at..].chars().next()?;
        let has = |table: &[u64]| table[c as usize / 64] >> (c as usize % 64) & 1 == 1;
        let class = if has(self.letters) {
            Class::Letter
        } else if has(self.numbers) {
            Class::Number
        } else if c.is_whitespace() {
            Class::Space
        } else {
            Class::Other
        };
        Some((class, c.len_utf8()))
    }

    /// Where the characters of one class from `at` on end, and the length of the
    /// last of them.
    fn run(&self, class: Class, mut at: usize) -> (usize, usize) {
        let mut last = 0;
        while let Some((c, len)) = self.class(at) {
            if c != class {
                break;
            }
            at += len;
            last = len;
        }
        (at, last)
    }

    fn word_len(&self) -> Option<usize> {
        let (class, len) = self.class(0)?;
        match self.rest.as_bytes() {
            [b'\'', b's' | b't' | b'm' | b'd', ..] => return Some(2),
            [b'\'', b'r' | b'v', b'e', ..] | [b'\'', b'l', b'l', ..] => return Some(3),
            _ => {}
        }
        if class != Class::Space {
            return Some(self.run(class, len).0);
        }
        // One blank belongs to the word after it.
        if self.rest.as_bytes()[0] == b' '
            && let Some((next, next_len)) = self.class(1)
            && next != Class::Space
        {
            return Some(self.run(next, 1 + next_len).0);
        }
        // White space before a word leaves its last character to the word.
        let (end, last) = self.run(class, 0);
        Some(if end == self.rest.len() || end == last {
            end
        } else {
            end - last
        })
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let len = self.word_len()?;
        let (word, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(word)
    }
}

/// Appends the characters that stand for the bytes of a word.
pub(super) fn push_byte_chars(word: &str, out: &mut String) {
    out.extend(word.bytes().map(|b| BYTE_CHARS[b as usize]));
}

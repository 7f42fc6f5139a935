//! What is no number and no text here, but looks as if it should be: numbers of other
//! countries, files of other encodings.

use std::path::Path;

use crate::error::Error;

/// A field that a person reads as a number and a program does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// `3,25` or `1,234.5`.
    Comma,
    /// `12.5%`.
    Percent,
}

impl Foreign {
    /// What is foreign in a field, if it is a number elsewhere.
    pub(crate) fn of(field: &str) -> Option<Self> {
        let percent = field.ends_with('%');
        let digits = field.trim_end_matches('%').trim_end();
        let digits = digits.strip_prefix(['-', '+']).unwrap_or(digits);
        let number = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.ends_with(|c: char| c.is_ascii_digit())
            && (digits.chars()).all(|c| c.is_ascii_digit() || c == ',' || c == '.');
        match (number, percent) {
            (false, _) => None,
            (true, true) => Some(Self::Percent),
            (true, false) => digits.contains(',').then_some(Self::Comma),
        }
    }

    /// What to do about it.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Comma => {
                "write numbers with a decimal point and without separators of thousands: 3.25, \
                 1234.5"
            }
            Self::Percent => "write shares as fractions: 0.125 instead of 12.5%",
        }
    }
}

/// The error for bytes that are no text in UTF-8, where it shows what they are.
pub(crate) fn refused(bytes: &[u8], path: &Path) -> Option<Error> {
    let starts = |with: &[u8]| bytes.starts_with(with);
    let utf16 = starts(b"\xff\xfe")
        || starts(b"\xfe\xff")
        || matches!(bytes, [0, x, 0, y, ..] | [x, 0, y, 0, ..] if *x != 0 && *y != 0);
    let (found, help) = match bytes {
        _ if starts(b"PAR1") => (
            "parquet: expected a table in CSV",
            "write it as CSV, for example with `to_csv(\"table.csv\", index=False)`",
        ),
        _ if utf16 => (
            "text in UTF-16: expected UTF-8",
            "save the file as UTF-8, or convert it with `iconv -f UTF-16 -t UTF-8`",
        ),
        _ if starts(b"\x1f\x8b") => (
            "compressed by gzip: expected plain text",
            "decompress it with `gunzip --keep`",
        ),
        _ if starts(b"\x28\xb5\x2f\xfd") => (
            "compressed by zstd: expected plain text",
            "decompress it with `zstd --decompress`",
        ),
        _ if starts(b"PK\x03\x04") => (
            "a .zip or .xlsx file: expected plain text",
            "unpack it, or save the sheet as CSV",
        ),
        _ => return None,
    };
    Some(Error::input(found).in_file(path).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_other_countries_are_known() {
        let comma = ["3,25", "-0,5", "1.234,5", "1,234", "1,234.5"];
        assert!(comma.iter().all(|f| Foreign::of(f) == Some(Foreign::Comma)));
        let percent = ["50%", "12.5 %", "12,5%"];
        assert!((percent.iter()).all(|f| Foreign::of(f) == Some(Foreign::Percent)));
        let none = [
            "3.25",
            "",
            "%",
            "a,b",
            "[1,2]",
            "1,",
            "2026-01-01",
            "1e5",
            "x%",
        ];
        assert!(none.iter().all(|f| Foreign::of(f).is_none()));
    }

    #[test]
    fn files_of_other_kinds_are_named() {
        let of = |bytes: &[u8]| refused(bytes, Path::new("t.csv")).map(|e| e.to_string());
        let utf16 = Some("t.csv: text in UTF-16: expected UTF-8".to_owned());
        assert_eq!(of(b"\xff\xfer\0u\0"), utf16);
        assert_eq!(of(b"\0r\0u\0n"), utf16);
        assert_eq!(of(b"r\0u\0n\0"), utf16);
        assert_eq!(
            of(b"\x1f\x8b\x08").as_deref(),
            Some("t.csv: compressed by gzip: expected plain text")
        );
        assert_eq!(of("run,\u{e9}\n".as_bytes()), None);
    }
}

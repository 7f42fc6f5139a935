//! TFRecord: each message with its length, and a checksum for both.

use prost::Message;

use crate::error::{Error, Result};

/// Bytes before a message: its length, and the checksum of that.
const HEAD: usize = 12;
/// Bytes after it: its checksum.
const TAIL: usize = 4;

/// A message as a record: its length in 8 bytes, the checksum of these, the
/// message, and its checksum; all little endian.
pub fn framed(message: &impl Message) -> Vec<u8> {
    let data = message.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    let parts = [&length[..], &masked(&length), &data, &masked(&data)];
    parts.concat()
}

/// CRC32C, masked as the format has it: the checksum of bytes that hold their own
/// checksum would say little.
fn masked(bytes: &[u8]) -> [u8; 4] {
    let crc = crc32c::crc32c(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The records of a file, each with its place. Nothing is allocated for what a
/// length claims.
pub fn records(bytes: &[u8]) -> Records<'_> {
    Records { bytes, at: 0 }
}

/// See [`records`].
#[derive(Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Records<'_> {
    /// Bytes at the end that are no whole record: those of a file that was being
    /// written.
    pub fn unfinished(&self) -> Option<usize> {
        let rest = self.bytes.len() - self.at;
        (rest > 0).then_some(rest)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(usize, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let (at, rest) = (self.at, &self.bytes[self.at..]);
        let (head, rest) = rest.split_at_checked(HEAD)?;
        let (length, check) = head.split_at(8);
        let damaged = |what: &str| {
            let problem = format!(
                "the record at byte {at} is damaged: the checksum of its {what} does not match"
            );
            Some(Err(
                Error::input(problem).help("copy the file again, or leave it out")
            ))
        };
        if masked(length) != check {
            return damaged("length");
        }
        let length: [u8; 8] = length.try_into().ok()?;
        // Longer than the file: it was being written.
        let length = usize::try_from(u64::from_le_bytes(length)).ok()?;
        let (data, rest) = rest.split_at_checked(length)?;
        let (check, _) = rest.split_at_checked(TAIL)?;
        if masked(data) != check {
            return damaged("contents");
        }
        self.at = at + HEAD + length + TAIL;
        Some(Ok((at, data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_format() {
        // From RFC 3720, B.4: 32 bytes of zeros have the CRC32C 8a9136aa.
        let crc: u32 = 0x8a91_36aa;
        let expected = crc.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked(&[0; 32]), expected.to_le_bytes());
    }

    #[test]
    fn damage_is_noticed_and_an_unfinished_end_is_left() {
        let message = |text: &str| framed(&text.to_owned());
        let whole = [message("one"), message("two")].concat();
        assert_eq!(records(&whole).count(), 2);
        for length in 0..whole.len() {
            let mut cut = records(&whole[..length]);
            let read = cut.by_ref().filter(|r| r.is_ok()).count();
            assert_eq!(read, usize::from(length >= whole.len() / 2));
            assert_eq!(
                cut.unfinished().unwrap_or(0),
                length - read * whole.len() / 2
            );
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            let error = records(&bytes).find_map(Result::err).unwrap().to_string();
            assert!(error.contains("is damaged: the checksum of its"), "{error}");
        }
    }
}

//! TFRecord: each message with its length, and a checksum for both.

use prost::Message;

/// A message as a record: its length in 8 bytes, the checksum of these, the
/// message, and its checksum; all little endian.
pub(super) fn framed(message: &impl Message) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn checksums_are_those_of_the_format() {
        // From RFC 3720, B.4: 32 bytes of zeros have the CRC32C 8a9136aa.
        let crc: u32 = 0x8a91_36aa;
        let expected = crc.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked(&[0; 32]), expected.to_le_bytes());
    }
}

//! The contents of files of logs, within limits.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::table::records::{text, unreadable};

/// The largest file that is read. Histories of long runs have some megabytes.
const LARGEST: u64 = 2 << 30;

/// Opens a file, decompressed where it is gzip.
pub(super) fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    let mut file = BufReader::new(File::open(path)?);
    Ok(match file.fill_buf()?.starts_with(b"\x1f\x8b") {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    })
}

/// The bytes of a file, decompressed where it is gzip.
///
/// # Errors
/// When the file cannot be read, is damaged, or is larger than a log can be.
pub(super) fn contents(path: &Path) -> Result<Vec<u8>> {
    within(path, LARGEST)
}

fn within(path: &Path, largest: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let input = open(path).map_err(|e| unreadable(path, e))?;
    (input.take(largest + 1).read_to_end(&mut bytes)).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Error::input("the gzip data ends too early: expected a whole file")
                .in_file(path)
                .help("copy the file again")
        }
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => {
            Error::input(format!("the gzip data is damaged ({e})"))
                .in_file(path)
                .help("copy the file again")
        }
        _ => unreadable(path, e),
    })?;
    if bytes.len() as u64 > largest {
        return Err(Error::input(format!(
            "more than {largest} bytes: expected at most that many; is this a log?"
        ))
        .in_file(path));
    }
    Ok(bytes)
}

/// The text of a file. A letter that is cut in the middle at the end, as in a log that is
/// being written, is left out.
///
/// # Errors
/// When the bytes are no text in UTF-8.
pub(super) fn text_of(mut bytes: Vec<u8>, path: &Path) -> Result<String> {
    if let Err(e) = std::str::from_utf8(&bytes)
        && e.error_len().is_none()
    {
        bytes.truncate(e.valid_up_to());
    }
    text(bytes, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_that_unpacks_to_more_than_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl.gz");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b' '; 100_000]).unwrap();
        std::fs::write(&path, gzip.finish().unwrap()).unwrap();
        assert_eq!(within(&path, 100_000).unwrap().len(), 100_000);
        let problem = within(&path, 99_999).unwrap_err();
        assert_eq!(
            problem.problem(),
            "more than 99999 bytes: expected at most that many; is this a log?"
        );
    }
}

//! Shards that are not what their header says.

use crate::fixture::{Fixture, Output};

const SHARD: &str = "corpus/train/web-00000.tok";
const VERSION_AT: usize = 8;
const HEADER_LENGTH_AT: usize = 12;
const TOKENS_AT: usize = 1024;

/// Drawing a design from a corpus with a changed shard, which must fail.
#[track_caller]
fn refused(change: impl FnOnce(&mut Vec<u8>)) -> Output {
    let fixture = Fixture::study_after("tokenize");
    let mut bytes = fixture.read(SHARD);
    change(&mut bytes);
    fixture.write(SHARD, &bytes);
    let output = fixture.refused(&["design"]);
    output.says(SHARD).says("help:");
    output
}

/// Changes a number of the JSON header; what does not fit is cut from the
/// blanks at the header's end.
fn claim(bytes: &mut [u8], field: &str, value: &str) {
    let header = String::from_utf8(bytes[16..TOKENS_AT].to_vec()).unwrap();
    let key = format!("\"{field}\":");
    let start = header.find(&key).unwrap() + key.len();
    let end = start + header[start..].find(',').unwrap();
    let mut changed = format!("{}{value}{}", &header[..start], &header[end..]);
    changed.truncate(TOKENS_AT - 16);
    let changed = format!("{changed:<width$}", width = TOKENS_AT - 16);
    bytes[16..TOKENS_AT].copy_from_slice(changed.as_bytes());
}

#[test]
fn another_kind_of_file_is_refused() {
    refused(|bytes| bytes[..8].copy_from_slice(b"PARQUET1")).says("not a token shard");
}

#[test]
fn a_newer_version_is_refused() {
    refused(|bytes| bytes[VERSION_AT] = 9)
        .says("made by a newer regmix: shard format 9, this one reads up to 1")
        .says("help: update regmix");
}

#[test]
fn a_header_that_claims_gigabytes_is_refused() {
    refused(|bytes| bytes[HEADER_LENGTH_AT..HEADER_LENGTH_AT + 4].fill(0xff))
        .says("the header claims 4294967295 bytes, expected at most 65536");
}

#[test]
fn a_count_of_tokens_beyond_the_file_is_refused() {
    // A reader that made room for them would ask for more than there is.
    for tokens in [
        "1000000000000",
        "9000000000000000000",
        "18446744073709551615",
    ] {
        refused(|bytes| claim(bytes, "tokens", tokens))
            .says(&format!("the header claims {tokens} tokens"));
    }
}

#[test]
fn a_count_of_documents_beyond_the_file_is_refused() {
    refused(|bytes| claim(bytes, "documents", "2305843009213693953"))
        .says("2305843009213693953 documents");
}

#[test]
fn a_shard_that_was_cut_short_is_refused() {
    refused(|bytes| bytes.truncate(bytes.len() - 5)).says("but the file has");
    refused(|bytes| bytes.truncate(10)).says("not a token shard");
    refused(Vec::clear).says(SHARD);
}

#[test]
fn a_shard_of_another_corpus_is_refused() {
    let fixture = Fixture::study_after("tokenize");
    let other = fixture.read("corpus/train/law-00000.tok");
    fixture.write(SHARD, other);
    fixture.refused(&["design"]).says(SHARD);
}

#[test]
fn a_missing_shard_is_refused() {
    let fixture = Fixture::study_after("tokenize");
    std::fs::remove_file(fixture.path(SHARD)).unwrap();
    fixture.refused(&["design"]).says(SHARD).says("help:");
}

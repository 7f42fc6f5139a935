//! Shards that are not what their header says.

use crate::fixture::{Fixture, Output, assert_output, transcript};

const SHARD: &str = "corpus/train/web-00000.tok";
const VERSION_AT: usize = 8;
const HEADER_LENGTH_AT: usize = 12;
const TOKENS_AT: usize = 1024;

/// Draws a design from a corpus with a changed shard, which must fail.
#[track_caller]
fn refused(change: impl FnOnce(&mut Vec<u8>)) -> Output {
    let fixture = Fixture::study_after("tokenize");
    let mut bytes = fixture.read(SHARD);
    change(&mut bytes);
    fixture.write(SHARD, &bytes);
    fixture.refused(&["design"])
}

/// Changes a number of the JSON header; the blanks at the header's end become
/// fewer or more.
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
    assert_output!(refused(|bytes| bytes[..8].copy_from_slice(b"PARQUET1")), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: not a token shard: expected it to start with `RGMXTOK`
      help: make it again with `regmix tokenize --redo`
    "#);
}

#[test]
fn a_newer_version_is_refused() {
    assert_output!(refused(|bytes| bytes[VERSION_AT] = 9), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: made by a newer regmix: shard format 9, this one reads up to 1
      help: make it again with `regmix tokenize --redo`
    "#);
}

#[test]
fn a_header_that_claims_gigabytes_is_refused() {
    let output = refused(|bytes| bytes[HEADER_LENGTH_AT..HEADER_LENGTH_AT + 4].fill(0xff));
    assert_output!(output, @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: the header claims 4294967295 bytes, expected at most 65536
      help: make it again with `regmix tokenize --redo`
    "#);
}

#[test]
fn a_count_of_tokens_beyond_the_file_is_refused() {
    // A reader that made room for them would ask for more than there is.
    let counts = [
        "1000000000000",
        "9000000000000000000",
        "18446744073709551615",
    ];
    let outputs = counts.map(|tokens| refused(|bytes| claim(bytes, "tokens", tokens)));
    assert_output!(transcript(outputs), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: the header claims 1000000000000 tokens and 50 documents, which
      │ is 2000000001424 bytes, but the file has 7910
      help: make it again with `regmix tokenize --redo`

    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: the header claims 9000000000000000000 tokens and 50 documents,
      │ which is 18000000000000001424 bytes, but the file has 7910
      help: make it again with `regmix tokenize --redo`

    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: the header claims 18446744073709551615 tokens and 50 documents,
      │ which is more than any file's bytes, but the file has 7910
      help: make it again with `regmix tokenize --redo`
    "#);
}

#[test]
fn a_count_of_documents_beyond_the_file_is_refused() {
    let output = refused(|bytes| claim(bytes, "documents", "2305843009213693953"));
    assert_output!(output, @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: the header claims 3243 tokens and 2305843009213693953 documents,
      │ which is more than any file's bytes, but the file has 7910
      help: make it again with `regmix tokenize --redo`
    "#);
}

#[test]
fn a_shard_that_was_cut_short_is_refused() {
    let outputs = [
        refused(|bytes| bytes.truncate(bytes.len() - 5)),
        refused(|bytes| bytes.truncate(10)),
        refused(Vec::clear),
    ];
    assert_output!(transcript(outputs), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: the header claims 3243 tokens and 50 documents, which is 7910
      │ bytes, but the file has 7905
      help: make it again with `regmix tokenize --redo`

    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: not a token shard: expected it to start with `RGMXTOK`
      help: make it again with `regmix tokenize --redo`

    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: not a token shard: expected it to start with `RGMXTOK`
      help: make it again with `regmix tokenize --redo`
    "#);
}

#[test]
fn a_shard_of_another_corpus_is_refused() {
    let fixture = Fixture::study_after("tokenize");
    let other = fixture.read("corpus/train/law-00000.tok");
    fixture.write(SHARD, other);
    assert_output!(fixture.refused(&["design"]), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: not the shard that the manifest lists for train of `web`
      help: make it again with `regmix tokenize --redo`
    "#);
}

#[test]
fn a_missing_shard_is_refused() {
    let fixture = Fixture::study_after("tokenize");
    std::fs::remove_file(fixture.path(SHARD)).unwrap();
    assert_output!(fixture.refused(&["design"]), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/train/web-00000.tok: No such file or directory (os error 2)
      help: check the path
    "#);
}

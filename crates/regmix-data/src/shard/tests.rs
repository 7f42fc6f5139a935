use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::format::{FIXED, MAGIC, TOKENS_AT};
use super::*;
use crate::domain::Domain;
use crate::error::Error;

fn label(vocab_size: u32) -> ShardLabel {
    ShardLabel {
        domain: Domain::new("web").unwrap(),
        split: Split::Train,
        vocab_size,
        tokenizer: "abc".to_owned(),
    }
}

fn write(dir: &Path, vocab_size: u32, documents: &[Vec<u32>]) -> PathBuf {
    let path = dir.join("web-00000.tok");
    let mut writer = ShardWriter::create(&path, label(vocab_size)).unwrap();
    for d in documents {
        writer.push_document(d, 3 * d.len() as u64).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// A shard file put together by hand.
fn raw(header: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(1u32.to_le_bytes());
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(payload);
    bytes
}

fn header(dtype: &str, vocab: u64, tokens: u64, documents: u64) -> String {
    format!(
        r#"{{"domain":"web","split":"train","dtype":"{dtype}","vocab_size":{vocab},"tokenizer":"t","tokens":{tokens},"documents":{documents},"bytes":1,"payload_blake3":"x"}}"#
    )
}

fn refused(bytes: &[u8]) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile.tok");
    std::fs::write(&path, bytes).unwrap();
    let err = Shard::open(&path).unwrap_err();
    assert_eq!(err.path(), Some(path.as_path()));
    assert!(err.help_text().is_some(), "{err}");
    err
}

#[test]
fn files_that_are_not_shards_are_refused() {
    for bytes in [&b""[..], b"RGMX", b"PAR1 and so on and so on", &[0; 4096]] {
        assert!(refused(bytes).problem().contains("not a token shard"));
    }
}

#[test]
fn newer_and_impossible_versions_are_refused() {
    let mut bytes = raw(&header("u16", 300, 0, 0), &[]);
    bytes[8] = 2;
    assert!(refused(&bytes).problem().contains("made by a newer regmix"));
    bytes[8] = 0;
    assert!(refused(&bytes).problem().contains("format 0"));
}

#[test]
fn header_lengths_are_checked_before_use() {
    let mut bytes = raw(&header("u16", 300, 0, 0), &[]);
    bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refused(&bytes).problem().contains("at most 65536"));
    bytes[12..16].copy_from_slice(&60_000u32.to_le_bytes());
    assert!(refused(&bytes).problem().contains("the file ends after"));
}

#[test]
fn headers_with_wrong_counts_are_refused() {
    // Counts whose product with the width overflows, or wraps to the right size.
    for (tokens, documents) in [
        (u64::MAX, 0),
        (1 << 63, 0),
        (0, u64::MAX),
        (0, 1 << 61),
        ((1 << 63) + 2, 1),
        (3, 1),
        (1, 1),
        (2, 0),
    ] {
        let bytes = raw(&header("u16", 300, tokens, documents), &[0; 12]);
        let err = refused(&bytes);
        assert!(
            err.problem().contains("the header claims"),
            "{tokens}, {documents}: {err}"
        );
    }
    for (dtype, vocab) in [("u16", 65_537), ("u32", 65_536), ("u16", 0)] {
        let err = refused(&raw(&header(dtype, vocab, 2, 1), &[0; 12]));
        assert_eq!(err.field_name(), Some("dtype"));
    }
    for json in ["", "{", "[]", "null", r#"{"domain":"../x"}"#, "\u{0}"] {
        assert!(
            refused(&raw(json, &[]))
                .problem()
                .contains("the header is not valid")
        );
    }
    let extra = header("u16", 300, 0, 0).replace("\"bytes\"", "\"more\":1,\"bytes\"");
    assert!(
        refused(&raw(&extra, &[]))
            .problem()
            .contains("unknown field")
    );
}

#[test]
fn document_ends_must_reach_the_last_token() {
    let mut payload = vec![0; 4];
    payload.extend(1u64.to_le_bytes());
    let err = refused(&raw(&header("u16", 300, 2, 1), &payload));
    assert!(
        err.problem()
            .contains("the last document ends at token 1, expected 2")
    );
}

#[test]
fn truncated_and_extended_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), 300, &[vec![1, 2, 3], vec![4]]);
    let good = std::fs::read(&path).unwrap();
    for len in [
        good.len() - 1,
        good.len() - 8,
        TOKENS_AT,
        TOKENS_AT - 1,
        FIXED,
        FIXED - 1,
    ] {
        refused(&good[..len]);
    }
    let mut long = good.clone();
    long.push(0);
    refused(&long);
}

#[test]
fn damage_is_found_when_read_and_when_verified() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), 300, &[vec![1, 2, 3], vec![4]]);
    let good = std::fs::read(&path).unwrap();
    Shard::open(&path).unwrap().verify().unwrap();

    // A token outside the vocabulary never reaches a model.
    let mut bad = good.clone();
    bad[TOKENS_AT + 2..TOKENS_AT + 4].copy_from_slice(&300u16.to_le_bytes());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &bad).unwrap();
    let shard = Shard::open(&path).unwrap();
    let err = shard.tokens(0..4).unwrap_err();
    assert!(err.problem().contains("token 300 at position 1"), "{err}");
    let err = shard.verify().unwrap_err();
    assert!(err.problem().contains("token 300 at position 1"), "{err}");
    assert_eq!(shard.tokens(2..4).unwrap(), [3, 4]);

    // A changed token within it is found by the hash.
    bad[TOKENS_AT + 2..TOKENS_AT + 4].copy_from_slice(&299u16.to_le_bytes());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &bad).unwrap();
    let err = Shard::open(&path).unwrap().verify().unwrap_err();
    assert!(err.problem().contains("the tokens hash to"), "{err}");

    // Document ends that go backwards.
    let mut bad = good;
    let ends = bad.len() - 16;
    bad[ends..ends + 8].copy_from_slice(&5u64.to_le_bytes());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &bad).unwrap();
    let err = Shard::open(&path).unwrap().verify().unwrap_err();
    assert!(
        err.problem().contains("document 1 ends at token 5"),
        "{err}"
    );
}

#[test]
fn tokens_are_read_at_odd_offsets() {
    // A header of odd length: nothing after it is aligned.
    let mut json = header("u32", 70_000, 2, 1);
    if json.len().is_multiple_of(2) {
        json.push(' ');
    }
    let mut payload = 65_536u32.to_le_bytes().to_vec();
    payload.extend(69_999u32.to_le_bytes());
    payload.extend(2u64.to_le_bytes());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd.tok");
    std::fs::write(&path, raw(&json, &payload)).unwrap();
    let shard = Shard::open(&path).unwrap();
    assert_eq!(shard.tokens(0..2).unwrap(), [65_536, 69_999]);
    for range in [1..3, 0..u64::MAX] {
        let err = shard.tokens(range).unwrap_err();
        assert!(err.problem().contains("but the shard has 2"), "{err}");
    }
}

#[test]
fn a_writer_refuses_what_a_reader_would() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tok");
    let mut writer = ShardWriter::create(&path, label(300)).unwrap();
    let err = writer.push_document(&[], 0).unwrap_err();
    assert!(err.problem().contains("without tokens"), "{err}");
    let err = writer.push_document(&[300], 1).unwrap_err();
    assert!(err.problem().contains("has 300 entries"), "{err}");
    writer.push_document(&[299], 1).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let err = ShardWriter::create(&path, label(0)).unwrap_err();
    assert!(err.problem().contains("a vocabulary of 0 entries"), "{err}");
    let long = ShardLabel {
        tokenizer: "t".repeat(2000),
        ..label(300)
    };
    let writer = ShardWriter::create(&path, long).unwrap();
    assert!(writer.finish().unwrap_err().problem().contains("header"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn written_shards_are_read_back(
        wide: bool,
        documents in prop::collection::vec(prop::collection::vec(0u32..100_000, 1..50), 0..20),
    ) {
        let vocab = if wide { 100_000 } else { 65_536 };
        let documents: Vec<Vec<u32>> = documents
            .into_iter()
            .map(|d| d.into_iter().map(|t| t % vocab).collect())
            .collect();
        let dir = tempfile::tempdir().unwrap();
        let shard = Shard::open(write(dir.path(), vocab, &documents)).unwrap();
        shard.verify().unwrap();
        let all: Vec<u32> = documents.concat();
        prop_assert_eq!(shard.header().tokens, all.len() as u64);
        prop_assert_eq!(shard.header().bytes, 3 * all.len() as u64);
        prop_assert_eq!(shard.tokens(0..all.len() as u64).unwrap(), &all[..]);
        let ends: Vec<u64> = documents
            .iter()
            .scan(0, |sum, d| { *sum += d.len() as u64; Some(*sum) })
            .collect();
        prop_assert_eq!(shard.document_ends().collect::<Vec<_>>(), ends);
        let middle = all.len() / 3;
        prop_assert_eq!(shard.tokens(middle as u64..all.len() as u64).unwrap(), &all[middle..]);
    }

    #[test]
    fn no_single_byte_makes_a_reader_panic(at in 0usize..1100, value: u8) {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), 300, &[vec![1, 2, 3], vec![4; 20]]);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at % bytes.len();
        let changed = bytes[at] != value;
        bytes[at] = value;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let digest = blake3::hash(&bytes[..TOKENS_AT]).to_hex().to_string();
        match Shard::open(&path) {
            // In the header a change may be harmless to the reader, but the
            // digest that a manifest keeps shows it.
            Ok(shard) => prop_assert!(
                !changed || at < TOKENS_AT && shard.digest() == digest || shard.verify().is_err()
            ),
            Err(err) => prop_assert!(err.is_input()),
        }
    }
}

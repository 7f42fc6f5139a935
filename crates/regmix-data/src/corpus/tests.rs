use std::io::Write;
use std::path::{Path, PathBuf};

use polars::prelude::{
    Column, DataFrame, IntoSeries, NamedFrom, ParquetWriter, Series, StructChunked,
};

use super::*;
use crate::error::{Error, Result};
use crate::shard::Split;

fn file(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(path: &Path) -> Result<Vec<String>> {
    Documents::open(path, ReadOptions::default())?
        .map(|d| d.map(|d| d.text))
        .collect()
}

fn jsonl(n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|i| format!("{{\"id\":{i},\"text\":\"document {i}\"}}\n").into_bytes())
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

/// The error of reading `bytes` as JSON lines: always names the file.
fn refused(bytes: &[u8]) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.jsonl", bytes);
    let err = read(&path).map(|d| d.len()).unwrap_err();
    assert_eq!(err.path(), Some(path.as_path()));
    assert!(err.help_text().is_some(), "{err}");
    err
}

#[test]
fn compression_is_detected_by_content() {
    let dir = tempfile::tempdir().unwrap();
    let plain = jsonl(1000);
    let expected: Vec<String> = (0..1000).map(|i| format!("document {i}")).collect();
    // Two frames or members in a row are one file.
    let halves =
        |f: fn(&[u8]) -> Vec<u8>| [f(&jsonl(1000)[..500]), f(&jsonl(1000)[500..])].concat();
    for (name, bytes) in [
        ("a.jsonl", plain.clone()),
        ("b.jsonl.zst", halves(zstandard)),
        ("c.jsonl.gz", halves(gzip)),
        ("d.jsonl", zstandard(&plain)),
        ("e.jsonl.zst", gzip(&plain)),
        ("f.jsonl.gz", plain.clone()),
    ] {
        assert_eq!(
            read(&file(dir.path(), name, &bytes)).unwrap(),
            expected,
            "{name}"
        );
    }
    assert_eq!(
        read(&file(dir.path(), "g.jsonl.zst", b"")).unwrap(),
        Vec::<String>::new()
    );
}

#[test]
fn unknown_compression_is_named() {
    let err = refused(b"BZh91AY&SY");
    assert!(
        err.problem().contains("unknown compression: this is bzip2"),
        "{err}"
    );
    assert!(refused(b"\xfd7zXZ\0..").problem().contains("xz"));
}

#[test]
fn errors_of_truncated_files_count_the_documents_before() {
    let plain = jsonl(100_000);
    for (bytes, name) in [(zstandard(&plain), "zstd"), (gzip(&plain), "gzip")] {
        let err = refused(&bytes[..bytes.len() / 2]);
        let expected = format!("the {name} data ends too early; ");
        assert!(err.problem().starts_with(&expected), "{err}");
        let count = err.problem()[expected.len()..].split(' ').next().unwrap();
        let count: usize = count.parse().unwrap();
        assert!((1000..100_000).contains(&count), "{count}");
    }
    // Gzip ends with a checksum; zstd has one only if it was asked for.
    let mut damaged = gzip(&plain);
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let err = refused(&damaged);
    assert!(err.problem().contains("the gzip data is damaged"), "{err}");
    assert!(
        err.problem().contains("100000 documents were read before"),
        "{err}"
    );
}

#[test]
fn broken_lines_are_named() {
    let line = |bad: &[u8]| [&jsonl(2)[..], bad, b"\n"].concat();
    for (bad, expected) in [
        (&b"{\"text\": \"x\""[..], "broken JSON"),
        (b"[1]", "broken JSON"),
        (b"{\"text\": 7}", "the field holds a number"),
        (
            b"{\"text\": [\"x\"]}",
            "the field holds a list, expected a string",
        ),
        (b"{\"text\":\"x\"} {}", "broken JSON: trailing"),
        (b"{\"text\": \"\xff\"}", "not UTF-8"),
        (b"{\"id\": 3}", "no text"),
        (b"[{\"text\": \"x\"}]", "broken JSON"),
        (b"{\"text\":\"x\"}\0\0", "byte 0x00, NUL"),
        (
            b"{\"text\":\"x\"}\xef\xbb\xbf{\"text\":\"y\"}",
            "a byte order mark",
        ),
    ] {
        let err = refused(&line(bad));
        assert!(err.problem().contains(expected), "{err}");
        assert_eq!(err.line_number(), Some(3), "{err}");
    }
    assert_eq!(refused(&line(b"{}")).field_name(), Some("text"));
}

#[test]
fn lines_may_be_blank_and_have_any_line_ending() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = b"\xef\xbb\xbf{\"text\":\"a\"}\r\n\n  \n{\"meta\":{\"text\":\"no\"},\"text\":\"b\\u00e9\\n\"}";
    assert_eq!(
        read(&file(dir.path(), "a.jsonl", bytes)).unwrap(),
        ["a", "bé\n"]
    );
}

#[test]
fn long_lines_and_files_stop_at_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let options = ReadOptions {
        max_document_bytes: 1000,
        ..ReadOptions::default()
    };
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(2000));
    let path = file(
        dir.path(),
        "a.jsonl",
        format!("{{\"text\":\"\"}}\n{long}\n").as_bytes(),
    );
    let mut documents = Documents::open(&path, options.clone()).unwrap();
    assert!(documents.next().unwrap().is_ok());
    let err = documents.next().unwrap().unwrap_err();
    assert_eq!(err.line_number(), Some(2));
    assert!(err.help_text().unwrap().contains("max_document_bytes"));
    assert!(documents.next().is_none());
    file(
        dir.path(),
        "a.jsonl",
        format!("{long}\n{{\"text\":\"next\"}}\n").as_bytes(),
    );
    let mut documents = Documents::open(&path, options.clone()).unwrap();
    assert!(documents.next().unwrap().is_err());
    assert_eq!(documents.next().unwrap().unwrap().text, "next");
    // A small file that would unpack to a large one.
    let bomb = file(dir.path(), "b.txt.zst", &zstandard(&vec![b'x'; 1 << 22]));
    let err = Documents::open(&bomb, options)
        .unwrap()
        .next()
        .unwrap()
        .unwrap_err();
    assert!(err.problem().contains("more than 1000 bytes"), "{err}");
}

#[test]
fn a_text_file_is_one_document() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.txt.gz", &gzip("one\n\ntwo".as_bytes()));
    assert_eq!(read(&path).unwrap(), ["one\n\ntwo"]);
    let path = file(dir.path(), "b.txt", b"one\ntwo\n\xff");
    let err = read(&path).unwrap_err();
    assert_eq!(
        (err.line_number(), err.path()),
        (Some(3), Some(path.as_path()))
    );
}

fn frame(rows: usize, from: usize) -> DataFrame {
    let text: Vec<String> = (from..from + rows).map(|i| format!("row {i}")).collect();
    let label: Vec<&str> = (from..from + rows)
        .map(|i| ["Pile-CC", "Github"][i % 2])
        .collect();
    let numbers: Vec<i64> = (0..rows as i64).collect();
    let label = Series::new("pile_set_name".into(), label);
    let meta = StructChunked::from_series("meta".into(), rows, [label].iter()).unwrap();
    DataFrame::new(
        rows,
        vec![
            Column::from(Series::new("id".into(), numbers)),
            Column::from(Series::new("text".into(), text)),
            Column::from(meta.into_series()),
        ],
    )
    .unwrap()
}

#[test]
fn parquet_is_read_by_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    ParquetWriter::new(std::fs::File::create(&path).unwrap())
        .with_row_group_size(Some(7))
        .finish(&mut frame(40, 0))
        .unwrap();
    let expected: Vec<String> = (0..40).map(|i| format!("row {i}")).collect();
    assert_eq!(read(&path).unwrap(), expected);

    let labelled = ReadOptions {
        label_field: Some("meta.pile_set_name".to_owned()),
        ..ReadOptions::default()
    };
    let documents: Vec<Document> = Documents::open(&path, labelled)
        .unwrap()
        .collect::<Result<_>>()
        .unwrap();
    assert_eq!(documents.len(), 40);
    assert_eq!(documents[9].label.as_deref(), Some("Github"));
    assert_eq!(documents[9].text, "row 9");

    for (field, expected) in [
        ("content", "no column `content`"),
        ("id", "expected strings"),
    ] {
        let options = ReadOptions {
            text_field: field.to_owned(),
            ..ReadOptions::default()
        };
        let err = Documents::open(&path, options)
            .and_then(|mut d| d.next().unwrap())
            .unwrap_err();
        assert!(err.problem().contains(expected), "{err}");
        assert_eq!(
            (err.field_name(), err.path()),
            (Some(field), Some(path.as_path()))
        );
    }
    let bytes = std::fs::read(&path).unwrap();
    for len in [0, 3, 100, bytes.len() - 1] {
        let path = file(dir.path(), "cut.parquet", &bytes[..len]);
        let err = read(&path).unwrap_err();
        assert!(err.problem().contains("not readable as parquet"), "{err}");
    }
}

#[test]
fn a_table_in_parquet_is_the_table_in_csv() {
    use crate::table::RunRows;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let write = |columns: Vec<Column>| {
        let mut frame = DataFrame::new(columns[0].len(), columns).unwrap();
        ParquetWriter::new(std::fs::File::create(&path).unwrap())
            .finish(&mut frame)
            .unwrap();
    };
    let runs = || Column::from(Series::new("run".into(), ["a", "a", "b"]));
    write(vec![
        runs(),
        Column::from(Series::new("step".into(), [1i64, 2, 1])),
        Column::from(Series::new("web".into(), [Some(3.5f32), None, Some(0.25)])),
    ]);
    let table = RunRows::read_parquet(&path).unwrap();
    assert_eq!(table.columns, ["step", "web"]);
    let rows: Vec<(&str, &[f64])> = (table.rows.iter()).map(|r| (&*r.run, &*r.values)).collect();
    assert_eq!(
        (rows[0], rows[2]),
        (("a", &[1.0, 3.5][..]), ("b", &[1.0, 0.25][..]))
    );
    assert!(rows[1].0 == "a" && rows[1].1[0] == 2.0 && rows[1].1[1].is_nan());
    assert_eq!(table.rows[2].line, 3);
    write(vec![
        runs(),
        Column::from(Series::new("step".into(), ["x", "y", "z"])),
    ]);
    let err = RunRows::read_parquet(&path).unwrap_err();
    assert!(err.problem().contains("expected numbers"), "{err}");
    assert_eq!(err.field_name(), Some("step"));
    write(vec![runs()]);
    let err = RunRows::read_parquet(&path).unwrap_err();
    assert!(err.problem().contains("3 rows of 1 columns"), "{err}");
    let err = RunRows::read_parquet(file(dir.path(), "no.parquet", b"run,step")).unwrap_err();
    assert!(err.problem().contains("not readable as parquet"), "{err}");
}

#[test]
fn layouts_are_detected() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str| Source::open(dir.path().join(name), None, ReadOptions::default());
    for name in [
        "regmix/train/the_web-0.jsonl.zst",
        "regmix/train/the_web-12.parquet",
        "regmix/train/a-b-0.txt",
        "regmix/train/README.md",
        "regmix/valid/a-b-0.jsonl",
        "regmix/test.jsonl",
        "pile/train/00.jsonl.zst",
        "pile/train/01.jsonl.zst",
        "pile/val.jsonl.zst",
        "pile/test.jsonl.zst",
        "flat/web.jsonl",
        "folders/web/x/1.jsonl",
        "folders/law/1.txt",
        "nothing/here.doc",
    ] {
        file(dir.path(), name, b"");
    }
    let source = open("regmix").unwrap();
    assert_eq!(source.layout(), &Layout::Files);
    assert_eq!(
        source.domains().unwrap().names().collect::<Vec<_>>(),
        ["a-b", "the_web"]
    );
    assert_eq!(source.files().count(), 4);
    assert_eq!(source.files().next().unwrap().split, Split::Valid);
    assert_eq!(source.not_read().len(), 2, "the README and the test split");

    let source = open("pile").unwrap();
    assert_eq!(source.layout(), &Layout::Labels);
    assert!(source.domains().is_none());
    assert_eq!(
        source.options().label_field.as_deref(),
        Some("meta.pile_set_name")
    );
    let files: Vec<_> = source
        .files()
        .map(|f| f.path.file_name().unwrap())
        .collect();
    assert_eq!(files, ["val.jsonl.zst", "00.jsonl.zst", "01.jsonl.zst"]);

    let source = open("flat").unwrap();
    assert_eq!(
        source.domains().unwrap().names().collect::<Vec<_>>(),
        ["web"]
    );
    let source = open("folders").unwrap();
    assert_eq!(source.layout(), &Layout::Folders);
    assert_eq!(
        source.domains().unwrap().names().collect::<Vec<_>>(),
        ["law", "web"]
    );
    let one = open("flat/web.jsonl").unwrap();
    assert_eq!(one.layout(), &Layout::Labels);

    assert!(open("nothing").unwrap_err().problem().contains("no corpus"));
    assert!(open("missing").unwrap_err().is_io());
}

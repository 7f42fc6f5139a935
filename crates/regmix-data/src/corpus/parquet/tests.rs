use std::path::PathBuf;

use polars::io::parquet::write::ParquetWriter;
use polars::prelude::{
    Categories, Column, DataFrame, DataType, IntoSeries, NamedFrom, Series, StructChunked,
};

use crate::corpus::{Document, Documents, ReadOptions};
use crate::error::Result;

/// A parquet file of these columns.
fn written(columns: Vec<Series>, group: Option<usize>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let rows = columns[0].len();
    let columns = columns.into_iter().map(Column::from).collect();
    let mut frame = DataFrame::new(rows, columns).unwrap();
    ParquetWriter::new(std::fs::File::create(&path).unwrap())
        .with_row_group_size(group)
        .finish(&mut frame)
        .unwrap();
    (dir, path)
}

fn read(columns: Vec<Series>, text: &str, label: Option<&str>) -> Result<Vec<(String, String)>> {
    let (_dir, path) = written(columns, None);
    let options = ReadOptions {
        text_field: text.to_owned(),
        label_field: label.map(str::to_owned),
        ..ReadOptions::default()
    };
    Documents::open(&path, options)?
        .map(|d| d.map(|d: Document| (d.text, d.label.unwrap_or_default())))
        .collect()
}

fn texts() -> Series {
    Series::new("text".into(), ["a", "b", "c"])
}

fn pairs(of: [(&str, &str); 3]) -> Vec<(String, String)> {
    of.map(|(text, label)| (text.to_owned(), label.to_owned()))
        .to_vec()
}

#[test]
fn labels_are_strings_categories_whole_numbers_or_inside_json_text() {
    let expected = pairs([("a", "x"), ("b", "y"), ("c", "x")]);
    let strings = Series::new("l".into(), ["x", "y", "x"]);
    let categories = DataType::from_categories(Categories::global());
    let category = strings.cast(&categories).unwrap();
    for labels in [strings, category] {
        assert_eq!(
            read(vec![texts(), labels], "text", Some("l")).unwrap(),
            expected
        );
    }
    let numbers = Series::new("l".into(), [3i32, 14, 3]);
    let found = read(vec![texts(), numbers], "text", Some("l")).unwrap();
    assert_eq!(found, pairs([("a", "3"), ("b", "14"), ("c", "3")]));
    let json = [
        "{\"set\": \"x\"}",
        "{\"set\": \"y\", \"n\": 1}",
        "{\"set\": \"x\"}",
    ];
    let meta = Series::new("meta".into(), json);
    let found = read(vec![texts(), meta], "text", Some("meta.set")).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn text_is_a_string_bytes_or_a_category_at_any_depth() {
    let expected = pairs([("a", ""), ("b", ""), ("c", "")]);
    let bytes = texts().cast(&DataType::Binary).unwrap();
    let category = texts()
        .cast(&DataType::from_categories(Categories::global()))
        .unwrap();
    for column in [bytes, category] {
        assert_eq!(read(vec![column], "text", None).unwrap(), expected);
    }
    let data = StructChunked::from_series("data".into(), 3, [texts()].iter()).unwrap();
    assert_eq!(
        read(vec![data.into_series()], "data.text", None).unwrap(),
        expected
    );
    // A column of the whole name comes first.
    let whole = texts().with_name("data.text".into());
    assert_eq!(read(vec![whole], "data.text", None).unwrap(), expected);
}

#[test]
fn what_is_no_text_is_named() {
    let one = Series::new("".into(), ["a"]);
    let lists = Series::new("text".into(), [one.clone(), one.clone(), one]);
    let err = read(vec![lists], "text", None).unwrap_err();
    assert_eq!(err.problem(), "the column holds lists, expected strings");
    assert!(err.help_text().is_some());
    let bad: [&[u8]; 3] = [b"a", b"\xff", b"c"];
    let bad = Series::new("text".into(), bad);
    let (_dir, path) = written(vec![bad], None);
    let found: Vec<_> = Documents::open(&path, ReadOptions::default())
        .unwrap()
        .collect();
    let err = found[1].as_ref().unwrap_err();
    assert!(err.problem().starts_with("row 2: not UTF-8"), "{err}");
    assert_eq!(found[2].as_ref().unwrap().text, "c");
    // Missing text is empty text, a missing label an error of its document.
    let missing = Series::new("text".into(), [Some("a"), None, Some("c")]);
    let found = read(vec![missing], "text", None).unwrap();
    assert_eq!(found[1].0, "");
    let labels = Series::new("l".into(), [Some("x"), None, Some("y")]);
    let err = read(vec![texts(), labels], "text", Some("l")).unwrap_err();
    assert!(err.problem().starts_with("row 2: no domain label"), "{err}");
}

#[test]
fn a_file_of_many_row_groups_is_read_in_order_and_soon() {
    let text: Vec<String> = (0..4000).map(|i| format!("row {i}")).collect();
    let filler = (0..8).map(|k| Series::new(format!("f{k}").into(), vec![k; 4000]));
    let columns = std::iter::once(Series::new("text".into(), text.clone())).chain(filler);
    let (_dir, path) = written(columns.collect(), Some(2));
    let begun = std::time::Instant::now();
    let found: Vec<String> = Documents::open(&path, ReadOptions::default())
        .unwrap()
        .map(|d| d.unwrap().text)
        .collect();
    assert_eq!(found, text);
    // One reading of the description per group took a minute.
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[test]
fn a_field_beside_types_that_polars_lacks_is_read() {
    // Written by pyarrow: a struct of strings, dates, times, decimals and small integers.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    std::fs::write(&path, include_bytes!("types.parquet")).unwrap();
    let read = |text: &str, label: &str| -> Result<Vec<(String, String)>> {
        let options = ReadOptions {
            text_field: text.to_owned(),
            label_field: Some(label.to_owned()),
            ..ReadOptions::default()
        };
        Documents::open(&path, options)?
            .map(|d| d.map(|d: Document| (d.text, d.label.unwrap_or_default())))
            .collect()
    };
    let expected = pairs([("a", "x"), ("b", "y"), ("c", "x")]);
    assert_eq!(read("text", "meta.set").unwrap(), expected);
    let numbers = |label| {
        let read = read("text", label).unwrap();
        read.into_iter().map(|(_, l)| l).collect::<Vec<_>>()
    };
    assert_eq!(numbers("l8"), ["3", "14", "-3"]);
    assert_eq!(numbers("l16"), ["3", "60000", "3"]);
    assert_eq!(numbers("meta.year"), ["3", "4", "5"]);
    for (label, found) in [
        ("day", "dates"),
        ("meta.day", "dates"),
        ("meta.at", "times"),
        ("meta.price", "decimal numbers"),
    ] {
        let err = read("text", label).unwrap_err();
        assert_eq!(err.field_name(), Some(label));
        assert_eq!(
            err.problem(),
            format!("the column holds {found}, expected strings or whole numbers")
        );
    }
}

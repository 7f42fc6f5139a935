use std::path::Path;

use super::*;
use crate::domain::DomainSet;
use crate::error::Result;
use crate::mixture::Mixture;
use proptest::prelude::*;

fn mixtures(text: &str) -> Result<MixtureTable> {
    MixtureTable::parse(text, Path::new("m.csv"))
}

fn values(text: &str) -> Result<ValueTable> {
    ValueTable::parse(text, Path::new("l.csv"))
}

#[test]
fn bad_rows_are_refused_with_their_line() {
    for (text, expected) in [
        (
            "run,a,b\n1,0.5,0.5\n2,0.25,0.25\n",
            "m.csv:3: weights of run `2` sum to 0.5",
        ),
        ("run,a,b\n1,1.5,-0.5\n", "m.csv:2: `b`: weight -0.5"),
        ("run,a,b\n1,NaN,1\n", "m.csv:2: `a`: weight NaN"),
        ("run,a,b\n1,x,1\n", "m.csv:2: `a`: `x` is not a number"),
        ("run,a,b\n1,1\n", "m.csv:2: 2 fields, expected 3"),
        ("run,a,a\n1,0.5,0.5\n", "m.csv:1: duplicate `a`"),
        (
            "run,a,b\n1,1,0\n1,0,1\n",
            "m.csv:3: run `1` is already on line 2",
        ),
        (
            "run,a\u{202e}b,c\n1,1,0\n",
            "m.csv:1: `a\\u{202e}b` is not a domain name",
        ),
        ("run\n1\n", "m.csv:1: expected a header"),
        ("run,a,b\n", "m.csv:1: no rows"),
        ("", "m.csv:1: expected a header"),
    ] {
        let err = mixtures(text).unwrap_err();
        assert!(err.is_input());
        assert!(err.to_string().contains(expected), "{text:?} gave {err}");
    }
}

#[test]
fn rounded_rows_are_rescaled() {
    let table = mixtures("index,train_the_pile_a,train_the_pile_b\n7,0.498,0.5\n").unwrap();
    let w = table.get("7").unwrap().weights();
    assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!((w[0] - 0.498 / 0.998).abs() < 1e-12);
    assert!(table.to_csv().starts_with("run,a,b\n"));
}

#[test]
fn runs_are_joined_by_name_and_unmatched_ones_are_named() {
    let m = || mixtures("run,a,b\nx,0,1\ny,1,0\n").unwrap();
    let joined = Observations::join(m(), values("run,a\ny,2\nx,1\n").unwrap()).unwrap();
    assert_eq!(joined.values.rows(), [[1.0], [2.0]]);
    let err = Observations::join(m(), values("run,a\nx,1\n").unwrap()).unwrap_err();
    assert!(
        err.to_string().contains("a mixture but no losses: y"),
        "{err}"
    );
    let err = Observations::join(m(), values("run,a\nx,1\ny,1\nz,1\n").unwrap()).unwrap_err();
    assert!(
        err.to_string().contains("losses but no mixture: z"),
        "{err}"
    );
}

#[test]
fn not_utf8_is_an_error_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.csv");
    std::fs::write(&path, b"run,a\n1,\xff\n").unwrap();
    let err = MixtureTable::read_csv(&path).unwrap_err();
    assert_eq!(err.line_number(), Some(2));
    assert!(err.to_string().contains("not UTF-8"), "{err}");
}

proptest! {
    #[test]
    fn csv_round_trips_to_the_bit(
        rows in prop::collection::vec(prop::collection::vec(0.001f64..1.0, 4), 1..20)
    ) {
        let domains = DomainSet::from_names(["a", "b", "c", "d"]).unwrap();
        let rows = rows.into_iter().enumerate().map(|(i, w)| {
            (format!("r{i}"), Mixture::normalized(domains.clone(), w).unwrap())
        });
        let table = MixtureTable::new(domains.clone(), rows).unwrap();
        let back = mixtures(&table.to_csv()).unwrap();
        for (a, b) in table.mixtures().iter().zip(back.mixtures()) {
            for (x, y) in a.weights().iter().zip(b.weights()) {
                prop_assert!((x - y).abs() <= 1e-15);
            }
        }
    }
}

#[test]
fn a_table_in_parts_is_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.csv");
    let mut text = "run,a,b\n".to_owned();
    for i in 0..10 {
        text += &format!(
            "r{i},{},{}\n",
            0.05 * f64::from(i),
            1.0 - 0.05 * f64::from(i)
        );
    }
    std::fs::write(&path, &text).unwrap();
    let whole = MixtureTable::read_csv(&path).unwrap();
    for rows in [1, 3, 5, 10, 99] {
        let mut all = Vec::new();
        let count = MixtureTable::read_parts(&path, rows, |part| {
            assert!(part.len() <= rows);
            assert_eq!(part.domains(), whole.domains());
            all.extend(part.iter().map(|(run, m)| (run.to_owned(), m.clone())));
            Ok(())
        });
        assert_eq!(count.unwrap(), 10);
        let joined = MixtureTable::new(whole.domains().clone(), all).unwrap();
        assert_eq!(joined, whole);
    }
    std::fs::write(&path, text + "r3,0.5,0.5\n").unwrap();
    let err = MixtureTable::read_parts(&path, 2, |_| Ok(())).unwrap_err();
    assert_eq!(err.line_number(), Some(12), "{err}");
}

#[test]
fn records_round_trip_and_errors_name_line_and_column() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Score {
        target: String,
        rows: usize,
        #[serde(with = "records::number_or_empty")]
        mae: f64,
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scores.csv");
    let score = |target: &str, rows, mae| Score {
        target: target.to_owned(),
        rows,
        mae,
    };
    let scores = [score("web, code", 8, 0.1), score("law", 9, f64::NAN)];
    records::write_csv(&path, &scores).unwrap();
    let text = "target,rows,mae\n\"web, code\",8,0.1\nlaw,9,\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let back: Vec<Score> = records::read_csv(&path).unwrap();
    assert_eq!(back[0], scores[0]);
    assert!(back[1].mae.is_nan());
    std::fs::write(&path, "rows,target,mae\n1,web,2\n1,web,x\n").unwrap();
    let err = records::read_csv::<Score>(&path).unwrap_err();
    assert_eq!(
        (err.line_number(), err.field_name()),
        (Some(3), Some("mae"))
    );
    std::fs::write(&path, "target,mae\nweb,2\n").unwrap();
    let err = records::read_csv::<Score>(&path).unwrap_err();
    assert!(err.problem().contains("missing field `rows`"), "{err}");
}

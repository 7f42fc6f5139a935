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
        ("run,a,b\n1,NaN,1\n", "m.csv:2: `a`: no weight"),
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

#[test]
fn columns_of_trackers_and_data_frames_are_left_out_and_named() {
    let plain = values("run,web,code\nx,3.5,2.25\ny,3.25,2.5\n").unwrap();
    let left_out = |text: &str| -> String {
        let table = values(text).unwrap_or_else(|e| panic!("{text:?} gave {e}"));
        assert_eq!(
            (table.targets(), table.runs(), table.rows()),
            (plain.targets(), plain.runs(), plain.rows()),
            "{text:?}"
        );
        table.notes().join(" ")
    };
    let said = left_out(
        "run,_step,_runtime,_timestamp,web,code\nx,5,3.5,1e9,3.5,2.25\ny,5,2.5,1e9,3.25,2.5\n",
    );
    assert_eq!(
        said,
        "l.csv: left out `_step`, `_runtime`, `_timestamp`, which are no domain and no target"
    );
    for (text, named) in [
        (
            "run,name,index,web,code\nx,a,1,3.5,2.25\ny,b,2,3.25,2.5\n",
            "`name`, `index`",
        ),
        (
            "Name,State,web,code\nx,finished,3.5,2.25\ny,finished,3.25,2.5\n",
            "`State`",
        ),
        (
            "run,web,web_stderr,code\nx,3.5,.1,2.25\ny,3.25,.1,2.5\n",
            "`web_stderr`",
        ),
        (
            "run,model,web,code\nx,small,3.5,2.25\ny,large,3.25,2.5\n",
            "`model`",
        ),
        (
            ",run,web,code\n0,x,3.5,2.25\n1,y,3.25,2.5\n",
            "an unnamed column",
        ),
        (
            "Unnamed: 0,web,code,run\n0,3.5,2.25,x\n1,3.25,2.5,y\n",
            "an unnamed column",
        ),
    ] {
        assert!(left_out(text).contains(named), "{text:?}");
    }
    // Nothing is said where nothing was left out.
    for text in [
        ",web,code\nx,3.5,2.25\ny,3.25,2.5\n",
        "run,web,code,\nx,3.5,2.25,\ny,3.25,2.5\n",
        "run,web,code\nx,3.5,2.25,\n,,\ny,3.25,2.5\n",
        "run\tweb\tcode\nx\t3.5\t2.25\ny\t3.25\t2.5\n",
        "run;web;code\nx;3.5;2.25\ny;3.25;2.5\n",
    ] {
        assert_eq!(left_out(text), "", "{text:?}");
    }
    let err = values("run,web,\nx,3.5,2.25\n").unwrap_err();
    assert_eq!(
        err.to_string(),
        "l.csv:1: column 3 has no name: expected one for every column with numbers"
    );
    // A domain may have such a name.
    let table = mixtures("run,notes,web\n1,0.25,0.75\n2,0.5,0.5\n").unwrap();
    assert_eq!(
        table.domains().names().collect::<Vec<_>>(),
        ["notes", "web"]
    );
}

#[test]
fn targets_keep_their_names_in_files_of_our_own() {
    let targets = vec!["seed".to_owned(), "_step".to_owned()];
    let rows = [
        ("x".to_owned(), vec![3.5, 2.0]),
        ("y".to_owned(), vec![3.25, 1.0]),
    ];
    let table = ValueTable::new(targets, rows).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("values.csv");
    table.write_csv(&path).unwrap();
    assert_eq!(ValueTable::read_own_csv(&path).unwrap(), table);
}

#[test]
fn missing_values_and_other_formats_are_recognised() {
    let table = values("run,a,b\n1,-,2\n2,N/A,3\n3,4,null\n").unwrap();
    assert!(table.rows()[0][0].is_nan() && table.rows()[1][0].is_nan());
    assert!(table.rows()[2][1].is_nan() && table.rows()[2][0] == 4.0);
    let err = values("run,a,b\n1,2,2\n2,diverged,3\n").unwrap_err();
    assert_eq!(err.to_string(), "l.csv:3: `a`: `diverged` is not a number");
    assert!(err.help_text().unwrap().contains("leave the field empty"));
    let json = r#"{"results": {"arc_easy": {"acc,none": 0.3, "acc_stderr,none": 0.1}}}"#;
    let err = values(json).unwrap_err();
    assert_eq!(
        err.to_string(),
        "l.csv: results of lm-eval in JSON: expected a table in CSV"
    );
}

#[test]
fn weights_may_be_off_by_their_last_decimal() {
    for row in [
        "0.21,0.44,0.34,0",
        "0.22,0.29,0.11,0.39",
        "0.5,0.500000000000001,-1e-17,0",
    ] {
        mixtures(&format!("run,a,b,c,d\n1,{row}\n")).unwrap();
    }
    let many = |weight: &str| {
        let header: Vec<String> = (0..16).map(|i| format!("d{i}")).collect();
        let row = vec![weight; 16].join(",");
        mixtures(&format!("run,{}\n1,{row}\n", header.join(",")))
    };
    // A sixteenth, in two decimals and in three.
    assert!(many("0.06").is_ok() && many("0.063").is_ok());
    let err = many("0.059").unwrap_err();
    assert!(
        err.to_string()
            .contains("sum to 0.9440, expected 1 (within 0.01)"),
        "{err}"
    );
    // Three thirds, in one decimal; the rest of a row is missing where it cannot be rounding.
    let thirds = mixtures("run,a,b,c\n1,0.3,0.3,0.3\n2,0.5,0.25,0.25\n").unwrap();
    let weights = thirds.mixtures()[0].weights();
    assert!(
        weights.iter().all(|w| (w - 1.0 / 3.0).abs() < 1e-12),
        "{weights:?}"
    );
    assert_eq!(
        thirds.notes(),
        [
            "m.csv: weights that do not sum to 1, as after rounding to few decimals, are rescaled: \
             the sum is 0.9000 in run `1`"
        ]
    );
    let err = mixtures("run,a,b,c\n1,0.5,0.3,0\n").unwrap_err();
    assert!(
        err.to_string()
            .contains("sum to 0.8000, expected 1 (within 0.1)"),
        "{err}"
    );
    let err = mixtures("run,a,b\n1,1.01,-0.01\n").unwrap_err();
    assert!(err.to_string().contains("weight -0.01"), "{err}");
}

#[test]
fn runs_that_are_numbers_are_joined_as_numbers() {
    let m = || mixtures("run,a,b\n1,0,1\n2,1,0\n").unwrap();
    for text in ["run,a\n002,2\n001,1\n", "run,a\n1.0,1\n2.0,2\n"] {
        let joined = Observations::join(m(), values(text).unwrap()).unwrap();
        assert_eq!(joined.values.rows(), [[1.0], [2.0]]);
        assert_eq!(joined.values.runs(), ["1", "2"]);
    }
    // Two runs of a table that are equal as numbers are not the same.
    let err = Observations::join(m(), values("run,a\n1,1\n01,2\n").unwrap()).unwrap_err();
    assert!(
        err.problem()
            .contains("runs with a mixture but no losses: 2; the other table has the runs 1, 01"),
        "{err}"
    );
}

#[test]
fn what_trainers_write_beside_losses_is_no_target() {
    let table = values(
        "run,web,grad_norm,train/learning_rate,samples_per_second,total_flos,tokens,epoch\n\
         a,3.5,0.7,0.0004,120.5,1e15,25000000,0.5\nb,3.25,0.9,0.0004,119.5,1e15,25000000,0.5\n",
    )
    .unwrap();
    assert_eq!(table.targets(), ["web"]);
    let table =
        mixtures("run,web,law,seed,n_tokens\na,0.25,0.75,1,25000000\nb,0.5,0.5,2,25000000\n");
    let table = table.unwrap();
    assert_eq!(table.domains().names().collect::<Vec<_>>(), ["web", "law"]);
}

#[test]
fn a_domain_may_have_the_name_of_a_counter() {
    let dir = tempfile::tempdir().unwrap();
    let [mixtures, losses] = ["m.csv", "l.csv"].map(|name| dir.path().join(name));
    std::fs::write(&mixtures, "run,seed,step\na,0.25,0.75\nb,0.5,0.5\n").unwrap();
    std::fs::write(&losses, "run,seed,step,epoch\na,3.5,100,1\nb,3.25,100,1\n").unwrap();
    let found = Observations::read_csv(&mixtures, &losses).unwrap();
    // Whole numbers under such a name are what trackers write.
    assert_eq!(found.values.targets(), ["seed"]);
    let notes: Vec<&String> = found.notes().collect();
    assert_eq!(
        notes,
        ["l.csv: left out `step`, `epoch`, which are no domain and no target"]
    );
    let alone = ValueTable::read_csv(&losses).unwrap_err();
    assert!(alone.problem().contains("`seed`"), "{alone}");
}

#[test]
fn text_is_read_as_files_are() {
    let (m, l) = (Path::new("m.csv"), Path::new("l.csv"));
    let mixtures = "run,seed,web\nr1,0.25,0.75\nr0,0.5,0.5\n";
    let losses = "run,seed,web\nr0,3.5,2.0\nr1,3.25,2.5\n";
    let joined = Observations::parse((mixtures, m), (losses, l)).unwrap();
    assert_eq!(joined.values.targets(), ["seed", "web"]);
    assert_eq!(joined.values.rows(), [[3.25, 2.5], [3.5, 2.0]]);
    let dir = tempfile::tempdir().unwrap();
    let paths = [dir.path().join("m.csv"), dir.path().join("l.csv")];
    std::fs::write(&paths[0], mixtures).unwrap();
    std::fs::write(&paths[1], losses).unwrap();
    assert_eq!(
        Observations::read_csv(&paths[0], &paths[1]).unwrap(),
        joined
    );
    let error = Observations::parse((mixtures, m), ("run,web\nr0,1.5\n", l)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "l.csv: runs with a mixture but no losses: r1; the other table has the runs r0; expected \
         the same runs in both tables"
    );
}

#[test]
fn the_column_of_runs_is_found_by_its_name() {
    for (names, place) in [
        (&["web", "run_id", "run"][..], Some(2)),
        (&["index", "web"], Some(0)),
        (&["web", "Name"], Some(1)),
        (&["web", "code"], None),
    ] {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(column_of_runs(&names), place, "{names:?}");
    }
}

#[test]
fn one_domain_leaves_nothing_to_mix() {
    let set = |names: &[&str]| DomainSet::from_names(names).unwrap();
    assert!(set(&["web", "code"]).more_than_one().is_ok());
    assert_eq!(
        set(&["web"]).more_than_one().unwrap_err().to_string(),
        "one domain, `web`, leaves nothing to mix: expected at least two"
    );
}

#[test]
fn rows_are_added_in_the_layout_of_a_file() {
    let more = MixtureTable::parse("run,web,code\n\"b;c\",0.75,0.25\n", "m.csv".as_ref()).unwrap();
    let add = |text: &str| more.append_to_csv(text, "own.csv".as_ref());
    // What regmix writes itself.
    assert_eq!(
        add("run,web,code\na,0.5,0.5\n").unwrap(),
        "run,web,code\na,0.5,0.5\nb;c,0.75,0.25\n"
    );
    // Other orders, separators, line ends, no line end, a column of an index.
    for (text, added) in [
        (",code,web\na,0.5,0.5", "\nb;c,0.25,0.75\n"),
        ("run;code;web\r\na;0.5;0.5\r\n", "\"b;c\";0.25;0.75\r\n"),
        (
            "web\trun\tstatus\tcode\n0.5\ta\tok\t0.5\n",
            "0.75\tb;c\t\t0.25\n",
        ),
        (
            ",run,train_code,train_web\n0,a,0.5,0.5\n",
            ",b;c,0.25,0.75\n",
        ),
    ] {
        assert_eq!(add(text).unwrap(), format!("{text}{added}"));
    }
    let err = add("run,web,law\na,0.5,0.5\n").unwrap_err();
    assert!(err.to_string().contains("law"), "{err}");
    assert!(add("run,web,code\nb;c,0.5,0.5\n").is_err());
    // A quote that is never closed would take up the new row.
    let err = add("run,web,code,notes\na,0.5,0.5,\"x\nz,0.5,0.5,y\n").unwrap_err();
    assert!(err.to_string().contains("own.csv"), "{err}");
}

#[test]
fn runs_that_did_not_finish_are_left_out_and_named() {
    let text = "Name,State,loss\na,finished,1.5\nb,crashed,2.5\nc,running,\n";
    let table = ValueTable::parse(text, Path::new("l.csv")).unwrap();
    assert_eq!(table.runs(), ["a"]);
    assert_eq!(
        table.notes(),
        [
            "l.csv: left out `State`, which is no domain and no target",
            "l.csv: left out runs that did not finish (2): b (crashed), c (running)",
        ]
    );
    // A table of mixtures need not say so as well, and the other way round.
    let m = "run,x,y\na,0.5,0.5\nb,1,0\nc,0,1\n";
    let path = Path::new("m.csv");
    let joined = Observations::parse((m, path), (text, Path::new("l.csv"))).unwrap();
    assert_eq!(joined.mixtures.runs(), ["a"]);
    assert!(joined.notes().any(|note| note.contains("b (crashed)")));
    let m = "run,state,x,y\na,finished,0.5,0.5\nb,failed,1,0\n";
    let l = "run,loss\na,1\nb,2\n";
    let joined = Observations::parse((m, path), (l, Path::new("l.csv"))).unwrap();
    assert_eq!(joined.values.rows(), [[1.0]]);
    let none = ValueTable::parse("run,state,loss\na,failed,1\n", Path::new("l.csv"));
    assert_eq!(
        none.unwrap_err().to_string(),
        "l.csv:1: no run has finished: a (failed); expected at least one"
    );
}

#[test]
fn numbers_of_other_countries_are_refused_with_a_remedy() {
    for (text, problem, help) in [
        (
            "run;web\na;3,25\nb;3,5\n",
            "l.csv:2: `web`: `3,25` is not a number",
            "write numbers with a decimal point and without separators of thousands: 3.25, 1234.5",
        ),
        (
            "run,web\na,50%\nb,25%\n",
            "l.csv:2: `web`: `50%` is not a number",
            "write shares as fractions: 0.125 instead of 12.5%",
        ),
        (
            "run,web\na,3,25\n",
            "l.csv:2: 3 fields, expected 2 as in the header",
            "a comma separates fields: write numbers with a decimal point, and quotes around text \
             with commas",
        ),
    ] {
        let err = values(text).unwrap_err();
        assert_eq!(err.to_string(), problem);
        assert_eq!(err.help_text(), Some(help));
    }
}

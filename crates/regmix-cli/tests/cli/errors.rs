//! Standard errors of the values.

use std::fmt::Write;

use crate::fixture::{FIT, Fixture, assert_output};

const ERRORS: [&str; 4] = ["--regressors", "linear", "--errors", "errors.csv"];

/// Accuracies of two tasks: one that depends on the mixture, and one that hardly does.
fn tables(fixture: &Fixture) {
    let mut mixtures = "run,web,code,books\n".to_owned();
    let mut scores = "run,hellaswag,piqa\n".to_owned();
    let mut errors = "run,hellaswag,piqa\n".to_owned();
    for i in 0..24 {
        let weights = [5 * i % 29 + 1, 7 * i % 29 + 1, 11 * i % 29 + 1].map(f64::from);
        let sum: f64 = weights.iter().sum();
        let [web, code, books] = weights.map(|weight| weight / sum);
        writeln!(mixtures, "r{i},{web},{code},{books}").unwrap();
        let noise = f64::from(i * i % 13 - 6) / 6.0;
        let hellaswag = 0.28 + 0.15 * web + 0.003 * noise;
        let piqa = 0.62 + 0.05 * books + 0.008 * noise;
        writeln!(scores, "r{i},{hellaswag:.4},{piqa:.4}").unwrap();
        let error = |score: f64, items: f64| (score * (1.0 - score) / items).sqrt();
        let (of_hellaswag, of_piqa) = (error(hellaswag, 10_042.0), error(piqa, 1838.0));
        writeln!(errors, "r{i},{of_hellaswag:.4},{of_piqa:.4}").unwrap();
    }
    fixture.write("m.csv", mixtures);
    fixture.write("l.csv", scores);
    fixture.write("errors.csv", errors);
}

#[test]
fn standard_errors_stand_beside_what_is_predicted() {
    let fixture = Fixture::empty();
    tables(&fixture);
    let output = fixture.ok(&[&FIT[..], &ERRORS].concat());
    let (_, noise) = output.stdout.split_once("\nStandard errors").unwrap();
    assert_output!(noise, @r"
     of the values, as parts of the variance between runs; noise between runs of the same items is smaller:
    target     sd of runs  std. error  error (%)  predicted (%)
    hellaswag      0.0211      0.0047          5             99
    piqa           0.0094      0.0112        100             55
    warning: standard errors are more than half of the variance between runs: piqa (100 %); more items, or the mean of several tasks, would tell mixtures apart better
    ");
    let fit = [&FIT[..], &ERRORS, &["--redo", "--format", "json"]].concat();
    let noise = &fixture.ok(&fit).json()["noise"];
    assert_eq!(noise[1]["target"], "piqa");
    assert!(noise[1]["share"].as_f64().unwrap() > 0.5, "{noise}");
    fixture.ok(&["report", "--fit", "fit"]);
    assert!(
        fixture
            .text("fit/report.html")
            .contains("Noise of the measurements")
    );
}

#[test]
fn wrong_standard_errors_are_refused() {
    let fixture = Fixture::empty();
    tables(&fixture);
    let refused = |from: &str, to: &str| {
        let text = fixture.text("errors.csv");
        fixture.edit("errors.csv", from, to);
        let output = fixture.refused(&[&FIT[..], &ERRORS].concat());
        fixture.write("errors.csv", text);
        output.stderr
    };
    let outputs = [
        refused("r3,", "r3,-"),
        refused("r3,", "r33,"),
        refused("hellaswag", "helaswag"),
        refused("r3,", "r3,x"),
        fixture
            .refused(&[&FIT[..], &["--errors", "none.csv"]].concat())
            .stderr,
    ];
    assert_output!(outputs.join("\n"), @r"
     × errors.csv: `hellaswag`: run `r3`: standard error -0.0047, expected a finite number of at
     │ least 0

     × errors.csv: no standard errors of run `r3`: expected a row for every run with values
     help: the tables are joined by run: add its row, with empty fields if need be

     × errors.csv: unknown target `helaswag`: expected one of hellaswag, piqa

     × errors.csv:5: `hellaswag`: `x0.0047` is not a number
      ╭─[errors.csv:5:1]
    4 │ r2,0.0046,0.0112
    5 │ r3,x0.0047,0.0113
      · ────────┬────────
      ·         ╰── here
    6 │ r4,0.0047,0.0113
      ╰────
     help: leave the field empty where a value is missing; remove the column if it is neither a
           domain nor a target

     × none.csv: No such file or directory (os error 2)
     help: check the path
    ");
}

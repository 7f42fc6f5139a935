//! Tables of mixtures and losses that cannot be used.

use crate::fixture::{Fixture, Output};

/// Predicting the mixtures of a table that must be refused.
#[track_caller]
fn predict_refused(fixture: &Fixture, table: &str) -> Output {
    fixture.write("m.csv", table);
    let output = fixture.refused(&["predict", "--mixtures", "m.csv", "--out", "predicted.csv"]);
    output.says("m.csv:");
    output
}

#[test]
fn rows_that_are_no_mixtures_are_refused_at_their_line() {
    let fixture = Fixture::study_after("fit");
    for (row, said) in [
        (
            "b,0.25,0.25,0",
            "m.csv:3: weights of run `b` sum to 0.5000, expected 1",
        ),
        (
            "b,-0.5,1,0.5",
            "m.csv:3: `code`: weight -0.5, expected a finite number",
        ),
        (
            "b,NaN,0.5,0.5",
            "m.csv:3: `code`: weight NaN, expected a finite number",
        ),
        (
            "b,inf,0.5,0.5",
            "m.csv:3: `code`: weight inf, expected a finite number",
        ),
        ("b,half,0.5,0", "m.csv:3: `code`: `half` is not a number"),
        (
            "b,0.5,0.5",
            "m.csv:3: 3 fields, expected 4 as in the header",
        ),
        ("a,0.5,0.5,0", "m.csv:3: run `a` is already on line 2"),
    ] {
        predict_refused(&fixture, &format!("run,code,law,web\na,1,0,0\n{row}\n")).says(said);
    }
}

#[test]
fn other_domains_than_the_fits_are_refused() {
    let fixture = Fixture::study_after("fit");
    predict_refused(&fixture, "run,code,law,wiki\na,0.5,0.5,0\n")
        .says("unknown domain `wiki`: expected one of code, law, web");
    predict_refused(&fixture, "run,code,law\na,0.5,0.5\n");
}

#[test]
fn a_domain_that_comes_twice_is_refused() {
    let fixture = Fixture::study_after("fit");
    predict_refused(&fixture, "run,code,law,law\na,0.5,0.5,0\n")
        .says("m.csv:1: duplicate `law`: expected every name once");
}

#[test]
fn a_table_that_is_not_utf8_is_refused() {
    let fixture = Fixture::study_after("fit");
    fixture.write("m.csv", b"run,code,law,web\na,1,0,\xff\n");
    fixture
        .refused(&["predict", "--mixtures", "m.csv"])
        .says("m.csv:2: not UTF-8")
        .says("iconv");
}

#[test]
fn mixtures_without_losses_and_the_reverse_are_refused() {
    let fixture = Fixture::study_after("train");
    let mixtures = "design/mixtures.csv";
    fixture
        .refused(&["fit", "--mixtures", mixtures, "--out", "f"])
        .says("--losses <CSV>");
    fixture
        .refused(&["fit", "--losses", mixtures, "--out", "f"])
        .says("--mixtures <CSV>");
    fixture
        .refused(&[
            "fit",
            "--mixtures",
            mixtures,
            "--losses",
            "l.csv",
            "--out",
            "f",
        ])
        .says("l.csv: No such file")
        .says("help: check the path");
}

#[test]
fn runs_of_one_table_only_are_named() {
    let fixture = Fixture::study_after("fit");
    let mixtures = fixture.text("fit/mixtures.csv");
    let losses = fixture.text("fit/values.csv");
    let fit = || {
        fixture.refused(&[
            "fit",
            "--mixtures",
            "m.csv",
            "--losses",
            "l.csv",
            "--out",
            "f",
        ])
    };
    let without_last = |text: &str| {
        let end = text.trim_end().rfind('\n').unwrap();
        text[..=end].to_owned()
    };
    fixture.write("m.csv", &mixtures);
    fixture.write("l.csv", without_last(&losses));
    fit()
        .says("l.csv: runs with a mixture but no losses: run-0009")
        .says("help:");
    fixture.write("m.csv", without_last(&mixtures));
    fixture.write("l.csv", &losses);
    fit()
        .says("l.csv: runs with losses but no mixture: run-0009")
        .says("help:");
}

#[test]
fn an_unknown_regressor_is_refused() {
    let fixture = Fixture::study_after("fit");
    fixture
        .refused(&[
            "fit",
            "--mixtures",
            "fit/mixtures.csv",
            "--losses",
            "fit/values.csv",
            "--out",
            "f",
            "--regressors",
            "lniear",
        ])
        .says("unknown regressor `lniear`: expected one of mean, linear");
}

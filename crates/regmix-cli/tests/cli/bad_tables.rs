//! Tables of mixtures and losses that cannot be used.

use crate::fixture::{Fixture, Output, assert_output, transcript};

/// Predicts the mixtures of a table that must be refused.
#[track_caller]
fn predict_refused(fixture: &Fixture, table: &str) -> Output {
    fixture.write("m.csv", table);
    fixture.refused(&["predict", "--mixtures", "m.csv", "--out", "predicted.csv"])
}

/// Fits tables that must be refused.
#[track_caller]
fn fit_refused(fixture: &Fixture, mixtures: &str, losses: &str, more: &[&str]) -> Output {
    let tables = ["fit", "--mixtures", mixtures, "--losses", losses];
    fixture.refused(&[&tables[..], &["--out", "f"], more].concat())
}

#[test]
fn rows_that_are_not_mixtures_are_refused_at_their_line() {
    let fixture = Fixture::study_after("fit");
    let rows = [
        "b,0.25,0.25,0",
        "b,-0.5,1,0.5",
        "b,NaN,0.5,0.5",
        "b,inf,0.5,0.5",
        "b,half,0.5,0",
        "b,0.5,0.5",
        "a,0.5,0.5,0",
    ];
    let outputs =
        rows.map(|row| predict_refused(&fixture, &format!("run,code,law,web\na,1,0,0\n{row}\n")));
    assert_output!(transcript(outputs), @r"
    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv:3: weights of run `b` sum to 0.5000, expected 1 (within 0.01)
       ╭─[m.csv:3:1]
     2 │ a,1,0,0
     3 │ b,0.25,0.25,0
       · ──────┬──────
       ·       ╰── here
       ╰────
      help: weights are shares of tokens: rescale the row, or remove it

    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv:3: `code`: weight -0.5, expected a finite number that is not negative
       ╭─[m.csv:3:1]
     2 │ a,1,0,0
     3 │ b,-0.5,1,0.5
       · ──────┬─────
       ·       ╰── here
       ╰────

    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv:3: `code`: no weight: expected a number
       ╭─[m.csv:3:1]
     2 │ a,1,0,0
     3 │ b,NaN,0.5,0.5
       · ──────┬──────
       ·       ╰── here
       ╰────
      help: write 0 for a domain that the run did not use

    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv:3: `code`: weight inf, expected a finite number that is not negative
       ╭─[m.csv:3:1]
     2 │ a,1,0,0
     3 │ b,inf,0.5,0.5
       · ──────┬──────
       ·       ╰── here
       ╰────

    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv:3: `code`: `half` is not a number
       ╭─[m.csv:3:1]
     2 │ a,1,0,0
     3 │ b,half,0.5,0
       · ──────┬─────
       ·       ╰── here
       ╰────
      help: leave the field empty where a value is missing; remove the column if it is neither a
            domain nor a target

    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv:3: 3 fields, expected 4 as in the header
       ╭─[m.csv:3:1]
     2 │ a,1,0,0
     3 │ b,0.5,0.5
       · ────┬────
       ·     ╰── here
       ╰────

    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv:3: run `a` is already on line 2: expected every run once
       ╭─[m.csv:3:1]
     2 │ a,1,0,0
     3 │ a,0.5,0.5,0
       · ─────┬─────
       ·      ╰── here
       ╰────
      help: remove a row; `regmix import` makes tables of logs with many rows per run
    ");
}

#[test]
fn other_domains_than_the_fits_are_refused() {
    let fixture = Fixture::study_after("fit");
    let tables = [
        "run,code,law,wiki\na,0.5,0.5,0\n",
        "run,code,law\na,0.5,0.5\n",
    ];
    let outputs = tables.map(|table| predict_refused(&fixture, table));
    assert_output!(transcript(outputs), @r#"
    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv: unknown domain `wiki`: expected one of code, law, web

    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv: domain `web` has no weight: expected one
    "#);
}

#[test]
fn a_domain_that_comes_twice_is_refused() {
    let fixture = Fixture::study_after("fit");
    let output = predict_refused(&fixture, "run,code,law,law\na,0.5,0.5,0\n");
    assert_output!(output, @r#"
    $ regmix predict --mixtures m.csv --out predicted.csv
    exit code: 2
    ----- stderr -----
      × m.csv:1: duplicate `law`: expected every name once
       ╭─[m.csv:1:1]
     1 │ run,code,law,law
       · ────────┬───────
       ·         ╰── here
     2 │ a,0.5,0.5,0
       ╰────
    "#);
}

#[test]
fn a_table_that_is_not_utf8_is_refused() {
    let fixture = Fixture::study_after("fit");
    fixture.write("m.csv", b"run,code,law,web\na,1,0,\xff\n");
    assert_output!(fixture.refused(&["predict", "--mixtures", "m.csv"]), @r#"
    $ regmix predict --mixtures m.csv
    exit code: 2
    ----- stderr -----
      × m.csv:2: not UTF-8 at byte 23: expected UTF-8 text
      help: convert the file, for example with `iconv -t UTF-8`
    "#);
}

#[test]
fn mixtures_without_losses_and_the_reverse_are_refused() {
    let fixture = Fixture::study_after("train");
    let mixtures = "design/mixtures.csv";
    let outputs = [
        fixture.refused(&["fit", "--mixtures", mixtures, "--out", "f"]),
        fixture.refused(&["fit", "--losses", mixtures, "--out", "f"]),
        fit_refused(&fixture, mixtures, "l.csv", &[]),
    ];
    assert_output!(transcript(outputs), @r#"
    $ regmix fit --mixtures design/mixtures.csv --out f
    exit code: 2
    ----- stderr -----
    error: the following required arguments were not provided:
      <--losses <CSV>|--trajectories <CSV>>

    Usage: regmix fit --mixtures <CSV> --out <DIR> <--losses <CSV>|--trajectories <CSV>>

    For more information, try '--help'.

    $ regmix fit --losses design/mixtures.csv --out f
    exit code: 2
    ----- stderr -----
    error: the following required arguments were not provided:
      --mixtures <CSV>

    Usage: regmix fit --out <DIR> --mixtures <CSV> <--losses <CSV>|--trajectories <CSV>>

    For more information, try '--help'.

    $ regmix fit --mixtures design/mixtures.csv --losses l.csv --out f
    exit code: 2
    ----- stderr -----
      × l.csv: No such file or directory (os error 2)
      help: check the path
    "#);
}

#[test]
fn runs_of_one_table_only_are_named() {
    let fixture = Fixture::study_after("fit");
    let mixtures = fixture.text("fit/mixtures.csv");
    let losses = fixture.text("fit/values.csv");
    let without_last = |text: &str| {
        let end = text.trim_end().rfind('\n').unwrap();
        text[..=end].to_owned()
    };
    fixture.write("m.csv", &mixtures);
    fixture.write("l.csv", without_last(&losses));
    let first = fit_refused(&fixture, "m.csv", "l.csv", &[]);
    fixture.write("m.csv", without_last(&mixtures));
    fixture.write("l.csv", &losses);
    let second = fit_refused(&fixture, "m.csv", "l.csv", &[]);
    assert_output!(transcript([first, second]), @r#"
    $ regmix fit --mixtures m.csv --losses l.csv --out f
    exit code: 2
    ----- stderr -----
      × l.csv: runs with a mixture but no losses: run-0009; the other table has the runs run-0000,
      │ run-0001, run-0002, run-0003, run-0004 and 4 more; expected the same runs in both tables
      help: remove those rows, add the missing ones, or name the runs alike

    $ regmix fit --mixtures m.csv --losses l.csv --out f
    exit code: 2
    ----- stderr -----
      × l.csv: runs with losses but no mixture: run-0009; the other table has the runs run-0000, run-
      │ 0001, run-0002, run-0003, run-0004 and 4 more; expected the same runs in both tables
      help: remove those rows, add the missing ones, or name the runs alike
    "#);
}

#[test]
fn an_unknown_regressor_is_refused() {
    let fixture = Fixture::study_after("fit");
    let more = ["--regressors", "lniear"];
    let output = fit_refused(&fixture, "fit/mixtures.csv", "fit/values.csv", &more);
    assert_output!(output, @r#"
    $ regmix fit --mixtures fit/mixtures.csv --losses fit/values.csv --out f --regressors lniear
    exit code: 2
    ----- stderr -----
    fitting 10 runs, 3 targets
      × unknown regressor `lniear`: expected one of mean, linear, ridge, elastic_net, bimix, dml,
      │ olmix, gbdt, law1, law2, gp, gp_log, ensemble, stacked
    "#);
}

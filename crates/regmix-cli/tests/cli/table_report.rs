//! The page about a fit of tables, without a study.

use std::fmt::Write;

use crate::fixture::{FIT, Fixture, assert_output, transcript};

/// Runs on mixtures of three domains, with the values of two targets by a rule.
fn tables(fixture: &Fixture, targets: [&str; 2], value: fn([f64; 3]) -> [f64; 2]) {
    let mut mixtures = "run,web,code,books\n".to_owned();
    let mut values = format!("run,{},{}\n", targets[0], targets[1]);
    for i in 0..16 {
        let weights = [5 * i % 16 + 1, 7 * i % 16 + 1, 11 * i % 16 + 1].map(f64::from);
        let sum: f64 = weights.iter().sum();
        let w = weights.map(|weight| weight / sum);
        let [a, b] = value(w);
        writeln!(mixtures, "r{i},{},{},{}", w[0], w[1], w[2]).unwrap();
        writeln!(values, "r{i},{a},{b}").unwrap();
    }
    fixture.write("m.csv", mixtures);
    fixture.write("l.csv", values);
}

pub(crate) fn losses(fixture: &Fixture) {
    tables(fixture, ["web", "code"], |[web, code, _]| {
        [3.0 - 0.5 * web.sqrt(), 2.5 - 0.7 * code.sqrt()]
    });
}

pub(crate) const LINEAR: [&str; 2] = ["--regressors", "linear"];
pub(crate) const OPTIMIZE: [&str; 5] = ["optimize", "--fit", "fit", "--out", "mixture.json"];
const REPORT: [&str; 5] = ["report", "--fit", "fit", "--mixture", "mixture.json"];

/// The headings of a page.
fn headings(page: &str) -> Vec<&str> {
    let parts = page.split("<h2>").skip(1);
    parts.filter_map(|part| part.split('<').next()).collect()
}

#[test]
fn a_page_shows_what_a_fit_and_its_mixture_say() {
    let fixture = Fixture::empty();
    losses(&fixture);
    fixture.ok(&[&FIT[..], &LINEAR, &["--learning-curve"]].concat());
    fixture.ok(&OPTIMIZE);
    assert_output!(fixture.ok(&REPORT), @r"
    $ regmix report --fit fit --mixture mixture.json
    exit code: 0
    ----- stdout -----
    fit/report.html
    ");
    let page = fixture.text("fit/report.html");
    assert_eq!(
        headings(&page),
        [
            "The mixture",
            "Expected losses",
            "How well proxies predict",
            "What each domain does to each loss",
            "Facts of the fit",
            "What to do next",
        ]
    );
    for part in [
        "regmix fit · fit",
        "predicted to reach a mean loss over 2 domains of ",
        "How many runs are enough",
        "around the found mixture",
        "not given (`fit --unit` names it)",
        "regmix predict --fit fit --mixtures mine.csv --out predicted.csv",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Nothing of a study, and no unit that nobody gave.
    for wrong in ["nats", "regmix target", "study.toml", "larger models"] {
        assert!(!page.contains(wrong), "{wrong}");
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains(" src="));

    // The same inputs give the same bytes; a page is overwritten on request only.
    fixture.ok(&[&REPORT[..], &["--out", "again.html"]].concat());
    assert_eq!(page, fixture.text("again.html"));
    assert_output!(fixture.refused(&REPORT), @r"
    $ regmix report --fit fit --mixture mixture.json
    exit code: 2
    ----- stderr -----
      × fit/report.html: it is there already
      help: choose another place with `--out`, or overwrite it with `--redo`
    ");
    fixture.ok(&[&REPORT[..], &["--redo"]].concat());
}

#[test]
fn the_unit_and_the_natural_mixture_are_those_that_were_given() {
    let fixture = Fixture::empty();
    losses(&fixture);
    fixture.ok(&[&FIT[..], &LINEAR, &["--unit", "bits per byte"]].concat());
    fixture.write("natural.csv", "run,web,code,books\nn,0.5,0.3,0.2\n");
    fixture.ok(&[&OPTIMIZE[..], &["--prior", "natural.csv"]].concat());
    fixture.ok(&REPORT);
    let page = fixture.text("fit/report.html");
    for part in [
        " bits per byte (90% interval",
        "around the natural mixture",
        "Against natural",
        "errors in bits per byte",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn scores_are_called_scores() {
    let fixture = Fixture::empty();
    tables(&fixture, ["hellaswag", "piqa"], |[web, _, books]| {
        [0.3 + 0.2 * web, 0.6 + 0.1 * books]
    });
    fixture.ok(&[&FIT[..], &LINEAR].concat());
    let goal = "loss = \"mean\"\nmaximize = true\n\n[constraints.cap]\nweb = 0.6\n";
    fixture.write("goal.toml", goal);
    fixture.ok(&[&OPTIMIZE[..], &["--objective", "goal.toml"]].concat());
    fixture.ok(&REPORT);
    let page = fixture.text("fit/report.html");
    for part in [
        "predicted to reach a mean score over 2 targets of ",
        "Expected scores",
        "What each domain does to each score",
        "Blue: the score rises; orange: it falls",
        "predicted score across",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // More web text raises the first score: that is the better direction, in blue.
    let cell = "1 percentage point more web: hellaswag +";
    let before = page.split(cell).next().unwrap();
    let class = before.rsplit("class=\"").next().unwrap();
    assert!(class.starts_with("fall\""), "{class}");

    // Without a mixture it is not known what the values are.
    fixture.ok(&["report", "--fit", "fit", "--out", "fit.html"]);
    let page = fixture.text("fit.html");
    assert!(page.contains("16 runs on mixtures of 3 domains."));
    assert!(page.contains("predicted value across"));
    assert!(page.contains("regmix optimize --fit fit --out mixture.json"));
}

#[test]
fn a_mixture_of_another_fit_is_refused() {
    let fixture = Fixture::empty();
    losses(&fixture);
    fixture.ok(&[&FIT[..], &LINEAR].concat());
    fixture.ok(&OPTIMIZE);
    fixture.write("note.json", "{\"web\": 1}");
    fixture.write("empty/x.csv", "");
    let mut outputs = vec![
        fixture.refused(&["report", "--fit", "none"]),
        fixture.refused(&["report", "--fit", "empty"]),
        fixture.refused(&["report", "--fit", "fit", "--mixture", "missing.json"]),
        fixture.refused(&["report", "--fit", "fit", "--mixture", "note.json"]),
        fixture.refused(&[&REPORT[..], &["--mixture", "mixture.json"]].concat()),
        fixture.refused(&["report", "--mixture", "mixture.json"]),
    ];
    // Other losses of the same runs, other targets, and other domains.
    let refit = |from: &str, to: &str| {
        let (m, l) = (fixture.text("m.csv"), fixture.text("l.csv"));
        fixture.write("m.csv", m.replace(from, to));
        fixture.write("l.csv", l.replace(from, to));
        fixture.ok(&[&FIT[..], &LINEAR, &["--redo"]].concat());
        let output = fixture.refused(&REPORT);
        fixture.write("m.csv", m);
        fixture.write("l.csv", l);
        output
    };
    outputs.extend([
        refit("r1,2.", "r1,2.0"),
        refit("run,web,code\n", "run,web,law\n"),
        refit("code", "law"),
    ]);
    assert_output!(transcript(outputs), @r"
    $ regmix report --fit none
    exit code: 2
    ----- stderr -----
      × none: there is no such folder: expected one with a fit
      help: fit your runs first: `regmix fit --mixtures m.csv --losses l.csv --out DIR`

    $ regmix report --fit empty
    exit code: 2
    ----- stderr -----
      × empty: no fit in this folder: expected fit.json or scale.json
      help: fit your runs first: `regmix fit --mixtures m.csv --losses l.csv --out DIR`

    $ regmix report --fit fit --mixture missing.json
    exit code: 2
    ----- stderr -----
      × missing.json: No such file or directory (os error 2)
      help: check the path

    $ regmix report --fit fit --mixture note.json
    exit code: 2
    ----- stderr -----
      × note.json: not what `regmix optimize` writes: expected a mixture with its predictions
      help: search for it: `regmix optimize --fit DIR --out mixture.json`

    $ regmix report --fit fit --mixture mixture.json --mixture mixture.json
    exit code: 2
    ----- stderr -----
      × mixture.json: the second mixture that was found with a fit, after mixture.json: expected one
      help: write a page for each of them, with --out

    $ regmix report --mixture mixture.json
    exit code: 2
    ----- stderr -----
    error: the following required arguments were not provided:
      --fit <DIR>

    Usage: regmix report --fit <DIR> --mixture <JSON>

    For more information, try '--help'.

    $ regmix report --fit fit --mixture mixture.json
    exit code: 2
    ----- stderr -----
      × mixture.json: found with another fit: it predicts 2.870611 for `web`, and that in fit 2.673615
      help: give the folder of the fit that it was found with, or search again with `--fit fit`

    $ regmix report --fit fit --mixture mixture.json
    exit code: 2
    ----- stderr -----
      × mixture.json: found with another fit, of the targets web, code: expected web, law
      help: give the folder of the fit that it was found with, or search again with `--fit fit`

    $ regmix report --fit fit --mixture mixture.json
    exit code: 2
    ----- stderr -----
      × mixture.json: unknown domain `code`: expected one of web, law, books
      help: give the folder of the fit that it was found with, or search again with `--fit fit`
    ");
}

//! Runs from before a domain was added, and how many runs are enough.

use std::fmt::Write;

use crate::fixture::{Fixture, assert_output};

/// A table of mixtures over some of `web`, `code`, `law`, and one of losses
/// that the law `law1` can describe.
fn tables(fixture: &Fixture, name: &str, domains: &[&str], runs: usize) {
    let mut mixtures = format!("run,{}\n", domains.join(","));
    let mut losses = format!("run,{}\n", domains.join(","));
    for i in 0..runs {
        let raw: Vec<f64> = (0..domains.len())
            .map(|d| 0.02 + ((i * (7 + 4 * d) + d) % 23) as f64 + 0.01 * (i * d) as f64)
            .collect();
        let sum: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw.iter().map(|w| w / sum).collect();
        let row = |values: &mut dyn Iterator<Item = f64>| {
            values.fold(format!("r{i}"), |mut row, v| {
                let _ = write!(row, ",{v:.9}");
                row
            })
        };
        mixtures += &(row(&mut weights.iter().copied()) + "\n");
        let web = weights[0];
        losses += &(row(&mut weights
            .iter()
            .map(|w| 2.0 + (0.05 + w + 0.1 * web).powf(-0.3)))
            + "\n");
    }
    fixture.write(&format!("{name}.csv"), mixtures);
    fixture.write(&format!("{name}-losses.csv"), losses);
}

const NEW: [&str; 5] = ["fit", "--mixtures", "new.csv", "--losses", "new-losses.csv"];
const EARLIER: [&str; 4] = [
    "--earlier-mixtures",
    "old.csv",
    "--earlier-losses",
    "old-losses.csv",
];

#[test]
fn earlier_runs_are_fitted_and_not_judged() {
    let fixture = Fixture::empty();
    tables(&fixture, "old", &["web", "code"], 30);
    tables(&fixture, "new", &["web", "code", "law"], 12);
    let some = ["--out", "fit", "--regressors", "linear,law1"];
    let output = fixture.ok(&[&NEW[..], &EARLIER, &some].concat());
    assert_output!(output.stderr, @r#"
    fitting 12 runs, 3 targets
    30 earlier runs are fitted with them, and never judged
    domains that are new since then: law
    targets that only new runs have: law
    "#);
    let first = output.stdout.lines().next().unwrap();
    assert_eq!(
        first,
        "Cross-validated on 12 new runs (30 earlier ones were fitted with them), means over 3 targets:"
    );
    assert!(
        output.stdout.contains("over 2 targets: "),
        "{}",
        output.stdout
    );
    let judged = fixture.text("fit/predictions.csv");
    assert_eq!(judged.lines().count(), 1 + 3 * 12);
    assert!(!judged.contains("earlier-"), "{judged}");
    assert_eq!(fixture.text("fit/mixtures.csv").lines().count(), 1 + 42);
    // What comes after a fit reads it as any other.
    fixture.ok(&["optimize", "--fit", "fit", "--out", "m.json"]);
    fixture.ok(&["predict", "--fit", "fit", "--mixtures", "new.csv"]);
}

#[test]
fn a_domain_may_have_been_split_since() {
    let fixture = Fixture::empty();
    tables(&fixture, "old", &["web", "text"], 20);
    tables(&fixture, "new", &["web", "code", "law"], 12);
    let base = [&NEW[..], &EARLIER, &["--regressors", "linear"]].concat();
    let split = ["--split", "text=code:0.4,law:0.6", "--out", "fit"];
    assert_output!(fixture.ok(&[&base[..], &split].concat()).stderr, @r#"
    fitting 12 runs, 3 targets
    20 earlier runs are fitted with them, and never judged
    targets that only new runs have: code, law
    targets of earlier runs that new ones do not have, not used: text
    "#);
    let wrong = ["--split", "text=code:0.4,law:0.4", "--out", "f"];
    assert_output!(fixture.refused(&[&base[..], &wrong].concat()), @r#"
    $ regmix fit --mixtures new.csv --losses new-losses.csv --earlier-mixtures old.csv --earlier-losses old-losses.csv --regressors linear --split text=code:0.4,law:0.4 --out f
    exit code: 2
    ----- stderr -----
    fitting 12 runs, 3 targets
      × old.csv: `splits`: the parts of `text` have shares that sum to 0.8: expected positive shares
      │ that sum to 1
      help: give each part its share of the domain's tokens
    "#);
    assert_output!(fixture.refused(&[&base[..], &["--split", "text", "--out", "f"]].concat()), @r#"
    $ regmix fit --mixtures new.csv --losses new-losses.csv --earlier-mixtures old.csv --earlier-losses old-losses.csv --regressors linear --split text --out f
    exit code: 2
    ----- stderr -----
    error: invalid value 'text' for '--split <DOMAIN=PARTS>': expected a domain and its parts with shares, such as code=rust:0.3,c:0.7

    For more information, try '--help'.
    "#);
    // Without the split, every earlier run used a domain that is gone.
    assert_output!(fixture.refused(&[&base[..], &["--out", "f"]].concat()), @r#"
    $ regmix fit --mixtures new.csv --losses new-losses.csv --earlier-mixtures old.csv --earlier-losses old-losses.csv --regressors linear --out f
    exit code: 2
    ----- stderr -----
    fitting 12 runs, 3 targets
      × old.csv: every earlier run used a domain that is gone (text): nothing is left to use again
      help: if such a domain was split, say into which parts
    "#);
}

#[test]
fn earlier_tables_that_do_not_match_are_refused() {
    let fixture = Fixture::empty();
    tables(&fixture, "old", &["web", "code"], 12);
    tables(&fixture, "new", &["web", "code", "law"], 12);
    assert_output!(fixture.refused(&[&NEW[..], &["--out", "f", "--earlier-mixtures", "old.csv"]].concat()), @r#"
    $ regmix fit --mixtures new.csv --losses new-losses.csv --out f --earlier-mixtures old.csv
    exit code: 2
    ----- stderr -----
    error: the following required arguments were not provided:
      --earlier-losses <CSV>

    Usage: regmix fit --mixtures <CSV> --out <DIR> --earlier-mixtures <CSV> --earlier-losses <CSV> <--losses <CSV>|--trajectories <CSV>>

    For more information, try '--help'.
    "#);
    fixture.write(
        "old-losses.csv",
        fixture.text("old-losses.csv").replace("web,code", "p,q"),
    );
    assert_output!(fixture.refused(&[&NEW[..], &EARLIER, &["--out", "f"]].concat()), @r#"
    $ regmix fit --mixtures new.csv --losses new-losses.csv --earlier-mixtures old.csv --earlier-losses old-losses.csv --out f
    exit code: 2
    ----- stderr -----
    fitting 12 runs, 3 targets
      × old-losses.csv: the earlier runs have losses of p, q, the new ones of web, code, law: expected
      │ at least one target in common
      help: name the columns of both tables alike
    "#);
}

#[test]
fn a_study_takes_earlier_runs_and_notices_when_they_change() {
    let fixture = Fixture::study_after("train");
    tables(&fixture, "old", &["code", "web"], 12);
    let section = "[fit.earlier]\nmixtures = \"old.csv\"\nlosses = \"old-losses.csv\"\n";
    fixture.edit(
        "study.toml",
        "folds = 3\n",
        &format!("folds = 3\n{section}"),
    );
    assert_output!(fixture.ok(&["fit"]).stderr, @r#"
    fitting 10 runs
    12 earlier runs are fitted with them, and never judged
    domains that are new since then: law
    targets that only new runs have: law
    next: regmix optimize
    "#);
    fixture.ok(&["fit"]);
    tables(&fixture, "old", &["code", "web"], 13);
    assert_output!(fixture.refused(&["fit"]), @r#"
    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./fit/fit.json: it was made from other inputs (earlier losses was [HASH], is
      │ [HASH]; earlier mixtures was [HASH], is [HASH])
      help: put the inputs back, or make it again with `regmix fit --redo`
    "#);
    fixture.edit("study.toml", "old.csv", "older.csv");
    assert_output!(fixture.refused(&["fit"]), @r#"
    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./older.csv: No such file or directory (os error 2)
      help: check the path
    "#);
}

#[test]
fn a_learning_curve_is_printed_and_written() {
    let fixture = Fixture::empty();
    tables(&fixture, "new", &["web", "code"], 80);
    let curve = [
        "--out",
        "fit",
        "--regressors",
        "linear,law1",
        "--learning-curve",
    ];
    let output = fixture.ok(&[&NEW[..], &curve].concat());
    let learnt = output.stdout.split("By number of runs").nth(1).unwrap();
    assert!(
        learnt.contains("With 64 runs `law1` has a mean absolute error of"),
        "{learnt}"
    );
    assert!(learnt.contains("measured"), "{learnt}");
    let written = fixture.text("fit/learning.csv");
    assert!(
        written.starts_with("regressor,target,runs,extrapolated,"),
        "{written}"
    );
    for start in ["linear,,10,false,", "law1,web,64,false,"] {
        assert!(
            written.lines().any(|line| line.starts_with(start)),
            "{start}: {written}"
        );
    }
    // A fit without the flag takes the file away: it is of other runs.
    let again = ["--out", "fit", "--regressors", "linear", "--redo"];
    fixture.ok(&[&NEW[..], &again].concat());
    assert!(!fixture.path("fit/learning.csv").exists());

    let json = [
        "--format",
        "json",
        "--out",
        "f",
        "--regressors",
        "linear",
        "--learning-curve",
    ];
    let both = fixture.ok(&[&NEW[..], &json].concat()).json();
    assert_eq!(both["learning"][0]["runs"], 10);
}

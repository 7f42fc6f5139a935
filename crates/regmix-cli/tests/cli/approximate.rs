//! Fits that move towards approximate losses: of experts, or of the user's own tables.

use crate::fixture::{DOMAINS, FIT, Fixture, assert_output};

fn study_with_experts() -> Fixture {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "folds = 3", "folds = 3\nexperts = true");
    for verb in ["tokenize", "design"] {
        fixture.ok(&[verb]);
    }
    fixture
}

#[test]
fn experts_are_trained_with_the_proxies_and_used_by_the_fit() {
    let fixture = study_with_experts();
    let status = fixture.ok(&["status"]).stdout;
    assert!(
        status.contains("experts   0 of 3 finished; predictions not mixed yet"),
        "{status}"
    );
    assert_output!(fixture.refused(&["fit"]), @r"
    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./runs: no proxy is finished
      help: run `regmix train` first
    ");
    let trained = fixture.ok(&["train"]);
    trained.says("mixing the predictions of the experts");
    for domain in 1..=DOMAINS.len() {
        assert!(
            fixture
                .path(&format!("experts/expert-{domain}/DONE"))
                .exists()
        );
    }
    assert_eq!(fixture.text("experts/losses.csv").lines().count(), 301);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["experts"]["mixed"], true);
    assert_eq!(status["experts"]["runs"]["done"], DOMAINS.len());
    assert_eq!(status["next"], "regmix fit");

    let fitted = fixture.ok(&["fit", "--format", "json"]).json();
    assert_eq!(fitted["approximate"]["mixtures"], 300);
    let shown = fixture.ok(&["fit"]).stdout;
    assert!(
        shown.contains("the approximate losses of 300 mixtures"),
        "{shown}"
    );
    fixture.ok(&["optimize"]);
    fixture.ok(&["report"]);
    assert!(
        fixture
            .text("report.html")
            .contains("approximate losses of 300 mixtures")
    );

    // Nothing is trained or mixed twice, and a killed worker's tables are made again.
    let before = fixture.files("experts");
    let again = fixture.ok(&["train"]);
    assert!(
        !again.stderr.contains("mixing the predictions"),
        "{again:?}"
    );
    let after = fixture.files("experts");
    assert!(
        before
            .iter()
            .all(|(path, bytes)| path.ends_with("lock") || after[path] == *bytes)
    );
    let losses = fixture.read("experts/losses.csv");
    std::fs::remove_file(fixture.path("experts/losses.csv")).unwrap();
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["next"], "regmix train");
    assert_output!(fixture.refused(&["fit"]), @r"
    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./experts/losses.csv: not there: expected the mixed predictions of trained experts
      help: run `regmix train` first, or leave `fit.experts` out
    ");
    fixture
        .ok(&["train"])
        .says("mixing the predictions of the experts");
    assert_eq!(fixture.read("experts/losses.csv"), losses);
    fixture.ok(&["fit"]);
}

#[test]
fn changed_experts_make_a_fit_stale() {
    let fixture = study_with_experts();
    for verb in ["train", "fit"] {
        fixture.ok(&[verb]);
    }
    fixture.edit("experts/losses.csv", "mixed-7,", "mixed-7,1");
    assert_output!(fixture.refused(&["fit"]), @r"
    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./fit/fit.json: it was made from other inputs (approximate losses was [HASH], is
      │ [HASH])
      help: put the inputs back, or make it again with `regmix fit --redo`
    ");
}

#[test]
fn losses_of_smaller_runs_are_given_as_tables() {
    let fixture = Fixture::empty();
    let table = |name: &str, runs: usize, shift: f64| {
        let (mut mixtures, mut losses) = ("run,a,b\n".to_owned(), "run,a,b\n".to_owned());
        for i in 0..runs {
            let w = (i as f64 + 0.5) / runs as f64;
            let [a, b] = [w, 1.0 - w]
                .map(|w| 2.0 + shift + 0.4 * (w + 0.02).powf(-0.3) + 0.2 * (9.0 * w).sin());
            mixtures += &format!("r{i},{w},{}\n", 1.0 - w);
            losses += &format!("r{i},{a},{b}\n");
        }
        fixture.write(&format!("{name}.csv"), mixtures);
        fixture.write(&format!("{name}l.csv"), losses);
    };
    table("m", 9, 0.0);
    std::fs::rename(fixture.path("ml.csv"), fixture.path("l.csv")).unwrap();
    table("small", 60, 0.7);
    let near = [
        "--approximate-mixtures",
        "small.csv",
        "--approximate-losses",
        "smalll.csv",
    ];
    let some = ["--regressors", "linear,law1"];
    let fitted = fixture.ok(&[&FIT[..], &near, &some].concat());
    fitted.says("60 mixtures with approximate losses");
    assert!(
        fitted
            .stdout
            .contains("Of the approximate losses of 60 mixtures 100 % are taken"),
        "{fitted:?}"
    );
    let predict = [
        "predict",
        "--fit",
        "fit",
        "--mixtures",
        "small.csv",
        "--out",
        "p.csv",
    ];
    fixture.ok(&predict);

    let lone = ["--approximate-mixtures", "small.csv"];
    let refused = fixture.run(&[&FIT[..], &lone].concat());
    assert!(
        refused.code == 2 && refused.stderr.contains("--approximate-losses"),
        "{refused:?}"
    );
    fixture.edit("small.csv", "run,a,b", "run,a,c");
    assert_output!(fixture.refused(&[&FIT[..], &near, &["--redo"]].concat()), @r"
    $ regmix fit --mixtures m.csv --losses l.csv --out fit --approximate-mixtures small.csv --approximate-losses smalll.csv --redo
    exit code: 2
    ----- stderr -----
    fitting 9 runs, 2 targets
      × small.csv: unknown domain `c`: expected one of a, b
    ");
    fixture.edit("small.csv", "run,a,c", "run,a,b");
    fixture.edit("smalll.csv", "run,a,b", "run,x,y");
    assert_output!(fixture.refused(&[&FIT[..], &near, &["--redo"]].concat()), @r"
    $ regmix fit --mixtures m.csv --losses l.csv --out fit --approximate-mixtures small.csv --approximate-losses smalll.csv --redo
    exit code: 2
    ----- stderr -----
    fitting 9 runs, 2 targets
    60 mixtures with approximate losses
      × smalll.csv: `approximate`: losses of x, y: expected those of at least one of a, b
    ");
}

#[test]
fn tables_of_other_targets_are_refused_at_their_section() {
    let fixture = Fixture::study_after("train");
    let section = "[fit.approximate]\nmixtures = \"design/mixtures.csv\"\nlosses = \"small.csv\"\n";
    fixture.edit("study.toml", "[target]", &format!("{section}\n[target]"));
    let design = fixture.text("design/mixtures.csv");
    let runs = design
        .lines()
        .skip(1)
        .map(|row| row.split(',').next().unwrap());
    let rows: String = (runs.zip(1..))
        .map(|(run, i)| format!("{run},{i},{}\n", 20 - i))
        .collect();
    fixture.write("small.csv", format!("run,x,y\n{rows}"));
    assert_output!(fixture.refused(&["fit"]), @r#"
    $ regmix fit
    exit code: 2
    ----- stderr -----
    10 mixtures with approximate losses
    fitting 10 runs
      × ./study.toml:32: `fit.approximate`: losses of x, y: expected those of at least one of code,
      │ law, web
        ╭─[./study.toml:32:1]
     31 │ 
     32 │ [fit.approximate]
        · ────────┬────────
        ·         ╰── here
     33 │ mixtures = "design/mixtures.csv"
        ╰────
    "#);
}

#[test]
fn experts_and_tables_are_not_both_asked_for() {
    let fixture = Fixture::study();
    let both = "experts = true\n[fit.approximate]\nmixtures = \"m.csv\"\nlosses = \"l.csv\"\n";
    fixture.edit("study.toml", "[target]", &format!("{both}\n[target]"));
    assert_output!(fixture.refused(&["status"]), @r"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:32: `fit.experts`: out of range, expected either this or [fit.approximate]
        ╭─[./study.toml:32:1]
     31 │ 
     32 │ experts = true
        · ───────┬──────
        ·        ╰── here
     33 │ [fit.approximate]
        ╰────
    ");
}

//! Finished artefacts whose inputs changed are kept until the user says so.

use crate::fixture::{Fixture, assert_output, document, transcript};

/// Appends a document to the web domain.
fn grow(fixture: &Fixture) {
    let mut text = fixture.text("text/train/web-0.jsonl");
    text.push_str(&document(2, 1000));
    fixture.write("text/train/web-0.jsonl", text);
}

#[test]
fn a_corpus_that_changed_under_its_proxies_is_said_at_every_step() {
    let fixture = Fixture::study_after("train");
    let losses = fixture.read("trajectories.csv");
    let runs = fixture.files("runs");
    grow(&fixture);
    assert_output!(fixture.refused(&["tokenize"]), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
      × ./corpus/manifest.json: it was made from other inputs (files was [HASH], is
      │ [HASH])
      help: put the inputs back, or make it again with `regmix tokenize --redo`
    "#);
    fixture.ok(&["tokenize", "--redo"]);
    // Losses on the old text must not be fitted as if they were of the new.
    let steps = [&["train"][..], &["train", "--redo"], &["design"], &["fit"]];
    assert_output!(transcript(steps.map(|args| fixture.refused(args))), @r#"
    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./design/mixtures.csv: it was made from other inputs (corpus was [HASH]..., is
      │ [HASH]...)
      help: put the inputs back, or make it again with `regmix design --redo`

    $ regmix train --redo
    exit code: 2
    ----- stderr -----
      × ./design/mixtures.csv: it was made from other inputs (corpus was [HASH]..., is
      │ [HASH]...)
      help: put the inputs back, or make it again with `regmix design --redo`

    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./design/mixtures.csv: it was made from other inputs (corpus was [HASH]..., is
      │ [HASH]...)
      help: put the inputs back, or make it again with `regmix design --redo`

    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./design/mixtures.csv: it was made from other inputs (corpus was [HASH]..., is
      │ [HASH]...)
      help: put the inputs back, or make it again with `regmix design --redo`
    "#);
    fixture.ok(&["design", "--redo"]);
    for (path, bytes) in runs {
        let kept = path.strip_prefix(fixture.path("runs")).unwrap();
        assert_eq!(
            std::fs::read(fixture.path("runs.old-1").join(kept)).unwrap(),
            bytes
        );
    }
    fixture.ok(&["train"]);
    assert_ne!(fixture.read("trajectories.csv"), losses);
}

#[test]
fn an_edit_that_keeps_the_size_is_noticed_and_a_touch_is_not() {
    let fixture = Fixture::study_after("tokenize");
    let text = fixture.text("text/train/web-0.jsonl");
    fixture.write("text/train/web-0.jsonl", &text);
    fixture.ok(&["tokenize"]);
    let at = text.find("\"text\": \"").unwrap() + 9;
    let mut edited = text.into_bytes();
    edited[at] = if edited[at] == b'x' { b'y' } else { b'x' };
    fixture.write("text/train/web-0.jsonl", edited);
    assert_output!(fixture.refused(&["tokenize"]), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
      × ./corpus/manifest.json: it was made from other inputs (files was [HASH], is
      │ [HASH])
      help: put the inputs back, or make it again with `regmix tokenize --redo`
    "#);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["next"], "regmix tokenize --redo");
    assert_output!(fixture.ok(&["status"]), @r#"
    $ regmix status
    exit code: 0
    ----- stdout -----
    study tiny in .
      corpus    3 domains, 10503 training tokens; out of date (files was [HASH], is [HASH])
      proxies   not planned
      fit       not yet
      mixture   not yet
      schedule  not yet
      targets   0 of 6 finished
      report    not yet
    next: regmix tokenize --redo
    "#);
}

#[test]
fn status_says_that_a_fit_is_older_than_its_runs() {
    let fixture = Fixture::study_after("optimize");
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"], serde_json::json!({}));
    let last = fixture.path("runs").join("run-0000");
    std::fs::rename(&last, fixture.path("run-kept")).unwrap();
    let status = fixture.ok(&["status", "--format", "json"]).json();
    let changes = status["stale"]["fit"].as_str().unwrap();
    assert!(changes.starts_with("losses was"), "{changes}");
    assert_eq!(status["next"], "regmix train");
    std::fs::rename(fixture.path("run-kept"), last).unwrap();
    fixture.edit("study.toml", "folds = 3", "folds = 4");
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"]["fit"], "fit.folds was 3, is 4");
    assert_eq!(status["next"], "regmix fit --redo");
}

#[test]
fn proxies_of_another_configuration_are_kept_aside() {
    let fixture = Fixture::study_after("train");
    let first = fixture.read("runs/run-0000/metrics.jsonl");
    fixture.edit("study.toml", "steps = 4", "steps = 3");
    assert_output!(fixture.refused(&["train"]), @r#"
    $ regmix train
    exit code: 2
    ----- stderr -----
    nano: 12080 parameters (10240 embedding, 1840 other)
      × ./runs/run-0000/run.toml: run `run-0000` was started with another configuration
      │ (train.eval_every: 2 is now 1, train.steps: 4 is now 3)
      help: put the configuration back, or redo the run with `--redo`
    "#);
    fixture.ok(&["train", "--redo"]);
    assert_eq!(fixture.read("runs/run-0000.old-1/metrics.jsonl"), first);
    assert_ne!(fixture.read("runs/run-0000/metrics.jsonl"), first);
}

#[test]
fn a_fit_and_a_mixture_name_the_setting_that_changed() {
    let fixture = Fixture::study_after("optimize");
    fixture.edit("study.toml", "folds = 3", "folds = 4");
    assert_output!(fixture.refused(&["fit"]), @r#"
    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./fit/fit.json: it was made from other inputs (fit.folds was 3, is 4)
      help: put the inputs back, or make it again with `regmix fit --redo`
    "#);
    fixture.edit("study.toml", "folds = 4", "folds = 3");
    let study = fixture.text("study.toml");
    fixture.write(
        "study.toml",
        format!("[objective]\nloss = \"web\"\n{study}"),
    );
    let old = fixture.read("mixture.json");
    assert_output!(fixture.refused(&["optimize"]), @r#"
    $ regmix optimize
    exit code: 2
    ----- stderr -----
      × ./mixture.json: it was made from other inputs (objective.loss was "mean", is "web")
      help: put the inputs back, or make it again with `regmix optimize --redo`
    "#);
    fixture.ok(&["optimize", "--redo"]);
    assert_ne!(fixture.read("mixture.json"), old);
}

#[test]
fn a_fit_apart_from_a_study_is_overwritten_only_on_request() {
    let fixture = Fixture::study_after("fit");
    let mut args = vec![
        "fit",
        "--mixtures",
        "fit/mixtures.csv",
        "--losses",
        "fit/values.csv",
        "--out",
        "own",
        "--regressors",
        "linear",
        "--seed",
        "1",
    ];
    fixture.ok(&args);
    let first = fixture.read("own/predictions.csv");
    args[10] = "2";
    assert_output!(fixture.refused(&args), @r#"
    $ regmix fit --mixtures fit/mixtures.csv --losses fit/values.csv --out own --regressors linear --seed 2
    exit code: 2
    ----- stderr -----
      × own/fit.json: it is there already
      help: choose another place with `--out`, or overwrite it with `--redo`
    "#);
    args.push("--redo");
    fixture.ok(&args);
    assert_ne!(fixture.read("own/predictions.csv"), first, "other folds");
    let search = ["optimize", "--fit", "own", "--out", "m.json"];
    fixture.ok(&search);
    assert_output!(fixture.refused(&search), @r#"
    $ regmix optimize --fit own --out m.json
    exit code: 2
    ----- stderr -----
      × m.json: it is there already
      help: choose another place with `--out`, or overwrite it with `--redo`
    "#);
}

#[test]
fn no_step_uses_what_an_edited_setting_made_stale() {
    let fixture = Fixture::study_after("optimize");
    fixture.write("mine.csv", "run,code,law,web\na,0.2,0.3,0.5\n");
    let predict = ["predict", "--mixtures", "mine.csv"];
    let stale = |from: &str, to: &str, steps: &[&[&str]], problem: &str, help: &str| {
        fixture.edit("study.toml", from, to);
        for step in steps {
            fixture.refused(step).says(problem).says(help);
        }
        fixture.edit("study.toml", to, from);
    };
    stale(
        "valid_share = 0.2",
        "valid_share = 0.3",
        &[
            &["design"],
            &["design", "--redo"],
            &["train"],
            &["fit"],
            &["optimize"],
            &["schedule"],
            &["export", "--to", "nanotron", "--path", "/{domain}"],
            &[
                "export",
                "--to",
                "nanotron",
                "--path",
                "/{domain}",
                "--schedule",
            ],
            &["target"],
            &predict,
        ],
        "corpus/manifest.json: it was made from other inputs (corpus.valid_share was 0.2, is 0.3)",
        "`regmix tokenize --redo`",
    );
    stale(
        "runs = 10",
        "runs = 12",
        &[
            &["train"],
            &["fit"],
            &["optimize"],
            &["schedule"],
            &["target"],
            &predict,
        ],
        "design/mixtures.csv: it was made from other inputs (design.runs was 10, is 12)",
        "`regmix design --redo`",
    );
    stale(
        "folds = 3",
        "folds = 4",
        &[
            &["optimize"],
            &["optimize", "--redo"],
            &["target"],
            &predict,
        ],
        "fit/fit.json: it was made from other inputs (fit.folds was 3, is 4)",
        "`regmix fit --redo`",
    );
    stale(
        "[check]",
        "[objective]\nloss = \"web\"\n[check]",
        &[&["target"], &["export", "--to", "csv"]],
        "mixture.json: it was made from other inputs (objective.loss was \"mean\", is \"web\")",
        "`regmix optimize --redo`",
    );
    fixture.ok(&predict);
    fixture.ok(&["target"]);
}

#[test]
fn text_that_changed_is_said_and_the_corpus_is_used_as_it_is() {
    let fixture = Fixture::study_after("optimize");
    grow(&fixture);
    for step in ["design", "train", "fit", "optimize", "target"] {
        (fixture.ok(&[step]))
            .says("the text is not what it was when it was tokenized")
            .says("`regmix tokenize --redo` makes it again");
    }
}

#[test]
fn a_study_without_its_runs_keeps_its_fit() {
    let fixture = Fixture::study_after("optimize");
    std::fs::rename(fixture.path("runs"), fixture.path("elsewhere")).unwrap();
    fixture.ok(&["optimize"]);
    let report = fixture.ok(&["report"]);
    report.says("the runs are not here");
    assert!(
        fixture
            .text("report.html")
            .contains("Loss curves of the proxies")
    );
    fixture.edit("study.toml", "folds = 3", "folds = 4");
    fixture.refused(&["optimize"]).says("fit.folds was 3, is 4");
}

#[test]
fn a_report_is_made_of_the_runs_and_says_what_is_out_of_date() {
    let fixture = Fixture::study_after("optimize");
    fixture.ok(&["report"]);
    let page = fixture.text("report.html");
    let table = fixture.text("trajectories.csv");
    fixture.write("trajectories.csv", &table[..table.len() / 2]);
    fixture.ok(&["report"]);
    assert_eq!(fixture.text("report.html"), page);
    fixture.edit("study.toml", "folds = 3", "folds = 4");
    (fixture.ok(&["report"])).says("the fit is out of date (fit.folds was 3, is 4)");
}

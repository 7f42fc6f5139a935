//! Finished artefacts whose inputs changed are kept until the user says so.

use crate::fixture::{Fixture, document};

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
    fixture
        .refused(&["tokenize"])
        .says("corpus/manifest.json: it was made from other inputs (files was")
        .says("`regmix tokenize --redo`");
    fixture.ok(&["tokenize", "--redo"]);
    // Losses on the old text must not be fitted as if they were of the new.
    for args in [&["train"][..], &["train", "--redo"], &["design"], &["fit"]] {
        fixture
            .refused(args)
            .says("design/mixtures.csv: it was made from other inputs (corpus was")
            .says("`regmix design --redo`");
    }
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
    fixture
        .refused(&["tokenize"])
        .says("corpus/manifest.json: it was made from other inputs (files was");
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["next"], "regmix tokenize --redo");
    let shown = fixture.ok(&["status"]).stdout;
    assert!(shown.contains("out of date (files was"), "{shown}");
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
    fixture.refused(&["train"]).says("steps").says("--redo");
    fixture.ok(&["train", "--redo"]);
    assert_eq!(fixture.read("runs/run-0000.old-1/metrics.jsonl"), first);
    assert_ne!(fixture.read("runs/run-0000/metrics.jsonl"), first);
}

#[test]
fn a_fit_and_a_mixture_name_the_setting_that_changed() {
    let fixture = Fixture::study_after("optimize");
    fixture.edit("study.toml", "folds = 3", "folds = 4");
    fixture
        .refused(&["fit"])
        .says("fit/fit.json: it was made from other inputs (fit.folds was 3, is 4)")
        .says("`regmix fit --redo`");
    fixture.edit("study.toml", "folds = 4", "folds = 3");
    let study = fixture.text("study.toml");
    fixture.write(
        "study.toml",
        format!("[objective]\nloss = \"web\"\n{study}"),
    );
    let old = fixture.read("mixture.json");
    fixture
        .refused(&["optimize"])
        .says("mixture.json: it was made from other inputs (objective.loss was")
        .says("`regmix optimize --redo`");
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
    fixture
        .refused(&args)
        .says("own/fit.json: it is there already")
        .says("`--redo`");
    args.push("--redo");
    fixture.ok(&args);
    assert_ne!(fixture.read("own/predictions.csv"), first, "other folds");
    let search = ["optimize", "--fit", "own", "--out", "m.json"];
    fixture.ok(&search);
    fixture
        .refused(&search)
        .says("m.json: it is there already")
        .says("`--redo`");
}

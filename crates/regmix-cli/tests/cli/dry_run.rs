//! How long a study will take, before it is trained.

use serde_json::{Value, json};

use crate::fixture::{Fixture, Output, assert_output};
use crate::sizes;

/// Runs a command that must succeed and leave every file as it is.
#[track_caller]
fn unchanged(fixture: &Fixture, args: &[&str]) -> Output {
    let state = || {
        let cache = std::fs::read(fixture.path(".status.json")).ok();
        (fixture.files(""), cache)
    };
    let before = state();
    let output = fixture.ok(args);
    assert!(state() == before, "{args:?} changed files");
    output
}

/// The result without what was measured, which must be there where runs are left.
#[track_caller]
fn masked(output: &Output) -> Value {
    let mut found = output.json();
    let mut sum = 0.0;
    for kind in found["kinds"].as_array_mut().unwrap() {
        let seconds = kind["seconds"].as_f64().unwrap();
        sum += seconds;
        if kind["left"] == 0 {
            assert_eq!(seconds, 0.0, "{kind}");
            continue;
        }
        for key in [
            "tokens_per_second",
            "evaluation_tokens_per_second",
            "seconds",
        ] {
            assert!(kind[key].as_f64().unwrap() > 0.0, "{kind}");
            kind[key] = json!("[MEASURED]");
        }
    }
    let all = found["seconds"].as_f64().unwrap();
    assert!((all - sum).abs() <= 1e-9 * sum, "{all} {sum}");
    found["seconds"] = json!("[MEASURED]");
    found
}

/// Runs in all and left of every kind.
#[track_caller]
fn counts(output: &Output) -> Vec<(String, u64, u64)> {
    let found = output.json();
    let kinds = found["kinds"].as_array().unwrap().iter();
    kinds
        .map(|kind| {
            let name = kind["kind"].as_str().unwrap().to_owned();
            let count = |key: &str| kind[key].as_u64().unwrap();
            (name, count("runs"), count("left"))
        })
        .collect()
}

const TRAIN: [&str; 7] = [
    "-q",
    "train",
    "--dry-run",
    "--parallel",
    "2",
    "--format",
    "json",
];

#[test]
fn the_time_of_all_kinds_is_estimated_before_anything_is_trained() {
    let fixture = sizes::study("max_cost = 4.0", "", "");
    fixture.edit("study.toml", "folds = 3", "folds = 3\nexperts = true");
    assert_output!(fixture.refused(&["train", "--dry-run"]), @r"
    $ regmix train --dry-run
    exit code: 2
    ----- stderr -----
      × ./corpus/manifest.json: the corpus is not tokenized
      help: run `regmix tokenize` first
    ");
    fixture.ok(&["tokenize"]);
    let fresh = unchanged(&fixture, &TRAIN);
    insta::assert_snapshot!(serde_json::to_string_pretty(&masked(&fresh)).unwrap(), @r#"
    {
      "device": "cpu",
      "kinds": [
        {
          "at_once": 2,
          "evaluation_tokens_left": 1920,
          "evaluation_tokens_per_run": 192,
          "evaluation_tokens_per_second": "[MEASURED]",
          "failed": 0,
          "kind": "proxies",
          "left": 10,
          "outdated": 0,
          "parameters": 5784,
          "preset": "nano",
          "runs": 10,
          "seconds": "[MEASURED]",
          "tokens_left": 1280,
          "tokens_per_run": 128,
          "tokens_per_second": "[MEASURED]"
        },
        {
          "at_once": 2,
          "evaluation_tokens_left": 768,
          "evaluation_tokens_per_run": 192,
          "evaluation_tokens_per_second": "[MEASURED]",
          "failed": 0,
          "kind": "size wide",
          "left": 4,
          "outdated": 0,
          "parameters": 12080,
          "preset": "nano",
          "runs": 4,
          "seconds": "[MEASURED]",
          "tokens_left": 512,
          "tokens_per_run": 128,
          "tokens_per_second": "[MEASURED]"
        },
        {
          "at_once": 2,
          "evaluation_tokens_left": 576,
          "evaluation_tokens_per_run": 192,
          "evaluation_tokens_per_second": "[MEASURED]",
          "failed": 0,
          "kind": "size long",
          "left": 3,
          "outdated": 0,
          "parameters": 26208,
          "preset": "nano",
          "runs": 3,
          "seconds": "[MEASURED]",
          "tokens_left": 768,
          "tokens_per_run": 256,
          "tokens_per_second": "[MEASURED]"
        },
        {
          "at_once": 2,
          "evaluation_tokens_left": 576,
          "evaluation_tokens_per_run": 192,
          "evaluation_tokens_per_second": "[MEASURED]",
          "failed": 0,
          "kind": "experts",
          "left": 3,
          "outdated": 0,
          "parameters": 5784,
          "preset": "nano",
          "runs": 3,
          "seconds": "[MEASURED]",
          "tokens_left": 384,
          "tokens_per_run": 128,
          "tokens_per_second": "[MEASURED]"
        }
      ],
      "left_out": [
        "checkpoints",
        "other work on the machine",
        "other workers, which share the runs"
      ],
      "seconds": "[MEASURED]"
    }
    "#);
    fixture.ok(&["design"]);
    let drawn = unchanged(&fixture, &TRAIN);
    assert_eq!(masked(&drawn), masked(&fresh));
}

#[test]
fn runs_that_change_their_mixture_are_of_one_size_before_and_after_the_design() {
    let fixture = sizes::study("max_cost = 9.0", "", "");
    fixture.edit("study.toml", "runs = 10", "runs = 10\nswitching = 0.6");
    fixture.ok(&["tokenize"]);
    let fresh = counts(&unchanged(&fixture, &TRAIN));
    let expected = [
        ("proxies", 10, 10),
        ("size wide", 4, 4),
        ("size long", 4, 4),
    ];
    let expected = expected.map(|(kind, runs, left)| (kind.to_owned(), runs, left));
    assert_eq!(fresh, expected);
    fixture.ok(&["design"]);
    assert_eq!(counts(&unchanged(&fixture, &TRAIN)), fresh);
}

#[test]
fn what_was_trained_is_not_counted_again() {
    let fixture = Fixture::study_after("design");
    fixture.ok(&["train", "--shard", "1/2"]);
    // One of the five has made two of its four steps.
    std::fs::remove_file(fixture.path("runs/run-0000/DONE")).unwrap();
    let lines = fixture.text("runs/run-0000/metrics.jsonl");
    let first = lines.lines().next().unwrap();
    fixture.write("runs/run-0000/metrics.jsonl", format!("{first}\n"));
    fixture.fail("runs/run-0002", "diverged at step 3");
    let found = unchanged(&fixture, &TRAIN);
    let kind = &masked(&found)["kinds"][0];
    let of = |key: &str| kind[key].as_u64().unwrap();
    let runs = ["runs", "left", "failed", "outdated"].map(of);
    assert_eq!(runs, [10, 6, 1, 0], "{kind}");
    // Steps of two sequences of 16 tokens; an evaluation has two of every domain.
    assert_eq!(of("tokens_per_run"), 4 * 32);
    assert_eq!(of("evaluation_tokens_per_run"), 2 * 96);
    assert_eq!(of("tokens_left"), 5 * 128 + 64);
    assert_eq!(of("evaluation_tokens_left"), 5 * 192 + 96);

    let shard = unchanged(&fixture, &[&TRAIN[..], &["--shard", "1/2"]].concat());
    assert_eq!(counts(&shard), [("proxies".to_owned(), 5, 1)]);
    let redo = unchanged(&fixture, &[&TRAIN[..], &["--redo"]].concat());
    assert_eq!(counts(&redo), [("proxies".to_owned(), 10, 7)]);

    fixture.edit("study.toml", "lr = 4e-3", "lr = 5e-3");
    let text = unchanged(&fixture, &["-q", "train", "--dry-run", "--parallel", "2"]).stdout;
    // The run that was begun is one of another configuration, too.
    let words = "4 of the proxies have another configuration: only `--redo` trains them again.";
    assert!(text.contains(words), "{text}");
    let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        row[..8],
        ["proxies", "nano", "12080", "10", "5", "128", "192", "2"],
        "{text}"
    );
    assert_eq!(
        text.lines().last().unwrap(),
        "Not in the estimate: checkpoints, other work on the machine, other workers, which share \
         the runs."
    );
}

#[test]
fn nothing_is_measured_where_nothing_is_left() {
    let fixture = Fixture::study_after("train");
    let found = unchanged(&fixture, &TRAIN);
    assert_eq!(counts(&found), [("proxies".to_owned(), 10, 0)]);
    let found = found.json();
    assert_eq!(found["seconds"], 0.0);
    assert_eq!(found["kinds"][0]["tokens_per_second"], Value::Null);
}

#[test]
fn targets_are_estimated_before_the_mixture_is_known() {
    let fixture = Fixture::study();
    fixture.ok(&["tokenize"]);
    let args = [
        "-q",
        "target",
        "--dry-run",
        "--parallel",
        "2",
        "--schedule",
        "odm",
    ];
    let found = unchanged(&fixture, &[&args[..], &["--format", "json"]].concat());
    // Three mixtures and a schedule, with two seeds each.
    assert_eq!(counts(&found), [("targets".to_owned(), 8, 8)]);
    assert_eq!(found.json()["kinds"][0]["tokens_left"], 8 * 6 * 32);
    let output = fixture.run(&["target", "--dry-run", "--gate"]);
    output.is_one_error();
    output.says("cannot be used with");
}

//! JSON lines, summaries, and results of lm-eval.

use super::{Folder, names, select};
use regmix_data::exchange::Selection;

#[test]
fn lines_are_nested_objects_and_may_hold_several_runs() {
    let folder = Folder::new().with(
        "log.jsonl",
        r#"{"run_name": "a", "iteration": 1, "config": {"mix": {"web": 0.5, "code": 0.5}}}
{"run_name": "a", "iteration": 10, "tokens": 100, "val": {"web": {"loss": 4.0}}, "lr": 0.1}
{"run_name": "b", "iteration": 10, "tokens": 100, "val": {"web": {"loss": "NaN"}, "code": {"loss": 3}}}

{"run_name": "a", "iteration": 20, "tokens": 200, "val": {"web": {"loss": 3.5}}}
"#,
    );
    let selection = Selection {
        run: Some("run_name".to_owned()),
        tokens: Some("tokens".to_owned()),
        ..select(&["val/*/loss"], &["config/mix/*"])
    };
    let out = folder.import(&selection).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web,code\na,3.5,NaN\nb,NaN,3\n");
    assert_eq!(out.trajectories[0].1[1].tokens, Some(200));
    assert_eq!(out.skipped, ["lr"]);
    assert_eq!(out.mixtures.unwrap().runs(), ["a"]);
    assert!(out.notes.contains(&"runs without weights: b".to_owned()));
}

#[test]
fn runs_of_a_file_are_told_apart_by_the_usual_keys() {
    for key in ["run", "run_id", "run_name"] {
        let line = |run: &str, step: u32, web: f64| {
            format!("{{\"{key}\": \"{run}\", \"step\": {step}, \"loss\": {{\"web\": {web}}}}}\n")
        };
        let text = line("a", 1, 4.0) + &line("b", 1, 5.0) + &line("a", 2, 3.5) + &line("b", 2, 4.5);
        let folder = Folder::new().with("log.jsonl", text);
        let out = folder.import(&select(&["loss/*"], &[])).unwrap();
        assert_eq!(out.losses.to_csv(), "run,web\na,3.5\nb,4.5\n");
        assert!(out.notes.is_empty() && out.skipped.is_empty(), "{out:?}");
    }
    // Without an identifier of its own, `null` in one key leaves the other.
    let text = "{\"run\": null, \"run_id\": 7, \"step\": 1, \"loss/web\": 4}\n";
    let folder = Folder::new().with("log.jsonl", text.repeat(2));
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\n7,4\n");
}

#[test]
fn a_measurement_of_no_run_among_those_of_runs_is_refused() {
    let text = "{\"run\": \"a\", \"step\": 1, \"loss/web\": 4}\n{\"step\": 2, \"loss/web\": 3}\n";
    let folder = Folder::new().with("log.jsonl", text);
    assert_eq!(
        folder.refused(&select(&["loss/*"], &[])),
        "log.jsonl:2: measurements without the name of a run, which line 1 has: expected it in \
         every line"
    );
}

#[test]
fn lines_of_domains_are_targets_of_their_own() {
    let line = |run: &str, step: u32, domain: &str, loss: f64| {
        format!(
            "{{\"run\": \"{run}\", \"step\": {step}, \"domain\": \"{domain}\", \"loss\": {loss}}}\n"
        )
    };
    let text = line("a", 1, "web", 4.0)
        + &line("a", 1, "code", 3.0)
        + &line("a", 2, "web", 3.5)
        + &line("a", 2, "code", 2.5)
        + &line("b", 2, "web", 3.75)
        + &line("b", 2, "code", 2.25);
    let folder = Folder::new().with("log.jsonl", text);
    let out = folder.import(&select(&["loss"], &[])).unwrap();
    assert_eq!(
        out.losses.to_csv(),
        "run,web,code\na,3.5,2.5\nb,3.75,2.25\n"
    );
    assert!(out.skipped.is_empty(), "{:?}", out.skipped);
}

#[test]
fn numbers_that_json_has_not_are_read_as_python_writes_them() {
    let text = "{\"step\": 1, \"loss\": {\"web\": 3.0, \"code\": 2}, \"say\": \"\\\"NaN\\\" or NaN\"}\n\
                {\"step\": 2, \"loss\": {\"web\": NaN, \"code\": Infinity}, \"lr\": -Infinity}\n";
    let folder = Folder::new().with("a.jsonl", text).with(
        "b.jsonl",
        "{\n \"step\": 2,\n \"loss\": {\"web\": 2, \"code\": NaN}\n}\n",
    );
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    // Run a has diverged: its values before the end are not those of the end.
    assert_eq!(out.losses.to_csv(), "run,web,code\nb,2,NaN\n");
    assert_eq!(
        out.notes,
        [
            "values that are NaN or infinite: they count as missing, in a (2), b (1)",
            "runs whose last values are NaN or infinite, as after a divergence, are left out: a",
            "target `code` is missing in 1 of 1 runs: b",
        ]
    );
    let at = Selection {
        at_step: Some(1),
        ..select(&["loss/*"], &[])
    };
    let out = folder.import(&at).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web,code\na,3,2\nb,NaN,NaN\n");
}

#[test]
fn a_last_value_that_is_not_finite_has_no_other_in_its_place() {
    let line = |step: u32, web: &str, code: &str| {
        format!("{{\"step\": {step}, \"loss\": {{\"web\": {web}, \"code\": {code}}}}}\n")
    };
    // Run a ends with one such value; b was continued before it; c has none at its end.
    let a = line(1, "3", "2") + &line(2, "2.5", "Infinity");
    let b = line(1, "3", "2") + &line(2, "NaN", "NaN") + &line(2, "2.75", "1.75");
    let c = line(1, "NaN", "2") + &line(2, "2.5", "1.5");
    let folder = Folder::new()
        .with("a.jsonl", a)
        .with("b.jsonl", b)
        .with("c.jsonl", c);
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(
        out.losses.to_csv(),
        "run,web,code\na,2.5,NaN\nb,2.75,1.75\nc,2.5,1.5\n"
    );
    let values: Vec<&[f64]> = out.trajectories[0]
        .1
        .iter()
        .map(|p| &p.values[..])
        .collect();
    assert_eq!(values[0], [3.0, 2.0]);
    assert!(values[1][0] == 2.5 && values[1][1].is_nan());
    let last = Selection {
        last: 2,
        ..select(&["loss/*"], &[])
    };
    assert_eq!(
        folder.import(&last).unwrap().losses.to_csv(),
        "run,web,code\na,2.75,NaN\nb,2.875,1.875\nc,2.5,1.75\n"
    );

    let lone = Folder::new().with("a.jsonl", line(1, "3", "2") + &line(2, "NaN", "NaN"));
    let error = lone.import(&select(&["loss/*"], &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no run has a value of any target: expected at least one"
    );
    let help = error.help_text().unwrap();
    assert!(help.contains("`--at-step`"), "{help}");
}

#[test]
fn exact_names_stand_for_metrics() {
    let folder = Folder::new().with("a.jsonl", "{\"step\": 1, \"nll.wiki (en)\": 2.5}\n");
    let mut selection = Selection::default();
    let named = ("nll.wiki (en)".to_owned(), "wiki".to_owned());
    selection.named_targets.extend([named]);
    assert_eq!(
        folder.import(&selection).unwrap().losses.to_csv(),
        "run,wiki\na,2.5\n"
    );
}

#[test]
fn names_that_look_alike_are_named() {
    let text = "{\"run\": \"a\", \"step\": 1, \"loss/caf\u{e9}\": 2.5, \"loss/cafe\u{301}\": 3}\n\
                {\"run\": \"a \", \"step\": 1, \"loss/caf\u{e9}\": 2, \"loss/cafe\u{301}\": 4}\n";
    let folder = Folder::new().with("a.jsonl", text);
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(
        (out.losses.targets().len(), out.losses.runs().len()),
        (2, 2)
    );
    assert!(
        out.notes[0].starts_with("the targets \"caf\\u{e9}\" and \"cafe\\u{301}\" differ only in"),
        "{:?}",
        out.notes
    );
    assert!(out.notes[1].starts_with("the runs \"a\" and \"a \" differ only in"));
}

#[test]
fn numbers_in_quotes_are_numbers_and_others_are_named() {
    let of = |loss: &str| {
        Folder::new().with(
            "a.jsonl",
            format!("{{\"step\": \"1\", \"loss/web\": \"{loss}\"}}\n"),
        )
    };
    let out = of("2.5").import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,2.5\n");
    assert_eq!(
        of("2,5").refused(&select(&["loss/*"], &[])),
        "a.jsonl: `loss/web`: \"2,5\" is not a number"
    );
}

#[test]
fn a_summary_is_one_object() {
    let text =
        "{\n  \"_step\": 90,\n  \"eval/web/loss\": 3.5,\n  \"_wandb\": {\"runtime\": 5}\n}\n";
    let folder = Folder::new()
        .with("run-1/files/wandb-summary.json", text)
        .with(
            "run-2/files/wandb-summary.json",
            text.replace("3.5", "3.25"),
        );
    let out = folder.import(&select(&["eval/*/loss"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\nrun-1,3.5\nrun-2,3.25\n");
    assert_eq!(out.skipped, ["_wandb/runtime"]);
}

const RESULTS: &str = r#"{
  "results": {
    "hellaswag": {"alias": "hellaswag", "acc,none": 0.3, "acc_stderr,none": 0.005,
                  "acc_norm,none": 0.35, "acc_norm_stderr,none": 0.006},
    "wikitext": {"alias": "wikitext", "word_perplexity,none": 30.5,
                 "word_perplexity_stderr,none": "N/A"}
  },
  "versions": {"hellaswag": 1, "wikitext": 2},
  "higher_is_better": {"hellaswag": {"acc": true, "acc_norm": true},
                       "wikitext": {"word_perplexity": false}},
  "n-shot": {"hellaswag": 0}
}"#;

#[test]
fn results_of_lm_eval_have_scores_and_standard_errors() {
    let folder = Folder::new()
        .with("proxy__1/results_2026-01-01T00.json", RESULTS)
        .with(
            "proxy__2/results_2026-01-02T00.json",
            RESULTS.replace("0.35", "0.4"),
        );
    let out = folder.import(&Selection::default()).unwrap();
    assert_eq!(
        out.losses.to_csv(),
        "run,hellaswag,wikitext\nproxy__1,0.35,30.5\nproxy__2,0.4,30.5\n"
    );
    assert_eq!(out.errors.unwrap().rows()[0][0], 0.006);
    let higher: Vec<&String> = out.higher_is_better.iter().collect();
    assert_eq!(higher, ["hellaswag"]);
    assert_eq!(out.skipped, ["hellaswag/acc"]);
    let acc = folder.import(&select(&["*/acc"], &[])).unwrap();
    assert_eq!(
        acc.losses.to_csv(),
        "run,hellaswag\nproxy__1,0.3\nproxy__2,0.3\n"
    );
    assert_eq!(acc.errors.unwrap().rows()[0], [0.005]);
    assert_eq!(
        acc.skipped,
        names(&["hellaswag/acc_norm", "wikitext/word_perplexity"])
    );
    assert_eq!(
        folder.refused(&select(&["*/acc", "*/acc_norm"], &[])),
        "proxy__1/results_2026-01-01T00.json: the metrics `hellaswag/acc` and `hellaswag/acc_norm` \
         both give target `hellaswag`: expected one"
    );
}

#[test]
fn results_of_different_settings_are_not_joined() {
    let with = |other: &str| {
        Folder::new()
            .with("a/results_1.json", RESULTS)
            .with("b/results_1.json", other)
    };
    let folder = with(&RESULTS.replace(
        "\"n-shot\": {\"hellaswag\": 0}",
        "\"n-shot\": {\"hellaswag\": 5}",
    ));
    let refused = folder.refused(&Selection::default());
    assert_eq!(
        refused,
        "b/results_1.json: `n-shot`: task `hellaswag` has n-shot 5 in run `b`, and n-shot 0 in run \
         `a` (a/results_1.json): expected one, since values of different settings do not compare"
    );
    // A task that is not used may differ.
    assert!(folder.import(&select(&["wikitext/*"], &[])).is_ok());
    let folder = with(&RESULTS.replace("\"wikitext\": 2", "\"wikitext\": 3"));
    assert!((folder.refused(&Selection::default())).starts_with(
        "b/results_1.json: `version`: task `wikitext` has version 3 in run `b`, and version 2 in"
    ));
    // Two files of one run as well.
    let folder = Folder::new().with("a/results_1.json", RESULTS).with(
        "a/results_2.json",
        RESULTS.replace("{\"hellaswag\": 0}", "{\"hellaswag\": 5}"),
    );
    assert!((folder.refused(&Selection::default())).contains("has n-shot 5 in run"));
}

#[test]
fn lines_that_are_no_objects_are_named() {
    let selection = select(&["loss/*"], &[]);
    let bad = |text: &str| Folder::new().with("a.jsonl", text).refused(&selection);
    assert_eq!(
        bad("{\"step\": 1, \"loss\": {\"web\": 1}}\n[1]\n"),
        "a.jsonl:2: expected an object of names and numbers"
    );
    assert!(
        bad("{\"step\": 1, \"loss\": {\"web\": 1}}\n{\"step\"\n")
            .starts_with("a.jsonl:2: not a line of JSON: ")
    );
    assert_eq!(
        bad("{\"loss\": {\"web\": 1}}\n{\"loss\": {\"web\": 2}}\n"),
        "a.jsonl: 2 measurements of run `a` have no step: expected one in every line"
    );
    let both = "{\"step\": 1, \"x\": {\"web\": 1}, \"y\": {\"web\": 2}}\n{}\n";
    assert_eq!(
        Folder::new()
            .with("a.jsonl", both)
            .refused(&select(&["x/*", "y/*"], &[])),
        "a.jsonl:1: the keys `x/web` and `y/web` both give target `web`: expected one"
    );
}

#[test]
fn groups_stand_for_their_tasks_and_filters_are_found() {
    let results = r#"{
      "results": {
        "mmlu": {"acc,none": 0.3, "acc_stderr,none": 0.1},
        "mmlu_anatomy": {"acc,none": 0.4, "acc_stderr,none": 0.1},
        "gsm8k": {"exact_match,flexible-extract": 0.2, "exact_match_stderr,flexible-extract": 0.1,
                  "exact_match,strict-match": 0.1, "exact_match_stderr,strict-match": 0.1}
      },
      "group_subtasks": {"mmlu": ["mmlu_anatomy"], "gsm8k": []},
      "versions": {}
    }"#;
    let folder = Folder::new()
        .with("a/results_1.json", results)
        .with("b/results_1.json", results.replace("0.3,", "0.31,"))
        .with("c/results_1.json", results.replace("0.3,", "0.29,"))
        // Answers to single questions, which `--log_samples` writes.
        .with("c/samples_mmlu_1.jsonl", "{\"doc_id\": 0, \"acc\": 1.0}\n");
    let out = folder.import(&Selection::default()).unwrap();
    assert_eq!(
        out.losses.to_csv(),
        "run,gsm8k,mmlu\na,0.2,0.3\nb,0.2,0.31\nc,0.2,0.29\n"
    );
    assert_eq!(
        out.skipped,
        ["gsm8k/exact_match,strict-match", "mmlu_anatomy/acc"]
    );
    assert_eq!(out.higher_is_better.len(), 2);
    assert_eq!(
        out.notes,
        [
            "the standard errors are more than half of the variance between runs, so that these may say \
             little about mixtures: gsm8k (100 %), mmlu (100 %)"
        ]
    );
}

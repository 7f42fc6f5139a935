//! `[eval]`: accuracies of proxies as targets of the fit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::fixture::{Fixture, assert_output, transcript};

const ROWS: &str = r#"{"query": "court shall hereby", "choices": ["party section", "let mut"], "gold": 0}
{"query": "", "choices": ["match impl", "whereas"], "gold": 1}
{"query": "page link ", "choices": ["news", "return else", "é"], "gold": 2}
"#;

const EVAL: &str = r#"
[eval.held_out]
questions = 20
context = 8
continuation = 4
per_domain = true

[eval.tasks.own]
task = "choices"
path = "own.jsonl"
"#;

/// A study that asks its proxies, before anything is trained.
fn study() -> Fixture {
    let fixture = Fixture::study();
    fixture.write("own.jsonl", ROWS);
    let text = fixture.text("study.toml");
    let text = text.replacen("steps = 4\n", "steps = 4\nkeep_weights = true\n", 1);
    fixture.write("study.toml", text + EVAL);
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    fixture
}

fn json(fixture: &Fixture, name: &str) -> Value {
    serde_json::from_str(&fixture.text(name)).unwrap()
}

/// The scores of all proxies, by file.
fn scores(fixture: &Fixture) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = fixture.files("runs");
    files.retain(|path, _| path.ends_with("eval/scores.json"));
    files
}

/// The scores of the questions of a kind in the file of a proxy.
fn of(fixture: &Fixture, run: &str, words: &str) -> Vec<Value> {
    let file = json(fixture, &format!("runs/{run}/eval/scores.json"));
    let asked = file["asked"].as_object().unwrap().values();
    let own = asked.filter(|set| set["questions"].as_str().unwrap().starts_with(words));
    own.map(|set| set["scores"].clone()).collect()
}

#[test]
fn accuracies_are_targets_beside_the_losses() {
    let fixture = study();
    let trained = fixture.ok(&["train"]);
    assert!(
        trained
            .stdout
            .ends_with("10 of them were asked all questions of [eval]\n"),
        "{trained:?}"
    );
    trained.says("next: regmix fit");
    // As `regmix eval` scores them.
    let ask = "--questions 20 --context 8 --continuation 4 --held-out --task choices=own.jsonl";
    let ask: Vec<&str> = ask.split(' ').collect();
    let alone = fixture.ok(&[&["eval", "runs/run-0003", "--format", "json"], &ask[..]].concat());
    let alone = alone.json()[0]["scores"].as_array().unwrap().clone();
    let held_out = of(&fixture, "run-0003", "held-out text");
    assert_eq!(held_out[0].as_array().unwrap()[..], alone[1..]);
    assert_eq!(of(&fixture, "run-0003", "choices")[0][0], alone[0]);

    let fitted = fixture.ok(&["fit"]);
    let text = &fitted.stdout;
    assert!(text.contains("means over 3 losses:"), "{text}");
    assert!(
        text.contains("\nAccuracies, each by the regressor"),
        "{text}"
    );
    let values = fixture.text("fit/values.csv");
    let mut lines = values.lines();
    let header = "run,code,law,web,held_out,held_out/code,held_out/law,held_out/web,own";
    assert_eq!(lines.next(), Some(header));
    let row = values.lines().find(|l| l.starts_with("run-0003,")).unwrap();
    let cells: Vec<f64> = row.split(',').skip(1).map(|c| c.parse().unwrap()).collect();
    assert_eq!(cells[3], alone[4]["acc"]["value"].as_f64().unwrap());
    assert_eq!(cells[7], alone[0]["acc_norm"]["value"].as_f64().unwrap());
    let fit = json(&fixture, "fit/fit.json");
    let held_out = &fit["targets"][3];
    assert_eq!(held_out["is_score"], true);
    assert!(
        held_out["standard_error"].as_f64().unwrap() > 0.03,
        "{held_out}"
    );
    assert_eq!(fit["targets"][2].get("is_score"), None);

    // The mean, and what is found for it, are those of the losses.
    fixture.ok(&["optimize"]);
    let with = json(&fixture, "mixture.json");
    assert_eq!(with["unit"], "nats per token");
    fixture.edit("study.toml", EVAL, "");
    fixture
        .refused(&["optimize"])
        .says("scores was")
        .says("is absent");
    fixture.ok(&["fit", "--redo"]);
    fixture.ok(&["optimize", "--redo"]);
    let without = json(&fixture, "mixture.json");
    for key in ["mixture", "predicted", "references", "optimism"] {
        assert_eq!(with[key], without[key], "{key}");
    }
}

#[test]
fn an_accuracy_is_maximised_and_checked_on_targets() {
    let fixture = study();
    fixture.edit(
        "study.toml",
        "[fit]\n",
        "[objective]\nloss = \"held_out\"\n\n[fit]\n",
    );
    fixture.ok(&["train"]);
    fixture.ok(&["fit"]);
    let found = fixture.ok(&["optimize"]);
    assert!(
        found
            .stdout
            .starts_with("Mixture for the highest held_out:"),
        "{found:?}"
    );
    let mixture = json(&fixture, "mixture.json");
    assert_eq!(mixture["unit"], Value::Null);
    let predicted = mixture["predicted"]["mean"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&predicted), "{predicted}");
    assert_output!(transcript([
        fixture.refused(&["target"]),
        fixture.refused(&["schedule"]),
    ]), @r#"
    $ regmix target
    exit code: 2
    ----- stderr -----
      × ./study.toml:36: `target.keep_weights`: the objective has `held_out`, which is measured after
      │ the training of targets: expected `keep_weights = true`
        ╭─[./study.toml:36:1]
     35 │ 
     36 │ [target]
        · ────┬───
        ·     ╰── here
     37 │ preset = "nano"
        ╰────

    $ regmix schedule
    exit code: 2
    ----- stderr -----
      × ./study.toml:30: `objective.loss`: the objective has `held_out`, an accuracy, which is
      │ measured at the end of proxies alone: a schedule needs an objective of losses
        ╭─[./study.toml:30:1]
     29 │ [objective]
     30 │ loss = "held_out"
        · ────────┬────────
        ·         ╰── here
     31 │ 
        ╰────
      help: name losses in [objective], then: regmix optimize --redo
    "#);
    let text = fixture.text("study.toml");
    let text = text.replacen("steps = 6\n", "steps = 6\nkeep_weights = true\n", 1);
    fixture.write("study.toml", text);
    fixture.ok(&["target"]);
    let check = json(&fixture, "check.json");
    for run in check["runs"].as_array().unwrap() {
        let accuracy = run["scores"]["held_out"].as_f64().unwrap();
        assert_eq!(run["objective"].as_f64().unwrap(), -accuracy, "{run}");
        assert_eq!(run["scores"].as_object().unwrap().len(), 5);
    }
    fixture.ok(&["report"]);
    let page = fixture.text("report.html");
    for text in [
        "Accuracies of targets",
        "score on held_out",
        ">held_out/web<",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn proxies_of_climb_are_asked_and_chosen_by_their_accuracy() {
    let fixture = Fixture::study();
    let text = fixture.text("study.toml");
    let text = (text.replace("runs = 10", "runs = 14"))
        .replace("batch_size = 2\n", "batch_size = 2\nkeep_weights = true\n");
    let more = "[objective]\nloss = \"held_out/law\"\n\n[eval.held_out]\nquestions = 40\n\
                context = 8\ncontinuation = 2\nper_domain = true\n\n[compare]\nmethods = \
                [\"climb\"]\nseeds = 1\n";
    fixture.write("study.toml", format!("{text}\n{more}"));
    for verb in ["tokenize", "design", "train", "fit", "optimize"] {
        fixture.ok(&[verb]);
    }
    let compared = fixture.ok(&["compare", "--format", "json"]).json();
    for run in compared["runs"].as_array().unwrap() {
        let accuracy = run["scores"]["held_out/law"].as_f64().unwrap();
        assert_eq!(run["objective"].as_f64().unwrap(), -accuracy, "{run}");
    }
    // Six proxies of its own, each asked as those of the study are.
    let mut asked = fixture.files("climb");
    asked.retain(|path, _| path.ends_with("eval/scores.json"));
    assert_eq!(asked.len(), 6);
    let last = "climb/round-3-0002/eval/scores.json";
    let scores = fixture.read(last);
    std::fs::remove_file(fixture.path(last)).unwrap();
    let again = fixture.ok(&["compare", "--format", "json"]).json();
    assert_eq!(fixture.read(last), scores);
    let of = |all: &Value| {
        let methods = all["methods"].as_array().unwrap();
        let own = methods.iter().find(|method| method["name"] == "climb");
        own.unwrap()["mixture"].clone()
    };
    assert_eq!(of(&again), of(&compared));
    // Its mixture is not that of a loss.
    fixture.edit("study.toml", "\"held_out/law\"", "\"law\"");
    fixture.ok(&["optimize", "--redo"]);
    let by_loss = fixture
        .ok(&["compare", "--redo", "--format", "json"])
        .json();
    assert_ne!(of(&by_loss), of(&compared));
}

#[test]
fn what_was_answered_is_not_asked_again() {
    let fixture = study();
    fixture.ok(&["train", "--shard", "1/2"]);
    assert_eq!(scores(&fixture).len(), 5);
    fixture.ok(&["train"]);
    let all = scores(&fixture);
    assert_eq!(all.len(), 10);
    // One that was lost is asked again, with the same result.
    std::fs::remove_file(fixture.path("runs/run-0003/eval/scores.json")).unwrap();
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["asked"], 9);
    assert_eq!(status["next"], "regmix train");
    assert_output!(fixture.refused(&["fit"]), @r"
    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./runs: 1 of 10 finished runs were not asked the questions of [eval]
      help: run `regmix train`: it asks them, and trains nothing that is finished
    ");
    fixture.ok(&["train"]);
    assert_eq!(scores(&fixture), all);
    fixture.ok(&["fit"]);

    // Changed questions alone are asked; the answers to others stay.
    let before = of(&fixture, "run-0000", "held-out text");
    fixture.write("own.jsonl", ROWS.lines().next().unwrap());
    let status = fixture.ok(&["status"]).stdout;
    assert!(
        status.contains("0 of 10 finished proxies were asked all"),
        "{status}"
    );
    assert!(status.contains("next: regmix train\n"), "{status}");
    let trained = fixture.ok(&["train"]);
    trained.says("next: regmix fit --redo");
    assert_eq!(of(&fixture, "run-0000", "held-out text"), before);
    assert_eq!(of(&fixture, "run-0000", "choices").len(), 2);

    // Without weights, only what is known can be used.
    fixture.ok(&["clean", "--weights", "--yes"]);
    fixture.ok(&["fit", "--redo"]);
    fixture.edit("study.toml", "questions = 20", "questions = 30");
    // Side by side, another run could be refused before the first one.
    let refused = fixture.run(&["train", "--parallel", "1"]);
    refused.says("run-0000/checkpoint/model.safetensors: the weights of the run were not kept");
    refused.says("help: its weights are needed for questions that it was not asked yet");
    fixture.edit("study.toml", "questions = 30", "questions = 20");
    fixture.ok(&["fit"]);
}

#[test]
fn mistakes_are_named_before_anything_is_trained() {
    let fixture = study();
    let mut outputs = Vec::new();
    let text = fixture.text("study.toml");
    let mut with = |from: &str, to: &str, verb: &str| {
        fixture.edit("study.toml", from, to);
        outputs.push(fixture.refused(&[verb]));
        fixture.write("study.toml", &text);
    };
    with("task = \"choices\"", "task = \"boolq\"", "train");
    with("keep_weights = true\n", "", "train");
    with("[eval.tasks.own]", "[eval.tasks.worst]", "train");
    with("own.jsonl", "mine.jsonl", "train");
    with("[eval.tasks.own]", "[eval.tasks.web]", "train");
    with("task = \"choices\"", "task = \"piqa\"", "train");
    with("continuation = 4", "continuation = 400", "train");
    with("questions = 20", "questions = 0", "train");
    with(
        "\n[eval.held_out]",
        "\n[objective.weights]\nown = 1.0\n\n[eval.held_out]",
        "status",
    );
    assert_output!(transcript(outputs), @r#"
    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:56: unknown variant `boolq`, expected one of `choices`, `arc`, `copa`,
      │ `hellaswag`, `lambada`, `logiqa`, `multirc`, `openbookqa`, `piqa`, `qqp`, `race`, `sciq`,
      │ `social_iqa`, `winogrande`
        ╭─[./study.toml:56:8]
     55 │ [eval.tasks.own]
     56 │ task = "boolq"
        ·        ───┬───
        ·           ╰── here
     57 │ path = "own.jsonl"
        ╰────

    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:15: `proxy.keep_weights`: proxies are asked the questions of [eval] after their
      │ training: expected `keep_weights = true`
        ╭─[./study.toml:15:1]
     14 │ 
     15 │ [proxy]
        · ───┬───
        ·    ╰── here
     16 │ preset = "nano"
        ╰────

    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:55: `eval.tasks.worst`: `worst`: expected letters, digits, _, - and ., and none
      │ of held_out, mean, worst
        ╭─[./study.toml:55:1]
     54 │ 
     55 │ [eval.tasks.worst]
        · ─────────┬────────
        ·          ╰── here
     56 │ task = "choices"
        ╰────

    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:55: `eval.tasks.own`: there is no file ./mine.jsonl
        ╭─[./study.toml:55:1]
     54 │ 
     55 │ [eval.tasks.own]
        · ────────┬───────
        ·         ╰── here
     56 │ task = "choices"
        ╰────
      help: `path` is relative to the study

    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:55: `eval.tasks.web`: `web` is a domain of the corpus, whose loss has that name
        ╭─[./study.toml:55:1]
     54 │ 
     55 │ [eval.tasks.web]
        · ────────┬───────
        ·         ╰── here
     56 │ task = "choices"
        ╰────
      help: give the task another name

    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./own.jsonl:1: `goal`: missing: expected this field
       ╭─[./own.jsonl:1:1]
     1 │ {"query": "court shall hereby", "choices": ["party section", "let mut"], "gold": 0}
       · ─────────────────────────────────────────┬─────────────────────────────────────────
       ·                                          ╰── here
     2 │ {"query": "", "choices": ["match impl", "whereas"], "gold": 1}
       ╰────

    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:52: `eval.held_out.continuation`: 0 documents of `code` are held out and longer
      │ than 400 tokens: expected at least 4
        ╭─[./study.toml:52:1]
     51 │ context = 8
     52 │ continuation = 400
        · ─────────┬────────
        ·          ╰── here
     53 │ per_domain = true
        ╰────
      help: shorten the continuations, or hold out more text

    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:50: `eval.held_out.questions`: 0: expected 1 to 1048576
        ╭─[./study.toml:50:1]
     49 │ [eval.held_out]
     50 │ questions = 0
        · ──────┬──────
        ·       ╰── here
     51 │ context = 8
        ╰────

    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:50: `objective.weights.own`: 1 for an accuracy, which is better when higher:
      │ expected a negative weight, since the sum is minimised
        ╭─[./study.toml:50:1]
     49 │ [objective.weights]
     50 │ own = 1.0
        · ────┬────
        ·     ╰── here
     51 │ 
        ╰────
    "#);
    assert!(!fixture.path("runs/run-0000").exists());
}

#[test]
fn examples_before_questions_are_part_of_what_a_proxy_was_asked() {
    let fixture = study();
    fixture.ok(&["-q", "train"]);
    assert_eq!(of(&fixture, "run-0003", "choices").len(), 1);
    fixture.edit(
        "study.toml",
        "[eval.held_out]",
        "[eval]\nshots = 2\n\n[eval.held_out]",
    );
    fixture.edit(
        "study.toml",
        "path = \"own.jsonl\"",
        "path = \"own.jsonl\"\nexamples = \"train.jsonl\"",
    );
    fixture
        .refused(&["train"])
        .says("`eval.tasks.own`: there is no file ./train.jsonl")
        .says("`examples` is relative to the study");
    fixture.write("train.jsonl", ROWS.replace("court", "party"));
    fixture.ok(&["-q", "train"]);
    fixture.ok(&["-q", "fit"]);
    fixture.edit("study.toml", "shots = 2", "shots = 1");
    let status = fixture.ok(&["status"]).stdout;
    let missing = "10 of 10 finished runs were not asked the questions of [eval]";
    let fit = format!("\n  fit       done; out of date ({missing})\n");
    assert!(status.contains(&fit), "{status}");
    assert!(status.ends_with("\nnext: regmix train\n"), "{status}");
    // Longer than what the model sees: one message for all proxies.
    let asked = fixture.ok(&["train"]);
    assert_eq!(
        asked.stderr.matches("their beginnings are cut off").count(),
        1,
        "{asked:?}"
    );
    let sets = of(&fixture, "run-0003", "choices");
    assert_eq!(sets.len(), 3, "with and without examples");
    let shots: Vec<&Value> = sets.iter().map(|set| &set[0]["shots"]).collect();
    for expected in [Value::Null, 1.into(), 2.into()] {
        assert!(shots.contains(&&expected), "{sets:?}");
    }
}

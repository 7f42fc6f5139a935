//! Accuracies of trained models.

use crate::continued;
use crate::fixture::{Fixture, assert_output};

const ROWS: &str = r#"{"query": "court shall hereby", "choices": ["party section", "let mut"], "gold": 0}
{"query": "", "choices": ["match impl", "whereas"], "gold": 1}
{"query": "page link ", "choices": ["news", "return else", "é"], "gold": 2}
"#;

/// A study with a model in `base`, and a file of questions.
fn study() -> Fixture {
    let fixture = continued::study();
    fixture.write("own.jsonl", ROWS);
    fixture
}

fn scores(output: &crate::fixture::Output) -> Vec<serde_json::Value> {
    output.json()[0]["scores"].as_array().unwrap().clone()
}

#[test]
fn a_model_answers_the_same_questions_the_same_way() {
    let fixture = study();
    let ask = [
        "eval",
        "base",
        "--questions",
        "20",
        "--context",
        "8",
        "--continuation",
        "4",
    ];
    let json = [&ask[..], &["--format", "json"]].concat();
    let first = fixture.ok(&json);
    assert_eq!(fixture.ok(&json).stdout, first.stdout);
    let found = scores(&first);
    let names: Vec<&str> = found.iter().map(|s| s["task"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["held_out/code", "held_out/law", "held_out/web", "held_out"]
    );
    let acc = |i: usize| found[i]["acc"]["value"].as_f64().unwrap();
    assert!(
        (acc(3) - (acc(0) + acc(1) + acc(2)) / 3.0).abs() < 1e-12,
        "{found:?}"
    );
    assert_eq!(found[3]["questions"], 60);
    assert_ne!(
        fixture.ok(&[&json[..], &["--seed", "1"]].concat()).stdout,
        first.stdout
    );

    // The exported model is the same model.
    fixture.ok(&["export-model", "base", "--out", "hf"]);
    let mut other = json.clone();
    other[1] = "hf";
    let exported = fixture.ok(&other);
    assert_eq!(scores(&exported), found);
    assert_eq!(exported.json()[0]["digest"], first.json()[0]["digest"]);

    let task = ["--task", "choices=own.jsonl", "--samples", "samples.jsonl"];
    let both = fixture.ok(&[&["eval", "base", "hf", "--format", "json"], &task[..]].concat());
    let both = both.json();
    assert_eq!(both[0]["scores"], both[1]["scores"]);
    assert_eq!(both[0]["scores"][0]["questions"], 3);
    let samples = fixture.text("samples.jsonl");
    let lines: Vec<serde_json::Value> = (samples.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[2]["gold"], 2);
    assert_eq!(lines[2]["log_likelihoods"].as_array().unwrap().len(), 3);
    fixture
        .refused(&[&["eval", "base"], &task[..]].concat())
        .says("samples.jsonl: it is there already");
}

#[test]
fn what_does_not_fit_is_named() {
    let fixture = study();
    assert_output!(fixture.refused(&["eval", "base", "--task", "boolq=own.jsonl"]), @r"
    $ regmix eval base --task boolq=own.jsonl
    exit code: 2
    ----- stderr -----
    error: invalid value 'boolq=own.jsonl' for '--task <TASK=FILE>': unknown task `boolq`: expected one of choices, arc, copa, hellaswag, lambada, logiqa, multirc, openbookqa, piqa, qqp, race, sciq, social_iqa, winogrande

    For more information, try '--help'.
    ");
    assert_output!(fixture.refused(&["eval", "base", "--task", "piqa=own.jsonl"]), @r#"
    $ regmix eval base --task piqa=own.jsonl
    exit code: 2
    ----- stderr -----
      × own.jsonl:1: `goal`: missing: expected this field
       ╭─[own.jsonl:1:1]
     1 │ {"query": "court shall hereby", "choices": ["party section", "let mut"], "gold": 0}
       · ─────────────────────────────────────────┬─────────────────────────────────────────
       ·                                          ╰── here
     2 │ {"query": "", "choices": ["match impl", "whereas"], "gold": 1}
       ╰────
    "#);
    assert_output!(fixture.refused(&["eval", "runs/run-0000"]), @r"
    $ regmix eval runs/run-0000
    exit code: 2
    ----- stderr -----
      × ./runs/run-0000/checkpoint/model.safetensors: the weights of the run were not kept
      help: train it with `keep_weights = true`
    ");
    fixture
        .refused(&["eval", "base", "--continuation", "500"])
        .says("are held out and longer than 500 tokens: expected at least 4");
    std::fs::rename(fixture.path("corpus"), fixture.path("elsewhere")).unwrap();
    fixture
        .refused(&["eval", "base"])
        .says("the corpus is not tokenized");
    fixture
        .refused(&["eval", "base", "--task", "choices=own.jsonl"])
        .says("the run lies in no study: its tokenizer is not known");
}

#[test]
fn questions_with_a_choice_longer_than_the_context_are_left_out_and_named() {
    let fixture = study();
    let own = |choice: &str| {
        format!("{{\"query\": \"law\", \"choices\": [\"{choice}\", \"whereas\"], \"gold\": 1}}\n")
    };
    let long = "whereas the party shall hereby ".repeat(9);
    fixture.write("short.jsonl", own("party") + &own("let mut"));
    fixture.write("long.jsonl", own("party") + &own(&long) + &own("let mut"));
    let ask = |file: &str| {
        let task = format!("choices={file}");
        let ask = [
            "eval",
            "base",
            "--task",
            &task,
            "--samples",
            "s.jsonl",
            "--redo",
        ];
        let output = fixture.ok(&[&ask[..], &["--format", "json"]].concat());
        let samples = fixture.text("s.jsonl");
        (scores(&output), output, samples)
    };
    let (short, _, _) = ask("short.jsonl");
    let (found, output, samples) = ask("long.jsonl");
    output.says(
        "choices: 1 of 3 questions are left out, the first of them number 2: a choice is longer \
         than the 16 tokens that the model sees",
    );
    assert_eq!(found[0]["left_out"], 1);
    assert_eq!(found[0]["questions"], 2);
    assert_eq!(found[0]["acc"], short[0]["acc"]);
    let numbers: Vec<u64> = (samples.lines())
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|sample| sample["question"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 2]);
    fixture.write("long.jsonl", own(&long));
    fixture
        .refused(&["eval", "base", "--task", "choices=long.jsonl"])
        .says("`choices`: every question has a choice of more than 16 tokens, as many as the model sees");
}

#[test]
fn examples_come_before_questions_and_what_does_not_fit_is_counted() {
    let fixture = study();
    let pair = |i: usize| {
        format!(
            "{{\"question1\": \"law {i}\", \"question2\": \"party {i}\", \"label\": {}}}\n",
            i % 2
        )
    };
    fixture.write("valid.jsonl", (0..6).map(pair).collect::<String>());
    fixture.write("train.jsonl", (10..20).map(pair).collect::<String>());
    let ask = ["eval", "base", "--task", "qqp=valid.jsonl"];
    let none = fixture.ok(&ask);
    // Every prompt is longer than what this model sees.
    none.says("qqp: 6 of 6 questions are longer than the 16 tokens that the model sees; their beginnings are cut off");
    assert_output!(none.stdout, @r"
    model   task  questions               acc          acc_norm         acc_bytes  perplexity      f1
    ./base   qqp          6  0.5000 +- 0.2236  0.5000 +- 0.2236  0.5000 +- 0.2236           -  0.0000
    ");
    let shots = [
        &ask[..],
        &[
            "--shots",
            "2",
            "--examples",
            "qqp=train.jsonl",
            "--format",
            "json",
        ],
    ];
    let found = scores(&fixture.ok(&shots.concat()));
    assert_eq!(
        (&found[0]["shots"], &found[0]["cut"]),
        (&2.into(), &6.into())
    );
    let f1 = found[0]["f1"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&f1), "{found:?}");
    let table = fixture.ok(&[&ask[..], &["--shots", "2"]].concat()).stdout;
    assert!(table.contains("qqp (2-shot)"), "{table}");
    assert_output!(fixture.refused(&[&ask[..], &["--shots", "9"]].concat()), @r"
    $ regmix eval base --task qqp=valid.jsonl --shots 9
    exit code: 2
    ----- stderr -----
      × valid.jsonl: 6 rows for 9 examples before every question: expected at least 10
      help: ask for fewer examples, or name a file with more rows (`--examples`; in a study
            `examples`)
    ");
    fixture
        .refused(&[
            "eval",
            "base",
            "--task",
            "qqp=valid.jsonl",
            "--examples",
            "qqp=train.jsonl",
        ])
        .says("--shots <N>");
}

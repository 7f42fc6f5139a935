//! The log: as text, as JSON, in a file; metrics for TensorBoard.

use serde_json::Value;

use crate::fixture::{Fixture, Output, assert_output};

/// The lines of a text, each a JSON object.
#[track_caller]
fn json_lines(text: &str) -> Vec<Value> {
    (text.lines())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// The events with a message.
fn with_message<'a>(events: &'a [Value], message: &str) -> Vec<&'a Value> {
    let has = |event: &&Value| event["message"] == message;
    events.iter().filter(has).collect()
}

#[test]
fn json_on_stderr_is_json_alone_and_tells_what_happens_to_runs() {
    let fixture = Fixture::study_after("design");
    let output = fixture.ok(&["train", "--parallel", "1", "--log-format", "json"]);
    let events = json_lines(&output.stderr);
    assert!(output.stdout.contains("10 finished proxies"), "{output:?}");
    for event in &events {
        assert!(event["timestamp"].is_string() && event["level"].is_string());
    }
    let starts = with_message(&events, "training starts");
    assert_eq!(starts.len(), 10);
    assert_eq!(starts[3]["span"]["run"], "run-0003");
    assert_eq!(starts[3]["span"]["device"], "cpu");
    assert_eq!(starts[3]["steps"], 4);
    let evaluations = with_message(&events, "evaluation");
    let of_run: Vec<&Value> = (evaluations.iter())
        .filter(|event| event["span"]["run"] == "run-0003")
        .map(|event| &event["step"])
        .collect();
    assert_eq!(of_run, [2, 4]);
    let metrics = json_lines(&fixture.text("runs/run-0000/metrics.jsonl"));
    assert_eq!(evaluations[0]["train_loss"], metrics[0]["train_loss"]);
    assert_eq!(with_message(&events, "the run is finished").len(), 10);
    let message = with_message(&events, "next: regmix fit");
    assert_eq!(message[0]["target"], "regmix");
}

#[test]
fn errors_are_events_too() {
    let fixture = Fixture::study();
    let json = ["--log-format", "json"];
    let output = fixture.run(&[&["train"], &json[..]].concat());
    assert_eq!((output.code, output.stdout.as_str()), (2, ""));
    let events = json_lines(&output.stderr);
    let [error] = &events[..] else {
        panic!("{output:?}")
    };
    assert_eq!(error["level"], "ERROR");
    assert_eq!(error["message"], "the corpus is not tokenized");
    assert_eq!(error["file"], "./corpus/manifest.json");
    assert_eq!(error["help"], "run `regmix tokenize` first");
    assert_eq!(error["exit_code"], 2);

    // The options are not understood, but what is asked of the log is.
    let output = fixture.run(&["train", "--log-format=json", "--quick"]);
    let events = json_lines(&output.stderr);
    assert_eq!((events.len(), output.code), (1, 2));
    assert_eq!(events[0]["exit_code"], 2);
    let message = events[0]["message"].as_str().unwrap();
    assert!(message.starts_with("error: unexpected argument '--quick'"));
}

#[test]
fn a_log_in_a_file_leaves_stderr_as_it_is() {
    let plain = Fixture::study_after("design");
    let expected = plain.ok(&["train", "--parallel", "1"]);
    let fixture = Fixture::study_after("design");
    let args = ["train", "--parallel", "1", "--log-file", "train.log"];
    let output = fixture.ok(&args);
    let without_time = |output: &Output| -> Vec<String> {
        let cut = |line: &str| line.split(" in ").next().unwrap().to_owned();
        output.stderr.lines().map(cut).collect()
    };
    assert_eq!(without_time(&output), without_time(&expected));
    let log = fixture.text("train.log");
    let has = |parts: &[&str]| log.lines().any(|l| parts.iter().all(|p| l.contains(p)));
    let run = "run{run=run-0001 device=cpu}:";
    assert!(has(&["INFO", run, "training starts steps=4"]), "{log}");
    assert!(has(&["INFO", run, "evaluation step=2"]), "{log}");
    assert!(has(&["INFO", "next: regmix fit"]), "{log}");
    // The next command appends; a quiet one writes its messages as well.
    fixture.ok(&["-q", "fit", "--log-file", "train.log"]);
    let longer = fixture.text("train.log");
    assert!(longer.starts_with(&log) && longer[log.len()..].contains("fitting 10 runs"));

    let mut debug = fixture.regmix(&["train", "--log-file", "debug.log"]);
    let output = Output::of(debug.env("REGMIX_LOG", "regmix_model=off"));
    assert_eq!((output.code, fixture.text("debug.log").as_str()), (0, ""));
}

#[test]
fn levels_and_files_that_cannot_be_are_refused() {
    let fixture = Fixture::study();
    let mut command = fixture.regmix(&["status"]);
    let output = Output::of(command.env("REGMIX_LOG", "loud"));
    assert_output!(output, @r#"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × `REGMIX_LOG`: `loud` is no level, in the environment
      help: expected off, error, warn, info, debug or trace, or such levels by module:
            info,regmix_model=debug
    "#);
    let output = fixture.refused(&["status", "--log-file", "no/such/folder.log"]);
    assert_output!(output, @r#"
    $ regmix status --log-file no/such/folder.log
    exit code: 2
    ----- stderr -----
      × no/such/folder.log: No such file or directory (os error 2)
      help: check the path
    "#);
}

#[test]
fn events_of_runs_are_shown_where_the_environment_asks_for_them() {
    let fixture = Fixture::study_after("design");
    let mut command = fixture.regmix(&["train"]);
    let output = Output::of(command.env("REGMIX_LOG", "info"));
    assert_eq!(output.code, 0);
    output.says("run{run=run-0009 device=cpu}: evaluation step=4");
    // Messages are there once, as ever.
    assert_eq!(output.stderr.matches("next: regmix fit").count(), 1);
}

#[test]
fn metrics_of_runs_are_written_for_tensorboard_on_request() {
    let files = |fixture: &Fixture| -> Vec<String> {
        let all = fixture.files("runs");
        let names = all
            .keys()
            .filter(|path| path.to_string_lossy().contains("tfevents"));
        names
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    let fixture = Fixture::study_after("train");
    assert_eq!(files(&fixture), [""; 0]);
    // Runs that were finished before get theirs.
    fixture.edit(
        "study.toml",
        "[check]",
        "[logs]\ntensorboard = true\n\n[check]",
    );
    fixture.ok(&["train"]);
    let first = "events.out.tfevents.0000000001.regmix";
    assert_eq!(files(&fixture), [first; 10]);

    let new = Fixture::study_after("design");
    new.edit(
        "study.toml",
        "[check]",
        "[logs]\ntensorboard = true\n\n[check]",
    );
    new.ok(&["train"]);
    assert_eq!(files(&new), [first; 10]);
    // As many bytes as are made from metrics.jsonl: every evaluation once.
    for run in 0..10 {
        let path = format!("runs/run-{run:04}/{first}");
        assert_eq!(new.read(&path).len(), fixture.read(&path).len());
    }
    assert_eq!(
        new.text("trajectories.csv"),
        fixture.text("trajectories.csv")
    );
}

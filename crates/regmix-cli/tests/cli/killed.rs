//! What killed processes, damaged files and second processes leave: nothing of
//! it counts as finished, and the way out that a message names works.

use std::io::Write;
use std::time::{Duration, SystemTime};

use crate::fixture::{Fixture, Output, answered, assert_output, transcript};

/// What the stamp of an artefact holds while it is written.
const UNFINISHED: &str = "{\"unfinished\": \"a process wrote this and was killed\"}";

#[test]
fn a_design_that_was_not_finished_is_drawn_again() {
    let fixture = Fixture::study_after("design");
    let whole = fixture.text("design/mixtures.csv");
    let rows = |text: &str| text.lines().skip(1).count();
    // Killed between the table and its stamp: it is not the user's own.
    fixture.write("design/inputs.json", UNFINISHED);
    fixture.edit("study.toml", "runs = 10", "runs = 12");
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"]["design"], "it was not finished");
    fixture.ok(&["design"]);
    assert_eq!(rows(&fixture.text("design/mixtures.csv")), 12);
    fixture.edit("study.toml", "runs = 12", "runs = 10");
    fixture.ok(&["design", "--redo"]);
    assert_eq!(fixture.text("design/mixtures.csv"), whole);
    // A table of the user's own has no stamp.
    std::fs::remove_file(fixture.path("design/inputs.json")).unwrap();
    fixture.edit("study.toml", "runs = 10", "runs = 12");
    fixture.ok(&["design"]);
    assert_eq!(fixture.text("design/mixtures.csv"), whole);
}

#[test]
fn an_unfinished_artefact_is_not_used_and_made_again() {
    let fixture = Fixture::study_after("optimize");
    for (stamp, verb, after) in [
        ("corpus/inputs.json", "tokenize", "design"),
        ("design/inputs.json", "design", "fit"),
        ("fit/inputs.json", "fit", "optimize"),
        ("mixture.inputs.json", "optimize", "target"),
    ] {
        let complete = fixture.text(stamp);
        fixture.write(stamp, UNFINISHED);
        let refused = fixture.run(&[after]);
        refused.is_one_error();
        refused
            .says("the step that writes it was stopped")
            .says(&format!("run `regmix {verb}` first"));
        if verb == "design" {
            // Drawing again moves the runs away: put the stamp back instead.
            fixture.write(stamp, complete);
            continue;
        }
        fixture.ok(&[verb]);
        assert_eq!(fixture.text(stamp), complete, "{verb}");
        fixture.ok(&["status"]);
    }
}

#[test]
fn a_full_disk_in_the_middle_of_a_search_leaves_no_stale_mixture() {
    let fixture = Fixture::study_after("optimize");
    let study = fixture.text("study.toml");
    fixture.write(
        "study.toml",
        format!("[objective]\nloss = \"web\"\n{study}"),
    );
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" optimize --redo";
    let mut command = fixture.command("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_regmix")]);
    Output::of(&mut command).is_one_error();
    let old = fixture.text("mixture.json");
    fixture.ok(&["optimize"]);
    assert_ne!(fixture.text("mixture.json"), old);
}

#[test]
fn redo_makes_damaged_artefacts_again() {
    let fixture = Fixture::study_after("optimize");
    let mut refusals = Vec::new();
    for (file, verb) in [
        ("corpus/manifest.json", "tokenize"),
        ("fit/fit.json", "fit"),
        ("fit/values.csv", "fit"),
        ("mixture.json", "optimize"),
        ("fit/inputs.json", "fit"),
    ] {
        let whole = fixture.read(file);
        fixture.write(file, &whole[..whole.len() / 2]);
        let refused = fixture.run(&[verb]);
        refused.is_one_error();
        refused.says(&format!("`regmix {verb} --redo`"));
        refusals.push(refused);
        fixture.ok(&[verb, "--redo"]);
        if file != "fit/inputs.json" {
            assert_eq!(fixture.read(file), whole, "{file}");
        }
        fixture.ok(&[verb]);
    }
    assert_eq!(refusals.len(), 5);
}

#[test]
fn a_damaged_design_is_drawn_again_and_the_same() {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "runs = 10\n", "runs = 10\nswitching = 0.5\n");
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    for file in ["design/mixtures.csv", "design/segments.csv"] {
        let whole = fixture.text(file);
        fixture.write(file, whole.replace("0.", "x"));
        fixture.run(&["train"]).says("`regmix design --redo`");
        fixture.ok(&["design", "--redo"]);
        assert_eq!(fixture.text(file), whole, "{file}");
    }
    std::fs::remove_file(fixture.path("design/segments.csv")).unwrap();
    fixture
        .run(&["train"])
        .says("the runs that change their mixture are missing")
        .says("`regmix design --redo`");
    fixture.ok(&["design", "--redo"]);
    assert!(fixture.path("design/segments.csv").exists());
}

#[test]
fn help_names_the_folder_of_the_study() {
    let outer = Fixture::empty();
    outer.write("a b/study.toml", crate::fixture::STUDY);
    assert_output!(outer.refused(&["-C", "a b", "design"]), @r#"
    $ regmix -C a b design
    exit code: 2
    ----- stderr -----
      × a b/corpus/manifest.json: the corpus is not tokenized
      help: run `regmix -C 'a b' tokenize` first
    "#);
}

#[test]
fn runs_are_not_moved_away_under_a_process_that_trains_them() {
    let fixture = Fixture::study_after("train");
    let held = std::fs::File::create(fixture.path("runs/lock")).unwrap();
    held.lock().unwrap();
    fixture.edit("study.toml", "steps = 4", "steps = 3");
    assert_output!(fixture.refused(&["train", "--redo"]).stderr, @r#"
    × ./runs: another process is training the runs of this folder
    help: wait for that process, or stop it
    "#);
    fixture.edit("study.toml", "steps = 3", "steps = 4");
    fixture.edit("study.toml", "runs = 10", "runs = 12");
    fixture
        .refused(&["design", "--redo"])
        .says("another process is training the runs of this folder");
    drop(held);
    fixture.ok(&["design", "--redo"]);
}

#[test]
fn one_process_keeps_a_state_file() {
    let fixture = crate::own_schedules::controller();
    let args = [
        "online",
        "--controller",
        "plan/controller.json",
        "--state",
        "s.json",
    ];
    let held = std::fs::File::create(fixture.path("s.json.lock")).unwrap();
    held.lock().unwrap();
    assert_output!(fixture.refused(&args), @r#"
    $ regmix online --controller plan/controller.json --state s.json
    exit code: 2
    ----- stderr -----
      × s.json: another process keeps the state of a run in this file
      help: wait for that process, or stop it
    "#);
    drop(held);
    assert_eq!(
        answered(fixture.regmix(&args), "{\"op\":\"health\"}\n").len(),
        1
    );
}

#[test]
fn an_empty_token_file_lets_nobody_in() {
    let fixture = crate::own_schedules::controller();
    let outputs = ["", " \n\t\n", "two words\n"].map(|token| {
        fixture.write("token", token);
        let serve = ["online", "--controller", "plan/controller.json"];
        let listen = ["--listen", "127.0.0.1:0", "--token-file", "token"];
        fixture.run(&[&serve[..], &listen].concat())
    });
    assert_output!(transcript(outputs), @r#"
    $ regmix online --controller plan/controller.json --listen 127.0.0.1:0 --token-file token
    exit code: 2
    ----- stderr -----
      × token: the file is empty: expected a token
      help: write a token into it, or leave `--token-file` out on this machine alone

    $ regmix online --controller plan/controller.json --listen 127.0.0.1:0 --token-file token
    exit code: 2
    ----- stderr -----
      × token: the file is empty: expected a token
      help: write a token into it, or leave `--token-file` out on this machine alone

    $ regmix online --controller plan/controller.json --listen 127.0.0.1:0 --token-file token
    exit code: 2
    ----- stderr -----
      × `token`: expected a token of letters, digits and signs, without blanks
      help: write one, for example with `openssl rand -hex 32`
    "#);
}

#[test]
fn a_line_that_is_too_long_is_answered_and_the_next_one_too() {
    let fixture = crate::own_schedules::controller();
    let args = ["online", "--controller", "plan/controller.json"];
    let long = "x".repeat(3 << 20);
    let blank = " ".repeat(2 << 20);
    let lines = format!("{long}\n{{\"op\":\"health\"}}\n{blank}\n{{\"op\":\"mixture\"}}\n{long}");
    let replies = answered(fixture.regmix(&args), &lines);
    let ok: Vec<bool> = replies.iter().map(|r| r["ok"] == true).collect();
    assert_eq!(ok, [false, true, false, true, false]);
    let error = replies[0]["error"].as_str().unwrap();
    assert!(
        error.starts_with("a line of more than 1048576 bytes"),
        "{error}"
    );
}

#[test]
fn temporary_files_of_killed_processes_are_removed() {
    let fixture = Fixture::study_after("design");
    let old = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    for name in [
        ".regmix-a1.tmp",
        "corpus/train/.regmix-b2.tmp",
        "runs/r/.regmix-c3.tmp",
    ] {
        fixture.write(name, "half");
        let file = std::fs::File::options()
            .write(true)
            .open(fixture.path(name));
        file.unwrap().set_modified(old).unwrap();
    }
    // A process that is killed while it writes.
    fixture.write(
        "text/train/web-1.jsonl",
        crate::fixture::document(2, 77).repeat(20_000),
    );
    let mut killed = fixture.regmix(&["tokenize", "--redo"]);
    let mut child = killed.stderr(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(150));
    child.kill().unwrap();
    child.wait().unwrap();
    fixture.ok(&["status"]);
    let left: Vec<_> = (fixture.files("").into_keys())
        .filter(|path| path.to_string_lossy().ends_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn tokenize_withdraws_its_stamp_before_it_writes() {
    let fixture = Fixture::study_after("tokenize");
    // Enough text that it takes a while.
    let more: String = (0..60_000)
        .map(|i| crate::fixture::document(2, i))
        .collect();
    fixture.write("text/train/web-1.jsonl", more);
    let mut command = fixture.regmix(&["tokenize", "--redo"]);
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let withdrawn = || fixture.text("corpus/inputs.json").contains("unfinished");
    while !withdrawn() {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    fixture
        .refused(&["design"])
        .says("the step that writes it was stopped")
        .says("run `regmix tokenize` first");
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
}

#[test]
fn a_changed_league_is_noticed() {
    let fixture = Fixture::study_after("fit");
    let league = fixture.text("fit/league.csv");
    let line = league.lines().nth(1).unwrap();
    let error = line.split(',').nth(4).unwrap();
    assert!(error.parse::<f64>().unwrap() > 0.0, "{line}");
    fixture.edit("fit/league.csv", error, "0.0001");
    assert_output!(fixture.refused(&["optimize"]), @r#"
    $ regmix optimize
    exit code: 2
    ----- stderr -----
    searching the mixture
      × ./fit/league.csv: not the table that the fit was saved with: it was changed since
      help: make it again with `regmix fit --redo`
    "#);
    fixture.ok(&["fit", "--redo"]);
    fixture.ok(&["optimize"]);
}

#[test]
fn what_a_killed_controller_left_is_removed() {
    let fixture = crate::own_schedules::controller();
    fixture.write("state/.regmix-a1.tmp", "half");
    let file = std::fs::File::options()
        .write(true)
        .open(fixture.path("state/.regmix-a1.tmp"));
    let old = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    file.unwrap().set_modified(old).unwrap();
    let args = [
        "online",
        "--controller",
        "plan/controller.json",
        "--state",
        "state/s.json",
    ];
    answered(fixture.regmix(&args), "{\"op\":\"health\"}\n");
    assert!(!fixture.path("state/.regmix-a1.tmp").exists());
}

#[test]
fn one_domain_leaves_nothing_to_mix() {
    let fixture = Fixture::study();
    for domain in ["code", "law"] {
        std::fs::remove_file(fixture.path(&format!("text/train/{domain}-0.jsonl"))).unwrap();
    }
    fixture.ok(&["tokenize"]);
    let design = fixture.refused(&["design"]);
    fixture.write("m.csv", "run,web\na,1\nb,1\n");
    fixture.write("l.csv", "run,web\na,3.1\nb,3.2\n");
    let fit = [
        "fit",
        "--mixtures",
        "m.csv",
        "--losses",
        "l.csv",
        "--out",
        "f",
    ];
    assert_output!(transcript([design, fixture.refused(&fit)]), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/manifest.json: the corpus has one domain, `web`, which leaves nothing to mix:
      │ expected at least two
      help: set `corpus.layout` in study.toml so that regmix finds several domains, or add text of
            another domain; then: regmix tokenize --redo

    $ regmix fit --mixtures m.csv --losses l.csv --out f
    exit code: 2
    ----- stderr -----
      × m.csv: one domain, `web`, leaves nothing to mix: expected at least two
      help: add the columns of the other domains
    "#);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_gets_help_for_reading() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::empty();
    fixture.write("m.csv", "run,web\n");
    let closed = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(fixture.path("m.csv"), closed).unwrap();
    if std::fs::read(fixture.path("m.csv")).is_ok() {
        writeln!(
            std::io::stderr(),
            "skipped: the administrator may read everything"
        )
        .unwrap();
        return;
    }
    fixture
        .run(&[
            "fit",
            "--mixtures",
            "m.csv",
            "--losses",
            "m.csv",
            "--out",
            "f",
        ])
        .says("it may not be read");
}

#[test]
fn a_design_that_is_drawn_again_leaves_a_fit_that_is_out_of_date() {
    let fixture = Fixture::study_after("optimize");
    fixture.edit("study.toml", "runs = 10", "runs = 12");
    fixture.ok(&["design", "--redo"]).says("next: regmix train");
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"]["fit"], "its runs are not there any more");
    fixture.ok(&["train"]);
    fixture.ok(&["fit", "--redo"]);
    fixture.ok(&["optimize", "--redo"]);
}

#[test]
fn a_damaged_run_is_named_with_the_step_that_trains_it_again() {
    let fixture = Fixture::study_after("train");
    let losses = fixture.text("trajectories.csv");
    for file in ["DONE", "run.toml", "metrics.jsonl"] {
        let file = format!("runs/run-0003/{file}");
        let whole = fixture.read(&file);
        fixture.write(&file, &whole[..whole.len() / 2]);
        let refused = fixture.run(&["train"]);
        refused.is_one_error();
        refused.says("--redo");
        fixture.run(&["fit"]).says("`regmix train --redo`");
        fixture.ok(&["train", "--redo"]);
        assert_eq!(fixture.text("trajectories.csv"), losses, "{file}");
    }
    // A finished step does not fail for what is wrong elsewhere.
    fixture.write("targets/found-seed1/run.toml", "x");
    fixture.write("targets/found-seed1/DONE", "{");
    (fixture.ok(&["train"])).says("what comes next cannot be said");
    fixture.ok(&["fit"]).says("what comes next cannot be said");
    fixture.run(&["status"]).says("`regmix target --redo`");
}

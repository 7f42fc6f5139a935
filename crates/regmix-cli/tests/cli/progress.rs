//! `status` of runs, `retry` and `clean`.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::fixture::{Fixture, Output, assert_output, transcript};

const DIVERGED: &str = "diverged at step 3: loss NaN, gradient norm NaN; lower `lr` or lengthen \
                        `warmup`";

#[test]
fn status_names_the_runs_that_failed_and_what_to_do() {
    let fixture = Fixture::study_after("train");
    fixture.fail("runs/run-0003", DIVERGED);
    fs::remove_file(fixture.path("runs/run-0005/DONE")).unwrap();
    fs::remove_dir_all(fixture.path("runs/run-0007")).unwrap();
    assert_output!(fixture.ok(&["status"]), @r#"
    $ regmix status
    exit code: 0
    ----- stdout -----
    study tiny in .
      corpus    3 domains, 10503 training tokens
      proxies   7 of 10 finished, 1 stopped, 1 failed
      fit       not yet
      mixture   not yet
      schedule  not yet
      targets   0 of 6 finished
      report    not yet

    failed:
      runs/run-0003: diverged at step 3: loss NaN, gradient norm NaN; lower `lr` or lengthen `warmup`
      help: the fit leaves it out; after a change of [proxy], `regmix train --redo` trains all its runs again; as it is, for example on another device: `regmix retry run-0003`

    next: regmix train
    "#);
    let output = fixture.ok(&["status", "--format", "json"]);
    let json = output.json();
    let run = |name: &str| {
        let runs = json["runs"].as_array().unwrap();
        let row = runs.iter().find(|row| row["run"] == name).unwrap();
        row.clone()
    };
    assert_eq!(json["runs"].as_array().unwrap().len(), 16);
    let failed = run("run-0003");
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["reason"], DIVERGED);
    let remedy = failed["remedy"].as_str().unwrap();
    assert!(remedy.contains("`regmix retry run-0003`"), "{remedy}");
    let stopped = run("run-0005");
    let expected = (&"stopped".into(), &4.into(), &4.into());
    assert_eq!(
        (&stopped["state"], &stopped["step"], &stopped["steps"]),
        expected
    );
    assert_eq!(stopped["curve"].as_array().unwrap().len(), 2);
    assert_eq!(run("run-0007")["state"], "waiting");
    let done = run("run-0000");
    assert_eq!(
        (&done["state"], &done["device"]),
        (&"done".into(), &"cpu".into())
    );
    assert_eq!(run("found-seed1")["section"], "targets");

    let all = fixture.ok(&["status", "--runs"]).stdout;
    let line = |run: &str| all.lines().find(|line| line.contains(run)).unwrap();
    assert!(line("runs/run-0005").contains("stopped") && line("runs/run-0005").contains("4/4"));
    assert!(line("targets/natural-seed2").contains("waiting"));
}

#[test]
fn runs_that_failed_are_trained_again_after_retry() {
    let fixture = Fixture::study_after("train");
    let trajectories = fixture.text("trajectories.csv");
    fixture.fail("runs/run-0003", DIVERGED);
    let output = transcript([
        fixture.ok(&["retry", "--failed"]),
        fixture.ok(&["retry", "--failed"]),
        fixture.ok(&["status"]),
    ]);
    assert_output!(output, @r#"
    $ regmix retry --failed
    exit code: 0
    ----- stdout -----
    runs/run-0003: kept as runs/run-0003.old-1
    ----- stderr -----
    next: regmix train

    $ regmix retry --failed
    exit code: 0
    ----- stdout -----
    no run failed

    $ regmix status
    exit code: 0
    ----- stdout -----
    study tiny in .
      corpus    3 domains, 10503 training tokens
      proxies   9 of 10 finished
      fit       not yet
      mixture   not yet
      schedule  not yet
      targets   0 of 6 finished
      report    not yet
    next: regmix train
    "#);
    assert!(fixture.path("runs/run-0003.old-1/FAILED").exists());
    fixture.ok(&["train"]);
    assert_eq!(fixture.text("trajectories.csv"), trajectories);
    // Any run by name, once.
    fixture.ok(&["retry", "runs/run-0003", "run-0003"]);
    assert!(fixture.path("runs/run-0003.old-2/DONE").exists());
    assert!(!fixture.path("runs/run-0003").exists());
}

#[test]
fn runs_that_cannot_be_tried_again_are_named() {
    let fixture = Fixture::study_after("train");
    let output = transcript([
        fixture.refused(&["retry", "run-0000", "run-00010"]),
        fixture.refused(&["retry", "found-seed1"]),
        fixture.refused(&["retry"]),
    ]);
    assert_output!(output, @r#"
    $ regmix retry run-0000 run-00010
    exit code: 2
    ----- stderr -----
      × `RUN`: the study has no run `run-00010`
      help: did you mean `run-0000`? `regmix status --runs` lists all

    $ regmix retry found-seed1
    exit code: 2
    ----- stderr -----
      × ./targets/found-seed1: the run was not started: there is nothing to set aside
      help: `regmix target` makes it

    $ regmix retry
    exit code: 2
    ----- stderr -----
    error: the following required arguments were not provided:
      <RUN>...

    Usage: regmix retry <RUN>...

    For more information, try '--help'.
    "#);
}

#[test]
fn clean_lists_what_can_go_and_removes_it_on_request() {
    let fixture = Fixture::study_after("train");
    fixture.fail("runs/run-0003", DIVERGED);
    fixture.ok(&["retry", "--failed"]);
    fixture.ok(&["train"]);
    // What a process leaves that is killed between DONE and the end of its run.
    let state = [7; 3000];
    fixture.write("runs/run-0001/checkpoint/state.safetensors", state);
    fixture.write("runs/run-0002/checkpoint/model.safetensors", state);
    fixture.write("runs/run-0002/notes.txt", "mine");
    // A run in progress needs its checkpoint.
    fs::remove_file(fixture.path("runs/run-0004/DONE")).unwrap();
    fixture.write("runs/run-0004/checkpoint/state.safetensors", state);
    // Not made by regmix.
    fixture.write("mine.old-1/x", "mine");
    let filter = |output: &Output| -> String {
        // The size of a run depends on durations in its metrics.
        let lines = output.stdout.lines();
        let cut = |line: &str| match line.contains("old-1") || line.contains("in all") {
            true => line.split_whitespace().next().unwrap().to_owned() + "\n",
            false => line.to_owned() + "\n",
        };
        lines.map(cut).collect()
    };
    let before = fixture.files("");
    let listed = fixture.ok(&["clean"]);
    listed.says("nothing was removed; to remove it: regmix clean --yes");
    assert!(
        filter(&listed).contains("runs/run-0003.old-1\n"),
        "{listed}"
    );
    let line = "runs/run-0001/checkpoint/state.safetensors  3.0 kB  checkpoint of a finished run";
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        squeezed(&listed.stdout).contains(&squeezed(line)),
        "{listed}"
    );
    assert!(!listed.stdout.contains("model") && !listed.stdout.contains("run-0004"));
    assert_eq!(fixture.ok(&["clean", "--dry-run"]).stdout, listed.stdout);
    assert_eq!(fixture.files(""), before);

    let removed = fixture.ok(&["clean", "--yes", "--format", "json"]).json();
    assert_eq!(removed["removed"], true);
    let gone = |path: &Path| {
        let path = path.to_string_lossy();
        path.contains("run-0003.old-1") || path.contains("run-0001/checkpoint")
    };
    let mut expected = before;
    let all = expected.len();
    expected.retain(|path, _| !gone(path));
    assert!(expected.len() < all - 3);
    assert_eq!(fixture.files(""), expected);
    assert!(!fixture.path("runs/run-0001/checkpoint").exists());

    let weights = fixture.ok(&["clean", "--weights", "--yes"]);
    assert_eq!(
        squeezed(&weights.stdout),
        "path size what runs/run-0002/checkpoint/model.safetensors 3.0 kB weights of a finished \
         run 3.0 kB in all, removed"
    );
    assert_eq!(fixture.ok(&["clean"]).stdout, "nothing can go\n");
    assert!(fixture.path("runs/run-0002/notes.txt").exists());
}

#[test]
fn clean_lists_experts_and_the_runs_of_climb_and_doremi() {
    let fixture = Fixture::study_after("train");
    for run in ["experts/expert-1", "climb/round-2-0001", "doremi/proxy"] {
        for (path, bytes) in fixture.files("runs/run-0001") {
            let name = path.file_name().unwrap().to_str().unwrap();
            fixture.write(&format!("{run}/{name}"), bytes);
        }
        for file in ["state", "model"] {
            fixture.write(&format!("{run}/checkpoint/{file}.safetensors"), [7; 300]);
        }
        fixture.write(&format!("{run}.old-1/DONE"), "aside");
    }
    let listed = |args: &[&str]| -> Vec<String> {
        let lines = fixture.ok(args).stdout;
        let paths = lines.lines().filter_map(|line| line.split(' ').next());
        let of_runs = paths.filter(|path| path.contains('/'));
        of_runs.map(str::to_owned).collect()
    };
    let state = |run: &str| format!("{run}/checkpoint/state.safetensors");
    let (climb, doremi) = ("climb/round-2-0001", "doremi/proxy");
    let expected = vec![
        state(climb),
        format!("{climb}.old-1"),
        state(doremi),
        format!("{doremi}.old-1"),
        state("experts/expert-1"),
        "experts/expert-1.old-1".to_owned(),
    ];
    assert_eq!(listed(&["clean"]), expected);
    // Their weights stay: those of experts are read when their predictions are mixed.
    assert_eq!(listed(&["clean", "--weights"]), expected);
}

/// Sets the times of all files of runs to one in the past: files that were just
/// written are read each time.
fn settle(fixture: &Fixture) {
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    for path in fixture.files("runs").keys() {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(hour_ago).unwrap();
    }
}

/// Changes a file in place, so that its size, time and number stay.
fn change_in_secret(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from) && from.len() == to.len());
    let time = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, text.replacen(from, to, 1)).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn status_reads_again_what_changed_and_nothing_else() {
    let fixture = Fixture::study_after("optimize");
    settle(&fixture);
    let status = || fixture.ok(&["status", "--format", "json"]);
    let first = status();
    assert!(fixture.path(".status.json").exists());
    // Files of the same size, time and number are not read.
    let (done, metrics) = ("runs/run-0004/DONE", "runs/run-0005/metrics.jsonl");
    let (done, metrics) = (fixture.path(done), fixture.path(metrics));
    change_in_secret(&done, "\"device\": \"cpu\"", "\"device\": \"CPU\"");
    change_in_secret(&metrics, "\"step\":2", "\"step\":3");
    assert_eq!(status().stdout, first.stdout);
    // All are read where the index is lost or damaged.
    let cache = fixture.text(".status.json");
    for damaged in [cache.replacen("cpu", "gpu", 1), cache[..99].to_owned()] {
        fixture.write(".status.json", damaged);
        let output = fixture.run(&["status"]);
        output.is_one_error();
        output.says("runs/run-0005/metrics.jsonl: not a line of metrics");
    }
    change_in_secret(&metrics, "\"step\":3", "\"step\":2");
    let json = status().json();
    assert_eq!(json["runs"][4]["device"], "CPU");
    settle(&fixture);
    status();
    // A touched file is read again, and so is one that was replaced.
    File::options()
        .write(true)
        .open(&done)
        .unwrap()
        .set_modified(SystemTime::now())
        .unwrap();
    change_in_secret(&done, "\"device\": \"CPU\"", "\"device\": \"gpu\"");
    assert_eq!(status().json()["runs"][4]["device"], "gpu");
    let text = fs::read_to_string(&metrics).unwrap();
    let time = fs::metadata(&metrics).unwrap().modified().unwrap();
    let beside = fixture.path("runs/run-0005/new");
    fs::write(&beside, text.replacen("\"step\":2", "\"step\":3", 1)).unwrap();
    File::options()
        .write(true)
        .open(&beside)
        .unwrap()
        .set_modified(time)
        .unwrap();
    fs::rename(&beside, &metrics).unwrap();
    fixture.run(&["status"]).says("not a line of metrics");
}

#[test]
fn a_run_in_progress_has_an_owner_and_is_not_tried_again() {
    let fixture = Fixture::study_after("design");
    fixture.edit("study.toml", "steps = 4", "steps = 400000");
    fixture.edit("study.toml", "evaluations = 2", "evaluations = 20000");
    let mut train = (fixture.regmix(&["-q", "train", "--parallel", "1"]))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let first_run = || {
        let json = fixture.ok(&["status", "--format", "json"]).json();
        (json["runs"][0].clone(), json["pace"]["proxies"].clone())
    };
    let (row, pace) = loop {
        let (row, pace) = first_run();
        if row["tokens_per_second"].is_f64() && row["state"] == "running" {
            break (row, pace);
        }
        assert!(train.try_wait().unwrap().is_none(), "training ended early");
        std::thread::sleep(Duration::from_millis(20));
    };
    let owner = &row["owner"];
    assert_eq!(owner["process"], train.id());
    assert_eq!(
        (&owner["device"], &owner["stale"]),
        (&"cpu".into(), &false.into())
    );
    assert_ne!(owner["host"], "");
    let (step, seconds) = (
        row["step"].as_u64().unwrap(),
        row["eta_seconds"].as_f64().unwrap(),
    );
    assert!(step > 0 && step < 400000 && seconds > 0.0, "{row}");
    // Ten runs of 400,000 steps at the speed of this one.
    let whole = pace["eta_seconds"].as_f64().unwrap();
    assert!(
        (5.0..20.0).contains(&(whole / seconds)),
        "{whole} {seconds}"
    );
    let text = fixture.ok(&["status"]).stdout;
    assert!(text.contains("0 of 10 finished, 1 running; "), "{text}");
    let line = text.lines().find(|line| line.starts_with("runs/run-0000"));
    let place = format!(":{} cpu", train.id());
    assert!(
        line.is_some_and(|line| line.contains(&place) && line.contains("/400000")),
        "{text}"
    );
    let refused = fixture.run(&["retry", "run-0000"]);
    refused.is_one_error();
    refused
        .says("is training this run")
        .says("wait for that process, or stop it");

    train.kill().unwrap();
    train.wait().unwrap();
    let (row, _) = first_run();
    assert_eq!(row["state"], "stale", "{row}");
    let text = fixture.ok(&["status"]).stdout;
    assert!(
        text.contains("\nstale:\n  runs/run-0000: process "),
        "{text}"
    );
    assert!(text.contains("help: `regmix train` takes it over from its last checkpoint"));
    fixture.ok(&["retry", "run-0000"]);
    assert_eq!(first_run().0["state"], "waiting");
}

#[test]
fn watch_writes_blocks_where_there_is_no_terminal() {
    let fixture = Fixture::study_after("design");
    let mut command = fixture.regmix(&["status", "--watch", "1", "--format", "json"]);
    let mut child = (command.stdout(Stdio::piped())).spawn().unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(lines);
    for waiting in [10, 9] {
        let line = lines.next().unwrap().unwrap();
        let status: serde_json::Value = serde_json::from_str(&line).unwrap();
        let proxies = &status["proxies"];
        let left = proxies["planned"].as_u64().unwrap() - proxies["failed"].as_u64().unwrap();
        assert_eq!(left, waiting);
        fixture.write("runs/run-0000/FAILED", "diverged\n");
    }
    drop(lines);
    // It ends with its reader.
    child.kill().unwrap();
    child.wait().unwrap();
}

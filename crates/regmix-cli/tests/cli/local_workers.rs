//! `regmix launch local`, and workers on a host that does not share the folder.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, Output};

/// A study whose training takes seconds.
fn long_study() -> Fixture {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "steps = 4", "steps = 300");
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    fixture
}

fn start(command: &mut Command) -> Child {
    (command.stdin(Stdio::null()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The numbers of the processes that a process started.
fn children(of: &Child) -> Vec<String> {
    let mut pgrep = Command::new("pgrep");
    let output = Output::of(pgrep.args(["-P", &of.id().to_string()]));
    output.stdout.lines().map(str::to_owned).collect()
}

fn signal(name: &str, process: &str) {
    let status = Command::new("kill").args([name, process]).status().unwrap();
    assert!(status.success());
}

/// Waits until both workers train.
fn wait_for_both(fixture: &Fixture, launcher: &mut Child) {
    let begun = Instant::now();
    let losses = |run: &str| fixture.path(&format!("runs/{run}/metrics.jsonl")).exists();
    while !(losses("run-0000") && losses("run-0001")) {
        assert!(begun.elapsed() < Duration::from_secs(120), "no two runs");
        assert!(launcher.try_wait().unwrap().is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn undisturbed() -> String {
    let whole = long_study();
    whole.ok(&["train", "--parallel", "1"]);
    whole.text("trajectories.csv")
}

#[test]
fn a_killed_worker_on_this_machine_is_started_again() {
    let fixture = long_study();
    let mut command = fixture.regmix(&["launch", "local", "--workers", "2", "--"]);
    command.args(["--parallel", "1", "--device", "cpu"]);
    let mut launcher = start(&mut command);
    wait_for_both(&fixture, &mut launcher);
    let workers = children(&launcher);
    assert_eq!(workers.len(), 2);
    signal("-KILL", &workers[0]);
    let output = Output::new(&command, launcher.wait_with_output().unwrap());
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(output.stdout, "10 of 10 proxies finished\n");
    let again = output.stderr.matches("is started again").count();
    assert_eq!(again, 1, "{output:?}");
    output.says("ended (signal: 9 (SIGKILL)) and is started again");
    assert_eq!(fixture.text("trajectories.csv"), undisturbed());
    for worker in 1..=2 {
        let log = fixture.text(&format!("launch/logs/local-{worker}.log"));
        assert!(log.contains("nano: 12080 parameters"), "{log}");
    }
}

#[test]
fn sigterm_stops_all_workers_of_this_machine_and_the_same_command_continues() {
    let fixture = long_study();
    let args = ["launch", "local", "--workers", "2"];
    let mut command = fixture.regmix(&args);
    let mut launcher = start(&mut command);
    wait_for_both(&fixture, &mut launcher);
    let workers = children(&launcher);
    signal("-TERM", &launcher.id().to_string());
    let output = Output::new(&command, launcher.wait_with_output().unwrap());
    assert_eq!(output.code, 75, "{output:?}");
    output.says("what was finished is kept; continue with: regmix launch local --workers 2");
    for worker in workers {
        let mut kill = Command::new("kill");
        let alive = kill.args(["-0", &worker]).stderr(Stdio::null()).status();
        assert!(!alive.unwrap().success(), "worker {worker} is left");
    }
    fixture.ok(&args);
    assert_eq!(fixture.text("trajectories.csv"), undisturbed());
}

#[test]
fn no_worker_is_left_when_the_launch_ends_with_an_error() {
    let fixture = long_study();
    let mut command = fixture.regmix(&["launch", "local", "--workers", "2"]);
    let mut launcher = start(&mut command);
    wait_for_both(&fixture, &mut launcher);
    let workers = children(&launcher);
    assert_eq!(workers.len(), 2);
    // It counts the runs of the design.
    fixture.write("design/mixtures.csv", "no table");
    let output = Output::new(&command, launcher.wait_with_output().unwrap());
    assert_eq!(output.code, 2, "{output:?}");
    output.says("./design/mixtures.csv");
    for worker in workers {
        let mut kill = Command::new("kill");
        let alive = kill.args(["-0", &worker]).stderr(Stdio::null()).status();
        assert!(!alive.unwrap().success(), "worker {worker} is left");
    }
}

#[test]
fn workers_that_cannot_work_are_named_with_their_logs() {
    let fixture = Fixture::study();
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    // Nothing of this can be seen before a worker has begun.
    let args = [
        "launch",
        "local",
        "--workers",
        "2",
        "--",
        "--device",
        "tch:7",
    ];
    let output = fixture.run(&args);
    assert_eq!(output.code, 1, "{output:?}");
    output.says("2 of 2 workers failed: worker 1 (exit code 2), worker 2 (exit code 2)");
    output.says("their logs say why: launch/logs/local-*.log");
    let log = fixture.text("launch/logs/local-2.log");
    assert!(log.contains("tch"), "{log}");
}

#[test]
fn a_worker_on_a_host_that_does_not_share_the_folder_is_refused() {
    let fixture = Fixture::study();
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    for verb in ["train", "target"] {
        let output = fixture.refused(&[verb, "--campaign", "00c0ffee00c0ffee"]);
        output.says(
            "./campaign.json: this folder has no campaign: expected `00c0ffee00c0ffee`, that of \
             the launch",
        );
        output.says("does not share the folder that the workers were launched from: mount it at .");
    }
    fixture.write("campaign.json", r#"{"nonce": "0123456789abcdef"}"#);
    let output = fixture.refused(&["train", "--campaign", "00c0ffee00c0ffee"]);
    output.says("the campaign of this folder is `0123456789abcdef`: expected `00c0ffee00c0ffee`");
    fixture.ok(&["train", "--campaign", "0123456789abcdef"]);
}

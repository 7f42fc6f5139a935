//! Ctrl-C and SIGTERM: a command stops within a second, says how to continue,
//! and leaves no half of a result.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{FIT, Fixture, Output, assert_output};

/// How long a command may take to stop: a second, and some more for machines
/// that run other tests at the same time.
const PATIENCE: Duration = Duration::from_secs(15);

fn start(command: &mut Command) -> Child {
    (command.stdin(Stdio::piped()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn send(fixture: &Fixture, signal: &str, child: &Child) {
    let mut kill = fixture.command("kill");
    let output = Output::of(kill.args([signal, &child.id().to_string()]));
    assert_eq!(output.code, 0, "{output:?}");
}

/// Runs a command that takes many seconds and sends it a signal after one.
#[track_caller]
fn stopped(fixture: &Fixture, signal: &str, args: &[&str]) -> Output {
    let before = fixture.files("");
    let mut command = fixture.regmix(args);
    let mut child = start(&mut command);
    // Kept open, so that `online` does not end with its input.
    let _input = child.stdin.take();
    std::thread::sleep(Duration::from_secs(1));
    if child.try_wait().unwrap().is_some() {
        panic!("it ended early: {:?}", child.wait_with_output().unwrap());
    }
    send(fixture, signal, &child);
    let sent = Instant::now();
    let output = Output::new(&command, child.wait_with_output().unwrap());
    let seconds = sent.elapsed();
    assert!(seconds < PATIENCE, "{seconds:?} to stop: {output:?}");
    assert_eq!(fixture.files(""), before, "no file was made");
    output
}

/// Many runs of many domains, so that judging all regressors on them takes
/// minutes.
fn long_tables() -> Fixture {
    let fixture = Fixture::empty();
    let names: Vec<String> = (0..12).map(|d| format!("d{d}")).collect();
    let header = format!("run,{}\n", names.join(","));
    let (mut mixtures, mut losses) = (header.clone(), header);
    let mut trajectories = format!("run,step,tokens,{}\n", names.join(","));
    for run in 0..200 {
        let raw: Vec<f64> = (0..12)
            // No run is a copy of another: a copy would count once.
            .map(|d| 0.01 + ((run * (2 * d + 3) + d * d) % 29) as f64 + 0.001 * (run / 29) as f64)
            .collect();
        let sum: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw.iter().map(|w| w / sum).collect();
        let row = |of: &dyn Fn(f64) -> f64| -> String {
            let cells: Vec<String> = weights.iter().map(|&w| of(w).to_string()).collect();
            cells.join(",")
        };
        writeln!(mixtures, "r{run},{}", row(&|w| w)).unwrap();
        writeln!(losses, "r{run},{}", row(&|w| 2.0 + (0.05 + w).powf(-0.3))).unwrap();
        for step in (10..=200).step_by(10) {
            let losses = row(&|w| 1.0 + 5.0 / (1.0 + (0.2 + w) * f64::from(step)).sqrt());
            writeln!(trajectories, "r{run},{step},{},{losses}", 100 * step).unwrap();
        }
    }
    fixture.write("m.csv", mixtures);
    fixture.write("l.csv", losses);
    fixture.write("t.csv", trajectories);
    fixture
}

#[test]
fn a_stopped_fit_writes_nothing() {
    let fixture = long_tables();
    assert_output!(stopped(&fixture, "-INT", &FIT), @r#"
    $ regmix fit --mixtures m.csv --losses l.csv --out fit
    exit code: 130
    ----- stderr -----
    fitting 200 runs, 12 targets
    stopping; press Ctrl-C again to stop at once
    interrupted by Ctrl-C
    no result was written; start again with: regmix fit --mixtures m.csv --losses l.csv --out fit
    "#);
    assert_output!(stopped(&fixture, "-TERM", &FIT), @r#"
    $ regmix fit --mixtures m.csv --losses l.csv --out fit
    exit code: 75
    ----- stderr -----
    fitting 200 runs, 12 targets
    stopping because of SIGTERM; a second signal stops at once
    stopped by SIGTERM
    no result was written; start again with: regmix fit --mixtures m.csv --losses l.csv --out fit
    "#);
}

#[test]
fn a_stopped_search_or_prediction_writes_nothing() {
    let fixture = long_tables();
    fixture.ok(&[&FIT[..], &["--regressors", "gp"]].concat());
    // Searching downhill is over within a second.
    let optimize = ["optimize", "--fit", "fit", "--out", "mixture.json"];
    let simulate = [&optimize[..], &["--method", "simulate"]].concat();
    assert_output!(stopped(&fixture, "-INT", &simulate), @r#"
    $ regmix optimize --fit fit --out mixture.json --method simulate
    exit code: 130
    ----- stderr -----
    stopping; press Ctrl-C again to stop at once
    interrupted by Ctrl-C
    no result was written; start again with: regmix optimize --fit fit --out mixture.json --method simulate
    "#);
    assert_output!(stopped(&fixture, "-TERM", &simulate), @r#"
    $ regmix optimize --fit fit --out mixture.json --method simulate
    exit code: 75
    ----- stderr -----
    stopping because of SIGTERM; a second signal stops at once
    stopped by SIGTERM
    no result was written; start again with: regmix optimize --fit fit --out mixture.json --method simulate
    "#);

    let mixtures = fixture.text("m.csv");
    let (header, rows) = mixtures.split_once('\n').unwrap();
    let mut many = format!("{header}\n");
    for copy in 0..1000 {
        for row in rows.lines() {
            writeln!(many, "c{copy}-{row}").unwrap();
        }
    }
    fixture.write("many.csv", many);
    let predict = ["predict", "--fit", "fit", "--mixtures", "many.csv"];
    let into_file = [&predict[..], &["--out", "p.csv"]].concat();
    assert_output!(stopped(&fixture, "-TERM", &into_file), @r#"
    $ regmix predict --fit fit --mixtures many.csv --out p.csv
    exit code: 75
    ----- stderr -----
    stopping because of SIGTERM; a second signal stops at once
    stopped by SIGTERM
    no result was written; start again with: regmix predict --fit fit --mixtures many.csv --out p.csv
    "#);
    assert_output!(stopped(&fixture, "-INT", &predict), @r#"
    $ regmix predict --fit fit --mixtures many.csv
    exit code: 130
    ----- stderr -----
    stopping; press Ctrl-C again to stop at once
    interrupted by Ctrl-C
    no result was written; start again with: regmix predict --fit fit --mixtures many.csv
    "#);
}

#[test]
fn a_stopped_plan_of_a_schedule_writes_nothing() {
    let fixture = long_tables();
    fixture.write("settings.toml", "stages = 5\nbootstrap = 400\n");
    let tables = ["schedule", "--trajectories", "t.csv", "--mixtures", "m.csv"];
    let run = ["--steps", "25000", "--tokens", "26e9", "--out", "plan"];
    let settings = ["--settings", "settings.toml"];
    let args = [&tables[..], &run, &settings].concat();
    assert_output!(stopped(&fixture, "-INT", &args), @r#"
    $ regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out plan --settings settings.toml
    exit code: 130
    ----- stderr -----
    planning a schedule
    stopping; press Ctrl-C again to stop at once
    interrupted by Ctrl-C
    no result was written; start again with: regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out plan --settings settings.toml
    "#);
    assert_output!(stopped(&fixture, "-TERM", &args), @r#"
    $ regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out plan --settings settings.toml
    exit code: 75
    ----- stderr -----
    planning a schedule
    stopping because of SIGTERM; a second signal stops at once
    stopped by SIGTERM
    no result was written; start again with: regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out plan --settings settings.toml
    "#);
}

#[test]
fn a_controller_that_is_stopped_says_where_its_state_is() {
    let fixture = Fixture::study();
    fixture.edit(
        "study.toml",
        "steps = 4\nbatch_size = 2\nlr = 4e-3\nevaluations = 2",
        "steps = 12\nbatch_size = 2\nlr = 4e-3\nevaluations = 6",
    );
    fixture.edit(
        "study.toml",
        "[fit]\n",
        "[dynamic]\nstages = 2\nbootstrap = 4\n\n[fit]\n",
    );
    for verb in ["tokenize", "design", "train", "fit", "optimize", "schedule"] {
        fixture.ok(&[verb]);
    }
    assert_output!(stopped(&fixture, "-INT", &["online"]), @r#"
    $ regmix online
    exit code: 130
    ----- stderr -----
    one observation per line, {"step":2,"losses":{"code":3.1,...}}; decisions are due at steps 2, 4, from the losses of all 3 domains; the state is kept in ./online.json
    stopping; press Ctrl-C again to stop at once
    interrupted by Ctrl-C
    the state is kept in ./online.json; continue with: regmix online
    "#);
    let listen = ["-q", "online", "--listen", "127.0.0.1:0"];
    assert_output!(stopped(&fixture, "-TERM", &listen), @r#"
    $ regmix -q online --listen 127.0.0.1:0
    exit code: 75
    ----- stderr -----
    stopping because of SIGTERM; a second signal stops at once
    stopped by SIGTERM
    the state is kept in ./online.json; continue with: regmix -q online --listen 127.0.0.1:0
    "#);
}

/// A study whose training takes seconds.
fn long_study() -> Fixture {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "steps = 4", "steps = 200");
    fixture.edit("study.toml", "runs = 10", "runs = 6");
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    fixture
}

/// Trains until the second run has begun, then sends a signal.
#[track_caller]
fn stopped_in_second_run(fixture: &Fixture, signal: &str) -> Output {
    let mut command = fixture.regmix(&["train", "--parallel", "1"]);
    let mut child = start(&mut command);
    let begun = Instant::now();
    while !fixture.path("runs/run-0001/metrics.jsonl").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no second run");
        assert!(child.try_wait().unwrap().is_none(), "training ended early");
        std::thread::sleep(Duration::from_millis(5));
    }
    send(fixture, signal, &child);
    Output::new(&command, child.wait_with_output().unwrap())
}

#[test]
fn a_stopped_training_continues_to_the_same_losses() {
    let whole = long_study();
    whole.ok(&["train", "--parallel", "1"]);

    let fixture = long_study();
    let output = stopped_in_second_run(&fixture, "-INT");
    assert_output!(output, @r#"
    $ regmix train --parallel 1
    exit code: 130
    ----- stderr -----
    nano: 12080 parameters (10240 embedding, 1840 other)
    stopping; press Ctrl-C again to stop at once
    train proxies   0.01 M tokens, 1/6 runs in [SECONDS]
    interrupted by Ctrl-C
    what was finished is kept; continue with: regmix train --parallel 1
    "#);
    assert!(fixture.path("runs/run-0000/DONE").exists());
    assert!(!fixture.path("runs/run-0005/DONE").exists());
    assert!(!fixture.path("trajectories.csv").exists());
    let finished = fixture.read("runs/run-0000/DONE");

    fixture.ok(&["train", "--parallel", "1"]);
    assert_eq!(
        fixture.read("runs/run-0000/DONE"),
        finished,
        "finished runs stay"
    );
    assert_eq!(
        fixture.text("trajectories.csv"),
        whole.text("trajectories.csv")
    );
}

#[test]
fn sigterm_asks_to_try_again() {
    let fixture = long_study();
    assert_output!(stopped_in_second_run(&fixture, "-TERM"), @r#"
    $ regmix train --parallel 1
    exit code: 75
    ----- stderr -----
    nano: 12080 parameters (10240 embedding, 1840 other)
    stopping because of SIGTERM; a second signal stops at once
    train proxies   0.01 M tokens, 1/6 runs in [SECONDS]
    stopped by SIGTERM
    what was finished is kept; continue with: regmix train --parallel 1
    "#);
    assert!(!fixture.path("trajectories.csv").exists());
}

/// Slurm ends a job by a signal to all of its processes, and the shell of the job
/// passes its own on.
#[test]
fn sigterm_twice_in_a_row_is_one_request() {
    let fixture = long_study();
    let mut command = fixture.regmix(&["train", "--parallel", "1"]);
    let mut child = start(&mut command);
    let begun = Instant::now();
    while !fixture.path("runs/run-0001/metrics.jsonl").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no second run");
        assert!(child.try_wait().unwrap().is_none(), "training ended early");
        std::thread::sleep(Duration::from_millis(5));
    }
    send(&fixture, "-TERM", &child);
    send(&fixture, "-TERM", &child);
    let output = Output::new(&command, child.wait_with_output().unwrap());
    assert_eq!(output.code, 75, "{output:?}");
    output.says("what was finished is kept; continue with: regmix train --parallel 1");
}

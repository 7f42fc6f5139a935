//! Several processes that train one study.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, Output, assert_output, transcript};

/// A study whose runs take a while.
fn study(steps: u32) -> Fixture {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "steps = 4", &format!("steps = {steps}"));
    fixture.edit("study.toml", "evaluations = 2", "evaluations = 20");
    fixture.edit(
        "study.toml",
        "batch_size = 2",
        "batch_size = 8\ncheckpoint_every = 5",
    );
    fixture.edit("study.toml", "runs = 10", "runs = 6");
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    fixture
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn finish(command: &Command, child: Child) -> Output {
    Output::new(command, child.wait_with_output().unwrap())
}

#[track_caller]
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "not yet: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn workers_share_the_runs_out_and_get_the_losses_of_one() {
    let alone = study(60);
    alone.ok(&["train", "--parallel", "1"]);
    let fixture = study(60);
    let mut commands: Vec<Command> = (0..3)
        .map(|_| fixture.regmix(&["train", "--parallel", "1"]))
        .collect();
    let children: Vec<Child> = commands.iter_mut().map(start).collect();
    for (command, child) in commands.iter().zip(children) {
        let output = finish(command, child);
        assert_eq!(output.code, 0, "{output:?}");
        assert!(
            output.stdout.starts_with("6 finished proxies"),
            "{output:?}"
        );
    }
    let table = "trajectories.csv";
    assert_eq!(fixture.text(table), alone.text(table));
    for (path, _) in fixture.files("runs") {
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(
            !name.starts_with("lease"),
            "left behind: {}",
            path.display()
        );
    }
}

#[test]
fn parts_are_trained_one_by_one() {
    let fixture = study(4);
    let done = |args: &[&str]| -> u64 {
        let args: Vec<&str> = ["--format", "json", "train"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        fixture.ok(&args).json()["done"].as_u64().unwrap()
    };
    assert_eq!(done(&["--shard", "1/4"]), 2);
    assert!(fixture.path("runs/run-0004/DONE").exists());
    assert_eq!(done(&["--index", "1", "--of", "4"]), 4);
    let mut slurm = fixture.regmix(&["train", "--index", "auto"]);
    slurm
        .env("SLURM_ARRAY_TASK_ID", "3")
        .env("SLURM_ARRAY_TASK_MIN", "1");
    slurm.env("SLURM_ARRAY_TASK_COUNT", "4");
    let output = Output::of(&mut slurm);
    assert_eq!(output.code, 0, "{output:?}");
    output.says("1 runs are left to other workers");
    let mut kubernetes = fixture.regmix(&["train", "--index", "auto", "--of", "4"]);
    let output = Output::of(kubernetes.env("JOB_COMPLETION_INDEX", "3"));
    output.says("next: regmix fit");
    assert!(
        output.stdout.starts_with("6 finished proxies"),
        "{output:?}"
    );
}

#[test]
fn wrong_parts_and_times_are_refused() {
    let fixture = study(4);
    let mut auto = fixture.regmix(&["train", "--index", "auto", "--of", "4"]);
    for name in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "HQ_TASK_ID"] {
        auto.env_remove(name);
    }
    assert_output!(transcript([
        fixture.refused(&["train", "--index", "7", "--of", "4"]),
        fixture.refused(&["train", "--index", "7"]),
        fixture.refused(&["train", "--shard", "0/4"]),
        fixture.refused(&["train", "--max-time", "55"]),
        Output::of(&mut auto),
      ]), @r#"
    $ regmix train --index 7 --of 4
    exit code: 2
    ----- stderr -----
      × `--index`: index 7 of 4 parts, expected 0 to 3
      help: indices count from 0, as Kubernetes and Slurm arrays `0-N` do; `--shard 1/N` counts from 1

    $ regmix train --index 7
    exit code: 2
    ----- stderr -----
      × `--index`: index 7, and not of how many parts
      help: add `--of N`, the number of parts

    $ regmix train --shard 0/4
    exit code: 2
    ----- stderr -----
    error: invalid value '0/4' for '--shard <I/N>': expected I/N with I from 1 to N, for example 2/4

    For more information, try '--help'.

    $ regmix train --max-time 55
    exit code: 2
    ----- stderr -----
    error: invalid value '55' for '--max-time <TIME>': expected a time above zero with its unit, for example 90s, 55m or 3h 30m

    For more information, try '--help'.

    $ regmix train --index auto --of 4
    exit code: 2
    ----- stderr -----
      × `--index auto`: no engine gives an index: none of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX
      │ and HQ_TASK_ID is set
      help: give the number, `--index I --of N`; or leave it out: workers share the runs out by
            themselves
    "#);
}

#[test]
fn a_time_limit_asks_to_try_again() {
    let fixture = study(20_000);
    let output = fixture.run(&["train", "--parallel", "2", "--max-time", "900ms"]);
    assert_eq!(output.code, 75, "{output:?}");
    output.says("stopped: the time of `--max-time` is over");
    output.says("continue with: regmix train --parallel 2 --max-time 900ms");
    assert!(
        fixture
            .path("runs/run-0000/checkpoint/state.safetensors")
            .exists()
    );
    assert!(!fixture.path("runs/run-0000/lease.0").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_suspended_worker_loses_its_run_and_writes_nothing_more() {
    let alone = study(60);
    alone.ok(&["train", "--parallel", "1"]);
    let fixture = study(60);
    let args = ["train", "--parallel", "1", "--stale-after", "500ms"];
    let [mut first, mut second] = [(), ()].map(|()| fixture.regmix(&args));
    let sleeper = start(&mut first);
    let metrics = fixture.path("runs/run-0000/metrics.jsonl");
    wait_until("a loss of the first run", || metrics.exists());
    signal(&sleeper, "-STOP");
    let other = start(&mut second);
    let output = finish(&second, other);
    assert_eq!(output.code, 0, "{output:?}");
    let before = fixture.files("runs");
    signal(&sleeper, "-CONT");
    let woken = finish(&first, sleeper);
    assert_eq!(woken.code, 0, "{woken:?}");
    woken.says("run run-0000: another worker took this run over");
    let after = fixture.files("runs");
    // It may have been suspended while it wrote a temporary file.
    let is_temporary = |path: &PathBuf| path.to_string_lossy().ends_with(".tmp");
    let changed: Vec<_> = (before.keys().chain(after.keys()))
        .filter(|name| before.get(*name) != after.get(*name) && !is_temporary(name))
        .collect();
    assert!(changed.is_empty(), "{changed:?}\n{woken}");
    let table = "trajectories.csv";
    assert_eq!(fixture.text(table), alone.text(table));
}

#[cfg(target_os = "linux")]
fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn who_does_not_wait_leaves_living_workers_alone() {
    let fixture = study(4);
    // A worker of another host that beats.
    let lease = fixture.path("runs/run-0002/lease.0");
    std::fs::create_dir_all(lease.parent().unwrap()).unwrap();
    let beat = |beats: u64| {
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            "{{\"worker\":\"00ff\",\"host\":\"node-7\",\"process\":\"other_12_9\",\"device\":\"cuda:0\",\
             \"version\":\"{version}\",\"since\":0,\"beat_milliseconds\":100,\"beats\":{beats}}}\n"
        );
        // In place, as workers beat: readers never find an empty file.
        let file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lease);
        std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
    };
    beat(1_000_000_000);
    let args = ["train", "--no-wait", "--stale-after", "30s"];
    let mut command = fixture.regmix(&args);
    let mut child = start(&mut command);
    let mut beats = 1_000_000_000;
    while child.try_wait().unwrap().is_none() {
        beats += 1;
        beat(beats);
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = finish(&command, child);
    assert_eq!(output.code, 0, "{output:?}");
    output.says("1 runs are left to other workers");
    assert!(
        output.stdout.starts_with("5 finished proxies"),
        "{output:?}"
    );

    // Nobody moves its run away.
    fixture.edit("study.toml", "steps = 4", "steps = 3");
    let stale = std::fs::read_dir(fixture.path("runs")).unwrap().count();
    let mut redo = fixture.regmix(&["train", "--redo"]);
    let mut child = start(&mut redo);
    while child.try_wait().unwrap().is_none() {
        beats += 1;
        beat(beats);
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = finish(&redo, child);
    assert_eq!(output.code, 2, "{output:?}");
    output.says("process 12 on node-7 is training this run");
    assert_eq!(
        std::fs::read_dir(fixture.path("runs")).unwrap().count(),
        stale
    );
}

#[test]
fn runs_that_failed_for_good_have_an_exit_code_of_their_own() {
    let fixture = study(4);
    fixture.ok(&["train", "--shard", "1/2"]);
    std::fs::create_dir_all(fixture.path("runs/run-0001")).unwrap();
    fixture.write("runs/run-0001/FAILED", "diverged at step 3: loss NaN\n");
    let output = fixture.run(&["train"]);
    assert_eq!(output.code, 1, "{output:?}");
    output.says("run run-0001 failed and is left out: diverged at step 3: loss NaN");
    output.says("next: regmix fit");
}

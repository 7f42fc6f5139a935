//! The scripts for Slurm, run by bash as a task of the array would.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Engines, assert_launch, filters};
use crate::fixture::{Fixture, Output};

/// A task of the array: the script of the workers, with a regmix that does what
/// the test says.
struct Task {
    engines: Engines,
}

impl Task {
    fn new(regmix: &str, through: &[&str]) -> Self {
        let engines = Engines::new(&["squeue", "scontrol", "sbatch"]);
        engines.program("worker", &format!("#!/bin/sh\n{regmix}\n"));
        let study = engines.fixture.text("study.toml");
        let command = engines.fixture.path("bin/worker");
        let section = format!("[launch.slurm]\ncommand = '{}'\n", command.display());
        engines
            .fixture
            .write("study.toml", format!("{study}\n{section}"));
        engines.ok(&[&["launch", "slurm"], through].concat());
        engines.calls();
        Self { engines }
    }

    fn script(&self, step: &str) -> Command {
        let fixture = &self.engines.fixture;
        let mut bash = fixture.command("bash");
        bash.arg(fixture.path(&format!("launch/{step}.sbatch")));
        let path = format!("{}:/usr/bin:/bin", fixture.path("bin").display());
        bash.env("PATH", path)
            .env("SLURM_JOB_ID", "101")
            .env("SLURM_ARRAY_JOB_ID", "101")
            .env("SLURM_ARRAY_TASK_ID", "3");
        bash
    }

    /// The exit code of the task, and what was asked of Slurm.
    fn end(&self, step: &str, state: &str) -> (i32, String) {
        self.engines.prints("squeue", state);
        let output = Output::of(&mut self.script(step));
        (output.code, self.engines.calls())
    }
}

#[test]
fn a_task_whose_work_is_not_done_is_queued_again_once_and_alone() {
    let task = Task::new("exit 75", &[]);
    // By the number of the job, Slurm would requeue the whole array.
    let (code, calls) = task.end("train", "RUNNING\n");
    assert_eq!(code, 75);
    assert_eq!(calls, "squeue -h -j 101_3 -o %T\nscontrol requeue 101_3\n");
    // A task that was cancelled stays cancelled.
    let (code, calls) = task.end("train", "COMPLETING\n");
    assert_eq!(code, 75);
    assert_eq!(calls, "squeue -h -j 101_3 -o %T\n");
}

#[test]
fn other_exit_codes_are_passed_on() {
    for code in [0, 1, 2, 137] {
        let task = Task::new(&format!("exit {code}"), &[]);
        assert_eq!(task.end("train", "RUNNING\n"), (code, String::new()));
    }
}

#[test]
fn the_request_to_stop_reaches_the_worker() {
    // Between the signals a worker has time to save: its exit code counts.
    let task = Task::new(
        "trap 'sleep 0.3; exit 75' TERM\ntouch \"$(dirname \"$0\")/began\"\n\
         while :; do sleep 0.05; done",
        &[],
    );
    task.engines.prints("squeue", "RUNNING\n");
    let mut script = task.script("train");
    let child = script.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    let begun = Instant::now();
    while !task.engines.fixture.path("bin/began").exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not begin"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut kill = Command::new("kill");
    assert!(
        kill.args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let output = Output::new(&script, child.wait_with_output().unwrap());
    assert_eq!(output.code, 75, "{output:?}");
    assert!(task.engines.calls().ends_with("scontrol requeue 101_3\n"));
}

#[test]
fn steps_after_training_end_with_the_first_that_fails() {
    let say = "shift 2; echo \"$@\" | sed 's/--campaign [0-9a-f]*/--campaign N/' >> said\n";
    let through = ["--through", "report", "--", "--device", "cpu"];
    // Runs that failed for good do not keep the others from the fit.
    let regmix = format!("{say}case $1 in train) exit 1;; esac");
    let task = Task::new(&regmix, &through);
    assert_eq!(task.end("fit", "RUNNING\n").0, 0);
    assert_eq!(task.end("report", "RUNNING\n").0, 0);
    assert_eq!(
        task.engines.fixture.text("said"),
        "train --campaign N --device cpu\nlaunch ready\nfit\noptimize\n\
         target --campaign N --device cpu\nreport\n"
    );
    let regmix = format!("{say}case $1 in launch) exit 1;; esac");
    let task = Task::new(&regmix, &through);
    assert_eq!(task.end("fit", "RUNNING\n").0, 1);
    assert_eq!(
        task.engines.fixture.text("said"),
        "train --campaign N --device cpu\nlaunch ready\n"
    );
    let task = Task::new("exit 75", &through);
    let (code, calls) = task.end("fit", "RUNNING\n");
    assert_eq!(code, 75);
    assert_eq!(calls, "squeue -h -j 101 -o %T\nscontrol requeue 101\n");
}

#[test]
fn a_fit_waits_for_every_proxy() {
    let fixture = Fixture::study();
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    assert_launch!(fixture.run(&["launch", "ready"]), @r"
    $ regmix launch ready
    exit code: 1
    ----- stderr -----
      × 10 of 10 proxies are not trained: expected none
      help: run `regmix train` first
    ");
    fixture.ok(&["train"]);
    fixture.ok(&["launch", "ready"]);
    // And for the experts, where it uses some.
    fixture.edit("study.toml", "folds = 3", "folds = 3\nexperts = true");
    assert_launch!(fixture.run(&["launch", "ready"]), @r"
    $ regmix launch ready
    exit code: 1
    ----- stderr -----
      × the predictions of experts are not mixed, 0 of 3 of which are finished: expected all
      help: run `regmix train` first
    ");
    fixture.ok(&["train"]);
    fixture.ok(&["launch", "ready"]);
}

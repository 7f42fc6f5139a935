//! Stopping and going on.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, Output};

/// A study whose training takes seconds.
fn long_study() -> Fixture {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "steps = 4", "steps = 200");
    fixture.edit("study.toml", "runs = 10", "runs = 6");
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    fixture
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_losses() {
    let whole = long_study();
    whole.ok(&["train", "--parallel", "1"]);

    let fixture = long_study();
    let args = ["train", "--parallel", "1"];
    let mut command = fixture.regmix(&args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The first run is over, so the interruption falls into a later one.
    let begun = Instant::now();
    while !fixture.path("runs/run-0001/metrics.jsonl").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no second run");
        assert!(child.try_wait().unwrap().is_none(), "training ended early");
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Output::of(
        fixture
            .command("kill")
            .args(["-INT", &child.id().to_string()]),
    );
    assert_eq!(killed.code, 0, "{killed:?}");
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
    assert!(
        stderr.contains("continue with: regmix train --parallel 1"),
        "{stderr}"
    );
    assert!(ended.stdout.is_empty());
    assert!(fixture.path("runs/run-0000/DONE").exists());
    assert!(!fixture.path("runs/run-0005/DONE").exists());
    assert!(!fixture.path("trajectories.csv").exists());
    let finished = fixture.read("runs/run-0000/DONE");

    fixture.ok(&args);
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

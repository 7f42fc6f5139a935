//! Places that cannot be written, and disks that are full.

use crate::fixture::{Fixture, Output, assert_output};

#[test]
fn a_study_below_a_file_is_refused() {
    // Permissions do not stop root; a file that is no folder stops everyone.
    let fixture = Fixture::study();
    fixture.write("file", "kept");
    assert_output!(fixture.refused(&["-C", "file/new", "init", "--corpus", "text"]), @r#"
    $ regmix -C file/new init --corpus text
    exit code: 2
    ----- stderr -----
      × file/new: Not a directory (os error 20)
      help: a part of the path is a file, expected a folder: choose another path
    "#);
    assert_output!(fixture.refused(&["demo", "--corpus", "text", "--out", "file/demo"]), @r#"
    $ regmix demo --corpus text --out file/demo
    exit code: 2
    ----- stderr -----
      × file/demo: Not a directory (os error 20)
      help: a part of the path is a file, expected a folder: choose another path
    "#);
}

#[test]
fn results_that_cannot_be_placed_are_refused() {
    let fixture = Fixture::study_after("fit");
    fixture.write("file", "kept");
    fixture.write("m.csv", "run,code,law,web\na,0.3,0.5,0.2\n");
    assert_output!(fixture.refused(&["predict", "--mixtures", "m.csv", "--out", "file/p.csv"]), @r#"
    $ regmix predict --mixtures m.csv --out file/p.csv
    exit code: 2
    ----- stderr -----
      × file: File exists (os error 17)
      help: a file is where a folder should be: move it away, or choose another path
    "#);
    assert_output!(fixture.refused(&["optimize", "--fit", "fit", "--out", "file/m.json"]), @r#"
    $ regmix optimize --fit fit --out file/m.json
    exit code: 2
    ----- stderr -----
      × file: File exists (os error 17)
      help: a file is where a folder should be: move it away, or choose another path
    "#);
    let tables = [
        "fit",
        "--mixtures",
        "fit/mixtures.csv",
        "--losses",
        "fit/values.csv",
    ];
    let out = ["--regressors", "linear", "--out", "file/fit"];
    assert_output!(fixture.refused(&[&tables[..], &out].concat()), @r#"
    $ regmix fit --mixtures fit/mixtures.csv --losses fit/values.csv --regressors linear --out file/fit
    exit code: 2
    ----- stderr -----
    fitting 10 runs, 3 targets
      × file/fit/fit.json: Not a directory (os error 20)
      help: a part of the path is a file, expected a folder: choose another path
    "#);
}

#[test]
fn a_corpus_folder_that_cannot_be_made_is_refused() {
    let fixture = Fixture::study();
    fixture.write("corpus", "a file where the folder should be");
    assert_output!(fixture.refused(&["tokenize"]), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
      × ./corpus: File exists (os error 17)
      help: a file is where a folder should be: move it away, or choose another path
    "#);
}

/// Runs a verb that may not write files of more than a kilobyte, as on a disk
/// that is nearly full.
fn nearly_full(fixture: &Fixture, verb: &str) -> Output {
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$1\"";
    let mut command = fixture.command("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_regmix"), verb]);
    Output::of(&mut command)
}

#[test]
fn a_full_disk_leaves_no_half_written_corpus() {
    let fixture = Fixture::study();
    let output = nearly_full(&fixture, "tokenize");
    output.is_one_error();
    assert_output!(output.stderr, @r"
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
      × ./corpus/train/code-00000.tok: File too large (os error 27)
      help: the file system or a limit (`ulimit -f`) refuses files of this size: choose another folder
            or raise the limit
    ");
    assert!(
        fixture.files("corpus").is_empty(),
        "{:?}",
        fixture.files("corpus").keys()
    );
    // With room again the same command does it.
    fixture.ok(&["tokenize"]);
}

#[test]
fn a_full_disk_does_not_cost_finished_work() {
    let fixture = Fixture::study_after("train");
    let before = fixture.files("");
    let output = nearly_full(&fixture, "fit");
    output.is_one_error();
    assert_output!(output.stderr, @r#"
    × ./trajectories.csv: File too large (os error 27)
    help: the file system or a limit (`ulimit -f`) refuses files of this size: choose another folder
          or raise the limit
    "#);
    assert_eq!(fixture.files("runs"), {
        let runs = fixture.path("runs");
        before
            .into_iter()
            .filter(|(path, _)| path.starts_with(&runs))
            .collect()
    });
    fixture.ok(&["fit"]);
}

#[test]
fn a_full_disk_does_not_cost_proxies() {
    let fixture = Fixture::study_after("design");
    let output = nearly_full(&fixture, "train");
    output.is_one_error();
    output.says("runs/").says("File too large");
    assert!(!fixture.path("trajectories.csv").exists());
    // With room again the losses are those of a study that never failed.
    fixture.ok(&["train"]);
    let whole = Fixture::study_after("train");
    assert_eq!(
        fixture.text("trajectories.csv"),
        whole.text("trajectories.csv")
    );
}

#[test]
#[cfg(target_os = "linux")]
fn results_that_do_not_reach_stdout_are_an_error() {
    use std::process::{Command, Stdio};
    let full = std::fs::File::create("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_regmix"));
    let ended = command.args(["completions", "bash"]).stdout(full).output();
    let ended = ended.unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let message = String::from_utf8(ended.stderr).unwrap();
    assert!(
        message.contains("stdout: No space left on device"),
        "{message}"
    );
    assert!(message.contains("the output is incomplete"), "{message}");
    // A reader that has seen enough is no reason to fail.
    let mut command = Command::new(env!("CARGO_BIN_EXE_regmix"));
    let begun = command
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .spawn();
    let mut begun = begun.unwrap();
    drop(begun.stdout.take());
    assert_eq!(begun.wait().unwrap().code(), Some(0));
}

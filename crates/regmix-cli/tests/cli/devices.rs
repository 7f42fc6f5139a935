//! What the machine can run on, and precisions that it cannot.

use crate::fixture::{Fixture, assert_output};

/// Whether stderr is free of what a back-end panics with.
#[track_caller]
fn calm(stderr: &str) {
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!stderr.contains(word), "{stderr}");
    }
}

#[test]
fn devices_are_measured_and_listed_as_json() {
    let output = Fixture::empty().ok(&["devices", "--format", "json"]);
    calm(&output.stderr);
    let rows = output.json();
    let row = |name: &str| {
        let rows = rows.as_array().unwrap();
        rows.iter()
            .find(|row| row["device"] == name)
            .unwrap()
            .clone()
    };
    let cpu = row("cpu");
    assert_eq!(cpu["compiled"], true);
    assert!(cpu["tokens_per_second"].as_f64().unwrap() > 0.0);
    assert!(output.stderr.contains("measuring cpu"), "{output:?}");
    for (name, feature, compiled) in [
        ("cuda:0", "cuda", cfg!(feature = "cuda")),
        ("vulkan:0", "vulkan", cfg!(feature = "vulkan")),
        ("wgpu:0", "wgpu", cfg!(feature = "wgpu")),
        ("tch", "tch", cfg!(feature = "tch")),
    ] {
        let row = row(name);
        assert_eq!(row["compiled"], compiled, "{name}");
        let note = row["note"].as_str().unwrap();
        if !compiled {
            assert_eq!(note, format!("build with --features {feature}"));
        } else if row["present"] == false {
            // A missing driver is a line that says what to do.
            assert!(note.contains("install") || note.contains("check"), "{note}");
        } else {
            assert!(row["tokens_per_second"].as_f64().unwrap() > 0.0, "{name}");
        }
    }
}

#[test]
fn devices_are_listed_for_people_without_being_measured() {
    let output = Fixture::empty().ok(&["devices", "--no-measure"]);
    calm(&output.stderr);
    assert!(!output.stderr.contains("measuring"), "{output:?}");
    assert!(!output.stdout.contains("tokens/s"), "{output:?}");
    for device in ["cuda:0", "vulkan:0", "wgpu:0", "cpu", "tch"] {
        let line = output.stdout.lines().find(|l| l.starts_with(device));
        assert!(line.is_some(), "{device} is not in\n{}", output.stdout);
    }
    if cfg!(target_os = "linux") {
        assert!(output.stdout.contains("GiB"), "{output:?}");
        assert!(output.stdout.contains("threads"), "{output:?}");
    }
}

#[test]
fn a_processor_trains_in_bf16_and_says_how() {
    let fixture = Fixture::study_after("design");
    fixture.edit(
        "study.toml",
        "batch_size",
        "precision = \"bf16\"\nbatch_size",
    );
    let output = fixture.ok(&["train", "--device", "cpu"]);
    let says = ["bf16 by ", "no instructions for bf16"];
    assert!(says.iter().any(|s| output.stderr.contains(s)), "{output:?}");
}

#[test]
fn an_unknown_precision_is_refused_at_its_line() {
    let fixture = Fixture::study_after("design");
    fixture.edit(
        "study.toml",
        "batch_size",
        "precision = \"fp8\"\nbatch_size",
    );
    assert_output!(fixture.refused(&["train"]), @r#"
    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:23: unknown variant `fp8`, expected `f32` or `bf16`
        ╭─[./study.toml:23:13]
     22 │ steps = 4
     23 │ precision = "fp8"
        ·             ──┬──
        ·               ╰── here
     24 │ batch_size = 2
        ╰────
    "#);
}

//! What the command says about itself.

use crate::fixture::{Fixture, Output};

#[test]
fn every_verb_has_help_on_stdout() {
    let fixture = Fixture::empty();
    let all = fixture.ok(&["--help"]).stdout;
    for verb in [
        "demo",
        "init",
        "tokenize",
        "design",
        "train",
        "status",
        "fit",
        "predict",
        "optimize",
        "target",
        "report",
        "devices",
        "completions",
    ] {
        assert!(
            all.contains(&format!("\n  {verb} ")),
            "{verb} is not in {all}"
        );
        let Output { stdout, stderr, .. } = fixture.ok(&[verb, "--help"]);
        assert!(
            stdout.contains(&format!("Usage: regmix {verb}")),
            "{stdout}"
        );
        assert_eq!(stderr, "");
    }
}

#[test]
fn the_version_is_the_packages() {
    let version = Fixture::empty().ok(&["--version"]).stdout;
    assert_eq!(version, format!("regmix {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_are_printed() {
    let script = Fixture::empty().ok(&["completions", "bash"]).stdout;
    assert!(script.contains("complete -F _regmix"), "{script}");
}

#[test]
fn devices_are_listed_as_json() {
    let rows = Fixture::empty().ok(&["devices", "--format", "json"]).json();
    let rows = rows.as_array().unwrap();
    let cpu = rows.iter().find(|row| row["device"] == "cpu").unwrap();
    assert_eq!(cpu["compiled"], cfg!(feature = "flex"));
    if cfg!(feature = "flex") {
        assert!(cpu["tokens_per_second"].as_f64().unwrap() > 0.0);
    }
    let cuda = rows.iter().find(|row| row["device"] == "cuda:0").unwrap();
    assert_eq!(cuda["compiled"], cfg!(feature = "cuda"));
}

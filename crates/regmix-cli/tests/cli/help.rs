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

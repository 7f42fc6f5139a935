//! What the command says about itself.

use crate::fixture::{Fixture, assert_output};

const VERBS: [&str; 27] = [
    "demo",
    "init",
    "import",
    "tokenize",
    "mixtures",
    "design",
    "train",
    "launch",
    "status",
    "retry",
    "fit",
    "predict",
    "optimize",
    "doremi",
    "scale",
    "cmr",
    "schedule",
    "online",
    "target",
    "compare",
    "eval",
    "export",
    "export-model",
    "report",
    "clean",
    "devices",
    "completions",
];

#[test]
fn every_verb_has_help_on_stdout() {
    let fixture = Fixture::empty();
    let all = fixture.ok(&["--help"]);
    for verb in VERBS {
        let line = format!("\n  {verb} ");
        assert!(all.stdout.contains(&line), "{verb} is not in {all}");
        assert_output!(format!("help_{verb}"), fixture.ok(&[verb, "--help"]));
    }
    assert_output!("help", all);
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

//! The `regmix` command, run as a user runs it.
#[test]
fn placeholder() {}

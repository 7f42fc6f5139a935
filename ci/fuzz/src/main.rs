//! libFuzzer on the target that the environment variable `TARGET` names.
#![no_main]

use std::sync::LazyLock;

use regmix_fuzz::{TARGETS, Target};

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    found
        .unwrap_or_else(|| {
            panic!(
                "TARGET is `{name}`, expected one of {:?}",
                TARGETS.map(|t| t.0)
            )
        })
        .1
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (*CHOSEN)(bytes));

//! `regmix launch` with engines that only write down what they are asked.

mod queued;
mod rendered;
mod task;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::fixture::{FILTERS, Fixture, Output};

/// Compares with a snapshot, without the path of the program.
macro_rules! assert_launch {
    ($output:expr, @$expected:literal) => {
        insta::with_settings!({filters => filters()}, {
            insta::assert_snapshot!($output, @$expected)
        })
    };
    ($name:expr, $output:expr) => {
        insta::with_settings!({filters => filters()}, {
            insta::assert_snapshot!($name, $output)
        })
    };
}

fn filters() -> Vec<(&'static str, &'static str)> {
    let mut filters = vec![
        (r"[^\s']*/release/regmix", "[REGMIX]"),
        (r"\b[0-9a-f]{16}\b", "[NONCE]"),
        (r"regmix-tiny-[0-9a-f]{8}-", "regmix-tiny-[NONCE]-"),
    ];
    filters.extend(FILTERS);
    filters
}

/// Programs that append their arguments to `calls`, and print what lies in a
/// file of their name.
const ENGINE: &str = r#"#!/bin/sh
fake=$(dirname "$0")
name=$(basename "$0")
echo "$name $*" >> "$fake/calls"
if [ -e "$fake/$name.fails" ]; then cat "$fake/$name.fails" >&2; exit 1; fi
if [ -e "$fake/$name.stdin" ]; then cat > "$fake/$name.stdin"; fi
if [ "$name" = sbatch ]; then
    number=$(( $(cat "$fake/number" 2>/dev/null || echo 100) + 1 ))
    echo "$number" > "$fake/number"
    echo "$number"
fi
if [ -e "$fake/$name.prints" ]; then cat "$fake/$name.prints"; fi
exit 0
"#;

/// A study with its design, and engines beside it.
struct Engines {
    fixture: Fixture,
}

impl Engines {
    fn new(programs: &[&str]) -> Self {
        let fixture = Fixture::study();
        fixture.ok(&["tokenize"]);
        fixture.ok(&["design"]);
        let engines = Self { fixture };
        for program in programs {
            engines.program(program, ENGINE);
        }
        engines
    }

    fn program(&self, name: &str, script: &str) {
        let name = format!("bin/{name}");
        self.fixture.write(&name, script);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.fixture.path(&name), executable).unwrap();
    }

    /// What a program prints from now on.
    fn prints(&self, program: &str, text: &str) {
        self.fixture.write(&format!("bin/{program}.prints"), text);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.fixture.regmix(args);
        let bin = self.fixture.path("bin");
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        Output::of(&mut self.command(args))
    }

    /// Runs a command on a machine that has no engine.
    fn without(&self, args: &[&str]) -> Output {
        Output::of(self.command(args).env("PATH", self.fixture.path("nothing")))
    }

    fn ok(&self, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_eq!(output.code, 0, "{output:?}");
        output
    }

    /// What the engines were asked so far; they forget it.
    fn calls(&self) -> String {
        let calls = self.fixture.text("bin/calls");
        self.fixture.write("bin/calls", "");
        calls
    }
}

const KUBERNETES: &str = r#"
[launch.kubernetes]
image = "registry.example/regmix:1"
claim = "studies"
mount = "/data"
study = "/data/my study"
namespace = "ml"
workers = 6
at_once = 3
cpus = 1.5
memory = "8Gi"
gpus = 1
max_failed_indexes = 2
queue = "team-a"
service_account = "trainer"
node_selector = { pool = "gpu" }
tolerations = [{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }]
"#;

pub(crate) use assert_launch;

//! A folder with a tiny study, and the command run in it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What every test of the study's file starts from: models of twelve thousand
/// parameters and a few steps, so that a whole study takes a second.
pub(crate) const STUDY: &str = r#"[study]
name = "tiny"
seed = 7

[corpus]
path = "text"
valid_share = 0.2

[tokenizer]
kind = "bytes"

[design]
runs = 10

[proxy]
preset = "nano"
layers = 1
d_model = 16
heads = 2
d_ff = 16
context = 16
steps = 4
batch_size = 2
lr = 4e-3
evaluations = 2
eval_sequences = 2

[fit]
regressors = ["linear"]
folds = 3

[target]
preset = "nano"
layers = 1
d_model = 16
heads = 2
d_ff = 16
context = 16
steps = 6
batch_size = 2
lr = 4e-3
evaluations = 2
eval_sequences = 2

[check]
seeds = 2
"#;

/// The domains of the corpus, in order.
pub(crate) const DOMAINS: [&str; 3] = ["code", "law", "web"];

/// A fit of the tables `m.csv` and `l.csv` into the folder `fit`.
pub(crate) const FIT: [&str; 7] = [
    "fit",
    "--mixtures",
    "m.csv",
    "--losses",
    "l.csv",
    "--out",
    "fit",
];

/// A temporary folder that commands run in, so that messages name files by
/// short relative paths.
pub(crate) struct Fixture {
    folder: TempDir,
}

/// What a command left behind. As text it is the whole of it: the command, the
/// exit code, and stdout and stderr where they are not empty.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) command: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Fixture {
    pub(crate) fn empty() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// With `study.toml` and a corpus of a few kilobytes in `text`.
    pub(crate) fn study() -> Self {
        let fixture = Self::empty();
        fixture.write("study.toml", STUDY);
        for (d, domain) in DOMAINS.iter().enumerate() {
            let lines: String = (0..60).map(|i| document(d, i)).collect();
            fixture.write(&format!("text/train/{domain}-0.jsonl"), &lines);
        }
        fixture
    }

    /// A study whose steps up to the named one are done.
    pub(crate) fn study_after(last: &str) -> Self {
        let fixture = Self::study();
        for verb in ["tokenize", "design", "train", "fit", "optimize"] {
            fixture.ok(&[verb]);
            if verb == last {
                return fixture;
            }
        }
        panic!("no step {last}");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// Replaces a part of a file that must be there.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "no {from:?} in {name}");
        self.write(name, text.replacen(from, to, 1));
    }

    /// Makes a finished run one that failed, by its folder.
    pub(crate) fn fail(&self, run: &str, reason: &str) {
        std::fs::remove_file(self.path(&format!("{run}/DONE"))).unwrap();
        self.write(&format!("{run}/FAILED"), format!("{reason}\n"));
    }

    /// Every file below a folder of the fixture, by name, apart from the cache of
    /// `status`: it grows when files have been as they are for a while.
    pub(crate) fn files(&self, below: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.path(below), &mut found);
        found
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        command.env("NO_COLOR", "1");
        // Help and usage are wrapped to this width.
        command.env("COLUMNS", "100");
        command
    }

    pub(crate) fn regmix(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_regmix"));
        command.args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Output::of(&mut self.regmix(args))
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_eq!(output.code, 0, "{args:?}: {output:?}");
        output
    }

    /// Runs a command that must be refused for its input, with nothing on
    /// stdout, one error, and no file made, changed or lost.
    pub(crate) fn refused(&self, args: &[&str]) -> Output {
        let before = self.files("");
        let output = self.run(args);
        output.is_one_error();
        let after = self.files("");
        let differing: Vec<_> = (before.keys().chain(after.keys()))
            .filter(|name| before.get(*name) != after.get(*name))
            .collect();
        assert!(differing.is_empty(), "{args:?} changed {differing:?}");
        output
    }
}

impl Output {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self::new(command, output)
    }

    pub(crate) fn new(command: &Command, output: std::process::Output) -> Self {
        let args: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect();
        Self {
            command: format!("regmix {}", args.join(" ")),
            // A signal has no code; none of the expected codes is negative.
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Exit code 2, nothing on stdout, one error on stderr, no panic.
    #[track_caller]
    pub(crate) fn is_one_error(&self) {
        assert_eq!(self.code, 2, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let errors = self.stderr.matches('×').count() + self.stderr.matches("error: ").count();
        assert_eq!(errors, 1, "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }

    /// Whether stderr holds a text, however lines were wrapped.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        let squeezed = |text: &str| -> String {
            text.chars()
                .filter(|c| !c.is_whitespace() && *c != '│')
                .collect()
        };
        assert!(
            squeezed(&self.stderr).contains(&squeezed(text)),
            "{text:?} is not in\n{}",
            self.stderr
        );
        self
    }

    /// The result as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}\nexit code: {}", self.command, self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "----- {name} -----\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

/// What differs between machines and runs: temporary folders, seconds, speeds,
/// and how far a computation came that was stopped; and what processors round
/// differently, which is in digests of losses.
pub(crate) const FILTERS: [(&str, &str); 7] = [
    (r"(/[^\s/]+)*/\.tmp\w+", "[FOLDER]"),
    (
        r"(?m)^(judging|refitting|predicting) +\d+ in [\dhms.]+\n",
        "",
    ),
    (r"\b(was|is)([\s│]+)[0-9a-f]{16}\b", "$1$2[HASH]"),
    (r"(?m)^\d+ at a time, .* MiB in all\n", ""),
    (r"\bin \d+(\.\d+)?s\b", "in [SECONDS]"),
    (r"\bin \d+\.\d+ s\b", "in [SECONDS]"),
    (r"\b[\d.]+ (MB|tokens)/s", "[SPEED] $1/s"),
];

/// Compares the whole output of a command with the snapshot beside the call,
/// or in a file of the given name.
macro_rules! assert_output {
    ($output:expr, @$expected:literal) => {
        insta::with_settings!({filters => crate::fixture::FILTERS}, {
            insta::assert_snapshot!($output, @$expected)
        })
    };
    ($name:expr, $output:expr) => {
        insta::with_settings!({filters => crate::fixture::FILTERS}, {
            insta::assert_snapshot!($name, $output)
        })
    };
}
pub(crate) use assert_output;

/// Several outputs, one after the other.
pub(crate) fn transcript(outputs: impl IntoIterator<Item = Output>) -> String {
    let outputs: Vec<String> = outputs.into_iter().map(|o| o.to_string()).collect();
    outputs.join("\n")
}

/// What `online` answers to lines on stdin.
pub(crate) fn answered(mut online: Command, lines: &str) -> Vec<serde_json::Value> {
    let mut child = (online.stdin(Stdio::piped()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let output = Output::new(&online, child.wait_with_output().unwrap());
    assert_eq!(output.code, 0, "{output:?}");
    (output.stdout.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A JSON line with a text of the domain's own words, unlike all others.
pub(crate) fn document(domain: usize, i: usize) -> String {
    let words = [
        ["let", "mut", "match", "impl", "return", "else"],
        ["court", "shall", "hereby", "party", "section", "whereas"],
        ["page", "link", "home", "news", "site", "about"],
    ][domain];
    let text: Vec<&str> = (0..12)
        .map(|k| words[(i * 7 + k * k + i / 6 * k) % 6])
        .collect();
    format!("{{\"text\": \"{i} {}\"}}\n", text.join(" "))
}

fn collect(path: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
    } else if !path.ends_with(".status.json")
        && let Ok(bytes) = std::fs::read(path)
    {
        found.insert(path.to_path_buf(), bytes);
    }
}

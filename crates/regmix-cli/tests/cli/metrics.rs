//! `--metrics-listen`: the metrics that Prometheus reads while runs train.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::fixture::{Fixture, assert_output};

/// The samples of a text in Prometheus' format: by name and labels. Everything
/// that the format does not allow is a panic.
fn parse(text: &str) -> BTreeMap<(String, BTreeMap<String, String>), f64> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!help.is_empty());
            family = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, family, "HELP and TYPE are of one family");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(
                types.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{line}"
            );
        } else {
            let (head, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = match head.split_once('{') {
                Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect("}"))),
                None => (head, BTreeMap::new()),
            };
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            assert!(name.chars().all(word) && name == family, "{line}");
            let value = match value {
                "+Inf" => f64::INFINITY,
                other => other.parse().expect("a number"),
            };
            let key = (name.to_owned(), labels);
            assert!(samples.insert(key, value).is_none(), "twice: {line}");
        }
    }
    samples
}

/// `a="x",b="y"`; no label of these tests needs an escape.
fn labels(text: &str) -> BTreeMap<String, String> {
    text.split(',')
        .map(|pair| {
            let (key, value) = pair.split_once('=').expect("a label");
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            let value = value.expect("quotes");
            assert!(!value.contains(['"', '\\']), "{pair}");
            (key.to_owned(), value.to_owned())
        })
        .collect()
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Ends a child when a test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn prometheus_reads_how_runs_go_while_they_train() {
    let fixture = Fixture::study_after("design");
    // Long enough to be asked in the middle, whatever else runs here.
    fixture.edit("study.toml", "steps = 4", "steps = 400000");
    fixture.edit("study.toml", "evaluations = 2", "evaluations = 20000");
    let listen = [
        "train",
        "--parallel",
        "2",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let child = (fixture.regmix(&listen))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = Killed(child.unwrap());
    let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let port = line
        .strip_prefix("metrics for Prometheus on port ")
        .and_then(|rest| rest.strip_suffix(": /metrics"))
        .unwrap_or_else(|| panic!("{line}"))
        .parse()
        .unwrap();
    let sample = |samples: &BTreeMap<(String, BTreeMap<_, _>), f64>, name: &str| -> Vec<f64> {
        let of = samples.iter().filter(|((n, _), _)| n == name);
        of.map(|(_, value)| *value).collect()
    };
    let samples = loop {
        let answer = get(port, "/metrics");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            head.contains("Content-Type: text/plain; version=0.0.4"),
            "{head}"
        );
        let samples = parse(body);
        let losses = sample(&samples, "regmix_run_loss_mean");
        if losses.len() == 2 && sample(&samples, "regmix_tokens_per_second")[0] > 0.0 {
            break samples;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let of_state = |state: &str| {
        let labels = BTreeMap::from([("state".to_owned(), state.to_owned())]);
        samples[&("regmix_runs".to_owned(), labels)]
    };
    let states = ["waiting", "running", "stopped", "failed", "done"].map(of_state);
    assert_eq!(states, [8.0, 2.0, 0.0, 0.0, 0.0]);
    let losses = sample(&samples, "regmix_run_loss_mean");
    assert!(losses.iter().all(|l| (1.0..7.0).contains(l)), "{losses:?}");
    let steps = sample(&samples, "regmix_run_step");
    let tokens = sample(&samples, "regmix_tokens_total")[0];
    // A step is two sequences of 16 tokens; counts are of one moment.
    assert_eq!(tokens, 32.0 * (steps[0] + steps[1]));
    assert_eq!(sample(&samples, "regmix_run_steps"), [400000.0; 2]);
    for name in ["evaluation", "checkpoint"] {
        let seconds = sample(&samples, &format!("regmix_run_seconds_since_{name}"));
        assert!(seconds.len() == 2 && seconds.iter().all(|s| *s >= 0.0));
    }
    assert!(get(port, "/else").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_port_that_is_taken_is_an_error_before_anything_is_trained() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let fixture = Fixture::study_after("design");
    let output = fixture.refused(&["train", "--metrics-listen", &address]);
    output.says(&format!(
        "cannot listen on `{address}`: Address already in use"
    ));
    output.says("give an address with a port that is free, such as 127.0.0.1:9464");
    let output = fixture.refused(&["train", "--metrics-listen", "nowhere"]);
    assert_output!(output, @r#"
    $ regmix train --metrics-listen nowhere
    exit code: 2
    ----- stderr -----
      × `--metrics-listen`: cannot listen on `nowhere`: invalid socket address
      help: give an address with a port that is free, such as 127.0.0.1:9464; with port 0 the system
            chooses one
    "#);
}

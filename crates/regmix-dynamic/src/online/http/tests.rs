use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::*;
use crate::Controller;
use crate::config::DynamicConfig;
use crate::online::tests::controller;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut out = String::new();
    stream.read_to_string(&mut out).unwrap();
    out
}

fn post(body: &str, headers: &str) -> String {
    format!(
        "POST /observe HTTP/1.1\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// Serves during `talk`; returns the controller afterwards.
fn with_server(token: Option<&str>, state: &Path, talk: impl FnOnce(u16)) -> Controller {
    let controller = controller(DynamicConfig::improved());
    let server = Server::bind(controller, "127.0.0.1:0", token.map(str::to_owned), state).unwrap();
    let port = server.port().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let thread = std::thread::spawn(move || server.serve(&*seen).unwrap());
    talk(port);
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap()
}

#[test]
fn a_run_goes_on_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    let report = r#"{"step":250,"losses":{"d0":3.0,"d1":3.1,"d2":3.2}}"#;
    let first = with_server(None, &state, |port| {
        assert!(
            ask(port, "GET /health HTTP/1.1\r\n\r\n").contains("\"decision_steps\":[250,500,750]")
        );
        let reply = ask(port, &post(report, ""));
        assert!(
            reply.starts_with("HTTP/1.1 200 OK") && reply.contains("\"switch\":true"),
            "{reply}"
        );
    });
    let second = with_server(None, &state, |port| {
        let reply = ask(port, "GET /state HTTP/1.1\r\n\r\n");
        assert!(reply.contains("\"next_stage\":1"), "{reply}");
        let reply = ask(port, &post(r#"{"step":100,"losses":{}}"#, ""));
        assert!(
            reply.starts_with("HTTP/1.1 422") && reply.contains("comes after step 250"),
            "{reply}"
        );
    });
    assert_eq!(first.mixture(), second.mixture());
}

#[test]
fn bad_tokens_and_malformed_requests_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    with_server(Some("secret"), &state, |port| {
        let get =
            |path: &str, headers: &str| ask(port, &format!("GET {path} HTTP/1.1\r\n{headers}\r\n"));
        let token = "Authorization: Bearer secret\r\n";
        assert!(get("/mixture", "").starts_with("HTTP/1.1 401"));
        assert!(get("/mixture", "Authorization: Bearer secreT\r\n").starts_with("HTTP/1.1 401"));
        assert!(get("/mixture", token).starts_with("HTTP/1.1 200"));
        assert!(
            get("/mixture", &format!("{token}Origin: http://x\r\n")).starts_with("HTTP/1.1 403")
        );
        assert!(get("/secrets", token).starts_with("HTTP/1.1 404"));
        assert!(get("/observe", token).starts_with("HTTP/1.1 405"));
        assert!(ask(port, "\r\n\r\n").starts_with("HTTP/1.1 400"));
        assert!(
            ask(
                port,
                &format!(
                    "POST /observe HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
                    2 << 20
                )
            )
            .starts_with("HTTP/1.1 413")
        );
        assert!(
            ask(
                port,
                "POST /observe HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            .starts_with("HTTP/1.1 411")
        );
        assert!(ask(port, &post("{", token)).starts_with("HTTP/1.1 422"));
    });
}

/// The example for training loops; skipped where there is no Python.
#[test]
#[allow(clippy::print_stderr)]
fn python_can_talk_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/online.py");
    let python = |args: &[&str]| std::process::Command::new("python3").args(args).output();
    if python(&["--version"]).is_err() {
        eprintln!("skipped: no python3 to run examples/online.py with");
        return;
    }
    let mut run = None;
    with_server(Some("secret"), &dir.path().join("state.json"), |port| {
        let url = format!("http://127.0.0.1:{port}");
        run = python(&[&script.to_string_lossy(), &url, "secret"]).ok();
    });
    let run = run.unwrap();
    assert!(run.status.success(), "{run:?}");
    let reply = String::from_utf8(run.stdout).unwrap();
    let steps: Vec<&str> = reply.lines().filter_map(|l| l.split(' ').next()).collect();
    assert_eq!(steps, ["250", "500", "750"], "{reply}");
}

#[test]
fn a_slow_client_does_not_delay_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    let mut asked = None;
    with_server(None, &state, |port| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET /health").unwrap();
        std::thread::sleep(Duration::from_millis(100));
        asked = Some((Instant::now(), stream));
    });
    let (since, _stream) = asked.unwrap();
    assert!(since.elapsed() < Duration::from_secs(1));
}

#[test]
fn other_machines_need_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    let bind = |address: &str, token: Option<&str>| {
        Server::bind(
            controller(DynamicConfig::improved()),
            address,
            token.map(str::to_owned),
            &state,
        )
    };
    assert_eq!(
        bind("0.0.0.0:0", None).unwrap_err().field_name(),
        Some("token")
    );
    assert_eq!(
        bind("0.0.0.0:0", Some("")).unwrap_err().field_name(),
        Some("token")
    );
    // An empty token would let everyone in.
    for token in ["", " ", "two words", "a\nb"] {
        let error = bind("127.0.0.1:0", Some(token)).unwrap_err();
        assert_eq!(error.field_name(), Some("token"), "{token:?}");
    }
    assert!(bind("0.0.0.0:0", Some("secret")).is_ok());
    assert_eq!(
        bind("nowhere", None).unwrap_err().field_name(),
        Some("address")
    );
}

#[test]
fn slow_clients_delay_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    with_server(None, &state, |port| {
        let slow: Vec<TcpStream> = (0..8)
            .map(|_| {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                stream
                    .write_all(b"POST /observe HTTP/1.1\r\nContent-Le")
                    .unwrap();
                stream
            })
            .collect();
        let since = Instant::now();
        assert!(ask(port, "GET /mixture HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
        assert!(
            since.elapsed() < Duration::from_secs(2),
            "{:?}",
            since.elapsed()
        );
        drop(slow);
    });
}

#[test]
fn requests_sent_without_waiting_are_answered_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    let report = r#"{"step":250,"losses":{"d0":3.0,"d1":3.1,"d2":3.2}}"#;
    with_server(None, &state, |port| {
        let get = "GET /health HTTP/1.1\r\n\r\n";
        let three = format!("{get}{}{get}", post(report, ""));
        let replies = ask(port, &three);
        let bodies: Vec<&str> = (replies.lines()).filter(|l| l.starts_with('{')).collect();
        assert_eq!(bodies.len(), 3, "{replies}");
        assert!(!bodies[0].contains("last_step") && bodies[1].contains("\"switch\":true"));
        assert!(bodies[2].contains("\"last_step\":250"), "{replies}");
        assert_eq!(replies.matches("Connection: close").count(), 1);

        // A connection that is to be kept takes further requests.
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut some = [0; 4096];
        for _ in 0..2 {
            stream
                .write_all(b"GET /health HTTP/1.1\r\nConnection: keep-alive\r\n\r\n")
                .unwrap();
            let n = stream.read(&mut some).unwrap();
            assert!(some[..n].starts_with(b"HTTP/1.1 200 OK"));
        }
    });
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    with_server(None, &state, |port| {
        let body = " ".repeat(2 << 20);
        assert!(ask(port, &post(&body, "")).starts_with("HTTP/1.1 413"));
        let twice = "POST /observe HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}";
        assert!(ask(port, twice).starts_with("HTTP/1.1 400"));
        let endless = "POST /observe HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n";
        assert!(ask(port, endless).starts_with("HTTP/1.1 413"));
    });
}

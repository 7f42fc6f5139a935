//! The controller over HTTP, for trainers that cannot hold a pipe.
//!
//! | request | answer |
//! |---|---|
//! | `POST /observe`, body as a line of [`protocol`](super::protocol) | 200, or 422 where the observation was refused |
//! | `GET /mixture`, `GET /state`, `GET /health` | 200 |
//!
//! One request at a time, one per connection: a controller gets a few requests
//! an hour. It listens on loopback addresses only, unless a token is set, which
//! every request must then have as `Authorization: Bearer …`. Requests of web
//! pages, which have an `Origin`, are refused. There is no encryption: between
//! machines, use a tunnel.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regmix_data::{Error, Monitor, Result};

use super::Controller;
use super::protocol::{MAX_LINE, answer};

/// The longest request line with headers.
const MAX_HEAD: usize = 16 << 10;

/// How long a client may take for a whole request.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a server that waits for a connection checks whether it should stop.
const POLL: Duration = Duration::from_millis(10);

/// How often a server that waits for the rest of a request checks that.
const READ_POLL: Duration = Duration::from_millis(250);

/// A controller that answers HTTP requests.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    controller: Controller,
    state: PathBuf,
    token: Option<String>,
}

struct Request {
    method: String,
    path: String,
    token: Option<String>,
    from_web_page: bool,
    body: String,
}

impl Server {
    /// Binds an address, such as `127.0.0.1:7070`, and continues from the
    /// state at `state` where there is one; the state is written there after
    /// each observation, before the answer is sent.
    ///
    /// # Errors
    /// When the address cannot be bound, is not a loopback address and there
    /// is no token, or the state is damaged or of another study.
    pub fn bind(
        mut controller: Controller,
        address: &str,
        token: Option<String>,
        state: impl AsRef<Path>,
    ) -> Result<Self> {
        let refused = |e: std::io::Error| {
            Error::input(format!("cannot listen on `{address}`: {e}"))
                .field("address")
                .help("give an address with a port, such as 127.0.0.1:7070")
        };
        let token = token.filter(|t| !t.is_empty());
        let mut all = address.to_socket_addrs().map_err(refused)?;
        if token.is_none() && all.any(|a| !a.ip().is_loopback()) {
            return Err(Error::input(format!(
                "`{address}` can be reached from other machines: expected a token"
            ))
            .field("token")
            .help("set a token, or listen on 127.0.0.1"));
        }
        controller.load_state(&state)?;
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        Ok(Self {
            listener,
            controller,
            state: state.as_ref().to_path_buf(),
            token,
        })
    }

    /// The port it listens on.
    ///
    /// # Errors
    /// When the system does not know it.
    pub fn port(&self) -> Result<u16> {
        let address = self.listener.local_addr();
        address
            .map(|a| a.port())
            .map_err(|e| Error::failed(e.to_string()))
    }

    /// Answers requests until `monitor` asks to stop; returns the controller. A
    /// request that is not read completely by then is refused. An error of a
    /// client ends its own connection only.
    ///
    /// # Errors
    /// When the system accepts no more connections.
    pub fn serve(mut self, monitor: &dyn Monitor) -> Result<Controller> {
        self.controller.prepare()?;
        while !monitor.stop_requested() {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    // A client that went away gets no answer.
                    let _ = self.handle(stream, monitor);
                    self.controller.prepare()?;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(POLL),
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                    ) => {}
                Err(e) => return Err(Error::failed(format!("cannot take connections: {e}"))),
            }
        }
        Ok(self.controller)
    }

    fn handle(&mut self, mut stream: TcpStream, monitor: &dyn Monitor) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (status, body) = match read(&mut stream, monitor) {
            Ok(request) => self.respond(&request),
            Err(status) => (status, refusal("the request cannot be read")),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len() + 1
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        stream.write_all(b"\n")
    }

    fn respond(&mut self, request: &Request) -> (&'static str, String) {
        if request.from_web_page {
            return (
                "403 Forbidden",
                refusal("requests of web pages are not answered"),
            );
        }
        if let Some(token) = &self.token {
            let given = request.token.as_deref().unwrap_or("");
            if !equal_in_constant_time(given.as_bytes(), token.as_bytes()) {
                return (
                    "401 Unauthorized",
                    refusal("expected the header `Authorization: Bearer <token>`"),
                );
            }
        }
        let line = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/observe") => request.body.as_str(),
            ("GET", "/mixture") => r#"{"op":"mixture"}"#,
            ("GET", "/state") => r#"{"op":"state"}"#,
            ("GET", "/health") => r#"{"op":"health"}"#,
            (_, "/observe" | "/mixture" | "/state" | "/health") => {
                return (
                    "405 Method Not Allowed",
                    refusal("POST /observe; GET for the others"),
                );
            }
            _ => {
                return (
                    "404 Not Found",
                    refusal("expected /observe, /mixture, /state or /health"),
                );
            }
        };
        let before = self.controller.state.clone();
        let (text, changed) = answer(&mut self.controller, line);
        if changed && let Err(e) = self.controller.save_state(&self.state) {
            // A restart would not know it: the observation is undone.
            self.controller.state = before;
            return (
                "500 Internal Server Error",
                refusal(&format!("the state cannot be written: {e}")),
            );
        }
        let status = if text.starts_with(r#"{"ok":true"#) {
            "200 OK"
        } else {
            "422 Unprocessable Content"
        };
        (status, text)
    }
}

fn refusal(error: &str) -> String {
    serde_json::json!({ "ok": false, "switch": false, "error": error }).to_string()
}

/// Compares in a time that does not depend on how much is equal.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}

/// Reads a request, or says with which status to refuse it.
fn read(
    stream: &mut TcpStream,
    monitor: &dyn Monitor,
) -> std::result::Result<Request, &'static str> {
    const BAD: &str = "400 Bad Request";
    let deadline = Instant::now() + PATIENCE;
    let mut got: Vec<u8> = Vec::new();
    let end = loop {
        if let Some(end) = got.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if got.len() > MAX_HEAD {
            return Err("431 Request Header Fields Too Large");
        }
        read_more(stream, &mut got, deadline, monitor)?;
    };
    let head = std::str::from_utf8(&got[..end]).map_err(|_| BAD)?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or("").split(' ');
    let (Some(method), Some(path), Some(_)) = (first.next(), first.next(), first.next()) else {
        return Err(BAD);
    };
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        token: None,
        from_web_page: false,
        body: String::new(),
    };
    let mut length = 0;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(BAD)?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(|_| BAD)?,
            "transfer-encoding" => return Err("411 Length Required"),
            "origin" => request.from_web_page = true,
            "authorization" => {
                request.token = value.trim().strip_prefix("Bearer ").map(str::to_owned)
            }
            _ => {}
        }
    }
    if length > MAX_LINE {
        return Err("413 Content Too Large");
    }
    let start = end + 4;
    while got.len() < start + length {
        read_more(stream, &mut got, deadline, monitor)?;
    }
    request.body = String::from_utf8(got[start..start + length].to_vec()).map_err(|_| BAD)?;
    Ok(request)
}

fn read_more(
    stream: &mut TcpStream,
    got: &mut Vec<u8>,
    deadline: Instant,
    monitor: &dyn Monitor,
) -> std::result::Result<(), &'static str> {
    const LATE: &str = "408 Request Timeout";
    if monitor.stop_requested() {
        return Err("503 Service Unavailable");
    }
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() || stream.set_read_timeout(Some(left.min(READ_POLL))).is_err() {
        return Err(LATE);
    }
    let mut some = [0; 4096];
    match stream.read(&mut some) {
        Ok(0) => Err("400 Bad Request"),
        Ok(n) => {
            got.extend_from_slice(&some[..n]);
            Ok(())
        }
        // The deadline is checked before the next attempt.
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut
            ) =>
        {
            Ok(())
        }
        Err(_) => Err(LATE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let server =
            Server::bind(controller, "127.0.0.1:0", token.map(str::to_owned), state).unwrap();
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
                ask(port, "GET /health HTTP/1.1\r\n\r\n")
                    .contains("\"decision_steps\":[250,500,750]")
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
            let get = |path: &str, headers: &str| {
                ask(port, &format!("GET {path} HTTP/1.1\r\n{headers}\r\n"))
            };
            let token = "Authorization: Bearer secret\r\n";
            assert!(get("/mixture", "").starts_with("HTTP/1.1 401"));
            assert!(
                get("/mixture", "Authorization: Bearer secreT\r\n").starts_with("HTTP/1.1 401")
            );
            assert!(get("/mixture", token).starts_with("HTTP/1.1 200"));
            assert!(
                get("/mixture", &format!("{token}Origin: http://x\r\n"))
                    .starts_with("HTTP/1.1 403")
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
        assert!(bind("0.0.0.0:0", Some("secret")).is_ok());
        assert_eq!(
            bind("nowhere", None).unwrap_err().field_name(),
            Some("address")
        );
    }
}

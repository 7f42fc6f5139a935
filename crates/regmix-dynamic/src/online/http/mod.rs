//! The controller over HTTP, for trainers that cannot hold a pipe.
//!
//! | request | answer |
//! |---|---|
//! | `POST /observe`, body as a line of [`protocol`](super::protocol) | 200, or 422 where the observation was refused |
//! | `GET /mixture`, `GET /state`, `GET /health` | 200 |
//!
//! Connections are served side by side, so that a slow client delays no other;
//! the controller answers one request at a time. Requests that a client sends
//! one after the other without waiting are answered in their order. A
//! connection is closed after an answer unless more requests have come or the
//! client asked to keep it.
//!
//! | bound | |
//! |---|---|
//! | connections at a time | 64; 503 above |
//! | time for a request, and between requests of a kept connection | 5 s |
//! | request line with headers | 16 KiB |
//! | body | 1 MiB |
//!
//! It listens on loopback addresses only, unless a token is set, which every
//! request must then have as `Authorization: Bearer …`. Requests of web pages,
//! which have an `Origin`, are refused. There is no encryption: between machines,
//! use a tunnel.

mod connection;
mod request;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regmix_data::{Error, Monitor, Result};

use self::connection::Connection;
use self::request::Request;
use super::Controller;
use super::protocol::answer;

/// Connections that are served at a time.
const CONNECTIONS: usize = 64;

/// How often a server that waits for a connection checks whether it should stop.
const POLL: Duration = Duration::from_millis(10);

/// A controller that answers HTTP requests.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    service: Service,
}

/// What answers the requests of all connections.
#[derive(Debug)]
struct Service {
    controller: Mutex<Controller>,
    state: PathBuf,
    token: Option<String>,
}

/// The status and the body of an answer.
type Answer = (&'static str, String);

impl Server {
    /// Binds an address, such as `127.0.0.1:7070`, and continues from the
    /// state at `state` where there is one; the state is written there after
    /// each observation, before the answer is sent.
    ///
    /// # Errors
    /// When the address cannot be bound, is not a loopback address and there
    /// is no token, the token is empty or not one word, or the state is damaged
    /// or of another study.
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
        let one_word = |token: &String| token.chars().all(|c| c.is_ascii_graphic());
        if (token.as_ref()).is_some_and(|token| token.is_empty() || !one_word(token)) {
            return Err(Error::input(
                "expected a token of letters, digits and signs, without blanks",
            )
            .field("token")
            .help("write one, for example with `openssl rand -hex 32`"));
        }
        let mut all = address.to_socket_addrs().map_err(refused)?;
        if token.is_none() && all.any(|a| !a.ip().is_loopback()) {
            return Err(Error::input(format!(
                "`{address}` can be reached from other machines: expected a token"
            ))
            .field("token")
            .help("set a token, with `--token-file`, or listen on 127.0.0.1"));
        }
        controller.load_state(&state)?;
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        Ok(Self {
            listener,
            service: Service {
                controller: Mutex::new(controller),
                state: state.as_ref().to_path_buf(),
                token,
            },
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
    pub fn serve(self, monitor: &dyn Monitor) -> Result<Controller> {
        let service = &self.service;
        service.controller().prepare()?;
        let open = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            while !monitor.stop_requested() {
                match self.listener.accept() {
                    Ok((stream, _)) if open.load(Ordering::Relaxed) >= CONNECTIONS => {
                        refuse_connection(stream);
                    }
                    Ok((stream, _)) => {
                        open.fetch_add(1, Ordering::Relaxed);
                        let open = &open;
                        scope.spawn(move || {
                            // A client that went away gets no answer.
                            let _ = service.talk(stream, monitor);
                            open.fetch_sub(1, Ordering::Relaxed);
                        });
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
            Ok(())
        })?;
        let controller = self.service.controller.into_inner();
        Ok(controller.unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says that there are too many connections, if the client listens.
fn refuse_connection(stream: TcpStream) {
    let answer = refusal("503 Service Unavailable", "too many connections: try again");
    if let Ok(mut connection) = Connection::new(stream) {
        let _ = connection.send(&answer, true);
    }
}

impl Service {
    fn controller(&self) -> MutexGuard<'_, Controller> {
        // A panic elsewhere cannot leave a controller half changed: it changes only
        // after an observation was accepted as a whole.
        (self.controller.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the requests of one connection.
    fn talk(&self, stream: TcpStream, monitor: &dyn Monitor) -> std::io::Result<()> {
        let mut connection = Connection::new(stream)?;
        loop {
            let (answer, keep) = match Request::read(&mut connection, monitor) {
                Ok(None) => return Ok(()),
                Ok(Some(request)) => {
                    let answer = self.respond(&request);
                    let keep = !request.close && (request.keep || connection.has_more()?);
                    (answer, keep)
                }
                Err(status) => (refusal(status, "the request cannot be read"), false),
            };
            connection.send(&answer, !keep)?;
            self.prepare();
            if !keep {
                return connection.finish();
            }
        }
    }

    /// Makes the draws of the next decision, while other requests are answered.
    fn prepare(&self) {
        let mut copy = self.controller().clone();
        // Bounds that contradict each other are an error of the decision.
        if copy.prepare().is_ok() {
            self.controller().take_draws(copy);
        }
    }

    fn respond(&self, request: &Request) -> Answer {
        if request.from_web_page {
            return refusal("403 Forbidden", "requests of web pages are not answered");
        }
        if let Some(token) = &self.token {
            let given = request.token.as_deref().unwrap_or("");
            if !equal_in_constant_time(given.as_bytes(), token.as_bytes()) {
                return refusal(
                    "401 Unauthorized",
                    "expected the header `Authorization: Bearer <token>`",
                );
            }
        }
        let line = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/observe") => request.body.as_str(),
            ("GET", "/mixture") => r#"{"op":"mixture"}"#,
            ("GET", "/state") => r#"{"op":"state"}"#,
            ("GET", "/health") => r#"{"op":"health"}"#,
            (_, "/observe" | "/mixture" | "/state" | "/health") => {
                return refusal(
                    "405 Method Not Allowed",
                    "POST /observe; GET for the others",
                );
            }
            _ => {
                return refusal(
                    "404 Not Found",
                    "expected /observe, /mixture, /state or /health",
                );
            }
        };
        let mut controller = self.controller();
        let before = controller.state.clone();
        let (text, changed) = answer(&mut controller, line);
        if changed && let Err(e) = controller.save_state(&self.state) {
            // A restart would not know it: the observation is undone.
            controller.state = before;
            return refusal(
                "500 Internal Server Error",
                &format!("the state cannot be written: {e}"),
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

fn refusal(status: &'static str, error: &str) -> Answer {
    let body = serde_json::json!({ "ok": false, "switch": false, "error": error });
    (status, body.to_string())
}

/// Compares in a time that does not depend on how much is equal.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}

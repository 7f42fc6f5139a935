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
mod listener;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use regmix_data::{Error, Monitor, Result};

use self::listener::cannot_bind;
use super::Steering;
use super::protocol::answer;

pub use self::listener::{Listener, Service};
pub use self::request::Request;
pub use self::response::Answer;

/// A controller that answers HTTP requests.
#[derive(Debug)]
pub struct Server<S: Steering> {
    listener: Listener,
    service: ControllerService<S>,
}

/// What answers requests to a controller.
#[derive(Debug)]
struct ControllerService<S: Steering> {
    controller: Mutex<S>,
    state: PathBuf,
    token: Option<String>,
}

impl<S: Steering> Server<S> {
    /// Binds an address, such as `127.0.0.1:7070`, and continues from the
    /// state at `state` where there is one; the state is written there after
    /// each observation, before the answer is sent.
    ///
    /// # Errors
    /// When the address cannot be bound, is not a loopback address and there
    /// is no token, the token is empty or not one word, or the state is damaged
    /// or of another study.
    pub fn bind(
        mut controller: S,
        address: &str,
        token: Option<String>,
        state: impl AsRef<Path>,
    ) -> Result<Self> {
        let one_word = |token: &String| token.chars().all(|c| c.is_ascii_graphic());
        if (token.as_ref()).is_some_and(|token| token.is_empty() || !one_word(token)) {
            return Err(Error::input(
                "expected a token of letters, digits and signs, without blanks",
            )
            .field("token")
            .help("write one, for example with `openssl rand -hex 32`"));
        }
        let mut all = (address.to_socket_addrs()).map_err(|e| cannot_bind(address, &e))?;
        if token.is_none() && all.any(|a| !a.ip().is_loopback()) {
            return Err(Error::input(format!(
                "`{address}` can be reached from other machines: expected a token"
            ))
            .field("token")
            .help("set a token, with `--token-file`, or listen on 127.0.0.1"));
        }
        controller.load_state(state.as_ref())?;
        Ok(Self {
            listener: Listener::bind(address)?,
            service: ControllerService {
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
        self.listener.port()
    }

    /// Answers requests until `monitor` asks to stop; returns the controller. A
    /// request that is not read completely by then is refused. An error of a
    /// client ends its own connection only.
    ///
    /// # Errors
    /// When the system accepts no more connections.
    pub fn serve(self, monitor: &dyn Monitor) -> Result<S> {
        self.service.controller().prepare()?;
        self.listener.serve(&self.service, monitor)?;
        let controller = self.service.controller.into_inner();
        Ok(controller.unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Steering> ControllerService<S> {
    fn controller(&self) -> MutexGuard<'_, S> {
        // A panic elsewhere cannot leave a controller half changed: it changes only
        // after an observation was accepted as a whole.
        (self.controller.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Steering> Service for ControllerService<S> {
    fn answer(&self, request: &Request) -> Answer {
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
        let before = controller.state().clone();
        let (text, changed) = answer(&mut *controller, line);
        if changed && let Err(e) = controller.save_state(&self.state) {
            // A restart would not know it: the observation is undone.
            controller.restore(before);
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
        json(status, text)
    }

    fn refuse(&self, status: &'static str, why: &str) -> Answer {
        refusal(status, why)
    }

    /// Makes the draws of the next decision, while other requests are answered.
    fn after(&self) {
        let mut copy = self.controller().clone();
        // Bounds that contradict each other are an error of the decision.
        if copy.prepare().is_ok() {
            self.controller().take_prepared(copy);
        }
    }
}

fn refusal(status: &'static str, error: &str) -> Answer {
    let body = serde_json::json!({ "ok": false, "switch": false, "error": error });
    json(status, body.to_string())
}

fn json(status: &'static str, body: String) -> Answer {
    Answer {
        status,
        content_type: "application/json",
        body,
    }
}

/// Compares in a time that does not depend on how much is equal.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}

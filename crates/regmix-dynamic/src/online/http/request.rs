//! Reading a request.

use std::time::Instant;

use regmix_data::Monitor;

use super::super::protocol::MAX_LINE;
use super::connection::{Connection, NoBytes, PATIENCE};

/// The longest request line with headers.
const MAX_HEAD: usize = 16 << 10;

const BAD: &str = "400 Bad Request";

/// A request.
#[derive(Debug, Default)]
pub struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) token: Option<String>,
    pub(super) from_web_page: bool,
    pub(super) body: String,
    /// Whether the client asked to close the connection.
    pub(super) close: bool,
    /// Whether the client asked to keep it.
    pub(super) keep: bool,
}

/// What the headers say about the body.
#[derive(Default)]
struct Body {
    length: Option<usize>,
    /// Whether the client waits for a word before it sends the body.
    expected: bool,
}

impl Request {
    /// `GET`, `POST` and so on.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// What is asked for, from the first `/` on.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reads the next request of a connection, or gives the status with which
    /// to refuse it. `None` where the client has ended the connection, or sends
    /// nothing more.
    pub(super) fn read(
        connection: &mut Connection,
        monitor: &dyn Monitor,
    ) -> Result<Option<Self>, &'static str> {
        let deadline = Instant::now() + PATIENCE;
        let more = |connection: &mut Connection| {
            (connection.read_more(deadline, monitor)).map_err(|why| match why {
                NoBytes::Ended => BAD,
                NoBytes::Late => "408 Request Timeout",
                NoBytes::Stopped => "503 Service Unavailable",
            })
        };
        let end = loop {
            let got = &connection.got;
            if let Some(end) = got.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if got.len() > MAX_HEAD {
                return Err("431 Request Header Fields Too Large");
            }
            let nothing = got.is_empty();
            match more(connection) {
                Err(BAD) if nothing => return Ok(None),
                other => other?,
            }
        };
        let head = String::from_utf8(connection.got[..end].to_vec()).map_err(|_| BAD)?;
        let (mut request, body) = Self::from_head(&head)?;
        let length = body.length.unwrap_or(0);
        if length > MAX_LINE {
            return Err("413 Content Too Large");
        }
        let start = end + 4;
        if body.expected && connection.got.len() < start + length {
            connection
                .write(b"HTTP/1.1 100 Continue\r\n\r\n")
                .map_err(|_| BAD)?;
        }
        while connection.got.len() < start + length {
            more(connection)?;
        }
        let rest = connection.got.split_off(start + length);
        let used = std::mem::replace(&mut connection.got, rest);
        request.body = String::from_utf8(used[start..].to_vec()).map_err(|_| BAD)?;
        Ok(Some(request))
    }

    fn from_head(head: &str) -> Result<(Self, Body), &'static str> {
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or("").split(' ');
        let (Some(method), Some(path), Some(version)) = (first.next(), first.next(), first.next())
        else {
            return Err(BAD);
        };
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            close: version == "HTTP/1.0",
            ..Self::default()
        };
        let mut body = Body::default();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(BAD)?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                    // A length beyond all bounds is too large, not malformed.
                    let length = digits
                        .then(|| value.parse().unwrap_or(usize::MAX))
                        .ok_or(BAD)?;
                    if body.length.replace(length).is_some_and(|l| l != length) {
                        return Err(BAD);
                    }
                }
                "transfer-encoding" => return Err("411 Length Required"),
                "expect" => body.expected = value.eq_ignore_ascii_case("100-continue"),
                "connection" => {
                    request.close |= value.eq_ignore_ascii_case("close");
                    request.keep |= value.eq_ignore_ascii_case("keep-alive");
                }
                "origin" => request.from_web_page = true,
                "authorization" => {
                    request.token = value.strip_prefix("Bearer ").map(str::to_owned);
                }
                _ => {}
            }
        }
        Ok((request, body))
    }
}

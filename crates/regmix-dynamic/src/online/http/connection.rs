//! The bytes of one connection, with bounds on time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use regmix_data::Monitor;

use super::response::Answer;

/// How long a client may take for a whole request, or to take an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How often a connection that waits checks whether the server should stop.
const READ_POLL: Duration = Duration::from_millis(250);

/// Bytes that are read and dropped after a refusal, so that the client gets to
/// read it.
const DROPPED: usize = 4 << 20;

/// A connection, and what was read of it and not used yet.
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) got: Vec<u8>,
}

/// Why no bytes came.
pub(super) enum NoBytes {
    Ended,
    Late,
    Stopped,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // Answers are small and written at once.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            got: Vec::new(),
        })
    }

    /// Waits for some more bytes; returns without any after a while, so that
    /// the caller asks again.
    pub(super) fn read_more(
        &mut self,
        deadline: Instant,
        monitor: &dyn Monitor,
    ) -> Result<(), NoBytes> {
        if monitor.stop_requested() {
            return Err(NoBytes::Stopped);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Some(left.min(READ_POLL));
        if left.is_zero() || self.stream.set_read_timeout(timeout).is_err() {
            return Err(NoBytes::Late);
        }
        let mut some = [0; 4096];
        match self.stream.read(&mut some) {
            Ok(0) => Err(NoBytes::Ended),
            Ok(n) => {
                self.got.extend_from_slice(&some[..n]);
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
            Err(_) => Err(NoBytes::Ended),
        }
    }

    /// Whether bytes of a further request are there already.
    pub(super) fn has_more(&mut self) -> std::io::Result<bool> {
        if !self.got.is_empty() {
            return Ok(true);
        }
        self.stream.set_nonblocking(true)?;
        let more = matches!(self.stream.peek(&mut [0]), Ok(n) if n > 0);
        self.stream.set_nonblocking(false)?;
        Ok(more)
    }

    /// Sends bytes as they are.
    pub(super) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends an answer.
    pub(super) fn send(&mut self, answer: &Answer, last: bool) -> std::io::Result<()> {
        let Answer {
            status,
            content_type,
            body,
        } = answer;
        let then = if last { "close" } else { "keep-alive" };
        self.write(
            format!(
                "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
                 Connection: {then}\r\n\r\n{body}\n",
                body.len() + 1
            )
            .as_bytes(),
        )
    }

    /// Ends the connection after the last answer. A client that is still
    /// sending would lose the answer if the rest were not read.
    pub(super) fn finish(mut self) -> std::io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.stream.set_read_timeout(Some(READ_POLL))?;
        let (mut some, mut read) = ([0; 4096], 0);
        let deadline = Instant::now() + PATIENCE;
        while read < DROPPED && Instant::now() < deadline {
            match self.stream.read(&mut some)? {
                0 => break,
                n => read += n,
            }
        }
        Ok(())
    }
}

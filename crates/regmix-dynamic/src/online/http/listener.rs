//! Connections of an HTTP server, whatever it answers.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regmix_data::{Error, Monitor, Result};

use super::connection::Connection;
use super::request::Request;
use super::response::Answer;

/// Connections that are served at a time.
const CONNECTIONS: usize = 64;

/// How often a server that waits for a connection checks whether it should stop.
const POLL: Duration = Duration::from_millis(10);

/// What answers the requests of all connections.
pub trait Service: Sync {
    /// Answers a request; called from several threads.
    fn answer(&self, request: &Request) -> Answer;

    /// Answers a request that cannot be read, or a connection too many.
    fn refuse(&self, status: &'static str, why: &str) -> Answer;

    /// Called after each answer was sent.
    fn after(&self) {}
}

/// A port on which connections are taken.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Binds an address, such as `127.0.0.1:7070`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: &str) -> Result<Self> {
        let listener = TcpListener::bind(address).map_err(|e| cannot_bind(address, &e))?;
        (listener.set_nonblocking(true)).map_err(|e| cannot_bind(address, &e))?;
        Ok(Self(listener))
    }

    /// The port it listens on.
    ///
    /// # Errors
    /// When the system does not know it.
    pub fn port(&self) -> Result<u16> {
        let address = self.0.local_addr();
        address
            .map(|a| a.port())
            .map_err(|e| Error::failed(e.to_string()))
    }

    /// Answers requests until `monitor` asks to stop. A request that is not read
    /// completely by then is refused. An error of a client ends its own
    /// connection only.
    ///
    /// # Errors
    /// When the system accepts no more connections.
    pub fn serve(&self, service: &dyn Service, monitor: &dyn Monitor) -> Result<()> {
        let open = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            while !monitor.stop_requested() {
                match self.0.accept() {
                    Ok((stream, _)) if open.load(Ordering::Relaxed) >= CONNECTIONS => {
                        refuse_connection(service, stream);
                    }
                    Ok((stream, _)) => {
                        open.fetch_add(1, Ordering::Relaxed);
                        let open = &open;
                        scope.spawn(move || {
                            // A client that went away gets no answer.
                            let _ = talk(service, stream, monitor);
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
        })
    }
}

/// The error for an address on which nothing can listen.
pub(super) fn cannot_bind(address: &str, e: &std::io::Error) -> Error {
    Error::input(format!("cannot listen on `{address}`: {e}"))
        .field("address")
        .help("give an address with a port, such as 127.0.0.1:7070")
}

/// Says that there are too many connections, if the client listens.
fn refuse_connection(service: &dyn Service, stream: TcpStream) {
    let answer = service.refuse("503 Service Unavailable", "too many connections: try again");
    if let Ok(mut connection) = Connection::new(stream) {
        let _ = connection.send(&answer, true);
    }
}

/// Answers the requests of one connection.
fn talk(service: &dyn Service, stream: TcpStream, monitor: &dyn Monitor) -> std::io::Result<()> {
    let mut connection = Connection::new(stream)?;
    loop {
        let (answer, keep) = match Request::read(&mut connection, monitor) {
            Ok(None) => return Ok(()),
            Ok(Some(request)) => {
                let answer = service.answer(&request);
                let keep = !request.close && (request.keep || connection.has_more()?);
                (answer, keep)
            }
            Err(status) => (service.refuse(status, "the request cannot be read"), false),
        };
        connection.send(&answer, !keep)?;
        service.after();
        if !keep {
            return connection.finish();
        }
    }
}

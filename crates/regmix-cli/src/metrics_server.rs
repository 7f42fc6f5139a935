//! `--metrics-listen`: metrics of the runs in progress, for Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use regmix_data::{Error, Result};
use regmix_dynamic::http::{Answer, Listener, Request, Service};

use crate::output::metrics::RunMetrics;

/// Answers until it is dropped.
pub(crate) struct MetricsServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Listens on an address, and answers with these metrics. Gives the port, too.
    pub(crate) fn start(address: &str, metrics: Arc<RunMetrics>) -> Result<(Self, u16)> {
        let listener = Listener::bind(address).map_err(|e| {
            e.field("--metrics-listen").help(
                "give an address with a port that is free, such as 127.0.0.1:9464; with port 0 \
                 the system chooses one",
            )
        })?;
        let port = listener.port()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                // Training goes on without its metrics.
                listener.serve(&Metrics(metrics), &*stopped).ok();
            })
            .map_err(|e| Error::failed(format!("cannot start a thread: {e}")))?;
        let server = Self {
            stop,
            thread: Some(thread),
        };
        Ok((server, port))
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

struct Metrics(Arc<RunMetrics>);

impl Service for Metrics {
    fn answer(&self, request: &Request) -> Answer {
        let path = request.path().split('?').next().unwrap_or_default();
        match (request.method(), path) {
            ("GET", "/metrics" | "/") => Answer {
                status: "200 OK",
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                body: self.0.text().trim_end().to_owned(),
            },
            (_, "/metrics" | "/") => self.refuse("405 Method Not Allowed", "GET /metrics"),
            _ => self.refuse("404 Not Found", "expected /metrics"),
        }
    }

    fn refuse(&self, status: &'static str, why: &str) -> Answer {
        Answer {
            status,
            content_type: "text/plain; charset=utf-8",
            body: why.to_owned(),
        }
    }
}

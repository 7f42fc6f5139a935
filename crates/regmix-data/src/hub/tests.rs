use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use super::*;
use crate::corpus::{Layout, ReadOptions, Source};
use crate::monitor::Silent;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub on this machine, with one dataset `me/data`.
struct Loopback {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// Path and first byte of every request for the rest of a file.
    ranges: Vec<(String, usize)>,
    /// How many transfers to break off half way.
    broken: usize,
    /// Size to claim for every file in place of its own.
    claimed: Option<u64>,
}

impl Loopback {
    fn start(files: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let files = files.iter().map(|(n, b)| ((*n).to_owned(), b.to_vec()));
        let state = Arc::new(Mutex::new(State {
            files: files.collect(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that closes the connection is not an error.
                let _ = stream.and_then(|s| answer(s, &shared));
            }
        });
        Self { address, state }
    }

    fn hub(&self, cache: &Path, retries: u32) -> Hub {
        Hub::new(HubOptions {
            endpoint: Some(self.address.clone()),
            cache: Some(cache.to_path_buf()),
            retries,
        })
        .unwrap()
    }
}

/// Answers one request and closes the connection.
fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
            range = value
                .trim()
                .split_once('-')
                .map(|(a, b)| (a.to_owned(), b.to_owned()));
        }
        if header.trim().is_empty() {
            break;
        }
    }
    let mut state = state.lock().unwrap();
    let path = path.split('?').next().unwrap_or_default();
    if path == "/api/datasets/me/data/revision/main" {
        let siblings: Vec<_> = state
            .files
            .iter()
            .map(|(n, b)| {
                let size = state.claimed.unwrap_or(b.len() as u64);
                serde_json::json!({"rfilename": n, "size": size})
            })
            .collect();
        let body = serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string();
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    }
    let name = path.strip_prefix(&format!("/datasets/me/data/resolve/{COMMIT}/"));
    let found = name.and_then(|n| state.files.get_key_value(n));
    let Some((name, bytes)) = found.map(|(n, b)| (n.clone(), b.clone())) else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
    };
    let (from, to) = range.unwrap_or_default();
    let from: usize = from.parse().unwrap_or(0);
    let to = to
        .parse()
        .map_or(bytes.len(), |to: usize| (to + 1).min(bytes.len()));
    let whole = to == bytes.len();
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{}\r\n\
         etag: \"{}\"\r\nx-repo-commit: {COMMIT}\r\nconnection: close\r\n\r\n",
        to - from,
        to - 1,
        bytes.len(),
        blake3::hash(&bytes).to_hex(),
    )?;
    let mut to = to;
    if whole {
        state.ranges.push((name, from));
        if state.broken > 0 {
            state.broken -= 1;
            to = from + (to - from) / 2;
        }
    }
    stream.write_all(&bytes[from..to])
}

fn lines(n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|i| format!("{{\"text\":\"document {i}\"}}\n").into_bytes())
        .collect()
}

fn fetch(dataset: &HubDataset, prefixes: &[&str]) -> Result<PathBuf> {
    dataset.fetch(prefixes, &Silent)
}

/// The total, what is done, and the note.
#[derive(Default)]
struct Recorder(Mutex<(u64, u64, String)>);

impl Monitor for Recorder {
    fn begin(&self, _: &str, total: u64, _: Unit) {
        self.0.lock().unwrap().0 = total;
    }

    fn at(&self, done: u64) {
        self.0.lock().unwrap().1 = done;
    }

    fn note(&self, text: &str) {
        self.0.lock().unwrap().2 = text.to_owned();
    }
}

#[test]
fn a_dataset_is_fetched_once_and_read_as_files() {
    let (a, b) = (lines(500), lines(20));
    let hub = Loopback::start(&[
        ("README.md", b"hello"),
        ("train/web-0.jsonl", &a),
        ("train/law-0.jsonl", &b),
        ("valid/web-0.jsonl", &b),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let dataset = hub.hub(cache.path(), 0).dataset("me/data", None).unwrap();
    assert_eq!(dataset.commit(), COMMIT);
    assert_eq!(dataset.files().len(), 4);
    let recorder = Recorder::default();
    let folder = dataset.fetch(&["train/", "valid/"], &recorder).unwrap();
    let total = (a.len() + 2 * b.len()) as u64;
    let (begun, done, note) = recorder.0.into_inner().unwrap();
    assert_eq!((begun, done), (total, total));
    assert_eq!(note, "valid/web-0.jsonl, 3 of 3 files");
    assert_eq!(std::fs::read(folder.join("train/web-0.jsonl")).unwrap(), a);
    assert!(!folder.join("README.md").exists());
    let source = Source::open(&folder, None, ReadOptions::default()).unwrap();
    assert_eq!(source.layout(), &Layout::Files);
    assert_eq!(
        source.domains().unwrap().names().collect::<Vec<_>>(),
        ["law", "web"]
    );

    assert_eq!(hub.state.lock().unwrap().ranges.len(), 3);
    assert_eq!(fetch(&dataset, &["train/", "valid/"]).unwrap(), folder);
    assert_eq!(
        hub.state.lock().unwrap().ranges.len(),
        3,
        "all were in the cache"
    );
}

#[test]
fn a_download_that_broke_off_is_resumed() {
    let content = lines(20_000);
    let hub = Loopback::start(&[("train/web-0.jsonl", &content)]);
    let cache = tempfile::tempdir().unwrap();
    hub.state.lock().unwrap().broken = 1;
    let dataset = hub.hub(cache.path(), 0).dataset("me/data", None).unwrap();
    let err = fetch(&dataset, &["train/"]).unwrap_err();
    assert!(
        err.is_io() && err.problem().contains("train/web-0.jsonl"),
        "{err}"
    );
    assert!(
        err.help_text()
            .unwrap()
            .contains("continues where it stopped")
    );
    // As in a new process.
    let dataset = hub.hub(cache.path(), 0).dataset("me/data", None).unwrap();
    let folder = fetch(&dataset, &["train/"]).unwrap();
    assert_eq!(
        std::fs::read(folder.join("train/web-0.jsonl")).unwrap(),
        content
    );
    let starts: Vec<usize> = hub
        .state
        .lock()
        .unwrap()
        .ranges
        .iter()
        .map(|r| r.1)
        .collect();
    assert_eq!(starts, [0, content.len() / 2]);
}

#[test]
fn retries_resume_automatically() {
    let content = lines(1000);
    let hub = Loopback::start(&[("a.jsonl", &content)]);
    let cache = tempfile::tempdir().unwrap();
    hub.state.lock().unwrap().broken = 1;
    let dataset = hub.hub(cache.path(), 1).dataset("me/data", None).unwrap();
    let folder = fetch(&dataset, &["a"]).unwrap();
    assert_eq!(std::fs::read(folder.join("a.jsonl")).unwrap(), content);
    assert_eq!(hub.state.lock().unwrap().ranges[1].1, content.len() / 2);
}

#[test]
fn a_file_of_the_wrong_size_is_not_kept() {
    let hub = Loopback::start(&[("a.jsonl", &lines(10))]);
    let cache = tempfile::tempdir().unwrap();
    hub.state.lock().unwrap().claimed = Some(7);
    let dataset = hub.hub(cache.path(), 0).dataset("me/data", None).unwrap();
    let err = fetch(&dataset, &["a"]).unwrap_err();
    assert!(err.problem().contains("expected 7"), "{err}");
    hub.state.lock().unwrap().claimed = None;
    let dataset = hub.hub(cache.path(), 0).dataset("me/data", None).unwrap();
    fetch(&dataset, &["a"]).unwrap();
    assert_eq!(hub.state.lock().unwrap().ranges.len(), 2);
}

#[test]
fn failed_requests_have_a_reason_and_a_remedy() {
    let hub = Loopback::start(&[("a.jsonl", &lines(10))]);
    let cache = tempfile::tempdir().unwrap();
    let api = hub.hub(cache.path(), 0);
    for id in ["", "a/b/c", "../x", "me/", "me/d?ta"] {
        assert!(api.dataset(id, None).unwrap_err().is_input(), "{id}");
    }
    let err = api.dataset("me/other", None).unwrap_err();
    assert!(
        err.problem().contains("404") && err.help_text().is_some(),
        "{err}"
    );
    let dataset = api.dataset("me/data", None).unwrap();
    let err = fetch(&dataset, &["train/", "valid/"]).unwrap_err();
    assert_eq!(
        err.problem(),
        "no file of `me/data` begins with train/ or valid/"
    );
    let stop = AtomicBool::new(true);
    let err = dataset.fetch(&["a"], &stop).unwrap_err();
    assert_eq!(err.to_string(), "interrupted while fetching");

    // Names that would leave the cache.
    for name in ["../../evil", "/evil"] {
        let hub = Loopback::start(&[(name, b"x")]);
        let err = hub
            .hub(cache.path(), 0)
            .dataset("me/data", None)
            .unwrap_err();
        assert!(err.problem().contains("without `..`"), "{err}");
    }

    // A hub that cannot be reached.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let api = Hub::new(HubOptions {
        endpoint: Some(format!("http://{address}")),
        cache: Some(cache.path().to_path_buf()),
        retries: 0,
    })
    .unwrap();
    let err = api.dataset("me/data", None).unwrap_err();
    assert!(
        err.is_io() && err.help_text().unwrap().contains("HF_ENDPOINT"),
        "{err}"
    );
}

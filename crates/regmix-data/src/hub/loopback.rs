//! A hub on this machine, with one dataset `me/data`, for the tests of the client and,
//! by its path, of the command. It needs nothing but the standard library and serde_json.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The login that a gated dataset is open to.
pub(crate) const TOKEN: &str = "hf_open";

pub(crate) struct Loopback {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Of the branch `main`.
    pub(crate) commit: String,
    /// What the answer about the dataset says besides.
    pub(crate) about: Value,
    /// Every address that was asked for, apart from the first bytes of files.
    pub(crate) requests: Vec<String>,
    /// Path and first byte of every request for the rest of a file.
    pub(crate) ranges: Vec<(String, usize)>,
    /// How many transfers to break off half way.
    pub(crate) broken: usize,
    /// Whether transfers stop half way, and the connection stays.
    pub(crate) stuck: bool,
    /// Size to claim for every file in place of its own.
    pub(crate) claimed: Option<u64>,
    /// Whether files are given to [`TOKEN`] only.
    pub(crate) gated: bool,
    /// Whether files are elsewhere, as small ones of the real hub are.
    pub(crate) redirects: bool,
}

impl Loopback {
    pub(crate) fn start(files: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let files = files.iter().map(|(n, b)| ((*n).to_owned(), b.to_vec()));
        let state = Arc::new(Mutex::new(State {
            files: files.collect(),
            commit: COMMIT.to_owned(),
            about: json!({}),
            requests: Vec::new(),
            ranges: Vec::new(),
            broken: 0,
            stuck: false,
            claimed: None,
            gated: false,
            redirects: false,
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                // A client that closes the connection is not an error.
                std::thread::spawn(move || stream.and_then(|s| answer(s, &shared)).ok());
            }
        });
        Self { address, state }
    }

    /// Changes how the hub behaves.
    pub(crate) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// How the hub is now, and what it was asked.
    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }
}

/// What matters of a request.
struct Request {
    /// Without `%` and what follows `?`.
    path: String,
    /// First and last byte that are asked for.
    range: Option<(usize, Option<usize>)>,
    has_token: bool,
}

impl Request {
    fn read(stream: &TcpStream) -> std::io::Result<Self> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let address = line.split(' ').nth(1).unwrap_or_default();
        let path = unescaped(address.split('?').next().unwrap_or_default());
        let (mut range, mut has_token) = (None, false);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let header = header.trim();
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                let (first, last) = value.split_once('-').unwrap_or((value, ""));
                range = Some((first.parse().unwrap_or(0), last.parse().ok()));
            }
            has_token |= header.ends_with(&format!("Bearer {TOKEN}"));
            if header.is_empty() {
                return Ok(Self {
                    path,
                    range,
                    has_token,
                });
            }
        }
    }
}

fn escaped(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
    let escape = |b| match plain(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    };
    path.bytes().map(escape).collect()
}

fn unescaped(address: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = address.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| std::str::from_utf8(&tail[..2]).unwrap());
        bytes.push(code.map_or(*first, |code| u8::from_str_radix(code, 16).unwrap()));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap()
}

/// Answers one request and closes the connection.
fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let request = Request::read(&stream)?;
    let now = {
        let mut state = state.lock().unwrap();
        if request.range != Some((0, Some(0))) {
            state.requests.push(request.path.clone());
        }
        state.clone()
    };
    let path = &request.path;
    if let Some(revision) = path.strip_prefix("/api/datasets/me/data/revision/") {
        return match revision == "main" || revision == now.commit {
            true => send(&mut stream, "200 OK", "", &about(&now)),
            false => refuse(&mut stream, "404 Not Found", "RevisionNotFound"),
        };
    }
    if path.starts_with("/api/datasets/") {
        // As the hub answers without a login.
        return refuse(&mut stream, "401 Unauthorized", "RepoNotFound");
    }
    if now.gated && !request.has_token {
        return refuse(&mut stream, "403 Forbidden", "GatedRepo");
    }
    let direct = format!("/datasets/me/data/resolve/{}/", now.commit);
    let elsewhere = format!("/api/resolve-cache/datasets/me/data/{}/", now.commit);
    if let (true, Some(name)) = (now.redirects, path.strip_prefix(&direct)) {
        let location = format!("location: {elsewhere}{}\r\n", escaped(name));
        return send(&mut stream, "307 Temporary Redirect", &location, "");
    }
    let name = path.strip_prefix(&direct).or(path.strip_prefix(&elsewhere));
    let found = name.and_then(|n| now.files.get_key_value(n));
    match found {
        Some((name, bytes)) => transfer(&mut stream, state, &request, (name, bytes), &now.commit),
        None => refuse(&mut stream, "404 Not Found", "EntryNotFound"),
    }
}

/// The answer about the dataset.
fn about(state: &State) -> String {
    let siblings: Vec<Value> = (state.files.iter())
        .map(|(n, b)| json!({"rfilename": n, "size": state.claimed.unwrap_or(b.len() as u64)}))
        .collect();
    let mut about = json!({"sha": state.commit, "siblings": siblings, "gated": state.gated});
    for (key, value) in state.about.as_object().unwrap() {
        about[key] = value.clone();
    }
    about.to_string()
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn refuse(stream: &mut TcpStream, status: &str, code: &str) -> std::io::Result<()> {
    send(stream, status, &format!("x-error-code: {code}\r\n"), "")
}

/// Gives a part of a file.
fn transfer(
    stream: &mut TcpStream,
    state: &Mutex<State>,
    request: &Request,
    (name, bytes): (&str, &[u8]),
    commit: &str,
) -> std::io::Result<()> {
    let (from, last) = request.range.unwrap_or_default();
    let to = last.map_or(bytes.len(), |last| (last + 1).min(bytes.len()));
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{}\r\n\
         etag: \"{:016x}\"\r\nx-repo-commit: {commit}\r\nconnection: close\r\n\r\n",
        to - from,
        to - 1,
        bytes.len(),
        hasher.finish(),
    )?;
    let (mut end, mut stuck) = (to, false);
    if to == bytes.len() && last.is_none() {
        let mut state = state.lock().unwrap();
        state.ranges.push((name.to_owned(), from));
        let breaks = state.broken > 0;
        state.broken = state.broken.saturating_sub(1);
        stuck = state.stuck;
        if breaks || stuck {
            end = from + (to - from) / 2;
        }
    }
    stream.write_all(&bytes[from..end])?;
    if stuck {
        std::thread::sleep(Duration::from_secs(600));
    }
    Ok(())
}

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::loopback::{COMMIT, Loopback, TOKEN};
use super::*;
use crate::monitor::{Silent, Unit};

impl Loopback {
    fn hub(&self, cache: &Path, retries: u32) -> Hub {
        Hub::new(HubOptions {
            endpoint: Some(self.address.clone()),
            cache: Some(cache.to_path_buf()),
            retries,
        })
        .unwrap()
    }

    /// As in a new process.
    fn dataset(&self, cache: &Path, retries: u32) -> HubDataset {
        (self.hub(cache, retries))
            .dataset("me/data", None, &Silent)
            .unwrap()
    }
}

fn lines(n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|i| format!("{{\"text\":\"document {i}\"}}\n").into_bytes())
        .collect()
}

fn fetch(dataset: &HubDataset, prefixes: &[&str]) -> Result<PathBuf> {
    fetch_with(dataset, prefixes, &Silent)
}

fn fetch_with(dataset: &HubDataset, prefixes: &[&str], monitor: &dyn Monitor) -> Result<PathBuf> {
    let files = dataset.beginning_with(prefixes)?;
    let source = dataset.source(&files, None, ReadOptions::default())?;
    dataset.fetch(&source, monitor)
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
        ("test/web-0.jsonl", &b),
        ("valid/web-0.jsonl", &b),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let dataset = hub.dataset(cache.path(), 0);
    assert_eq!(dataset.commit(), COMMIT);
    assert_eq!(dataset.files().len(), 5);
    let files = dataset.beginning_with(&[""]).unwrap();
    let source = dataset
        .source(&files, None, ReadOptions::default())
        .unwrap();
    assert_eq!(source.layout(), &Layout::Files);
    let domains = source.domains().unwrap();
    assert_eq!(domains.names().collect::<Vec<_>>(), ["law", "web"]);
    let total = (a.len() + 2 * b.len()) as u64;
    assert_eq!(dataset.missing_bytes(&source), total);

    let recorder = Recorder::default();
    let folder = dataset.fetch(&source, &recorder).unwrap();
    let (begun, done, note) = recorder.0.into_inner().unwrap();
    assert_eq!((begun, done), (total, total));
    assert_eq!(note, "valid/web-0.jsonl, 3 of 3 files");
    assert_eq!(std::fs::read(folder.join("train/web-0.jsonl")).unwrap(), a);
    assert!(!folder.join("README.md").exists() && !folder.join("test").exists());
    assert_eq!(folder, source.root());
    assert_eq!(dataset.missing_bytes(&source), 0);
    let read: u64 = source.files().map(|f| f.bytes).sum();
    assert_eq!(read, total);

    assert_eq!(hub.state().ranges.len(), 3);
    assert_eq!(fetch(&dataset, &["train/", "valid/"]).unwrap(), folder);
    assert_eq!(hub.state().ranges.len(), 3, "all were in the cache");
}

#[test]
fn a_download_that_broke_off_is_resumed() {
    let content = lines(20_000);
    let hub = Loopback::start(&[("train/web-0.jsonl", &content)]);
    let cache = tempfile::tempdir().unwrap();
    hub.set(|state| state.broken = 1);
    let err = fetch(&hub.dataset(cache.path(), 0), &["train/"]).unwrap_err();
    assert!(
        err.is_io() && err.problem().contains("train/web-0.jsonl"),
        "{err}"
    );
    assert_eq!(
        err.help_text(),
        Some("run the same command again: it continues where it stopped")
    );
    let folder = fetch(&hub.dataset(cache.path(), 0), &["train/"]).unwrap();
    assert_eq!(
        std::fs::read(folder.join("train/web-0.jsonl")).unwrap(),
        content
    );
    let starts: Vec<usize> = hub.state().ranges.iter().map(|r| r.1).collect();
    assert_eq!(starts, [0, content.len() / 2]);
}

#[test]
fn retries_resume_automatically() {
    let content = lines(1000);
    let hub = Loopback::start(&[("a.jsonl", &content)]);
    let cache = tempfile::tempdir().unwrap();
    hub.set(|state| state.broken = 1);
    let recorder = Recorder::default();
    let folder = fetch_with(&hub.dataset(cache.path(), 1), &["a"], &recorder).unwrap();
    assert_eq!(std::fs::read(folder.join("a.jsonl")).unwrap(), content);
    assert_eq!(hub.state().ranges[1].1, content.len() / 2);
    // What came twice counts once.
    assert_eq!(recorder.0.into_inner().unwrap().1, content.len() as u64);
}

#[test]
fn a_stop_is_heard_while_nothing_comes_and_keeps_what_came() {
    let content = lines(20_000);
    let hub = Loopback::start(&[("a.jsonl", &content)]);
    let cache = tempfile::tempdir().unwrap();
    hub.set(|state| state.stuck = true);
    let dataset = hub.dataset(cache.path(), 0);
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let err = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            stop.store(true, Ordering::Relaxed);
        });
        fetch_with(&dataset, &["a"], &stop).unwrap_err()
    });
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(err.to_string(), "interrupted while fetching");
    assert_eq!(
        err.help_text(),
        Some("what was fetched is kept; continue with")
    );
    let parts = std::fs::read_dir(cache.path().join("datasets--me--data/blobs")).unwrap();
    let kept: u64 = parts.map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(kept, content.len() as u64 / 2);
}

#[test]
fn a_file_of_the_wrong_size_is_not_kept() {
    let hub = Loopback::start(&[("a.jsonl", &lines(10))]);
    let cache = tempfile::tempdir().unwrap();
    hub.set(|state| state.claimed = Some(7));
    let err = fetch(&hub.dataset(cache.path(), 0), &["a"]).unwrap_err();
    assert_eq!(
        err.to_string(),
        "`a.jsonl` of `me/data` came with 220 bytes, expected 7"
    );
    hub.set(|state| state.claimed = None);
    fetch(&hub.dataset(cache.path(), 0), &["a"]).unwrap();
    assert_eq!(hub.state().ranges.len(), 2);
    // More than any disk has.
    hub.set(|state| state.claimed = Some(1 << 60));
    hub.set(|state| state.files = [("b.jsonl".to_owned(), lines(1))].into());
    let err = fetch(&hub.dataset(cache.path(), 0), &["b"]).unwrap_err();
    assert!(
        err.problem()
            .starts_with("`me/data` needs 1152921504.61 GB more, "),
        "{err}"
    );
}

#[test]
fn names_that_no_address_holds_are_fetched_under_their_own() {
    let names = [
        "train/C# & C++ 100%.jsonl",
        "train/中文-0.jsonl",
        "train/a?b=c/x y.jsonl",
        "train/back\\slash-0.jsonl",
    ];
    let content = lines(3);
    let files: Vec<(&str, &[u8])> = names.iter().map(|n| (*n, &content[..])).collect();
    for redirects in [false, true] {
        let hub = Loopback::start(&files);
        hub.set(|state| state.redirects = redirects);
        let cache = tempfile::tempdir().unwrap();
        let dataset = hub.dataset(cache.path(), 0);
        let listed: Vec<(&str, u64)> = names.iter().map(|n| (*n, 1)).collect();
        let source = Source::of_listing(
            dataset.folder(),
            listed,
            Some(Layout::Labels),
            ReadOptions::default(),
        );
        let folder = dataset.fetch(&source.unwrap(), &Silent).unwrap();
        for name in names {
            assert_eq!(std::fs::read(folder.join(name)).unwrap(), content, "{name}");
        }
        let folders = std::fs::read_dir(folder.join("train")).unwrap().count();
        assert_eq!(folders, 4, "none with an escaped name is left");
    }
}

#[test]
fn an_empty_file_needs_no_request() {
    let hub = Loopback::start(&[("a.txt", b""), ("b.txt", b"text")]);
    let cache = tempfile::tempdir().unwrap();
    let folder = fetch(&hub.dataset(cache.path(), 0), &["a", "b"]).unwrap();
    assert_eq!(std::fs::read(folder.join("a.txt")).unwrap(), b"");
    assert_eq!(hub.state().ranges, [("b.txt".to_owned(), 0)]);
}

#[test]
fn a_known_commit_needs_no_hub() {
    let hub = Loopback::start(&[("a.jsonl", &lines(10)), ("b.jsonl", &lines(2))]);
    hub.set(|state| state.about = json!({"cardData": {"license": "mit"}}));
    let cache = tempfile::tempdir().unwrap();
    let folder = fetch(&hub.dataset(cache.path(), 0), &["a"]).unwrap();
    let away = Hub::new(HubOptions {
        endpoint: Some(nobody()),
        cache: Some(cache.path().to_path_buf()),
        retries: 0,
    })
    .unwrap();
    assert!(away.dataset("me/data", None, &Silent).unwrap_err().is_io());
    let dataset = away.dataset("me/data", Some(COMMIT), &Silent).unwrap();
    assert!(dataset.unreachable().unwrap().is_io());
    assert_eq!(dataset.license(), Some("mit"));
    assert_eq!(fetch(&dataset, &["a"]).unwrap(), folder);
    let err = fetch(&dataset, &["b"]).unwrap_err();
    assert!(
        err.problem().starts_with("the hub at http://127.0.0.1:"),
        "{err}"
    );
    let other = COMMIT.replace('0', "f");
    assert!(away.dataset("me/data", Some(&other), &Silent).is_err());
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn failed_requests_have_a_reason_and_a_remedy() {
    let hub = Loopback::start(&[("a.jsonl", &lines(10))]);
    let cache = tempfile::tempdir().unwrap();
    let api = hub.hub(cache.path(), 0);
    for id in ["", "a/b/c", "../x", "me/", "me/d?ta"] {
        let err = api.dataset(id, None, &Silent).unwrap_err();
        assert!(err.problem().contains("expected `owner/name`"), "{err}");
    }
    for revision in ["", "..", "a b", "x?y", "/main"] {
        let err = api.dataset("me/data", Some(revision), &Silent).unwrap_err();
        assert!(err.problem().contains("is not a branch"), "{err}");
    }
    let err = api.dataset("me/other", None, &Silent).unwrap_err();
    assert_eq!(
        err.problem(),
        "the hub has no dataset `me/other`, or it is private (HTTP 401)"
    );
    let err = api.dataset("me/data", Some("v2"), &Silent).unwrap_err();
    assert_eq!(
        err.problem(),
        "`me/data` has no branch, tag or commit `v2` (HTTP 404)"
    );
    let dataset = hub.dataset(cache.path(), 0);
    let err = fetch(&dataset, &["a", "train/"]).unwrap_err();
    assert_eq!(err.problem(), "no file of `me/data` begins with `train/`");
    assert_eq!(err.help_text(), Some("its files begin with a.jsonl"));
    let stop = AtomicBool::new(true);
    let err = fetch_with(&dataset, &["a"], &stop).unwrap_err();
    assert_eq!(err.to_string(), "interrupted while fetching");

    hub.set(|state| state.gated = true);
    let dataset = hub.dataset(cache.path(), 0);
    assert!(dataset.is_gated());
    let err = fetch(&dataset, &["a"]).unwrap_err();
    assert_eq!(
        err.problem(),
        "access to `me/data` must be granted by its owner (HTTP 403)"
    );
    // A login beside the cache, as `hf auth login` writes it.
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let hub_with_login = hub.hub(&home.path().join("hub"), 0);
    assert!(hub_with_login.has_login() && !format!("{hub_with_login:?}").contains(TOKEN));
    let dataset = hub_with_login.dataset("me/data", None, &Silent).unwrap();
    fetch(&dataset, &["a"]).unwrap();
}

#[test]
fn files_that_would_leave_the_cache_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    for name in ["../../evil", "/evil", "a/../../b", "line\nbreak"] {
        let hub = Loopback::start(&[(name, b"x")]);
        let err = (hub.hub(cache.path(), 0))
            .dataset("me/data", None, &Silent)
            .unwrap_err();
        assert!(err.problem().contains("without `..`"), "{err}");
    }
}

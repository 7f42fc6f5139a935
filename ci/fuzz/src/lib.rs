//! Readers of files that others wrote, given arbitrary bytes. Each target must end
//! with a value or an error, never with a panic, without end, or with memory that
//! the input does not justify.
//!
//! `ci/fuzz/run.sh` runs them under libFuzzer; `cargo test` replays the corpora and
//! some mutations of them.

use std::cell::RefCell;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use regmix_data::corpus::{Documents, ReadOptions};
use regmix_data::shard::Shard;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_dynamic::protocol::answer;
use regmix_dynamic::{Controller, Trajectories};
use regmix_model::lease;
use regmix_study::config::StudyConfig;

/// A reader.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: [(&str, Target); 8] = [
    ("shard", shard),
    ("jsonl", jsonl),
    ("csv", csv),
    ("study", study),
    ("observations", observations),
    ("online", online),
    ("lease", leases),
    ("metrics", metrics),
];

/// A token shard: its header, and everything that it claims to hold.
fn shard(bytes: &[u8]) {
    with_file("web-00000.tok", bytes, |path| {
        let Ok(shard) = Shard::open(path) else { return };
        let header = shard.header();
        assert!(header.tokens <= bytes.len() as u64);
        shard.tokens(0..header.tokens.min(1 << 16)).ok();
        let ends: Vec<u64> = shard.document_ends().collect();
        assert!(ends.len() <= bytes.len());
        shard.verify().ok();
    });
}

/// Documents, one JSON object per line.
fn jsonl(bytes: &[u8]) {
    let options = ReadOptions {
        label_field: Some("meta.pile_set_name".to_owned()),
        max_document_bytes: 1 << 16,
        ..ReadOptions::default()
    };
    with_file("web.jsonl", bytes, |path| {
        let Ok(documents) = Documents::open(path, options) else {
            return;
        };
        for document in documents.take(1 + bytes.len()).flatten() {
            assert!(document.text.len() <= 1 << 16);
        }
    });
}

/// Tables of mixtures, losses and trajectories. What is read is written and read as
/// the same.
fn csv(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let path = Path::new("table.csv");
    if let Ok(table) = MixtureTable::parse(text, path) {
        let again = MixtureTable::parse(&table.to_csv(), path).expect("it was written by itself");
        assert_eq!(again.runs(), table.runs());
        for (one, two) in table.mixtures().iter().zip(again.mixtures()) {
            let pairs = one.weights().iter().zip(two.weights());
            assert!(
                pairs.clone().all(|(a, b)| (a - b).abs() < 1e-9),
                "{one:?} {two:?}"
            );
        }
    }
    if let Ok(table) = ValueTable::parse(text, path) {
        assert_eq!(table.rows().len(), table.runs().len());
    }
    with_file("trajectories.csv", bytes, |path| {
        Trajectories::read_csv(path).ok();
    });
}

/// A study's configuration.
fn study(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        StudyConfig::parse(text, Path::new("study.toml")).ok();
    }
}

/// Two tables that are joined; a line `---` parts them.
fn observations(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some((mixtures, values)) = text.split_once("\n---\n") else {
        return;
    };
    let mixtures = MixtureTable::parse(mixtures, Path::new("mixtures.csv"));
    let values = ValueTable::parse(values, Path::new("losses.csv"));
    if let (Ok(mixtures), Ok(values)) = (mixtures, values) {
        Observations::join(mixtures, values).ok();
    }
}

/// Lines of a trainer for the controller.
fn online(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    thread_local! {
        static FRESH: RefCell<Option<Controller>> = const { RefCell::new(None) };
    }
    let mut controller = FRESH.with_borrow_mut(|fresh| {
        let load =
            || Controller::load(fixture("controller.json")).expect("it is in the repository");
        fresh.get_or_insert_with(load).clone()
    });
    for line in text.lines().take(16) {
        let (said, _) = answer(&mut controller, line);
        assert!(said.starts_with("{\"ok\":"), "{said}");
    }
}

/// The lease in a run's folder.
fn leases(bytes: &[u8]) {
    with_file("lease.7", bytes, |path| {
        let folder = path.parent().expect("it is in a folder");
        let found = lease::read(folder, std::time::SystemTime::UNIX_EPOCH);
        let found = found.expect("the folder can be read").expect("it is there");
        assert!(!found.owner().is_empty());
    });
}

/// The losses of a run.
fn metrics(bytes: &[u8]) {
    with_file("metrics.jsonl", bytes, |path| {
        regmix_model::metrics::read(path).ok();
    });
}

/// A file that belongs to a target.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Calls a reader with a file of this name and content.
fn with_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    thread_local! {
        static FOLDER: tempfile::TempDir = {
            // In memory where the system has such a place.
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder")
        };
    }
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        let mut file = std::fs::File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&path)
            .expect("a file in a temporary folder");
        file.rewind()
            .and_then(|()| file.write_all(bytes))
            .expect("room for the input");
        drop(file);
        read(&path);
        std::fs::remove_file(&path).ok();
    });
}

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use super::*;
use crate::corpus::{Layout, ReadOptions};
use crate::domain::Domain;
use crate::monitor::Silent;
use crate::shard::Split;
use crate::token_corpus::TokenCorpus;

fn lines(texts: &[&str]) -> String {
    texts
        .iter()
        .map(|t| format!("{}\n", serde_json::json!({"id": 1, "text": t})))
        .collect()
}

fn write(folder: &Path, files: &[(&str, String)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn run(folder: &Path, out: &Path, options: &TokenizeOptions) -> Result<Summary> {
    let source = Source::open(folder, None, ReadOptions::default())?;
    let tokenizer = Tokenizer::bytes()?;
    tokenize(&source, &tokenizer, out, options, &Silent)
}

/// All documents of a split of a domain.
fn texts(corpus: &TokenCorpus, domain: &str, split: Split) -> Vec<String> {
    let stream = corpus.stream(corpus.domains().require(domain).unwrap(), split);
    let mut tokens = vec![0; stream.tokens() as usize];
    stream.copy_tokens(0, &mut tokens).unwrap();
    let tokenizer = Tokenizer::bytes().unwrap();
    let documents = tokens.split_inclusive(|&t| t == 256);
    documents.map(|d| tokenizer.decode(d).unwrap()).collect()
}

fn corpus_folder() -> Option<PathBuf> {
    let shared = std::env::var_os("REGMIX_SHARED")
        .map(PathBuf::from)
        .or_else(|| {
            let here = Path::new(env!("CARGO_MANIFEST_DIR"));
            here.ancestors()
                .map(|a| a.join("shared"))
                .find(|p| p.is_dir())
        });
    shared
        .map(|s| s.join("data/corpus/mini"))
        .filter(|p| p.is_dir())
}

#[test]
fn documents_arrive_whole_in_order_and_once() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(
        dir.path(),
        &[
            (
                "train/web-0.jsonl",
                lines(&["one", "two", "one", "", "held out"]),
            ),
            ("train/web-1.jsonl", lines(&["three", "two"])),
            ("train/law-0.jsonl", lines(&["one", "held out", "four"])),
            ("valid/web-0.jsonl", lines(&["held out", "other"])),
            ("valid/law-0.jsonl", lines(&["five"])),
        ],
    );
    let summary = run(dir.path(), out.path(), &TokenizeOptions::default()).unwrap();
    let corpus = TokenCorpus::open(out.path()).unwrap();
    corpus.verify().unwrap();
    assert_eq!(corpus.domains().names().collect::<Vec<_>>(), ["law", "web"]);
    assert_eq!(texts(&corpus, "web", Split::Train), ["one", "two", "three"]);
    assert_eq!(texts(&corpus, "web", Split::Valid), ["held out", "other"]);
    assert_eq!(texts(&corpus, "law", Split::Train), ["one", "four"]);
    assert_eq!(
        (summary.documents, summary.duplicates, summary.empty),
        (8, 4, 1)
    );
    assert_eq!(&summary.manifest, corpus.manifest());
    let web = &corpus.manifest().domains[1];
    assert_eq!(
        (web.train.documents, web.train.bytes, web.train.tokens),
        (3, 11, 14)
    );
    let read = Tokenizer::from_file(out.path().join("tokenizer.json"), "<|endoftext|>").unwrap();
    assert_eq!(read.hash(), corpus.manifest().tokenizer.hash);

    let keep = TokenizeOptions {
        drop_duplicates: false,
        ..TokenizeOptions::default()
    };
    let summary = run(dir.path(), out.path(), &keep).unwrap();
    assert_eq!(summary.duplicates, 2, "the two that are also in validation");
}

#[test]
fn a_missing_validation_split_is_cut_by_hash() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let all: Vec<String> = (0..2000).map(|i| format!("document {i}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    write(
        dir.path(),
        &[
            ("web/a.jsonl", lines(&all)),
            ("law/sub/b.jsonl", lines(&all[..1000])),
        ],
    );
    let options = TokenizeOptions {
        valid_share: 0.1,
        ..TokenizeOptions::default()
    };
    run(dir.path(), out.path(), &options).unwrap();
    let corpus = TokenCorpus::open(out.path()).unwrap();
    let web = texts(&corpus, "web", Split::Valid);
    assert!((150..250).contains(&web.len()), "{}", web.len());
    let law = texts(&corpus, "law", Split::Valid);
    // Equal documents are on the same side in both domains.
    assert_eq!(
        law,
        web.iter()
            .filter(|t| all[..1000].contains(&t.as_str()))
            .cloned()
            .collect::<Vec<String>>()
    );
    for share in [0.0, 1.0, f64::NAN] {
        let bad = TokenizeOptions {
            valid_share: share,
            ..TokenizeOptions::default()
        };
        let err = run(dir.path(), out.path(), &bad).unwrap_err();
        assert_eq!(err.field_name(), Some("valid_share"));
    }
}

#[test]
fn domains_can_be_labels_of_documents_as_in_the_pile() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let line = |text: &str, set: &str| {
        format!(
            "{}\n",
            serde_json::json!({"text": text, "meta": {"pile_set_name": set}})
        )
    };
    let train = [
        line("x = 1", "Github"),
        line("hello", "Pile-CC"),
        line("y = 2", "Github"),
    ];
    let valid = [line("z = 3", "Github"), line("bye", "Pile-CC")];
    write(
        dir.path(),
        &[
            ("train/00.jsonl", train[..1].concat()),
            ("train/01.jsonl", train[1..].concat()),
            ("val.jsonl", valid.concat()),
            ("test.jsonl", valid.concat()),
        ],
    );
    run(dir.path(), out.path(), &TokenizeOptions::default()).unwrap();
    let corpus = TokenCorpus::open(out.path()).unwrap();
    assert_eq!(
        corpus.domains().names().collect::<Vec<_>>(),
        ["github", "pile_cc"]
    );
    assert_eq!(texts(&corpus, "github", Split::Train), ["x = 1", "y = 2"]);
    assert_eq!(texts(&corpus, "pile_cc", Split::Valid), ["bye"]);
}

#[test]
fn a_bad_file_of_a_source_tree_is_skipped_by_every_reader_of_it() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = |i: usize| (format!("src/{i:02}.rs"), format!("fn f{i}() {{}}"));
    let mut files: Vec<(String, String)> = (1..40).map(text).collect();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 12\n";
    files.push(("src/00.rs".to_owned(), pointer.to_owned()));
    files.push(("doc/only.md".to_owned(), "# one".to_owned()));
    let files: Vec<(&str, String)> = files.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
    write(dir.path(), &files);
    let layout = Layout::Tree(BTreeMap::from([
        (Domain::new("rust").unwrap(), vec!["rs".to_owned()]),
        (Domain::new("docs").unwrap(), vec!["md".to_owned()]),
    ]));
    let source = Source::open(dir.path(), Some(layout), ReadOptions::default()).unwrap();
    let sample = source.sample(1 << 20, &Silent).unwrap();
    assert_eq!(sample.len(), 40);
    let options = TokenizeOptions {
        valid_share: 0.3,
        min_documents: 2,
        ..TokenizeOptions::default()
    };
    let tokenizer = Tokenizer::bytes().unwrap();
    let summary = tokenize(&source, &tokenizer, out.path(), &options, &Silent).unwrap();
    assert_eq!(summary.documents, 39);
    let noted: Vec<_> = summary.files.iter().filter(|f| f.note.is_some()).collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].path, dir.path().join("src/00.rs"));
}

#[test]
fn a_source_tree_is_read_by_extension() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut files: Vec<(String, String)> = Vec::new();
    for i in 0..40 {
        files.push((format!("src/m{i}/lib.rs"), format!("fn f{i}() {{}}")));
        files.push((format!("doc/{i}.md"), format!("# {i}")));
    }
    let files: Vec<(&str, String)> = files.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
    write(dir.path(), &files);
    write(
        dir.path(),
        &[(".git/x.rs", "hidden".into()), ("a.png", "?".into())],
    );
    std::fs::write(dir.path().join("src/latin.rs"), b"// caf\xe9").unwrap();
    let layout = Layout::Tree(BTreeMap::from([
        (Domain::new("rust").unwrap(), vec!["rs".to_owned()]),
        (Domain::new("docs").unwrap(), vec![".md".to_owned()]),
    ]));
    let source = Source::open(dir.path(), Some(layout), ReadOptions::default()).unwrap();
    let left: Vec<_> = source
        .not_read()
        .iter()
        .map(|n| (&*n.path, &*n.why))
        .collect();
    let png = dir.path().join("a.png");
    let hidden = dir.path().join(".git");
    assert_eq!(
        left,
        [(&*hidden, "hidden"), (&*png, "no domain has its ending")]
    );
    let options = TokenizeOptions {
        valid_share: 0.3,
        ..TokenizeOptions::default()
    };
    let tokenizer = Tokenizer::bytes().unwrap();
    let summary = tokenize(&source, &tokenizer, out.path(), &options, &Silent).unwrap();
    assert_eq!(summary.documents, 80);
    let noted: Vec<_> = summary.files.iter().filter(|f| f.note.is_some()).collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].path, dir.path().join("src/latin.rs"));
    assert_eq!((noted[0].documents, noted[0].kept), (1, 0));
}

#[test]
fn empty_domains_are_named() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(
        dir.path(),
        &[
            ("train/web-0.jsonl", lines(&["one", "two"])),
            ("train/law-0.jsonl", lines(&[""])),
            ("valid/web-0.jsonl", lines(&["three"])),
            ("valid/law-0.jsonl", lines(&["four"])),
        ],
    );
    let err = run(dir.path(), out.path(), &TokenizeOptions::default()).unwrap_err();
    assert_eq!(err.to_string(), "`law`: empty domain: no train documents");
    assert!(!out.path().join("manifest.json").exists());
    std::fs::remove_file(dir.path().join("valid/web-0.jsonl")).unwrap();
    write(dir.path(), &[("train/law-0.jsonl", lines(&["five"]))]);
    let err = run(dir.path(), out.path(), &TokenizeOptions::default()).unwrap_err();
    assert_eq!(err.to_string(), "`web`: empty domain: no valid documents");
    assert!(err.help_text().unwrap().contains("valid_share"));
}

/// Requests a stop once anything is done; keeps the total and what was done.
#[derive(Default)]
struct StopAtOnce(Mutex<Vec<u64>>);

impl Monitor for StopAtOnce {
    fn begin(&self, _: &str, total: u64, _: Unit) {
        self.0.lock().unwrap().push(total);
    }

    fn at(&self, done: u64) {
        self.0.lock().unwrap().push(done);
    }

    fn stop_requested(&self) -> bool {
        self.0.lock().unwrap().len() > 1
    }
}

#[test]
fn stopping_and_failing_leave_nothing() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let big = "x".repeat(3 << 20);
    let many: Vec<String> = (0..8).map(|i| format!("{i}{big}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    write(
        dir.path(),
        &[
            ("train/web-0.jsonl", lines(&many)),
            ("valid/web-0.jsonl", lines(&["v"])),
        ],
    );
    let source = Source::open(dir.path(), None, ReadOptions::default()).unwrap();
    let tokenizer = Tokenizer::bytes().unwrap();
    let monitor = StopAtOnce::default();
    let options = TokenizeOptions::default();
    let err = tokenize(&source, &tokenizer, out.path(), &options, &monitor).unwrap_err();
    assert_eq!(err.to_string(), "interrupted while tokenizing");
    let counted = monitor.0.lock().unwrap().clone();
    let [total, first] = counted[..] else {
        panic!("{counted:?}")
    };
    assert!(first > 0 && first < total);
    write(
        dir.path(),
        &[("train/web-1.jsonl", "{\"text\": 3}\n".to_owned())],
    );
    let err = run(dir.path(), out.path(), &options).unwrap_err();
    assert!(err.path().unwrap().ends_with("train/web-1.jsonl"));
    let left: Vec<_> = walkdir::WalkDir::new(out.path())
        .into_iter()
        .filter_map(|e| e.ok().filter(|e| e.file_type().is_file()))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_real_corpus_is_tokenized_without_loss() {
    let Some(folder) = corpus_folder() else {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: no corpus; set REGMIX_SHARED to a folder with data/corpus/mini");
        }
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let source = Source::open(&folder, None, ReadOptions::default()).unwrap();
    assert_eq!(source.domains().unwrap().len(), 14);
    let sample = source.sample(500_000, &Silent).unwrap();
    let size: usize = sample.iter().map(String::len).sum();
    assert!((300_000..1_200_000).contains(&size), "{size}");
    let tokenizer =
        Tokenizer::train_bpe(&sample, &crate::tokenizer::BpeOptions::new(2048)).unwrap();
    let options = TokenizeOptions {
        shard_bytes: 100_000,
        ..TokenizeOptions::default()
    };
    let summary = tokenize(&source, &tokenizer, out.path(), &options, &Silent).unwrap();
    let corpus = TokenCorpus::open(out.path()).unwrap();
    corpus.verify().unwrap();
    let ratio = summary.bytes as f64 / summary.tokens as f64;
    assert!((2.0..5.0).contains(&ratio), "{ratio} bytes per token");

    // Every domain's text comes back, and the shortcut gave the right tokens.
    let file = source.files().find(|f| f.split == Split::Train).unwrap();
    let domain = corpus
        .domains()
        .require(file.domain.as_ref().unwrap().as_str())
        .unwrap();
    let stream = corpus.stream(domain, Split::Train);
    assert!(corpus.manifest().domains[domain].train.shards.len() > 1);
    let mut tokens = vec![0; stream.tokens() as usize];
    stream.copy_tokens(0, &mut tokens).unwrap();
    let documents = crate::corpus::Documents::open(&file.path, ReadOptions::default()).unwrap();
    let read: Vec<String> = documents.map(|d| d.unwrap().text).collect();
    let decoded: Vec<String> = tokens
        .split(|&t| t == tokenizer.separator())
        .map(|d| tokenizer.decode(d).unwrap())
        .collect();
    assert_eq!(decoded[..decoded.len() - 1], read[..]);

    // Once more, with the same result.
    let again = tempfile::tempdir().unwrap();
    let twice = tokenize(&source, &tokenizer, again.path(), &options, &Silent).unwrap();
    assert_eq!(twice.manifest, summary.manifest);
}

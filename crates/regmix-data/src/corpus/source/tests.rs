use std::collections::BTreeMap;

use super::*;

/// A folder with empty files of these names.
fn corpus(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    dir
}

/// Numbers of training and validation files by domain, `*` for labels, and
/// what is not read.
fn read(dir: &Path, layout: Option<Layout>) -> (BTreeMap<String, [usize; 2]>, Vec<String>) {
    let source = Source::open(dir, layout, ReadOptions::default()).unwrap();
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for file in source.files() {
        let name = file
            .domain
            .as_ref()
            .map_or("*".to_owned(), |d| d.to_string());
        counts.entry(name).or_default()[file.split as usize] += 1;
    }
    let left = source.not_read().iter().map(|n| {
        let path = n.path.strip_prefix(dir).unwrap();
        format!("{}: {}", path.display(), n.why)
    });
    (counts, left.collect())
}

#[track_caller]
fn check(names: &[&str], expected: &[(&str, usize, usize)], not_read: usize) {
    let dir = corpus(names);
    let (counts, left) = read(dir.path(), None);
    let expected: BTreeMap<String, [usize; 2]> = expected
        .iter()
        .map(|&(domain, train, valid)| (domain.to_owned(), [train, valid]))
        .collect();
    assert_eq!(counts, expected, "{names:?}");
    assert_eq!(left.len(), not_read, "{left:?}");
}

#[test]
fn repositories_of_data_sets() {
    check(
        &[
            "web/train-00000-of-00002.parquet",
            "web/train-00001-of-00002.parquet",
            "web/validation-00000-of-00001.parquet",
            "web/test-00000-of-00001.parquet",
            "law/train-00000-of-00001-0123456789abcdef.parquet",
            "law/dev.parquet",
            "README.md",
        ],
        &[("web", 2, 1), ("law", 1, 1)],
        2,
    );
    // The branch that the hub converts to parquet.
    check(
        &[
            "web/train/0000.parquet",
            "web/test/0000.parquet",
            "law/partial-train/0000.parquet",
        ],
        &[("web", 1, 0), ("law", 1, 0)],
        1,
    );
    check(
        &[
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
            "data/test-00000-of-00001.parquet",
            "dataset_info.json",
        ],
        &[("*", 2, 0)],
        2,
    );
    check(
        &[
            "data/web-00000-of-00002.jsonl",
            "data/web-00001-of-00002.jsonl",
            "data/law.jsonl",
        ],
        &[("web", 2, 0), ("law", 1, 0)],
        0,
    );
}

#[test]
fn the_pile_and_slim_pajama_have_labels() {
    check(
        &[
            "train/00.jsonl.zst",
            "train/01.jsonl.zst",
            "val.jsonl.zst",
            "test.jsonl.zst",
        ],
        &[("*", 2, 1)],
        1,
    );
    check(
        &[
            "train/chunk1/example_train_0.jsonl.zst",
            "train/chunk2/example_train_1.jsonl.zst",
            "validation/chunk1/example_holdout_0.jsonl.zst",
            "test/chunk1/example_holdout_0.jsonl.zst",
        ],
        &[("*", 2, 1)],
        1,
    );
    check(
        &[
            "part-00000-41b4b6a8-7c7a-4d24-9a9c-0a8a1b5d6f77-c000.json.gz",
            "_SUCCESS",
        ],
        &[("*", 1, 0)],
        1,
    );
}

#[test]
fn c4_and_dolma() {
    check(
        &[
            "c4-train.00000-of-01024.json.gz",
            "c4-train.00001-of-01024.json.gz",
            "c4-validation.00000-of-00008.json.gz",
        ],
        &[("c4", 2, 1)],
        0,
    );
    check(
        &[
            "en/c4-train.00000-of-01024.json.gz",
            "de/c4-train.00000-of-01024.json.gz",
        ],
        &[("en", 1, 0), ("de", 1, 0)],
        0,
    );
    check(
        &[
            "wiki-0000.json.gz",
            "wiki-0001.json.gz",
            "cc_en_head-0000.json.gz",
        ],
        &[("wiki", 2, 0), ("cc_en_head", 1, 0)],
        0,
    );
    check(
        &[
            "wiki/documents/0000.json.gz",
            "wiki/attributes/toxic/0000.json.gz",
            "books/documents/0000.json.gz",
        ],
        &[("wiki", 1, 0), ("books", 1, 0)],
        1,
    );
}

#[test]
fn folders_of_splits_with_domains_in_them_and_the_other_way_round() {
    check(
        &[
            "train/web/a.jsonl",
            "train/law/a.jsonl",
            "valid/web/a.jsonl",
            "valid/law/a.jsonl",
        ],
        &[("web", 1, 1), ("law", 1, 1)],
        0,
    );
    check(
        &[
            "training/web/a.txt",
            "training/web/b.txt",
            "val/web/a.txt",
            "test/web/a.txt",
        ],
        &[("web", 2, 1)],
        1,
    );
    check(
        &[
            "web/train/a.jsonl",
            "web/eval/a.jsonl",
            "web/test/a.jsonl",
            "law/a.jsonl",
        ],
        &[("web", 1, 1), ("law", 1, 0)],
        1,
    );
}

#[test]
fn what_is_beside_a_corpus_is_listed_and_not_read() {
    let dir = corpus(&[
        "train/web-0.jsonl",
        "train/web-1.jsonl.xz",
        "train/web-2.jsonl.bz2",
        "train/web-3.JSONL",
        "train/more/web-4.jsonl",
        "train/LICENSE.txt",
        "train/dataset_info.json",
        "dev/web-0.jsonl",
        "books/a.jsonl",
        ".cache/x.jsonl",
    ]);
    let (counts, left) = read(dir.path(), None);
    assert_eq!(counts, BTreeMap::from([("web".to_owned(), [2, 1])]));
    assert_eq!(
        left,
        [
            ".cache: hidden",
            "books/a.jsonl: beside the folder `train`, not in it",
            "train/LICENSE.txt: comes with a corpus, holds no documents",
            "train/dataset_info.json: comes with a corpus, holds no documents",
            "train/more/web-4.jsonl: in a folder; the domain is in the names of files",
            "train/web-1.jsonl.xz: xz: decompress it, or compress it with zstd or gzip",
            "train/web-2.jsonl.bz2: bzip2: decompress it, or compress it with zstd or gzip",
        ]
    );
    // Notes beside folders of domains are no domains.
    let dir = corpus(&["web/a.jsonl", "law/a.jsonl", "notes.txt"]);
    let (counts, left) = read(dir.path(), None);
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert_eq!(left, ["notes.txt: in no folder of a domain"]);
}

#[test]
fn a_domain_needs_training_files_that_are_read() {
    let open = |names: &[&str]| {
        let dir = corpus(names);
        Source::open(dir.path(), None, ReadOptions::default()).unwrap_err()
    };
    let err = open(&[
        "train/web-0.jsonl",
        "valid/web-0.jsonl",
        "valid/law-0.jsonl",
    ]);
    assert_eq!(err.problem(), "`law` has validation files only");
    let err = open(&["web/test-0.jsonl"]);
    assert!(err.problem().starts_with("no training files; `"), "{err}");
    assert!(err.problem().ends_with("held out for a test"), "{err}");
    let err = open(&["web.jsonl.xz"]);
    assert!(err.problem().starts_with("no corpus"), "{err}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_in_every_layout_and_loops_end() {
    use std::os::unix::fs::symlink;
    let blobs = corpus(&["one", "folder/a.jsonl"]);
    let blob = blobs.path().join("one");
    let folder = blobs.path().join("folder");
    let rust = BTreeMap::from([(Domain::new("rust").unwrap(), vec!["rs".to_owned()])]);
    for layout in [None, Some(Layout::Folders)] {
        let dir = corpus(&["web/a.jsonl"]);
        symlink(&blob, dir.path().join("web/b.jsonl")).unwrap();
        symlink(&folder, dir.path().join("law")).unwrap();
        symlink(dir.path(), dir.path().join("web/loop")).unwrap();
        symlink("nowhere", dir.path().join("web/c.jsonl")).unwrap();
        let (counts, left) = read(dir.path(), layout);
        assert_eq!(
            counts,
            BTreeMap::from([("law".to_owned(), [1, 0]), ("web".to_owned(), [2, 0])])
        );
        assert_eq!(
            left,
            [
                "web/c.jsonl: a link to nothing",
                "web/loop: a link back to the folder of the corpus"
            ]
        );
    }
    for (layout, name) in [
        (Some(Layout::Files), "train/web-0.jsonl"),
        (Some(Layout::Labels), "train/00.jsonl"),
        (Some(Layout::Tree(rust)), "src/a.rs"),
    ] {
        let dir = corpus(&[]);
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(&blob, &path).unwrap();
        let (counts, left) = read(dir.path(), layout);
        assert_eq!(counts.len(), 1, "{name}");
        assert!(left.is_empty(), "{left:?}");
        // The root may be a link, too.
        let root = dir.path().join("root");
        symlink(path.parent().unwrap(), &root).unwrap();
        assert!(Source::open(&root, None, ReadOptions::default()).is_ok() || name.ends_with("rs"));
    }
}

#[test]
fn links_that_were_copied_as_text_are_followed() {
    let dir = corpus(&["blobs/1", "text/web/a.jsonl"]);
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("text/web/b.jsonl", "../../blobs/1");
    write("text/web/c.jsonl", "nowhere");
    write("text/web/d.jsonl", "{\"text\":1}");
    write("text/web/e.txt", "../../blobs/1");
    let (counts, left) = read(&dir.path().join("text"), None);
    assert_eq!(counts, BTreeMap::from([("web".to_owned(), [4, 0])]));
    assert_eq!(left, ["web/c.jsonl: a link to nothing, stored as text"]);
    // The type is that of the link's name.
    let lines: String = (0..5).map(|i| format!("{{\"text\":\"{i}\"}}\n")).collect();
    write("blobs/1", &lines);
    write("text/web/d.jsonl", "{\"text\":\"d\"}");
    std::fs::remove_file(dir.path().join("text/web/e.txt")).unwrap();
    let source = Source::open(dir.path().join("text"), None, ReadOptions::default()).unwrap();
    let sample = source.sample(1000, &crate::monitor::Silent).unwrap();
    assert_eq!(sample.concat(), "01234d");
}

#[test]
fn a_named_label_field_decides_the_layout() {
    let dir = corpus(&["train/web-0.jsonl"]);
    let options = ReadOptions {
        label_field: Some("source".to_owned()),
        ..ReadOptions::default()
    };
    let source = Source::open(dir.path(), None, options).unwrap();
    assert_eq!(source.layout(), &Layout::Labels);
}

#[test]
fn endings_in_a_tree_are_known_in_any_case_and_tests_of_code_are_code() {
    let dir = corpus(&["a.rs", "test/b.RS", "c.C", "d.c", "E.TXT", "x.h"]);
    let domain = |name: &str, list: &[&str]| {
        let list = list.iter().map(|e| (*e).to_owned()).collect();
        (Domain::new(name).unwrap(), list)
    };
    let layout = Layout::Tree(BTreeMap::from([
        domain("rust", &["rs"]),
        domain("c", &["c"]),
        domain("c++", &["C", "cpp"]),
        domain("prose", &["txt"]),
    ]));
    let (counts, left) = read(dir.path(), Some(layout));
    let expected = [("rust", 2), ("c", 1), ("c++", 1), ("prose", 1)];
    let expected = expected.map(|(domain, train)| (domain.to_owned(), [train, 0]));
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!(left, ["x.h: no domain has its ending"]);
}

//! Corpora as people have them: what is read as what, what is said about the
//! rest, and how a corpus is made again.

use std::io::Write as _;

use crate::fixture::{DOMAINS, Fixture, Output, STUDY, assert_output, document};

const WEB: &str = "text/train/web-0.jsonl";

/// Names and documents of the tokenized domains.
fn domains(fixture: &Fixture) -> Vec<(String, u64)> {
    let manifest: serde_json::Value =
        serde_json::from_str(&fixture.text("corpus/manifest.json")).unwrap();
    let count = |d: &serde_json::Value, split: &str| d[split]["documents"].as_u64().unwrap();
    (manifest["domains"].as_array().unwrap().iter())
        .map(|d| {
            let name = d["name"].as_str().unwrap().to_owned();
            (name, count(d, "train") + count(d, "valid"))
        })
        .collect()
}

fn lines(domain: usize, numbers: std::ops::Range<usize>) -> String {
    numbers.map(|i| document(domain, i)).collect()
}

/// A study with the text of every domain given by `files`.
fn study_of(files: impl Fn(&Fixture, usize, &str)) -> Fixture {
    let fixture = Fixture::empty();
    fixture.write("study.toml", STUDY);
    for (d, domain) in DOMAINS.iter().enumerate() {
        files(&fixture, d, domain);
    }
    fixture
}

#[test]
fn held_out_text_is_not_read_and_every_file_is_accounted_for() {
    let fixture = study_of(|fixture, d, domain| {
        let write = |split: &str, numbers| {
            fixture.write(
                &format!("text/{domain}/{split}-00000-of-00001.jsonl"),
                lines(d, numbers),
            );
        };
        write("train", 0..50);
        write("validation", 50..60);
        write("test", 60..90);
    });
    fixture.write("text/README.md", "# text");
    let output = fixture.ok(&["-q", "tokenize"]);
    let all = [("code", 60), ("law", 60), ("web", 60)];
    assert_eq!(
        domains(&fixture),
        all.map(|(name, n)| (name.to_owned(), n)).to_vec()
    );
    assert_output!(output.stderr, @r"4 files are not read: README.md (comes with a corpus, holds no documents), code/test-00000-of-00001.jsonl (held out for a test), law/test-00000-of-00001.jsonl (held out for a test), web/test-00000-of-00001.jsonl (held out for a test)");
    assert_output!(fixture.text("corpus/sources.csv"), @r#"
    file,status,domain,split,documents,kept,note
    README.md,not read,,,,,"comes with a corpus, holds no documents"
    code/test-00000-of-00001.jsonl,not read,,,,,held out for a test
    code/train-00000-of-00001.jsonl,read,code,train,50,50,
    code/validation-00000-of-00001.jsonl,read,code,valid,10,10,
    law/test-00000-of-00001.jsonl,not read,,,,,held out for a test
    law/train-00000-of-00001.jsonl,read,law,train,50,50,
    law/validation-00000-of-00001.jsonl,read,law,valid,10,10,
    web/test-00000-of-00001.jsonl,not read,,,,,held out for a test
    web/train-00000-of-00001.jsonl,read,web,train,50,50,
    web/validation-00000-of-00001.jsonl,read,web,valid,10,10,
    "#);
}

#[test]
fn any_printable_text_is_a_domain_in_every_step() {
    let fixture = Fixture::empty();
    fixture.write("study.toml", STUDY);
    fixture.edit(
        "study.toml",
        "valid_share = 0.2",
        "valid_share = 0.2\nlabel_field = \"meta.src\"",
    );
    let labels = ["C++", "Wikipedia (en)", "中文/网页", "7"];
    let mut text = String::new();
    for i in 0..60 {
        for (d, label) in labels.iter().enumerate() {
            let mut document: serde_json::Value =
                serde_json::from_str(&document(d % 3, i + 100 * d)).unwrap();
            document["meta"] = match d {
                // As whole numbers, and as JSON text.
                3 => serde_json::json!({ "src": 7 }),
                2 => serde_json::json!(format!("{{\"src\": \"{label}\"}}")),
                _ => serde_json::json!({ "src": label }),
            };
            text.push_str(&format!("{document}\n"));
        }
    }
    fixture.write("text/train/00.jsonl", text);
    fixture.write(
        "study.toml",
        format!(
            "{}\n[constraints.cap]\n\"Wikipedia (en)\" = 0.2\n[objective.weights]\n\"中文/网页\" = 1.0\n",
            fixture.text("study.toml")
        ),
    );
    for verb in ["tokenize", "design", "train", "fit", "optimize"] {
        fixture.ok(&["-q", verb]);
    }
    let names: Vec<String> = domains(&fixture)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["7", "C++", "Wikipedia (en)", "中文/网页"]);
    let found = fixture.ok(&["-q", "--format", "json", "optimize"]).json();
    let text = found.to_string();
    assert!(text.contains("Wikipedia (en)"), "{text}");
    let header = fixture.text("design/mixtures.csv");
    assert!(
        header.starts_with("run,7,C++,Wikipedia (en),中文/网页\n"),
        "{header}"
    );
    fixture.ok(&["-q", "target"]);
    fixture.ok(&["-q", "report"]);
    assert!(fixture.text("report.html").contains("中文/网页"));
}

#[test]
fn documents_that_cannot_be_read_are_skipped_and_counted_up_to_a_bound() {
    let fixture = Fixture::study();
    fixture.edit(WEB, "{\"text\": \"2", "{\"txet\": \"2");
    fixture.edit(WEB, "\"}\n{\"text\": \"5", "\"\n{\"text\": \"5");
    let output = fixture.refused(&["tokenize"]);
    assert_output!(output, @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
      × ./text/train/web-0.jsonl:3: `text`: no text in this document; 2 of 180 documents cannot be
      │ read, expected at most one in a thousand (`max_skipped`): 1 x broken JSON (first: ./text/
      │ train/web-0.jsonl:5: broken JSON: EOF while parsing an object (column 76)); 1 x no text
      │ (first: ./text/train/web-0.jsonl:3: `text`: no text in this document)
       ╭─[./text/train/web-0.jsonl:3:1]
     2 │ {"text": "1 link home about site about home link home about site about home"}
     3 │ {"txet": "2 home news page about page news home news page about page news"}
       · ─────────────────────────────────────┬─────────────────────────────────────
       ·                                      ╰── here
     4 │ {"text": "3 news site link page link site news site link page link site"}
       ╰────
      help: name the field that holds the text with the option `text_field`; or allow more with
            `max_skipped` under [corpus] of study.toml
    "#);
    fixture.edit(
        "study.toml",
        "valid_share = 0.2",
        "valid_share = 0.2\nmax_skipped = 0.02",
    );
    let output = fixture.ok(&["-q", "tokenize"]);
    assert_output!(output.stderr, @r"
    1 document is skipped: broken JSON; the first is ./text/train/web-0.jsonl:5: broken JSON: EOF while parsing an object (column 76)
    1 document is skipped: no text; the first is ./text/train/web-0.jsonl:3: `text`: no text in this document
    ");
    fixture.edit("study.toml", "max_skipped = 0.02", "on_error = \"stop\"");
    fixture
        .refused(&["-q", "tokenize", "--redo"])
        .says("web-0.jsonl:3: `text`: no text in this document");
}

#[test]
fn what_other_programs_write_is_read() {
    let fixture = Fixture::study();
    let text = fixture.text(WEB);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[0] = "{\"text\": \"half a pair \\ud83d here\", \"n\": NaN}".to_owned();
    lines[1] = "{\"text\": null}".to_owned();
    lines[2] = format!("\u{feff}{}", lines[2]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(lines.join("\n").as_bytes()).unwrap();
    let mut gz = encoder.finish().unwrap();
    gz.extend([0; 512]);
    std::fs::remove_file(fixture.path(WEB)).unwrap();
    fixture.write("text/train/web-0.jsonl.gz", gz);
    let output = fixture.ok(&["-q", "tokenize"]);
    assert_eq!(domains(&fixture)[2], ("web".to_owned(), 59));
    output.says("web-0.jsonl.gz (512 zeros after the gzip data were ignored)");
    output.says("1 document is left out, without text");
}

#[test]
fn a_pointer_to_a_file_that_was_not_downloaded_is_no_text() {
    let fixture = study_of(|fixture, d, domain| {
        for i in 0..30 {
            fixture.write(&format!("text/{domain}/{i}.txt"), document(d, i));
        }
    });
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n";
    fixture.write("text/web/30.txt", pointer);
    assert_output!(fixture.refused(&["-q", "tokenize"]), @r"
    $ regmix -q tokenize
    exit code: 2
    ----- stderr -----
      × ./text/web/30.txt: a Git LFS pointer: the content of the file was not downloaded
      help: run `git lfs pull` in the repository that it comes from
    ");
    fixture.write("text/web/30.parquet", pointer);
    std::fs::remove_file(fixture.path("text/web/30.txt")).unwrap();
    fixture
        .refused(&["-q", "tokenize"])
        .says("a Git LFS pointer");
}

#[test]
fn rare_labels_are_named_and_can_be_left_out_or_put_together() {
    let fixture = Fixture::empty();
    fixture.write("study.toml", STUDY);
    fixture.edit(
        "study.toml",
        "valid_share = 0.2",
        "valid_share = 0.2\nlabel_field = \"lang\"",
    );
    let mut text = String::new();
    let counts = [
        ("code", 60),
        ("law", 60),
        ("lone", 1),
        ("few", 2),
        ("some", 40),
    ];
    for (d, (label, count)) in counts.into_iter().enumerate() {
        for i in 0..count {
            let line = document(d % 3, i + 100 * d);
            text.push_str(&line.replace('}', &format!(", \"lang\": \"{label}\"}}")));
        }
    }
    fixture.write("text/all.jsonl", text);
    assert_output!(fixture.refused(&["-q", "tokenize"]), @r#"
    $ regmix -q tokenize
    exit code: 2
    ----- stderr -----
      × ./text: `lone`: empty domain: no valid documents
      help: add a file to `valid/`; or leave small domains out with `min_documents = 2` under [corpus]
            of study.toml, or put them together with `rare_domain = "other"`, too
    "#);
    fixture.edit(
        "study.toml",
        "valid_share",
        "min_documents = 3\nvalid_share",
    );
    let output = fixture.ok(&["-q", "tokenize"]);
    output.says("2 domains are below `min_documents`: few (2), lone (1)");
    let sizes = |fixture: &Fixture| domains(fixture).iter().map(|d| d.1).collect::<Vec<_>>();
    assert_eq!(sizes(&fixture), [60, 60, 40]);
    fixture.edit(
        "study.toml",
        "min_documents = 3",
        "min_documents = 50\nrare_domain = \"other\"",
    );
    fixture.ok(&["-q", "tokenize", "--redo"]);
    assert_eq!(domains(&fixture)[2], ("other".to_owned(), 43));
}

#[cfg(unix)]
#[test]
fn more_domains_than_open_files() {
    let fixture = Fixture::empty();
    fixture.write("study.toml", STUDY);
    fixture.edit(
        "study.toml",
        "valid_share = 0.2",
        "valid_share = 0.2\nlabel_field = \"l\"",
    );
    let mut text = String::new();
    for i in 0..6000 {
        text.push_str(&format!(
            "{{\"text\": \"document {i}\", \"l\": {}}}\n",
            i % 150
        ));
    }
    fixture.write("text/all.jsonl", text);
    let mut shell = fixture.command("sh");
    let limited = format!(
        "ulimit -n 64; exec '{}' -q tokenize",
        env!("CARGO_BIN_EXE_regmix")
    );
    shell.args(["-c", &limited]);
    let output = Output::of(&mut shell);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(domains(&fixture).len(), 150);
}

#[test]
fn a_study_without_its_text_keeps_its_corpus_and_says_what_changed() {
    let fixture = Fixture::study_after("tokenize");
    std::fs::rename(fixture.path("text"), fixture.path("away")).unwrap();
    fixture
        .ok(&["tokenize"])
        .says("the corpus is tokenized already");
    assert_output!(fixture.refused(&["tokenize", "--redo"]), @r"
    $ regmix tokenize --redo
    exit code: 2
    ----- stderr -----
      × ./corpus/manifest.json: the text is not at ./text, so it cannot be made again
      help: it is whole and made as study.toml says: leave out `--redo`, or bring the text back to its
            place
    ");
    fixture.edit(
        "study.toml",
        "kind = \"bytes\"",
        "kind = \"bpe\"\nvocab_size = 300",
    );
    let output = fixture.refused(&["tokenize"]);
    assert_output!(output, @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
      × ./corpus/manifest.json: it was made from other inputs (tokenizer.kind was "bytes", is "bpe";
      │ tokenizer.vocab_size was 4096, is 300), and the text is not at ./text
      help: put the inputs back; or bring the text back to its place, and make it again with `regmix
            tokenize --redo`
    "#);
    fixture
        .refused(&["tokenize", "--redo"])
        .says("the text is not at ./text");
    // The help works.
    std::fs::rename(fixture.path("away"), fixture.path("text")).unwrap();
    fixture.ok(&["tokenize", "--redo"]);
    assert!(fixture.text("corpus/manifest.json").contains("\"bpe\""));
}

#[test]
fn a_damaged_corpus_is_refused_and_made_again_on_request() {
    const SHARD: &str = "corpus/train/web-00000.tok";
    const MANIFEST: &str = "corpus/manifest.json";
    let fixture = Fixture::study_after("tokenize");
    let (shard, manifest) = (fixture.read(SHARD), fixture.read(MANIFEST));
    let mut flipped = shard.clone();
    flipped[1024] ^= 1;
    let other = fixture.read("corpus/train/law-00000.tok");
    let stamp = fixture.read("corpus/inputs.json");
    let damages: [(&str, &[u8], bool); 5] = [
        (MANIFEST, &manifest[..manifest.len() / 2], true),
        // As a kill among the renames of a second tokenization leaves it.
        (SHARD, &other, true),
        (SHARD, &shard[..shard.len() - 3], true),
        // Found only by reading all of it.
        (SHARD, &flipped, false),
        ("corpus/inputs.json", &stamp[..stamp.len() / 2], true),
    ];
    for (name, bytes, at_once) in damages {
        fixture.write(name, bytes);
        if at_once {
            fixture.refused(&["tokenize"]);
        }
        fixture.ok(&["tokenize", "--redo"]);
        assert!(fixture.read(SHARD) == shard, "{name}");
        assert!(fixture.read(MANIFEST) == manifest, "{name}");
    }
    fixture.write(MANIFEST, &manifest[..manifest.len() / 2]);
    assert_output!(fixture.refused(&["tokenize"]), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
      × ./corpus/manifest.json:47: not the expected JSON: EOF while parsing an object at line 47
      │ column 9
        ╭─[./corpus/manifest.json:47:1]
     46 │             "tokens": 4140,
     47 │          
        · ▲
        · ╰── here
        ╰────
      help: make it again with `regmix tokenize --redo`
    "#);
}

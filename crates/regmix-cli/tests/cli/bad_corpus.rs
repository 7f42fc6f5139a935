//! Text that cannot be tokenized: one error at the place, and no corpus.

use crate::fixture::{DOMAINS, Fixture, document};

const WEB: &str = "text/train/web-0.jsonl";

/// Tokenizes a corpus that must be refused.
#[track_caller]
fn refused(fixture: &Fixture, said: &[&str]) {
    let output = fixture.refused(&["tokenize"]);
    for text in said {
        output.says(text);
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_at_its_line() {
    let fixture = Fixture::study();
    fixture.write(WEB, b"{\"text\": \"fine\"}\n{\"text\": \"\xff\"}\n");
    refused(&fixture, &["web-0.jsonl:2: not UTF-8", "help:", "iconv"]);
}

#[test]
fn broken_json_is_refused_at_its_line() {
    let fixture = Fixture::study();
    fixture.edit(WEB, "\"}\n{\"text\": \"2", "\"\n{\"text\": \"2");
    refused(
        &fixture,
        &[
            "web-0.jsonl:2: broken JSON",
            "help: every line must be one whole JSON object",
        ],
    );
}

#[test]
fn a_document_without_text_is_refused_at_its_line() {
    let fixture = Fixture::study();
    fixture.edit(WEB, "{\"text\": \"2", "{\"txet\": \"2");
    refused(
        &fixture,
        &["web-0.jsonl:3: `text`: no text", "help:", "text_field"],
    );
}

#[test]
fn a_truncated_zstd_file_is_refused() {
    let fixture = Fixture::study();
    let whole = zstd::encode_all(&fixture.read(WEB)[..], 0).unwrap();
    std::fs::remove_file(fixture.path(WEB)).unwrap();
    fixture.write("text/train/web-0.jsonl.zst", &whole[..whole.len() - 20]);
    refused(
        &fixture,
        &[
            "web-0.jsonl.zst: the zstd data ends too early",
            "help: download or copy",
        ],
    );
}

#[test]
fn a_domain_without_documents_is_refused() {
    let fixture = Fixture::study();
    fixture.write(WEB, "");
    refused(
        &fixture,
        &["text: `web`: empty domain", "help: add text to the domain"],
    );
}

#[test]
fn a_bad_file_does_not_cost_the_corpus_that_is_there() {
    let fixture = Fixture::study_after("tokenize");
    fixture.write(WEB, b"{\"text\": \"\xff\"}\n");
    fixture
        .refused(&["tokenize", "--redo"])
        .says("web-0.jsonl:1: not UTF-8");
}

#[test]
fn validation_smaller_than_one_sequence_is_refused() {
    let fixture = Fixture::study();
    for domain in DOMAINS {
        fixture.write(
            &format!("text/valid/{domain}.jsonl"),
            "{\"text\": \"abc\"}\n",
        );
    }
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    let output = fixture.run(&["train"]);
    output.is_one_error();
    output
        .says(
            "corpus: `code`: validation smaller than one sequence: 4 tokens, expected at least 17",
        )
        .says("help: add validation text");
    assert!(!fixture.path("trajectories.csv").exists());
}

#[test]
fn a_folder_without_text_is_no_demo() {
    let fixture = Fixture::empty();
    std::fs::create_dir(fixture.path("nothing")).unwrap();
    fixture
        .refused(&["demo", "--corpus", "missing", "--out", "demo"])
        .says("missing: there is nothing at this path")
        .says("help:");
    let output = fixture.run(&["demo", "--corpus", "nothing", "--out", "demo"]);
    output.is_one_error();
    output.says("nothing: no corpus").says("help:");
}

#[test]
fn a_study_of_nothing_is_not_begun() {
    let fixture = Fixture::empty();
    fixture
        .refused(&["-C", "new", "init", "--corpus", "missing"])
        .says("missing: there is nothing at this path")
        .says("help: give the corpus as `--corpus PATH`");
}

#[test]
fn a_second_init_leaves_the_study_as_it_is() {
    let fixture = Fixture::study();
    fixture.write("other/web.jsonl", document(2, 0));
    fixture
        .refused(&["init", "--corpus", "other"])
        .says("study.toml: there is a study here already")
        .says("help:");
}

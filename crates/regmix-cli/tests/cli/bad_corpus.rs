//! Text that cannot be tokenized: one error at the place, and no corpus.

use crate::fixture::{DOMAINS, Fixture, assert_output, document};

const WEB: &str = "text/train/web-0.jsonl";

#[test]
fn text_that_is_not_utf8_is_refused_at_its_line() {
    let fixture = Fixture::study();
    fixture.write(WEB, b"{\"text\": \"fine\"}\n{\"text\": \"\xff\"}\n");
    assert_output!(fixture.refused(&["tokenize"]), @r"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
      × ./text/train/web-0.jsonl:2: not UTF-8 after byte 10, expected UTF-8 text; 1 of 122 documents
      │ cannot be read, expected at most one in a thousand (`max_skipped`)
      help: convert the file to UTF-8, for example with `iconv`; or allow more with `max_skipped`
            under [corpus] of study.toml
    ");
}

#[test]
fn broken_json_is_refused_at_its_line() {
    let fixture = Fixture::study();
    fixture.edit(WEB, "\"}\n{\"text\": \"2", "\"\n{\"text\": \"2");
    assert_output!(fixture.refused(&["tokenize"]), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
      × ./text/train/web-0.jsonl:2: broken JSON: EOF while parsing an object (column 76); 1 of 180
      │ documents cannot be read, expected at most one in a thousand (`max_skipped`)
       ╭─[./text/train/web-0.jsonl:2:1]
     1 │ {"text": "0 page link site news site link page link site news site link"}
     2 │ {"text": "1 link home about site about home link home about site about home"
       · ──────────────────────────────────────┬─────────────────────────────────────
       ·                                       ╰── here
     3 │ {"text": "2 home news page about page news home news page about page news"}
       ╰────
      help: every line must be one whole JSON object; or allow more with `max_skipped` under [corpus]
            of study.toml
    "#);
}

#[test]
fn a_document_without_text_is_refused_at_its_line() {
    let fixture = Fixture::study();
    fixture.edit(WEB, "{\"text\": \"2", "{\"txet\": \"2");
    assert_output!(fixture.refused(&["tokenize"]), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
      × ./text/train/web-0.jsonl:3: `text`: no text in this document; 1 of 180 documents cannot be
      │ read, expected at most one in a thousand (`max_skipped`)
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
}

#[test]
fn a_truncated_zstd_file_is_refused() {
    let fixture = Fixture::study();
    let whole = zstd::encode_all(&fixture.read(WEB)[..], 0).unwrap();
    std::fs::remove_file(fixture.path(WEB)).unwrap();
    fixture.write("text/train/web-0.jsonl.zst", &whole[..whole.len() - 20]);
    assert_output!(fixture.refused(&["tokenize"]), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
      × ./text/train/web-0.jsonl.zst: the zstd data ends too early; 0 documents were read before
      help: download or copy the file again
    "#);
}

#[test]
fn a_domain_without_documents_is_refused() {
    let fixture = Fixture::study();
    fixture.write(WEB, "");
    assert_output!(fixture.refused(&["tokenize"]), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
      × ./text: `web`: empty domain: no train documents
      help: add text to the domain, or remove its files
    "#);
}

#[test]
fn a_bad_file_does_not_cost_the_corpus_that_is_there() {
    let fixture = Fixture::study_after("tokenize");
    fixture.write(WEB, b"{\"text\": \"\xff\"}\n");
    assert_output!(fixture.refused(&["tokenize", "--redo"]), @r"
    $ regmix tokenize --redo
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
      × ./text/train/web-0.jsonl:1: not UTF-8 after byte 10, expected UTF-8 text; 1 of 121 documents
      │ cannot be read, expected at most one in a thousand (`max_skipped`)
      help: convert the file to UTF-8, for example with `iconv`; or allow more with `max_skipped`
            under [corpus] of study.toml
    ");
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
    assert_output!(output, @r#"
    $ regmix train
    exit code: 2
    ----- stderr -----
    nano: 12080 parameters (10240 embedding, 1840 other)
      × ./corpus: `code`: validation smaller than one sequence: 4 tokens, expected at least 17
      help: add validation text to the domain, raise the share that is cut off for validation, or use
            shorter sequences
    "#);
    assert!(!fixture.path("trajectories.csv").exists());
}

#[test]
fn the_demo_refuses_a_folder_without_text() {
    let fixture = Fixture::empty();
    std::fs::create_dir(fixture.path("nothing")).unwrap();
    let demo_of = |corpus| ["demo", "--corpus", corpus, "--out", "demo"];
    assert_output!(fixture.refused(&demo_of("missing")), @r#"
    $ regmix demo --corpus missing --out demo
    exit code: 2
    ----- stderr -----
      × missing: there is nothing at this path, expected a folder or a file of text
      help: give the corpus as `--corpus PATH`
    "#);
    let output = fixture.run(&demo_of("nothing"));
    output.is_one_error();
    assert_output!(output, @r#"
    $ regmix demo --corpus nothing --out demo
    exit code: 2
    ----- stderr -----
      × [FOLDER]/nothing: no corpus: no .jsonl, .parquet or .txt file, and no folder of them
      help: expected `train/<domain>-<n>.jsonl` (or .parquet, .txt, also .zst or .gz)
    "#);
}

#[test]
fn init_refuses_a_corpus_that_does_not_exist() {
    let fixture = Fixture::empty();
    let init = ["-C", "new", "init", "--corpus", "missing"];
    assert_output!(fixture.refused(&init), @r#"
    $ regmix -C new init --corpus missing
    exit code: 2
    ----- stderr -----
      × missing: there is nothing at this path, expected a folder or a file of text
      help: give the corpus as `--corpus PATH`
    "#);
}

#[test]
fn a_second_init_leaves_the_study_as_it_is() {
    let fixture = Fixture::study();
    fixture.write("other/web.jsonl", document(2, 0));
    assert_output!(fixture.refused(&["init", "--corpus", "other"]), @r#"
    $ regmix init --corpus other
    exit code: 2
    ----- stderr -----
      × ./study.toml: there is a study here already
      help: choose another folder, or edit that file
    "#);
}

#[test]
fn text_that_a_tokenizer_has_no_token_for_is_counted_and_bounded() {
    let fixture = Fixture::study();
    let characters = ('a'..='z').chain('0'..='9').filter(|c| *c != 'w');
    let vocab: Vec<String> = (characters.map(String::from).enumerate())
        .map(|(id, c)| format!("\"{c}\":{}", id + 1))
        .collect();
    let tokenizer = format!(
        "{{\"version\":\"1.0\",\"pre_tokenizer\":{{\"type\":\"Whitespace\"}},\"model\":{{\"type\":\"BPE\",\
         \"vocab\":{{\"<|endoftext|>\":0,{}}},\"merges\":[]}}}}",
        vocab.join(",")
    );
    fixture.write("tokenizer.json", tokenizer);
    fixture.edit(
        "study.toml",
        "kind = \"bytes\"",
        "kind = \"file\"\npath = \"tokenizer.json\"",
    );
    assert_output!(fixture.refused(&["tokenize"]), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
      × ./text: `tokenizer.path`: the tokenizer has no token for 120 of the 3830 bytes of text of
      │ `web` (3.1 %), expected at most 1 % (`max_lost`)
      help: choose a tokenizer of bytes or with byte fallback; or allow it with `max_lost = 0.032`
            under [corpus] of study.toml
    "#);
    fixture.edit("study.toml", "valid_share", "max_lost = 0.032\nvalid_share");
    (fixture.ok(&["tokenize"]))
        .says("120 of the 3830 bytes of text of web are lost: the tokenizer has no token for them");
}

//! A build without the feature `hub` and a corpus on the Hugging Face hub.

use crate::fixture::{Fixture, assert_output};

#[test]
fn a_corpus_on_the_hub_is_refused_at_once() {
    let fixture = Fixture::empty();
    let output = fixture.refused(&["-C", "s", "init", "--corpus", "hf://me/data"]);
    assert_output!(output, @r"
    $ regmix -C s init --corpus hf://me/data
    exit code: 2
    ----- stderr -----
      × `corpus.path`: `hf://me/data` is on the Hugging Face hub, which this binary was built without
      help: build with `--features hub`, or download the files and name their folder
    ");
}

#[test]
fn a_corpus_that_was_tokenized_elsewhere_is_used() {
    let fixture = Fixture::study_after("tokenize");
    fixture.edit("study.toml", "path = \"text\"", "path = \"hf://me/data\"");
    fixture.edit(
        "corpus/inputs.json",
        "\\\"text\\\"\"",
        "\\\"hf://me/data\\\"\"",
    );
    fixture
        .ok(&["tokenize"])
        .says("the corpus is used as it is");
    fixture.ok(&["design"]);
    assert_output!(fixture.refused(&["tokenize", "--redo"]), @r"
    $ regmix tokenize --redo
    exit code: 2
    ----- stderr -----
      × `corpus.path`: `hf://me/data` is on the Hugging Face hub, which this binary was built without
      help: build with `--features hub`, or download the files and name their folder
    ");
}

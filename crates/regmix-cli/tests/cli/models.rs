//! Trained models in Hugging Face's layout: out of a study, and in again.

use crate::continued;
use crate::fixture::{Fixture, assert_output};

/// A study whose proxies start from `base`, and that model in `hf`.
fn study() -> Fixture {
    let fixture = continued::study();
    fixture.ok(&["export-model", "base", "--out", "hf"]);
    fixture
}

#[test]
fn a_model_goes_out_and_comes_in_as_it_was() {
    let fixture = continued::study();
    let out = ["export-model", "base", "--out", "hf"];
    assert_output!(fixture.ok(&out), @r"
    $ regmix export-model base --out hf
    exit code: 0
    ----- stdout -----
    hf/config.json
    hf/generation_config.json
    hf/model.safetensors
    hf/special_tokens_map.json
    hf/tokenizer.json
    hf/tokenizer_config.json
    ----- stderr -----
    a Llama of 12080 parameters in hf
    ");
    assert_output!(fixture.refused(&out), @r"
    $ regmix export-model base --out hf
    exit code: 2
    ----- stderr -----
      × hf/config.json: it is there already
      help: choose another place with `--out`, or overwrite it with `--redo`
    ");
    let before = fixture.files("hf");
    let again = fixture.ok(&[&out[..], &["--redo", "--format", "json"]].concat());
    assert_eq!(again.json()["files"].as_array().unwrap().len(), 6);
    assert_eq!(fixture.files("hf"), before);
    assert_eq!(
        fixture.text("hf/special_tokens_map.json"),
        "{\n  \"bos_token\": \"<|endoftext|>\",\n  \"eos_token\": \"<|endoftext|>\"\n}\n"
    );

    // Runs that start from it are those that start from the run itself.
    fixture.ok(&["train", "--redo"]);
    let runs = fixture.files("runs");
    let losses = fixture.text("trajectories.csv");
    fixture.edit("study.toml", "from = \"base\"", "from = \"hf\"");
    fixture.ok(&["train"]);
    assert_eq!(fixture.files("runs"), runs);
    std::fs::remove_dir_all(fixture.path("runs")).unwrap();
    fixture.ok(&["train"]);
    assert_eq!(fixture.text("trajectories.csv"), losses);
}

#[test]
fn a_model_from_elsewhere_must_have_shape_and_tokenizer_of_the_study() {
    let fixture = study();
    fixture.edit("study.toml", "from = \"base\"", "from = \"hf\"");
    let config = fixture.text("hf/config.json");
    fixture.edit("hf/config.json", "\"llama\"", "\"mistral\"");
    assert_output!(fixture.refused(&["train", "--redo"]), @r#"
    $ regmix train --redo
    exit code: 2
    ----- stderr -----
      × ./hf/config.json: `model_type`: "mistral": expected "llama"
      help: regmix trains Llama models without biases and with plain rotary positions
    "#);
    fixture.write("hf/config.json", &config);
    fixture.edit(
        "hf/config.json",
        "\"rms_norm_eps\": 0.00001",
        "\"rms_norm_eps\": 0.000001",
    );
    fixture
        .refused(&["train", "--redo"])
        .says("`proxy.norm_eps`: 0.00001, but the model it starts from has 0.000001");
    fixture.edit("study.toml", "[proxy]\n", "[proxy]\nnorm_eps = 1e-6\n");
    fixture.ok(&["train", "--redo"]);

    // Other tokens, a tokenizer of another kind, and none.
    let tokenizer = fixture.text("hf/tokenizer.json");
    fixture.edit(
        "hf/tokenizer.json",
        "\"use_regex\":false",
        "\"use_regex\":true",
    );
    assert_output!(fixture.refused(&["train", "--redo"]), @r#"
    $ regmix train --redo
    exit code: 2
    ----- stderr -----
      × ./study.toml:21: `proxy.from`: the model was trained on tokens of another tokenizer
      │ (`pre_tokenizer` differs): expected that of this study
        ╭─[./study.toml:21:1]
     20 │ norm_eps = 1e-6
     21 │ from = "hf"
        · ─────┬─────
        ·      ╰── here
     22 │ preset = "nano"
        ╰────
      help: set kind = "file" and path = "./hf/tokenizer.json" in [tokenizer], then: regmix tokenize
            --redo
    "#);
    fixture.write(
        "hf/tokenizer.json",
        tokenizer.replace("<|endoftext|>", "</s>"),
    );
    fixture
        .refused(&["train", "--redo"])
        .says("another tokenizer: it has no token `<|endoftext|>`: expected that of this study");
    std::fs::remove_file(fixture.path("hf/tokenizer.json")).unwrap();
    fixture
        .ok(&["train", "--redo"])
        .says("its tokenizer must be that of this study, which cannot be checked here");
}

#[test]
fn a_model_without_weights_or_tokenizer_is_not_exported() {
    let fixture = continued::study();
    assert_output!(fixture.refused(&["export-model", "runs/none", "--out", "hf"]), @r"
    $ regmix export-model runs/none --out hf
    exit code: 2
    ----- stderr -----
      × ./runs/none: no run: expected a folder with a `run.toml`
    ");
    assert_output!(fixture.refused(&["export-model", "runs/run-0000", "--out", "hf"]), @r"
    $ regmix export-model runs/run-0000 --out hf
    exit code: 2
    ----- stderr -----
      × ./runs/run-0000/checkpoint/model.safetensors: the weights of the run were not kept
      help: train it with `keep_weights = true`
    ");
    // The run lies in no study.
    let elsewhere = fixture.path("a/b/c/run");
    std::fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    std::fs::rename(fixture.path("base"), elsewhere).unwrap();
    let out = ["export-model", "a/b/c/run", "--out", "hf"];
    assert_output!(fixture.refused(&out), @r"
    $ regmix export-model a/b/c/run --out hf
    exit code: 2
    ----- stderr -----
      × ./a/b/c/run: the run lies in no study: its tokenizer is not known
      help: give the tokenizer with `--tokenizer`
    ");
    let given = [&out[..], &["--tokenizer", "corpus/tokenizer.json"]].concat();
    fixture
        .ok(&given)
        .says("note: whether the run was trained with this tokenizer cannot be checked");
    // A tokenizer of more tokens than the model has.
    let more: Vec<String> = (0..400).map(|i| format!("\"word{i}\": {i}")).collect();
    let json = format!(
        r#"{{"version": "1.0", "added_tokens": [], "model": {{"type": "WordLevel",
        "vocab": {{{}, "<|endoftext|>": 400}}, "unk_token": "word0"}}}}"#,
        more.join(", ")
    );
    fixture.write("more.json", json);
    let given = [&out[..], &["--tokenizer", "more.json", "--redo"]].concat();
    assert_output!(fixture.refused(&given), @r"
    $ regmix export-model a/b/c/run --out hf --tokenizer more.json --redo
    exit code: 2
    ----- stderr -----
      × ./a/b/c/run: the tokenizer knows 401 tokens, the model 320: they do not belong together
      help: give the tokenizer that the model was trained with
    ");
}

#[test]
fn the_tokenizer_of_a_run_is_that_of_its_corpus() {
    let fixture = continued::study();
    // Another corpus since.
    fixture.edit("study.toml", "valid_share = 0.2", "valid_share = 0.3");
    fixture.ok(&["tokenize", "--redo"]);
    assert_output!(fixture.refused(&["export-model", "base", "--out", "hf"]), @r"
    $ regmix export-model base --out hf
    exit code: 2
    ----- stderr -----
      × corpus: the text was tokenized again since the run was trained: its tokenizer may be another
      help: give the tokenizer with `--tokenizer`
    ");
    // A tokenizer that is not the corpus's.
    fixture.edit("study.toml", "valid_share = 0.3", "valid_share = 0.2");
    fixture.ok(&["tokenize", "--redo"]);
    fixture.edit(
        "corpus/tokenizer.json",
        "\"trim_offsets\":false",
        "\"trim_offsets\":true",
    );
    assert_output!(fixture.refused(&["export-model", "base", "--out", "hf"]), @r"
    $ regmix export-model base --out hf
    exit code: 2
    ----- stderr -----
      × corpus/tokenizer.json: not the tokenizer that the corpus beside it was tokenized with
      help: tokenize the corpus again, or put its tokenizer back
    ");
}

//! Runs that start from a trained model.

use crate::fixture::{Fixture, assert_output};

/// A study whose proxies start from a target of an earlier one, which is in `base`.
pub(crate) fn study() -> Fixture {
    let fixture = Fixture::study_after("optimize");
    let text = fixture.text("study.toml");
    let (before, target) = text.split_once("[target]\n").unwrap();
    let target = target.replacen("steps = 6\n", "steps = 6\nkeep_weights = true\n", 1);
    fixture.write("study.toml", format!("{before}[target]\n{target}"));
    fixture.ok(&["target"]);
    let base = fixture.path("base");
    std::fs::rename(fixture.path("targets/found-seed1"), base).unwrap();
    let stages = "[dynamic]\nstages = 1\nbootstrap = 4\n\n[proxy]\nfrom = \"base\"\n";
    fixture.edit("study.toml", "[proxy]\n", stages);
    fixture
}

#[test]
fn proxies_start_from_a_trained_model() {
    let fixture = study();
    fixture
        .refused(&["train"])
        .says("started with another configuration (starts_from: null is now");
    fixture.ok(&["train", "--redo"]);
    let table = fixture.text("trajectories.csv");
    let first: Vec<&str> = (table.lines())
        .filter(|line| line.split(',').nth(1) == Some("0"))
        .map(|line| line.split_once(',').unwrap().1)
        .collect();
    // The losses before the first step are those of the model, for all of them.
    assert_eq!(first.len(), 10, "{table}");
    assert!(first.iter().all(|line| *line == first[0]), "{table}");
    let done: serde_json::Value = serde_json::from_str(&fixture.text("base/DONE")).unwrap();
    let web = first[0].rsplit(',').next().unwrap().parse::<f64>().unwrap();
    assert!(
        (web - done["loss"]["web"].as_f64().unwrap()).abs() < 1e-9,
        "{web} {done}"
    );
    // A stop and another start change nothing.
    let before = fixture.text("trajectories.csv");
    fixture.ok(&["train"]);
    assert_eq!(fixture.text("trajectories.csv"), before);
    let cmr = [
        "cmr",
        "--mixtures",
        "design/mixtures.csv",
        "--trajectories",
        "trajectories.csv",
    ];
    let asked = [
        "--general",
        "web,law",
        "--special",
        "code",
        "--epsilon",
        "0.05",
    ];
    fixture.ok(&[&cmr[..], &asked].concat());
    fixture.ok(&["fit", "--redo"]);
    fixture.ok(&["schedule"]);
}

#[test]
fn a_model_that_does_not_fit_is_named() {
    let fixture = study();
    fixture.edit("study.toml", "layers = 1", "layers = 2");
    assert_output!(fixture.refused(&["train", "--redo"]), @r#"
    $ regmix train --redo
    exit code: 2
    ----- stderr -----
      × ./study.toml:22: `proxy.layers`: 2, but the model it starts from has 1: expected the same
      │ shape
        ╭─[./study.toml:22:1]
     21 │ preset = "nano"
     22 │ layers = 2
        · ─────┬────
        ·      ╰── here
     23 │ d_model = 16
        ╰────
      help: give the model the shape of the one it starts from; or leave out `from`
    "#);
    fixture.edit("study.toml", "layers = 2", "layers = 1");
    std::fs::rename(
        fixture.path("base/checkpoint/model.safetensors"),
        fixture.path("base/checkpoint/other"),
    )
    .unwrap();
    assert_output!(fixture.refused(&["train", "--redo"]), @r"
    $ regmix train --redo
    exit code: 2
    ----- stderr -----
      × ./base/checkpoint/model.safetensors: the weights of the run were not kept
      help: train it with `keep_weights = true`
    ");
    fixture.edit("study.toml", "from = \"base\"", "from = \"nowhere\"");
    assert_output!(fixture.refused(&["train", "--redo"]), @r"
    $ regmix train --redo
    exit code: 2
    ----- stderr -----
      × ./nowhere: no model: expected a folder with a `run.toml` or a `config.json`
      help: name the folder of a finished run, such as old/targets/found-seed1, or of a Llama model in
            Hugging Face's layout
    ");

    // A run of another study, whose tokenizer differs.
    let fixture = study();
    fixture.edit(
        "study.toml",
        "from = \"base\"",
        "from = \"old/targets/base\"",
    );
    std::fs::create_dir_all(fixture.path("old/targets")).unwrap();
    std::fs::rename(fixture.path("base"), fixture.path("old/targets/base")).unwrap();
    std::fs::rename(fixture.path("corpus"), fixture.path("old/corpus")).unwrap();
    let vocabulary = "kind = \"bpe\"\nvocab_size = 300";
    fixture.edit("study.toml", "kind = \"bytes\"", vocabulary);
    fixture.edit("study.toml", "[proxy]\n", "[proxy]\nvocab_size = 320\n");
    fixture.edit("study.toml", "[target]\n", "[target]\nvocab_size = 320\n");
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design", "--redo"]);
    assert_output!(fixture.refused(&["train", "--redo"]), @r#"
    $ regmix train --redo
    exit code: 2
    ----- stderr -----
      × ./study.toml:22: `proxy.from`: the model was trained on tokens of another tokenizer: expected
      │ that of this study
        ╭─[./study.toml:22:1]
     21 │ vocab_size = 320
     22 │ from = "old/targets/base"
        · ────────────┬────────────
        ·             ╰── here
     23 │ preset = "nano"
        ╰────
      help: set kind = "file" and path = "./old/corpus/tokenizer.json" in [tokenizer], then: regmix
            tokenize --redo
    "#);
}

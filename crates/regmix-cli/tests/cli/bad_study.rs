//! A `study.toml` or an argument that does not make sense.

use crate::fixture::{Fixture, assert_output, transcript};

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "batch_size", "batch_sise");
    assert_output!(fixture.refused(&["tokenize"]), @r"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
      × ./study.toml:23: unknown field `batch_sise`, expected one of `preset`, `layers`, `d_model`,
      │ `heads`, `kv_heads`, `d_ff`, `context`, `vocab_size`, `tied`, `rope_base`, `norm_eps`,
      │ `match_epochs`, `from`, `steps`, `batch_size`, `micro_batch`, `lr`, `min_lr`, `warmup`,
      │ `schedule`, `optimizer`, `evaluations`, `eval_sequences`, `checkpoint_every`, `keep_weights`,
      │ `precision`
        ╭─[./study.toml:23:1]
     22 │ steps = 4
     23 │ batch_sise = 2
        · ─────┬────
        ·      ╰── here
     24 │ lr = 4e-3
        ╰────
      help: did you mean `batch_size`?
    ");
}

#[test]
fn a_value_out_of_range_is_refused_at_its_line() {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "runs = 10", "runs = 0");
    assert_output!(fixture.refused(&["design"]), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./study.toml:13: `design.runs`: out of range, expected 1 to 100000
        ╭─[./study.toml:13:1]
     12 │ [design]
     13 │ runs = 0
        · ────┬───
        ·     ╰── here
     14 │ 
        ╰────
    "#);
}

#[test]
fn a_study_that_is_not_utf8_is_explained() {
    let fixture = Fixture::study();
    let mut study = fixture.read("study.toml");
    study.extend(b"# caf\xe9\n");
    fixture.write("study.toml", study);
    assert_output!(fixture.refused(&["status"]), @r#"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml: not UTF-8, expected UTF-8 text
      help: convert the file to UTF-8, for example with `iconv`
    "#);
}

#[test]
fn a_folder_without_a_study_is_explained() {
    assert_output!(Fixture::empty().refused(&["status"]), @r#"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml: No such file or directory (os error 2)
      help: `regmix init` writes a commented study.toml; `--study DIR` names its folder
    "#);
}

#[test]
fn a_step_without_the_one_before_names_it() {
    let fixture = Fixture::study();
    let mut outputs = vec![fixture.refused(&["design"])];
    fixture.ok(&["tokenize"]);
    outputs.push(fixture.refused(&["fit"]));
    fixture.ok(&["design"]);
    outputs.extend(["fit", "optimize", "report"].map(|verb| fixture.refused(&[verb])));
    assert_output!(transcript(outputs), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./corpus/manifest.json: the corpus is not tokenized
      help: run `regmix tokenize` first

    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./design/mixtures.csv: no mixtures were drawn
      help: run `regmix design` first

    $ regmix fit
    exit code: 2
    ----- stderr -----
      × ./runs: no proxy is finished
      help: run `regmix train` first

    $ regmix optimize
    exit code: 2
    ----- stderr -----
      × ./fit/fit.json: nothing is fitted
      help: run `regmix fit` first

    $ regmix report
    exit code: 2
    ----- stderr -----
      × ./mixture.json: no mixture was searched
      help: run `regmix optimize` first
    "#);
}

#[test]
fn a_model_vocabulary_below_the_tokenizers_is_refused() {
    let fixture = Fixture::study_after("tokenize");
    fixture.edit(
        "study.toml",
        "context = 16",
        "context = 16\nvocab_size = 64",
    );
    let outputs = ["design", "train"].map(|verb| fixture.refused(&[verb]));
    assert_output!(transcript(outputs), @r#"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./study.toml:22: `proxy.vocab_size`: the tokenizer knows 257 tokens, the model 64: expected a
      │ model vocabulary at least as large
        ╭─[./study.toml:22:1]
     21 │ context = 16
     22 │ vocab_size = 64
        · ───────┬───────
        ·        ╰── here
     23 │ steps = 4
        ╰────
      help: leave `vocab_size` out, so that it follows the tokenizer

    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:22: `proxy.vocab_size`: the tokenizer knows 257 tokens, the model 64: expected a
      │ model vocabulary at least as large
        ╭─[./study.toml:22:1]
     21 │ context = 16
     22 │ vocab_size = 64
        · ───────┬───────
        ·        ╰── here
     23 │ steps = 4
        ╰────
      help: leave `vocab_size` out, so that it follows the tokenizer
    "#);
}

/// Searches after each of some sections was put before the study's own.
fn optimize_with(sections: &[&str]) -> String {
    let fixture = Fixture::study_after("fit");
    let study = fixture.text("study.toml");
    transcript(sections.iter().map(|section| {
        fixture.write("study.toml", format!("{section}{study}"));
        fixture.refused(&["optimize"])
    }))
}

#[test]
fn limits_on_an_unknown_domain_are_refused_at_their_line() {
    let outputs = optimize_with(&[
        "[constraints.cap]\nwiki = 0.5\n",
        "[constraints.floor]\nwiki = 0.5\n",
    ]);
    assert_output!(outputs, @r#"
    $ regmix optimize
    exit code: 2
    ----- stderr -----
    searching the mixture
      × ./study.toml:2: `constraints.cap.wiki`: unknown domain `wiki`: expected one of code, law, web
       ╭─[./study.toml:2:1]
     1 │ [constraints.cap]
     2 │ wiki = 0.5
       · ─────┬────
       ·      ╰── here
     3 │ [study]
       ╰────

    $ regmix optimize
    exit code: 2
    ----- stderr -----
    searching the mixture
      × ./study.toml:2: `constraints.floor.wiki`: unknown domain `wiki`: expected one of code, law,
      │ web
       ╭─[./study.toml:2:1]
     1 │ [constraints.floor]
     2 │ wiki = 0.5
       · ─────┬────
       ·      ╰── here
     3 │ [study]
       ╰────
    "#);
}

#[test]
fn limits_that_no_mixture_keeps_are_refused() {
    let outputs = optimize_with(&[
        "[constraints.cap]\ncode = 0.2\nlaw = 0.2\nweb = 0.2\n",
        "[constraints.cap]\nlaw = 0.2\nweb = 0.2\n\
         [constraints.group.text]\ndomains = [\"law\", \"web\"]\nfloor = 0.5\n",
    ]);
    assert_output!(outputs, @r#"
    $ regmix optimize
    exit code: 2
    ----- stderr -----
    searching the mixture
      × ./study.toml:4: `constraints.cap.web`: caps sum to 0.6, expected at least 1: `code` 0.2, `law`
      │ 0.2, `web` 0.2
       ╭─[./study.toml:4:1]
     3 │ law = 0.2
     4 │ web = 0.2
       · ────┬────
       ·     ╰── here
     5 │ [study]
       ╰────
      help: raise some of them: allow more epochs, fewer target tokens, or add data

    $ regmix optimize
    exit code: 2
    ----- stderr -----
    searching the mixture
      × ./study.toml:4: `constraints.group.text`: group `text` needs at least 0.5 but the caps of its
      │ domains sum to 0.4: `law` 0.2, `web` 0.2
       ╭─[./study.toml:4:1]
     3 │ web = 0.2
     4 │ [constraints.group.text]
       · ────────────┬───────────
       ·             ╰── here
     5 │ domains = ["law", "web"]
       ╰────
      help: lower the group's floor, raise some of the caps, allow more epochs, or add data
    "#);
}

#[test]
fn an_unknown_objective_is_refused_at_its_line() {
    let outputs = optimize_with(&[
        "[objective]\nloss = \"wiki\"\n",
        "[objective.weights]\nwiki = 1.0\n",
    ]);
    assert_output!(outputs, @r#"
    $ regmix optimize
    exit code: 2
    ----- stderr -----
    searching the mixture
      × ./study.toml:2: `objective.loss`: unknown target `wiki`: expected one of code, law, web
       ╭─[./study.toml:2:1]
     1 │ [objective]
     2 │ loss = "wiki"
       · ──────┬──────
       ·       ╰── here
     3 │ [study]
       ╰────

    $ regmix optimize
    exit code: 2
    ----- stderr -----
    searching the mixture
      × ./study.toml:1: `objective.weights`: unknown target `wiki`: expected one of code, law, web
       ╭─[./study.toml:1:1]
     1 │ [objective.weights]
       · ─────────┬─────────
       ·          ╰── here
     2 │ wiki = 1.0
       ╰────
    "#);
}

#[test]
fn an_objective_apart_from_the_study_is_checked_as_well() {
    let fixture = Fixture::study_after("fit");
    let search = |objective| {
        let args = ["--objective", objective, "--out", "m.json"];
        fixture.refused(&[&["optimize", "--fit", "fit"][..], &args].concat())
    };
    let mut outputs = vec![search("wiki")];
    for goal in [
        "loss = \"wiki\"\n",
        "[constraints.cap]\nwiki = 0.5\n",
        "los = \"web\"\n",
    ] {
        fixture.write("goal.toml", goal);
        outputs.push(search("goal.toml"));
    }
    assert_output!(transcript(outputs), @r#"
    $ regmix optimize --fit fit --objective wiki --out m.json
    exit code: 2
    ----- stderr -----
      × `--objective`: unknown target `wiki`: expected one of code, law, web

    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml: unknown target `wiki`: expected one of code, law, web

    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml: `constraints.cap.wiki`: unknown domain `wiki`: expected one of code, law, web

    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml:1: unknown field `los`, expected one of `loss`, `weights`, `maximize`,
      │ `relative_to`, `kl`, `caution`, `distance`, `constraints`, `available`
       ╭─[goal.toml:1:1]
     1 │ los = "web"
       · ─┬─
       ·  ╰── here
       ╰────
      help: did you mean `loss`?
    "#);
}

#[test]
fn a_device_that_is_not_compiled_in_is_named_with_its_feature() {
    if cfg!(feature = "cuda") {
        // Then the machine decides, and regmix-model tests it.
        return;
    }
    let fixture = Fixture::study_after("design");
    assert_output!(fixture.refused(&["train", "--device", "cuda"]), @r#"
    $ regmix train --device cuda
    exit code: 2
    ----- stderr -----
      × device `cuda:0` is not compiled into this binary
      help: build with `--features cuda`, or use `--device cpu`; `regmix devices` lists what there is
    "#);
}

#[test]
fn a_device_that_does_not_exist_is_refused() {
    let fixture = Fixture::study_after("design");
    let outputs =
        ["tpu", "cuda:x", "cpu:3"].map(|name| fixture.refused(&["train", "--device", name]));
    assert_output!(transcript(outputs), @r#"
    $ regmix train --device tpu
    exit code: 2
    ----- stderr -----
    error: invalid value 'tpu' for '--device <DEVICE>': unknown device `tpu`: expected auto, cpu, cuda[:n], cuda:all, vulkan[:n], wgpu[:n] or tch[:n]

    For more information, try '--help'.

    $ regmix train --device cuda:x
    exit code: 2
    ----- stderr -----
    error: invalid value 'cuda:x' for '--device <DEVICE>': unknown device `cuda:x`: expected auto, cpu, cuda[:n], cuda:all, vulkan[:n], wgpu[:n] or tch[:n]

    For more information, try '--help'.

    $ regmix train --device cpu:3
    exit code: 2
    ----- stderr -----
    error: invalid value 'cpu:3' for '--device <DEVICE>': unknown device `cpu:3`: expected auto, cpu, cuda[:n], cuda:all, vulkan[:n], wgpu[:n] or tch[:n]

    For more information, try '--help'.
    "#);
}

#[test]
fn a_verb_or_flag_that_does_not_exist_is_refused() {
    let fixture = Fixture::study();
    let outputs = [
        fixture.refused(&["tokenise"]),
        fixture.refused(&["train", "--devise", "cpu"]),
    ];
    assert_output!(transcript(outputs), @r#"
    $ regmix tokenise
    exit code: 2
    ----- stderr -----
    error: unrecognized subcommand 'tokenise'

      tip: a similar subcommand exists: 'tokenize'

    Usage: regmix [OPTIONS] <COMMAND>

    For more information, try '--help'.

    $ regmix train --devise cpu
    exit code: 2
    ----- stderr -----
    error: unexpected argument '--devise' found

      tip: a similar argument exists: '--device'

    Usage: regmix train --device <DEVICE>

    For more information, try '--help'.
    "#);
}

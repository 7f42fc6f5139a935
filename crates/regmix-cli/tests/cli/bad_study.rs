//! A `study.toml` or an argument that does not make sense.

use crate::fixture::Fixture;

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "batch_size", "batch_sise");
    fixture
        .refused(&["tokenize"])
        .says("study.toml:23: unknown field `batch_sise`")
        .says("help: did you mean `batch_size`?");
}

#[test]
fn a_value_out_of_range_is_refused_at_its_line() {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "runs = 10", "runs = 0");
    fixture
        .refused(&["design"])
        .says("study.toml:13: `design.runs`: out of range, expected at least 1");
}

#[test]
fn a_folder_without_a_study_is_explained() {
    let fixture = Fixture::empty();
    fixture
        .refused(&["status"])
        .says("study.toml: No such file")
        .says("help: `regmix init` writes a commented study.toml");
}

#[test]
fn a_step_without_the_one_before_names_it() {
    let fixture = Fixture::study();
    fixture
        .refused(&["design"])
        .says("help: run `regmix tokenize` first");
    fixture.ok(&["tokenize"]);
    fixture
        .refused(&["fit"])
        .says("help: run `regmix design` first");
    fixture.ok(&["design"]);
    fixture
        .refused(&["fit"])
        .says("help: run `regmix train` first");
    fixture
        .refused(&["optimize"])
        .says("help: run `regmix fit` first");
    fixture
        .refused(&["report"])
        .says("help: run `regmix optimize` first");
}

#[test]
fn a_model_vocabulary_below_the_tokenizers_is_refused() {
    let fixture = Fixture::study_after("tokenize");
    fixture.edit(
        "study.toml",
        "context = 16",
        "context = 16\nvocab_size = 64",
    );
    for verb in ["design", "train"] {
        fixture
            .refused(&[verb])
            .says("study.toml:22: `proxy.vocab_size`: the tokenizer knows 257 tokens, the model 64")
            .says("help: leave `vocab_size` out");
    }
}

#[test]
fn limits_on_an_unknown_domain_are_refused_at_their_line() {
    let fixture = Fixture::study_after("fit");
    let study = fixture.text("study.toml");
    for table in ["cap", "floor"] {
        fixture.write(
            "study.toml",
            format!("[constraints.{table}]\nwiki = 0.5\n{study}"),
        );
        fixture.refused(&["optimize"]).says(&format!(
            "study.toml:2: `constraints.{table}.wiki`: unknown domain `wiki`: expected one of \
             code, law, web"
        ));
    }
}

#[test]
fn limits_that_no_mixture_keeps_are_refused() {
    let fixture = Fixture::study_after("fit");
    let study = fixture.text("study.toml");
    let caps = "[constraints.cap]\ncode = 0.2\nlaw = 0.2\nweb = 0.2\n";
    fixture.write("study.toml", format!("{caps}{study}"));
    fixture
        .refused(&["optimize"])
        .says("study.toml:4: `constraints.cap.web`: caps sum to 0.6, expected at least 1")
        .says("help: raise some of them");
    let group = "[constraints.group.text]\ndomains = [\"law\", \"web\"]\nfloor = 0.5\n";
    let caps = "[constraints.cap]\nlaw = 0.2\nweb = 0.2\n";
    fixture.write("study.toml", format!("{caps}{group}{study}"));
    fixture.refused(&["optimize"]).says(
        "study.toml:4: `constraints.group.text`: group `text` needs at least 0.5 but the caps of \
         its domains sum to 0.4: `law` 0.2, `web` 0.2",
    );
}

#[test]
fn an_unknown_objective_is_refused_at_its_line() {
    let fixture = Fixture::study_after("fit");
    let study = fixture.text("study.toml");
    for (objective, place) in [
        (
            "[objective]\nloss = \"wiki\"\n",
            "study.toml:2: `objective.loss`",
        ),
        (
            "[objective.weights]\nwiki = 1.0\n",
            "study.toml:1: `objective.weights`",
        ),
    ] {
        fixture.write("study.toml", format!("{objective}{study}"));
        fixture.refused(&["optimize"]).says(&format!(
            "{place}: unknown target `wiki`: expected one of code, law, web"
        ));
    }
}

#[test]
fn an_objective_apart_from_the_study_is_checked_as_well() {
    let fixture = Fixture::study_after("fit");
    let search = |objective: &str| {
        fixture.refused(&[
            "optimize",
            "--fit",
            "fit",
            "--objective",
            objective,
            "--out",
            "m.json",
        ])
    };
    search("wiki").says("`--objective`: unknown target `wiki`: expected one of code, law, web");
    fixture.write("goal.toml", "loss = \"wiki\"\n");
    search("goal.toml").says("goal.toml: unknown target `wiki`");
    fixture.write("goal.toml", "[constraints.cap]\nwiki = 0.5\n");
    search("goal.toml").says("goal.toml: `constraints.cap.wiki`: unknown domain `wiki`");
    fixture.write("goal.toml", "los = \"web\"\n");
    search("goal.toml")
        .says("goal.toml:1: unknown field `los`")
        .says("did you mean `loss`?");
}

#[test]
fn a_device_that_is_not_compiled_in_is_named_with_its_feature() {
    if cfg!(feature = "cuda") {
        // Then the machine decides, and regmix-model tests it.
        return;
    }
    let fixture = Fixture::study_after("design");
    fixture
        .refused(&["train", "--device", "cuda"])
        .says("device `cuda:0` is not compiled into this binary")
        .says("help: build with `--features cuda`, or use `--device cpu`");
}

#[test]
fn a_device_that_does_not_exist_is_refused() {
    let fixture = Fixture::study_after("design");
    for name in ["tpu", "cuda:x", "cpu:3"] {
        fixture.refused(&["train", "--device", name]).says(&format!(
            "unknown device `{name}`: expected auto, cpu, cuda[:n]"
        ));
    }
}

#[test]
fn a_verb_or_flag_that_does_not_exist_is_refused() {
    let fixture = Fixture::study();
    fixture
        .refused(&["tokenise"])
        .says("unrecognized subcommand 'tokenise'")
        .says("'tokenize'");
    fixture
        .refused(&["train", "--devise", "cpu"])
        .says("'--devise'")
        .says("'--device'");
}

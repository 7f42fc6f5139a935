//! Studies with proxies of several sizes, and the laws of scale that are fitted to them.

use crate::fixture::{Fixture, assert_output};

/// A model as the proxies', with other keys.
fn model(study: &str, changes: &[(&str, &str)]) -> String {
    let proxy = study.split("[proxy]").nth(1).unwrap();
    let mut own = proxy.split("\n\n").next().unwrap().to_owned();
    for (from, to) in changes {
        assert!(own.contains(from), "{own}");
        own = own.replace(from, to);
    }
    own
}

/// A study with a wider and a longer model besides the proxies, `sizes` before them.
pub(crate) fn study(sizes: &str, wide: &str, long: &str) -> Fixture {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "d_model = 16", "d_model = 8");
    let text = fixture.text("study.toml");
    let wide_model = model(&text, &[("d_model = 8", "d_model = 16")]);
    let long_model = model(
        &text,
        &[("d_model = 8", "d_model = 32"), ("steps = 4", "steps = 8")],
    );
    fixture.write(
        "study.toml",
        format!(
            "{text}\n[sizes]\n{sizes}\n[sizes.wide]\n{wide}\n[sizes.wide.model]{wide_model}\n\
             [sizes.long]\n{long}\n[sizes.long.model]{long_model}\n"
        ),
    );
    fixture
}

#[test]
fn what_other_sizes_cost_is_bounded() {
    let fixture = study("max_cost = 2.0", "runs = 8", "runs = 8");
    for verb in ["tokenize", "design"] {
        fixture.ok(&[verb]);
    }
    assert_output!(fixture.refused(&["train"]), @r"
    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: `sizes.max_cost`: the runs of other sizes cost 9.53 times what the proxies
      │ cost (8 of long 7.81, 8 of wide 1.72): expected at most 2.00
        ╭─[./study.toml:49:1]
     48 │ [sizes]
     49 │ max_cost = 2.0
        · ───────┬──────
        ·        ╰── here
     50 │ [sizes.wide]
        ╰────
      help: raise `max_cost` to 9.54; or take fewer `runs`, fewer `steps` or smaller models
    ");
    // Numbers that are not given follow from the cost.
    let fixture = study("max_cost = 4.0", "", "");
    for verb in ["tokenize", "design"] {
        fixture.ok(&[verb]);
    }
    assert_output!(fixture.ok(&["status"]), @r"
    $ regmix status
    exit code: 0
    ----- stdout -----
    study tiny in .
      corpus    3 domains, 10503 training tokens
      proxies   0 of 10 finished
      size      wide: 0 of 4 finished; 1.208e4 parameters, 1.280e2 tokens, 0.86 of the proxies' cost
      size      long: 0 of 3 finished; 2.621e4 parameters, 2.560e2 tokens, 2.93 of the proxies' cost
      fit       not yet
      scale     not yet
      mixture   not yet
      schedule  not yet
      targets   0 of 6 finished
      report    not yet
    next: regmix train
    ");
    let status = fixture.ok(&["status", "--format", "json"]).json();
    let sizes = status["sizes"].as_array().unwrap();
    let cost: f64 = sizes.iter().map(|s| s["cost"].as_f64().unwrap()).sum();
    assert!(cost <= 4.0, "{cost}");
}

#[test]
fn a_wrong_section_is_marked() {
    let fixture = study("max_cost = 0.0", "", "");
    assert_output!(fixture.refused(&["status"]), @r"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: `sizes.max_cost`: out of range, expected a number above 0
        ╭─[./study.toml:49:1]
     48 │ [sizes]
     49 │ max_cost = 0.0
        · ───────┬──────
        ·        ╰── here
     50 │ [sizes.wide]
        ╰────
    ");
    let fixture = study("", "runs = 2", "");
    assert_output!(fixture.refused(&["status"]), @r"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:51: `sizes.wide.runs`: out of range, expected at least 3
        ╭─[./study.toml:51:1]
     50 │ [sizes.wide]
     51 │ runs = 2
        · ────┬───
        ·     ╰── here
     52 │ [sizes.wide.model]
        ╰────
    ");
    let fixture = study("law = \"scales\"", "", "");
    assert_output!(fixture.refused(&["status"]), @r#"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: unknown variant `scales`, expected one of `scale`, `power_law`, `affine`
        ╭─[./study.toml:49:7]
     48 │ [sizes]
     49 │ law = "scales"
        ·       ────┬───
        ·           ╰── here
     50 │ [sizes.wide]
        ╰────
    "#);
    let fixture = study("", "run = 4", "");
    assert_output!(fixture.refused(&["status"]), @r"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:51: unknown field `run`, expected `runs` or `model`
        ╭─[./study.toml:51:1]
     50 │ [sizes.wide]
     51 │ run = 4
        · ─┬─
        ·  ╰── here
     52 │ [sizes.wide.model]
        ╰────
      help: did you mean `runs`?
    ");
    let fixture = study("", "", "");
    let text = fixture.text("study.toml");
    let own = model(&text, &[]);
    fixture.write("study.toml", format!("{text}\n[second_size.model]{own}\n"));
    assert_output!(fixture.refused(&["status"]), @r#"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:79: `second_size.model`: [sizes] and [second_size]: expected one of them
        ╭─[./study.toml:79:1]
     78 │ 
     79 │ [second_size.model]
        · ─────────┬─────────
        ·          ╰── here
     80 │ preset = "nano"
        ╰────
      help: [sizes] replaces [second_size]: make it a [sizes.NAME]
    "#);
}

#[test]
fn laws_of_scale_answer_for_the_target() {
    let fixture = study("max_cost = 20.0", "runs = 6", "runs = 5");
    fixture.edit(
        "study.toml",
        "[check]",
        "[dynamic]\nstages = 1\nbootstrap = 4\n\n[check]",
    );
    for verb in ["tokenize", "design"] {
        fixture.ok(&[verb]);
    }
    assert_output!(fixture.refused(&["optimize", "--at-target"]), @r"
    $ regmix optimize --at-target
    exit code: 2
    ----- stderr -----
      × ./fit/scale.json: no laws of scale are fitted
      help: run `regmix fit` first
    ");
    fixture.ok(&["train"]);
    assert!(fixture.path("sizes/long/run-0004/metrics.jsonl").exists());
    let fitted = fixture.ok(&["fit"]);
    assert!(
        fitted.stdout.contains("\nLaws of scale\n\nChosen: "),
        "{}",
        fitted.stdout
    );
    assert_eq!(
        fixture.text("sizes/sizes.csv").lines().count(),
        1 + 10 + 6 + 5
    );
    assert!(
        fixture
            .text("sizes/mixtures.csv")
            .contains("\nlong/run-0004,")
    );
    let json = fixture.ok(&["fit", "--format", "json"]).json();
    assert!(json["scale"]["judged"].is_array() && json["league"].is_array());

    // The same laws by hand.
    let by_hand = [
        "fit",
        "--mixtures",
        "sizes/mixtures.csv",
        "--trajectories",
        "sizes/trajectories.csv",
        "--sizes",
        "sizes/sizes.csv",
        "--out",
        "own",
        "--unit",
        "nats per token",
        "--available",
    ];
    let manifest: serde_json::Value =
        serde_json::from_str(&fixture.text("corpus/manifest.json")).unwrap();
    let available: Vec<String> = (manifest["domains"].as_array().unwrap().iter())
        .map(|d| format!("{}={}", d["name"].as_str().unwrap(), d["train"]["tokens"]))
        .collect();
    let available = available.join(",");
    fixture.ok(&[&by_hand[..], &[available.as_str()]].concat());
    assert_eq!(
        fixture.text("fit/scale.json"),
        fixture.text("own/scale.json")
    );
    let scale = fixture.ok(&["scale"]).stdout;
    assert_eq!(scale, fixture.ok(&["scale", "--fit", "own"]).stdout);

    let at = ["--parameters", "20000", "--tokens", "4000"];
    let mixtures = ["predict", "--mixtures", "design/mixtures.csv"];
    let predicted = fixture.ok(&[&mixtures[..], &at].concat()).stdout;
    assert!(
        predicted.starts_with("run,code,code_sd,law,law_sd,web,web_sd\n"),
        "{predicted}"
    );

    fixture.ok(&["optimize"]);
    let before = fixture.text("mixture.json");
    fixture.ok(&["optimize", "--at-target", "--out", "at-target.json"]);
    assert_eq!(fixture.text("mixture.json"), before);
    let found: serde_json::Value = serde_json::from_str(&fixture.text("at-target.json")).unwrap();
    let tokens = found["tokens"].as_f64().unwrap();
    assert!(tokens > 0.0 && found["parameters"].as_f64().unwrap() > 0.0);
    fixture.edit(
        "study.toml",
        "[check]",
        "[check]\nothers = { at-target = \"at-target.json\" }",
    );

    let planned = fixture.ok(&["schedule"]).stdout;
    assert!(
        planned.contains("size correction by laws of scale: "),
        "{planned}"
    );
    fixture.ok(&["target"]);
    let arms = fixture.text("check.json");
    assert!(arms.contains("\"at-target\""));
    fixture.ok(&["report"]);
    let page = fixture.text("report.html");
    assert!(page.contains("At the size of the target") && page.contains("Found, measured"));

    // A further size makes the laws out of date, not the regression.
    fixture.edit("study.toml", "runs = 5", "runs = 6");
    fixture.ok(&["train"]);
    assert_output!(fixture.refused(&["scale"]), @r"
    $ regmix scale
    exit code: 2
    ----- stderr -----
      × ./fit/scale.json: it was made from other inputs (runs was [HASH], is
      │ [HASH])
      help: put the inputs back, or make it again with `regmix fit --redo`
    ");
    assert!(
        fixture
            .ok(&["status"])
            .stdout
            .contains("scale     done; out of date")
    );
    fixture.ok(&["fit", "--redo"]);
    fixture.ok(&["scale"]);
}

//! Proxies that repeat text as often as the target will.

use std::path::{Path, PathBuf};

use crate::fixture::{Fixture, assert_output};

/// A study whose target sees its text ten times, and whose proxies take 1,280 tokens.
fn study() -> Fixture {
    let fixture = Fixture::study();
    fixture.edit(
        "study.toml",
        "steps = 4\n",
        "steps = 40\nmatch_epochs = true\n",
    );
    let limits = "[constraints]\nmax_epochs = 40.0\ntarget_tokens = 105030\n\n[check]";
    fixture.edit("study.toml", "[check]", limits);
    fixture
}

#[test]
fn proxies_read_a_part_of_the_text_as_often_as_the_target() {
    let fixture = study();
    fixture.ok(&["tokenize"]);
    assert_output!(fixture.ok(&["design"]), @r"
    $ regmix design
    exit code: 0
    ----- stdout -----
    10 mixtures in ./design/mixtures.csv

    domain   mean  least   most  most epochs
    code    32.5%   0.3%  91.8%        36.50
    law     31.6%   1.2%  83.8%        22.33
    web     35.9%   0.6%  92.1%        37.50
    ----- stderr -----
    drew 10 mixtures (192 candidates, 192 usable)
    next: regmix train
    ");
    assert_output!(fixture.ok(&["train"]), @r"
    $ regmix train
    exit code: 0
    ----- stdout -----
    10 finished proxies; their losses are in ./trajectories.csv
    ----- stderr -----
    nano: 12080 parameters (10240 embedding, 1840 other)
    they read 1/82.1 of every domain, so that they repeat its text as often as the target will (match_epochs)
    train proxies   0.01 M tokens, 10/10 runs in [SECONDS]
    next: regmix fit
    ");
    assert_output!(fixture.ok(&["status"]), @r"
    $ regmix status
    exit code: 0
    ----- stdout -----
    study tiny in .
      corpus    3 domains, 10503 training tokens
      proxies   10 of 10 finished, on 1/82.1 of every domain (match_epochs)
      fit       not yet
      mixture   not yet
      schedule  not yet
      targets   0 of 6 finished
      report    not yet
    next: regmix fit
    ");
    let run = fixture.text("runs/run-0000/run.toml");
    assert!(run.contains("\ntext_share = 0.01218"), "{run}");
    let status = fixture.ok(&["status", "--format", "json"]).json();
    let share = status["text_share"].as_f64().unwrap();
    assert!((share - 1280.0 / 105_030.0).abs() < 1e-12, "{share}");

    // Another target is another share: finished proxies do not fit it, nor does what
    // is made from them.
    fixture.edit(
        "study.toml",
        "target_tokens = 105030",
        "target_tokens = 210060",
    );
    assert_output!(fixture.refused(&["train"]), @r"
    $ regmix train
    exit code: 2
    ----- stderr -----
    nano: 12080 parameters (10240 embedding, 1840 other)
    they read 1/164.1 of every domain, so that they repeat its text as often as the target will (match_epochs)
      × ./runs/run-0000/run.toml: run `run-0000` was started with another configuration (text_share:
      │ 0.01218699419213558 is now 0.00609349709606779)
      help: put the configuration back, or redo the run with `--redo`
    ");
    let status = fixture.ok(&["status"]);
    let read = "0 of 10 finished, 10 of another configuration, on 1/82.1 of every domain";
    assert!(status.stdout.contains(read), "{status}");
    fixture.edit("study.toml", "match_epochs = true\n", "");
    fixture.refused(&["fit"]).says(
        "runs: the proxies read 1/82.1 of every domain, and `match_epochs` and the tokens of the \
         target now ask for all",
    );
    assert_output!(fixture.refused(&["train"]), @r"
    $ regmix train
    exit code: 2
    ----- stderr -----
    nano: 12080 parameters (10240 embedding, 1840 other)
      × ./runs/run-0000/run.toml: run `run-0000` was started with another configuration (text_share:
      │ 0.01218699419213558 is now null)
      help: put the configuration back, or redo the run with `--redo`
    ");
}

#[test]
fn targets_that_are_shorter_than_the_run_repeat_text_as_it_will() {
    let fixture = study();
    fixture.edit("study.toml", "seeds = 2", "seeds = 1");
    for verb in ["tokenize", "train", "fit", "optimize"] {
        fixture.ok(&[verb]);
    }
    let trained = fixture.ok(&["target"]);
    assert!(
        trained.stderr.contains(
            "they read 1/547.0 of every domain, so that they repeat its text as often as the \
             target will (match_epochs)\n"
        ),
        "{trained:?}"
    );
    let run = fixture.text("targets/found-seed1/run.toml");
    assert!(run.contains("\ntext_share = 0.001828"), "{run}");
    fixture.ok(&["report"]);
    let report = fixture.text("report.html");
    for of in ["1/82.1", "1/547.0"] {
        let text = format!("tokens of {of} of every domain (match_epochs)");
        assert!(report.contains(&text), "{of}");
    }
}

#[test]
fn the_limit_of_a_design_counts_the_part_that_is_read() {
    let fixture = study();
    fixture.edit(
        "study.toml",
        "runs = 10",
        "runs = 10\nmax_epochs = 20.0\nanchors = false",
    );
    fixture.ok(&["tokenize"]);
    let drawn = fixture.ok(&["design", "--format", "json"]).json();
    // A third of the text is seen 20 times where it is two thirds of a run that is ten
    // times as long as all text.
    let weights = drawn.as_array().unwrap().iter();
    let largest = weights
        .map(|run| run["mixture"]["web"].as_f64().unwrap())
        .fold(0.0, f64::max);
    assert!((0.4..0.68).contains(&largest), "{largest}");
    fixture.edit(
        "study.toml",
        "target_tokens = 105030",
        "target_tokens = 90000",
    );
    assert_output!(fixture.refused(&["design"]), @r"
    $ regmix design
    exit code: 2
    ----- stderr -----
      × ./design/mixtures.csv: it was made from other inputs (text_share was 0.01218699419213558, is
      │ 0.014222222222222223)
      help: put the inputs back, or make it again with `regmix design --redo`
    ");
}

#[test]
fn epochs_are_matched_in_proxies_of_shorter_runs_only() {
    let refused = |from: &str, to: &str| {
        let fixture = study();
        fixture.edit("study.toml", from, to);
        fixture.refused(&["tokenize"])
    };
    assert_output!(refused("target_tokens = 105030", "target_tokens = 1000"), @r"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
      × ./study.toml:23: `proxy.match_epochs`: a proxy takes 1280 tokens and the target 1000: epochs
      │ can be matched only where the target takes at least as many
        ╭─[./study.toml:23:1]
     22 │ steps = 40
     23 │ match_epochs = true
        · ─────────┬─────────
        ·          ╰── here
     24 │ batch_size = 2
        ╰────
      help: give `constraints.target_tokens` or a longer [target]; or leave `match_epochs` out
    ");
    let repeated = "[target]\nmatch_epochs = true\n";
    assert_output!(refused("[target]\n", repeated), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
      × ./study.toml:34: `target.match_epochs`: the target's epochs are matched by proxies: expected
      │ in [proxy]
        ╭─[./study.toml:34:1]
     33 │ [target]
     34 │ match_epochs = true
        · ─────────┬─────────
        ·          ╰── here
     35 │ preset = "nano"
        ╰────
    "#);
    let second = "[second_size.model]\npreset = \"nano\"\nsteps = 9000\nbatch_size = 2\nlr = 1e-3\n\n[check]";
    assert_output!(refused("[check]", second), @r#"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
      × ./study.toml:52: `second_size.model.steps`: a proxy takes 2304000 tokens and the target
      │ 105030: epochs can be matched only where the target takes at least as many
        ╭─[./study.toml:52:1]
     51 │ preset = "nano"
     52 │ steps = 9000
        · ──────┬─────
        ·       ╰── here
     53 │ batch_size = 2
        ╰────
      help: give `constraints.target_tokens` or a longer [target]; or leave `match_epochs` out
    "#);
}

/// The small corpus of fourteen domains, if it is there.
#[allow(clippy::print_stderr)] // A skipped test says so.
fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("REGMIX_SHARED").map_or(beside, PathBuf::from);
    let corpus = root.join("data/corpus/mini");
    if corpus.exists() {
        return Some(corpus);
    }
    eprintln!("skipped: no small corpus; set REGMIX_SHARED to the folder that holds data/");
    None
}

/// The last losses on europarl of two runs, one with all domains equally and one with
/// 60 % of it.
fn losses(corpus: &Path, section: &str) -> [f64; 2] {
    let fixture = Fixture::empty();
    fixture.write(
        "study.toml",
        format!(
            "[corpus]\npath = {:?}\n[tokenizer]\nkind = \"bytes\"\n[proxy]\npreset = \"nano\"\n\
             layers = 1\nd_model = 64\nheads = 2\nd_ff = 128\ncontext = 64\nsteps = 300\n\
             batch_size = 8\nlr = 4e-3\nevaluations = 1\n{section}",
            corpus.display().to_string()
        ),
    );
    fixture.ok(&["tokenize"]);
    fixture.ok(&["mixtures", "--method", "uniform", "--out", "even.csv"]);
    let table = fixture.text("even.csv");
    let header = table.lines().next().unwrap();
    let weights = header.split(',').skip(1).map(|domain| match domain {
        "europarl" => 0.6,
        _ => 0.4 / 13.0,
    });
    let heavy = weights.fold("heavy".to_owned(), |row, w| format!("{row},{w}"));
    fixture.write("design/mixtures.csv", format!("{table}{heavy}\n"));
    fixture.ok(&["train"]);
    let table = fixture.text("trajectories.csv");
    let header = table.lines().next().unwrap();
    let column = header.split(',').position(|c| c == "europarl").unwrap();
    ["uniform", "heavy"].map(|run| {
        let row = table.lines().rfind(|line| line.starts_with(run)).unwrap();
        row.split(',').nth(column).unwrap().parse().unwrap()
    })
}

/// A target of 42 million tokens sees the text of the small corpus ten times, and at a
/// weight of 0.6 that of one domain 84 times.
#[test]
fn a_domain_that_the_target_repeats_gains_nothing_from_much_weight() {
    let Some(corpus) = corpus() else { return };
    let [even, heavy] = losses(&corpus, "");
    let matched = "match_epochs = true\n[constraints]\ntarget_tokens = 42e6\n";
    let [even_matched, heavy_matched] = losses(&corpus, matched);
    // Read once, the domain gains from weight; read 84 times, it is learnt by heart.
    assert!(heavy < even - 0.04, "{heavy} {even}");
    assert!(
        heavy_matched > even_matched + 0.4,
        "{heavy_matched} {even_matched}"
    );
}

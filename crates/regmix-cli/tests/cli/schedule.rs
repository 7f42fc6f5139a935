//! Schedules: planned, exported, followed by targets, changed online.

use crate::fixture::{Fixture, answered, assert_output};
use crate::own_schedules::{plan, tables};

/// Proxies that are measured often enough for stages, some of which switch.
fn study() -> Fixture {
    let fixture = Fixture::study();
    fixture.edit(
        "study.toml",
        "[design]\nruns = 10\n",
        "[dynamic]\nstages = 2\nbootstrap = 4\n\n[design]\nruns = 16\nswitching = 0.5\n",
    );
    fixture.edit(
        "study.toml",
        "steps = 4\nbatch_size = 2\nlr = 4e-3\nevaluations = 2",
        "steps = 12\nbatch_size = 2\nlr = 4e-3\nevaluations = 6",
    );
    // Where the target's stages begin, so that what was predicted is observed.
    fixture.edit(
        "study.toml",
        "steps = 6\nbatch_size = 2\nlr = 4e-3\nevaluations = 2",
        "steps = 6\nbatch_size = 2\nlr = 4e-3\nevaluations = 3",
    );
    for verb in ["tokenize", "design", "train", "fit", "optimize"] {
        fixture.ok(&[verb]);
    }
    fixture
}

/// What `online` answers to lines.
fn answers(fixture: &Fixture, lines: &str) -> Vec<serde_json::Value> {
    answered(fixture.regmix(&["online"]), lines)
}

#[test]
fn a_study_plans_a_schedule_and_its_targets_follow_it() {
    let fixture = study();
    let segments = fixture.text("design/segments.csv");
    assert_eq!(segments.lines().count(), 1 + 16 + 8, "{segments}");
    // Runs that switch are not regressed on the mixture that they left.
    assert_eq!(fixture.text("fit/mixtures.csv").lines().count(), 1 + 8);
    let export = [
        "export",
        "--to",
        "nanotron",
        "--path",
        "/{domain}",
        "--schedule",
    ];
    assert_output!(fixture.refused(&export), @r#"
    $ regmix export --to nanotron --path /{domain} --schedule
    exit code: 2
    ----- stderr -----
      × ./schedule.json: no schedule was planned
      help: run `regmix schedule` first
    "#);
    let shown = fixture.ok(&["schedule"]).stdout;
    assert!(
        shown.contains("steps 0-") && shown.contains("whole run"),
        "{shown}"
    );
    let first = fixture.read("schedule.json");
    let controller = fixture.read("controller.json");
    fixture.edit("controller.json", "\"version\": 2", "\"version\": 1");
    assert_output!(fixture.ok(&["schedule"]).stderr, @r#"
    the controller is made again: ./controller.json: it is damaged or was changed by hand: the checksum does not match
    planning a schedule from 16 trajectories
    plans           7 in [SECONDS]
    folds of the stage model 5 in [SECONDS]
    next: regmix target --schedule offline --schedule online
    "#);
    assert_eq!(fixture.read("schedule.json"), first);
    assert_eq!(fixture.read("controller.json"), controller);
    assert_output!(fixture.ok(&["schedule"]).stderr, @r#"
    next: regmix target --schedule offline --schedule online
    "#);

    let shown = fixture.ok(&export).stdout;
    assert!(
        shown.starts_with("data_stages:\n  - name: stage 0\n"),
        "{shown}"
    );

    let check = fixture
        .ok(&[
            "target",
            "--schedule",
            "offline",
            "--schedule",
            "online",
            "--format",
            "json",
        ])
        .json();
    let arms: Vec<&str> = (check["arms"].as_array().unwrap().iter())
        .map(|arm| arm["name"].as_str().unwrap())
        .collect();
    assert_eq!(arms, ["found", "natural", "uniform", "offline", "online"]);
    let decisions: serde_json::Value =
        serde_json::from_str(&fixture.text("targets/online-seed1/decisions.json")).unwrap();
    assert_eq!(decisions["decisions"].as_array().unwrap().len(), 2);
    let run = fixture.text("targets/offline-seed1/run.toml");
    let schedule: serde_json::Value = serde_json::from_slice(&first).unwrap();
    let changes = if schedule["fell_back"] == true { 0 } else { 1 };
    assert!(run.matches("[[changes]]").count() >= changes, "{run}");
    assert!(
        decisions["decisions"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("as expected"),
        "{decisions}"
    );
    fixture.ok(&["report"]);
    let page = fixture.text("report.html");
    for said in [
        "How far the stage model can be trusted",
        "Predicted and observed in targets",
        "<b>offline-seed2</b>",
        "What the online controller changed, and why",
        "the scale of the target is measured here",
    ] {
        assert!(page.contains(said), "{said}");
    }

    let file = "targets/online-seed1/decisions.json";
    let whole = fixture.read(file);
    fixture.write(file, &whole[..whole.len() / 2]);
    fixture.refused(&["report"]).says("`regmix target --redo`");
    let targets = ["target", "--schedule", "offline", "--schedule", "online"];
    fixture.ok(&[&targets[..], &["--redo"]].concat());
    assert_eq!(fixture.read(file), whole);
    fixture.ok(&["report"]);
    assert_eq!(fixture.text("report.html"), page);

    fixture.edit("study.toml", "stages = 2", "stages = 3");
    // Stage points are where runs switch, too.
    assert_output!(fixture.refused(&["schedule"]), @r#"
    $ regmix schedule
    exit code: 2
    ----- stderr -----
      × ./design/mixtures.csv: it was made from other inputs (stage points was [0.3333333333333..., is
      │ [0.25,0.5,0.75,1.0])
      help: put the inputs back, or make it again with `regmix design --redo`
    "#);
}

#[test]
fn a_second_size_of_proxies_is_trained_and_used() {
    let fixture = study();
    fixture.ok(&["schedule"]);
    let text = fixture.text("study.toml");
    let proxy = text.split("[proxy]").nth(1).unwrap();
    let proxy = proxy.split("\n\n").next().unwrap();
    let model = proxy.replace("d_model = 16", "d_model = 32");
    let section =
        |runs: usize| format!("{text}\n[second_size]\nruns = {runs}\n[second_size.model]{model}\n");
    fixture.write("study.toml", section(2));
    assert_output!(fixture.refused(&["train"]), @r#"
    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:54: `second_size.runs`: out of range, expected at least 3
        ╭─[./study.toml:54:1]
     53 │ [second_size]
     54 │ runs = 2
        · ────┬───
        ·     ╰── here
     55 │ [second_size.model]
        ╰────
    "#);
    fixture.write("study.toml", section(12));
    assert_output!(fixture.refused(&["train"]), @r"
    $ regmix train
    exit code: 2
    ----- stderr -----
      × ./study.toml:54: `second_size.runs`: 12 runs, but the design has 8 that do not switch
        ╭─[./study.toml:54:1]
     53 │ [second_size]
     54 │ runs = 12
        · ────┬────
        ·     ╰── here
     55 │ [second_size.model]
        ╰────
      help: ask for fewer runs of this size; or raise `design.runs` or lower `design.switching`, then:
            regmix design --redo
    ");
    fixture.write("study.toml", section(4));
    assert_output!(fixture.refused(&["schedule"]), @r#"
    $ regmix schedule
    exit code: 2
    ----- stderr -----
      × ./schedule.json: it was made from other inputs (second_size.law was absent, is "power_law";
      │ second_size.model was absent, is {"batch_size":2,...; second_size.runs was absent, is 4; and 1
      │ more)
      help: put the inputs back, or make it again with `regmix schedule --redo`
    "#);
    assert_output!(fixture.refused(&["schedule", "--redo"]), @r#"
    $ regmix schedule --redo
    exit code: 2
    ----- stderr -----
    planning a schedule from 16 trajectories
      × ./second: no proxy is finished
      help: run `regmix train` first
    "#);
    assert_output!(fixture.ok(&["status"]), @r#"
    $ regmix status
    exit code: 0
    ----- stdout -----
    study tiny in .
      corpus    3 domains, 10503 training tokens
      proxies   16 of 16 finished
      size      second: 0 of 4 finished; 2.621e4 parameters, 3.840e2 tokens, 0.57 of the proxies' cost
      fit       done
      scale     not yet
      mixture   done
      schedule  done; out of date (second_size.law was absent, is "power_law"; second_size.model was absent, is {"batch_size":2,...; second_size.runs was absent, is 4; and 1 more)
      targets   0 of 6 finished
      report    not yet
    next: regmix train
    "#);
    fixture.ok(&["train"]);
    let shown = fixture.ok(&["schedule", "--redo"]).stdout;
    assert!(
        shown.contains("measured on 4 runs of a second size"),
        "{shown}"
    );
    assert!(shown.contains("Predicted for the target"), "{shown}");
    let schedule: serde_json::Value = serde_json::from_str(&fixture.text("schedule.json")).unwrap();
    assert!(
        schedule["config"]["size"]["power_law"]["ratio"]
            .as_f64()
            .unwrap()
            > 0.0
    );
}

#[test]
fn a_controller_answers_lines_and_goes_on_after_a_restart() {
    let fixture = study();
    assert_output!(fixture.refused(&["online"]), @r#"
    $ regmix online
    exit code: 2
    ----- stderr -----
      × ./controller.json: there is no controller
      help: run `regmix schedule` first, or give `--controller FILE`
    "#);
    fixture.ok(&["schedule"]);
    let losses = r#"{"code":5.2,"law":5.1,"web":5.0}"#;
    let line = |step: u64| format!("{{\"step\":{step},\"losses\":{losses}}}\n");
    let health = "{\"op\":\"health\"}\n";
    let replies = answers(&fixture, &format!("{health}{}nonsense\n", line(2)));
    assert_eq!(replies[0]["decision_steps"], serde_json::json!([2, 4]));
    assert_eq!(replies[1]["ok"], true);
    assert_eq!(replies[2]["ok"], false);
    assert_eq!(
        replies[2]["mixture"], replies[1]["mixture"],
        "the last one stays"
    );
    // Another process goes on where this one was.
    let replies = answers(&fixture, &format!("{}{}", line(1), line(4)));
    assert!(
        replies[0]["error"]
            .as_str()
            .unwrap()
            .contains("after step 2")
    );
    assert_eq!(replies[1]["last_step"], 4);
    let sum: f64 = (replies[1]["mixture"].as_object().unwrap().values())
        .map(|w| w.as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-9);
    // Only this machine, unless there is a token.
    assert_output!(fixture.run(&["online", "--listen", "0.0.0.0:0"]), @r#"
    $ regmix online --listen 0.0.0.0:0
    exit code: 2
    ----- stderr -----
      × `token`: `0.0.0.0:0` can be reached from other machines: expected a token
      help: set a token, with `--token-file`, or listen on 127.0.0.1
    "#);
}

#[test]
fn tables_of_ones_own_give_a_schedule() {
    let fixture = study();
    let args = [
        "schedule",
        "--trajectories",
        "trajectories.csv",
        "--mixtures",
        "design/segments.csv",
        "--steps",
        "25000",
        "--tokens",
        "26e9",
        "--settings",
        "paper.toml",
        "--out",
        "plan",
    ];
    fixture.write(
        "paper.toml",
        "preset = \"paper\"\nstages = 2\nregressor = \"mean\"\ndraws = 200\nbest = 8\n",
    );
    // Any mixture would do.
    assert_output!(fixture.refused(&args), @r#"
    $ regmix schedule --trajectories trajectories.csv --mixtures design/segments.csv --steps 25000 --tokens 26e9 --settings paper.toml --out plan
    exit code: 2
    ----- stderr -----
    planning a schedule
    stage model     1 in [SECONDS]
      × `regressor`: `mean` predicts the same for all mixtures: 16 runs are too few for it
      help: train more proxies, or choose `smooth` or `ridge`
    "#);
    fixture.write(
        "paper.toml",
        "preset = \"paper\"\nstages = 2\nregressor = \"ridge\"\ndraws = 200\nbest = 8\n",
    );
    fixture.ok(&args);
    let schedule: serde_json::Value =
        serde_json::from_str(&fixture.text("plan/schedule.json")).unwrap();
    assert_eq!(schedule["target"]["steps"], 25_000);
    assert_eq!(schedule["segments"].as_array().unwrap().len(), 3);
    assert_eq!(schedule["segments"][1]["from_step"], 8333);
    assert_output!(fixture.refused(&args), @r#"
    $ regmix schedule --trajectories trajectories.csv --mixtures design/segments.csv --steps 25000 --tokens 26e9 --settings paper.toml --out plan
    exit code: 2
    ----- stderr -----
      × plan/schedule.json: it is there already
      help: choose another place with `--out`, or overwrite it with `--redo`
    "#);
    fixture.write("paper.toml", "presets = \"paper\"\n");
    assert_output!(fixture.refused(&[&args[..], &["--redo"]].concat()), @r#"
    $ regmix schedule --trajectories trajectories.csv --mixtures design/segments.csv --steps 25000 --tokens 26e9 --settings paper.toml --out plan --redo
    exit code: 2
    ----- stderr -----
    planning a schedule
      × paper.toml:1: unknown field `presets`, expected one of `preset`, `stages`, `points`,
      │ `resample`, `regressor`, `per_stage`, `state`, `outcome`, `start`, `first`, `lookahead`,
      │ `search`, `draws`, `best`, `alpha`, `fresh_draws`, `size`, `trust`, `ramp`, `bootstrap`,
      │ `static_unless`, `min_gain`, `seed`
       ╭─[paper.toml:1:1]
     1 │ presets = "paper"
       · ───┬───
       ·    ╰── here
       ╰────
      help: did you mean `preset`?
    "#);
    fixture.write("paper.toml", "stages = 0\n");
    assert_output!(fixture.refused(&[&args[..], &["--redo"]].concat()), @r#"
    $ regmix schedule --trajectories trajectories.csv --mixtures design/segments.csv --steps 25000 --tokens 26e9 --settings paper.toml --out plan --redo
    exit code: 2
    ----- stderr -----
    planning a schedule
      × paper.toml: `stages`: 0 stages, expected 1 to 1000
    "#);
}

#[test]
fn a_worst_case_without_a_natural_mixture_is_called_what_it_is() {
    let fixture = tables();
    fixture.write("worst.toml", "loss = \"worst\"\n");
    let shown = fixture.ok(&plan("t.csv", "p", &["--objective", "worst.toml"]));
    assert!(shown.stdout.contains("uniform"), "{shown}");
    assert!(!shown.stdout.contains("natural"), "{shown}");
    shown.says("warning: the natural mixture is not known");
    shown.says("warning: no run switches its mixture");
    let mixtures = fixture.text("m.csv");
    let first: Vec<&str> = mixtures.lines().take(2).collect();
    fixture.write("prior.csv", first.join("\n"));
    let more = ["--objective", "worst.toml", "--prior", "prior.csv"];
    let shown = fixture.ok(&plan("t.csv", "q", &more));
    assert!(shown.stdout.contains("natural"), "{shown}");
    assert!(!shown.stderr.contains("not known"), "{shown}");
}

//! Schedules: planned, exported, followed by targets, changed online.

use crate::fixture::{Fixture, Output, answered};

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
    fixture
        .refused(&["schedule", "--export", "nanotron"])
        .says("no schedule was planned")
        .says("regmix schedule");
    let shown = fixture.ok(&["schedule"]).stdout;
    assert!(
        shown.contains("steps 0-") && shown.contains("whole run"),
        "{shown}"
    );
    let first = fixture.read("schedule.json");
    let controller = fixture.read("controller.json");
    fixture.edit("controller.json", "\"version\": 2", "\"version\": 1");
    let again = fixture.ok(&["schedule"]).stderr;
    assert!(again.contains("made again") && again.contains("version 1, expected 2"));
    assert_eq!(fixture.read("schedule.json"), first);
    assert_eq!(fixture.read("controller.json"), controller);
    assert!(!fixture.ok(&["schedule"]).stderr.contains("planning"));

    let shown = fixture.ok(&["schedule", "--export", "nanotron"]).stdout;
    assert!(shown.contains("data_stages"), "{shown}");
    fixture.ok(&["schedule", "--export", "levanter", "--out", "mix.yaml"]);
    fixture
        .refused(&["schedule", "--export", "levanter", "--out", "mix.yaml"])
        .says("mix.yaml: it is there already");
    fixture
        .refused(&["schedule", "--export", "pytorch"])
        .says("levanter, nanotron, megatron, olmo_core");

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

    fixture.edit("study.toml", "stages = 2", "stages = 3");
    // Stage points are where runs switch, too.
    fixture.refused(&["schedule"]).says("stage points was");
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
    fixture
        .refused(&["train"])
        .says("study.toml:")
        .says("at least 3");
    fixture.write("study.toml", section(12));
    fixture
        .refused(&["train"])
        .says("the design has 8 that do not switch");
    fixture.write("study.toml", section(4));
    fixture
        .refused(&["schedule"])
        .says("second_size.law was absent");
    fixture
        .refused(&["schedule", "--redo"])
        .says("second: no proxy is finished")
        .says("regmix train");
    let status = fixture.ok(&["status"]).stdout;
    assert!(status.contains("second    0 of 4 finished"), "{status}");
    assert!(status.contains("next: regmix train"), "{status}");
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
    fixture
        .refused(&["online"])
        .says("controller.json: there is no controller")
        .says("regmix schedule");
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
    let output = Output::of(&mut fixture.regmix(&["online", "--listen", "0.0.0.0:0"]));
    assert_eq!(output.code, 2);
    output.says("expected a token");
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
    fixture
        .refused(&args)
        .says("`mean` predicts the same for all mixtures");
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
    fixture
        .refused(&args)
        .says("plan/schedule.json: it is there already");
    fixture.write("paper.toml", "presets = \"paper\"\n");
    fixture
        .refused(&[&args[..], &["--redo"]].concat())
        .says("did you mean `preset`?");
    fixture.write("paper.toml", "stages = 0\n");
    fixture
        .refused(&[&args[..], &["--redo"]].concat())
        .says("paper.toml: `stages`");
}

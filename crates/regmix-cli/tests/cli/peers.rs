//! Targets whose mixture other online methods choose.

use crate::fixture::{DOMAINS, Fixture, answered, assert_output};

#[test]
fn targets_are_trained_by_odm_and_ado() {
    let fixture = Fixture::study_after("optimize");
    fixture.edit("study.toml", "[check]\nseeds = 2\n", "[ado]\nwarm_up = 4\nrefit_every = 1\nblock = 1\n\n[constraints.cap]\nweb = 0.3\n\n[check]\nseeds = 2\n");
    fixture.edit("study.toml", "steps = 6\n", "steps = 40\n");
    fixture.ok(&["optimize", "--redo"]);
    let shown = fixture
        .ok(&["target", "--schedule", "odm", "--schedule", "ado"])
        .stdout;
    assert!(shown.contains("odm") && shown.contains("ado"), "{shown}");
    // No schedule is planned for them.
    assert!(!fixture.path("schedule.json").exists());
    let check: serde_json::Value = serde_json::from_str(&fixture.text("check.json")).unwrap();
    for name in ["odm", "ado"] {
        let arms = check["arms"].as_array().unwrap();
        let arm = arms.iter().find(|arm| arm["name"] == name).unwrap();
        let mixture = arm["mixture"].as_object().unwrap();
        let web = mixture["web"].as_f64().unwrap();
        assert!(web <= 0.3 + 1e-9, "{name} {web}");
        assert_eq!(
            fixture
                .text(&format!("targets/{name}-seed1/steps.jsonl"))
                .lines()
                .count(),
            40
        );
    }
    for name in ["odm", "ado"] {
        a_trainer_elsewhere_gets_the_same_mixtures(&fixture, name, &check);
    }
    // What is finished is read again, with the same mixtures.
    let before = fixture.text("check.json");
    fixture.ok(&["target", "--schedule", "odm", "--schedule", "ado"]);
    assert_eq!(fixture.text("check.json"), before);
    fixture.ok(&["report"]);
    fixture.edit("study.toml", "warm_up = 4", "floor = 0.5\nwarm_up = 4");
    assert_output!(fixture.refused(&["target", "--schedule", "ado"]), @r"
    $ regmix target --schedule ado
    exit code: 2
    ----- stderr -----
      × ./study.toml:46: `ado.floor`: 0.5: expected 0 to 0.3333, an equal share of 3 domains
        ╭─[./study.toml:46:1]
     45 │ [ado]
     46 │ floor = 0.5
        · ─────┬─────
        ·      ╰── here
     47 │ warm_up = 4
        ╰────
    ");
    fixture.edit("study.toml", "floor = 0.5", "flor = 0.5");
    assert_output!(fixture.refused(&["status"]), @r"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:46: unknown field `flor`, expected one of `warm_up`, `refit_every`, `block`,
      │ `credit`, `memory`, `step_size`, `floor`
        ╭─[./study.toml:46:1]
     45 │ [ado]
     46 │ flor = 0.5
        · ──┬─
        ·   ╰── here
     47 │ warm_up = 4
        ╰────
      help: did you mean `floor`?
    ");
}

/// Reports the training losses of our targets to `regmix online`: the mixtures that it
/// answers with are those that the targets were trained on.
fn a_trainer_elsewhere_gets_the_same_mixtures(
    fixture: &Fixture,
    name: &str,
    check: &serde_json::Value,
) {
    let mut sum = [0.0; 3];
    for seed in 1..=2 {
        let mut lines = "{\"op\":\"mixture\"}\n".to_owned();
        for step in fixture
            .text(&format!("targets/{name}-seed{seed}/steps.jsonl"))
            .lines()
        {
            let step: serde_json::Value = serde_json::from_str(step).unwrap();
            let losses: serde_json::Map<String, serde_json::Value> = (DOMAINS.iter())
                .zip(step["losses"].as_array().unwrap())
                .map(|(domain, loss)| ((*domain).to_owned(), loss.clone()))
                .collect();
            let line = serde_json::json!({"step": step["step"], "losses": losses});
            lines.push_str(&format!("{line}\n"));
        }
        let state = format!("{name}-{seed}.json");
        let online = ["online", "--method", name, "--state", &state];
        let answers = answered(fixture.regmix(&online), &lines);
        assert_eq!(answers.len(), 41);
        assert!(answers.iter().all(|a| a["ok"] == true));
        for answer in &answers[..40] {
            for (sum, domain) in sum.iter_mut().zip(DOMAINS) {
                *sum += answer["mixture"][domain].as_f64().unwrap() / 80.0;
            }
        }
        // It goes on from its state.
        let again = answered(fixture.regmix(&online), "{\"op\":\"mixture\"}\n");
        assert_eq!(again[0]["last_step"], 40);
        assert_eq!(again[0]["mixture"], answers[40]["mixture"]);
    }
    let arms = check["arms"].as_array().unwrap();
    let arm = arms.iter().find(|arm| arm["name"] == name).unwrap();
    for (mean, domain) in sum.iter().zip(DOMAINS) {
        assert!((mean - arm["mixture"][domain].as_f64().unwrap()).abs() < 1e-9);
    }
}

#[test]
fn targets_are_trained_by_aioli() {
    let fixture = Fixture::study_after("optimize");
    fixture.edit(
        "study.toml",
        "[check]\nseeds = 2\n",
        "[constraints.cap]\nweb = 0.3\n\n[check]\nseeds = 1\n",
    );
    fixture.ok(&["optimize", "--redo"]);
    // A twentieth of the run, and a round of four sweeps over three domains.
    assert_output!(fixture.refused(&["target", "--schedule", "aioli"]), @r"
    $ regmix target --schedule aioli
    exit code: 2
    ----- stderr -----
      × ./study.toml: `aioli.rounds`: a run of 6 steps: expected at least 14, with warm_up = 1, rounds
      │ = 1 and 13 steps a round: 4 sweeps over 3 domains, and one step on the mixture
      help: train longer, or take fewer rounds or sweeps
    ");
    fixture.edit("study.toml", "steps = 6\n", "steps = 40\n");
    fixture.ok(&["optimize", "--redo"]);
    fixture.ok(&["target", "--schedule", "aioli"]);
    let run = "targets/aioli-seed1";
    assert!(!fixture.path(&format!("{run}/steps.jsonl")).exists());
    let check = fixture.text("check.json");
    let measured: Vec<serde_json::Value> = (fixture.text(&format!("{run}/metrics.jsonl")).lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let due: Vec<u64> = (2..=14).collect();
    let observations: String = (measured.iter())
        .filter(|line| due.contains(&line["step"].as_u64().unwrap()))
        .map(|line| {
            let line = serde_json::json!({"step": line["step"], "losses": line["loss"]});
            format!("{line}\n")
        })
        .collect();
    assert_eq!(observations.lines().count(), due.len());
    // A trainer elsewhere that reports the same losses gets the same mixtures.
    let online = ["online", "--method", "aioli", "--state", "run.json"];
    let answers = answered(fixture.regmix(&online), &observations);
    assert!(
        answers.iter().all(|answer| answer["ok"] == true),
        "{answers:?}"
    );
    let weight = |answer: &serde_json::Value| answer["mixture"]["web"].as_f64().unwrap();
    assert!(answers.iter().all(|answer| weight(answer) < 0.3 + 1e-9));
    assert!((weight(&answers[0]) - 0.1875).abs() < 1e-9, "{answers:?}");
    // Two steps on the first mixture, one in every stretch, and the rest.
    let stretches: f64 = answers[..12].iter().map(weight).sum();
    let mean = (2.0 * 0.3 + stretches + 26.0 * weight(&answers[12])) / 40.0;
    let arms: serde_json::Value = serde_json::from_str(&check).unwrap();
    let arms = arms["arms"].as_array().unwrap();
    let arm = arms.iter().find(|arm| arm["name"] == "aioli").unwrap();
    let found = arm["mixture"]["web"].as_f64().unwrap();
    assert!((found - mean).abs() < 1e-9, "{found} {mean}");
    // What is finished is read again, with the same mixtures.
    fixture.ok(&["target", "--schedule", "aioli"]);
    assert_eq!(fixture.text("check.json"), check);
    fixture.ok(&["report"]);
    let again = answered(fixture.regmix(&online), "{\"op\":\"health\"}\n");
    assert_eq!(again[0]["last_step"], 14);
    assert_eq!(again[0]["decision_steps"], serde_json::json!(due));
}

#[test]
fn methods_choose_mixtures_without_a_study() {
    let fixture = Fixture::empty();
    fixture.write("natural.csv", "run,web,code\nnatural,0.7,0.3\n");
    let online = |steps| {
        let method = ["online", "--method", "ado", "--prior", "natural.csv"];
        [&method[..], &["--steps", steps, "--state", "run.json"]].concat()
    };
    let lines = "{\"step\":1,\"losses\":{\"web\":3.0}}\n{\"step\":3,\"losses\":{\"web\":3.0}}\n";
    let answers = answered(fixture.regmix(&online("100")), lines);
    assert_eq!(answers[0]["mixture"]["web"], 0.7);
    assert_eq!(
        answers[1]["error"],
        "`step`: step 3: expected 2, the next one"
    );
    assert!(fixture.path("run.json").exists());
    let without_state = &online("100")[..7];
    assert!(fixture.run(without_state).stderr.contains("--state <JSON>"));
    assert_output!(fixture.refused(&online("9000")), @r"
    $ regmix online --method ado --prior natural.csv --steps 9000 --state run.json
    exit code: 2
    ----- stderr -----
      × run.json: the state of another run: its method, options, first mixture or limits differ
      help: put them back, or move the state away to start the run again
    ");
    assert_output!(fixture.refused(&online("0")), @r"
    $ regmix online --method ado --prior natural.csv --steps 0 --state run.json
    exit code: 2
    ----- stderr -----
      × `--steps`: 0 steps: expected at least 1
    ");
    let mut short = online("9");
    short[2] = "aioli";
    assert_output!(fixture.refused(&short), @r"
    $ regmix online --method aioli --prior natural.csv --steps 9 --state run.json
    exit code: 2
    ----- stderr -----
      × `--steps`: a run of 9 steps: expected at least 10, with warm_up = 1, rounds = 1 and 9 steps a
      │ round: 4 sweeps over 2 domains, and one step on the mixture
      help: train longer, or take fewer rounds or sweeps
    ");
    assert_output!(fixture.refused(&["online", "--method", "odm"]), @r"
    $ regmix online --method odm
    exit code: 2
    ----- stderr -----
      × ./study.toml: No such file or directory (os error 2)
      help: `regmix init` writes a commented study.toml; `--study DIR` names its folder
    ");
}

//! Targets whose mixture other online methods choose.

use crate::fixture::{Fixture, assert_output};

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

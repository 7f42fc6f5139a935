//! Results that do not belong to the present configuration.

use crate::fixture::Fixture;

/// A study with targets and compared methods, whose objective was changed and whose
/// mixture was searched again.
fn study_of_another_objective() -> Fixture {
    let fixture = Fixture::study_after("optimize");
    let text = fixture.text("study.toml");
    let more = "\n[compare]\nmethods = [\"regmix\"]\nseeds = 2\n\n[objective]\nloss = \"mean\"\n";
    fixture.write("study.toml", text + more);
    fixture.ok(&["target"]);
    fixture.ok(&["compare"]);
    fixture.ok(&["report"]);
    fixture.edit("study.toml", "loss = \"mean\"", "loss = \"law\"");
    fixture.ok(&["optimize", "--redo"]);
    fixture
}

#[test]
fn verdicts_on_an_earlier_mixture_are_not_shown_as_verdicts_on_the_new_one() {
    let fixture = study_of_another_objective();
    let why = "its targets were trained on an earlier mixture";
    let report = fixture.ok(&["report"]);
    report
        .says(&format!("check.json is out of date ({why})"))
        .says("run `regmix target --redo`")
        .says(&format!("compare.json is out of date ({why})"))
        .says("run `regmix compare --redo`");
    let page = fixture.text("report.html");
    assert!(page.contains(&format!("The check is left out: {why}.")));
    assert!(page.contains(&format!("The comparison is left out: {why}.")));
    assert!(page.contains("only for an earlier mixture or objective"));
    assert!(!page.contains("Targets per mixture") && !page.contains("Methods on targets"));
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"]["check"], why);
    assert_eq!(status["stale"]["compare"], why);
    assert_eq!(status["next"], "regmix target --redo");
    let shown = fixture.ok(&["status"]).stdout;
    assert!(shown.contains(&format!("out of date ({why})")), "{shown}");

    fixture.ok(&["target", "--redo"]);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["next"], "regmix compare --redo");
    fixture.ok(&["compare", "--redo"]);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"], serde_json::json!({}));
    let report = fixture.ok(&["report"]);
    assert!(!report.stderr.contains("out of date"), "{report}");
    let page = fixture.text("report.html");
    assert!(page.contains("Targets per mixture") && page.contains("Methods on targets"));
}

#[test]
fn a_verdict_by_an_earlier_objective_is_left_out() {
    let fixture = Fixture::study_after("optimize");
    fixture.ok(&["target"]);
    // The same mixture, judged by something else.
    let mixture = fixture.text("check.json");
    let changed = mixture.replacen(
        "\"objective\": \"mean\"",
        "\"objective\": { \"target\": \"law\" }",
        1,
    );
    assert_ne!(mixture, changed);
    fixture.write("check.json", changed);
    let why = "its targets were judged by an earlier objective, law";
    fixture.ok(&["report"]).says(why);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"]["check"], why);
    fixture.ok(&["target"]);
    assert_eq!(fixture.text("check.json"), mixture);
}

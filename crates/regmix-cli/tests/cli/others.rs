//! Targets on mixtures, schedules and controllers from elsewhere.

use crate::fixture::Fixture;

#[test]
fn targets_are_trained_on_mixtures_of_ones_own() {
    let fixture = Fixture::study_after("optimize");
    fixture.edit("study.toml", "seeds = 2", "seeds = 1");
    fixture.write(
        "mine.csv",
        "run,code,law,web\nfirst,1,0,0\nmine,0.5,0.25,0.25\n",
    );
    let add = "[check.others]\nmine = \"mine.csv\"\nfound_again = \"mixture.json\"\n";
    let text = fixture.text("study.toml");
    fixture.write("study.toml", format!("{text}\n{add}"));
    let check = fixture.ok(&["target", "--format", "json"]).json();
    let arms = check["arms"].as_array().unwrap();
    let names: Vec<&str> = arms.iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["found", "natural", "uniform", "found_again", "mine"]
    );
    assert_eq!(arms[0]["mean"], arms[3]["mean"], "one mixture, one loss");
    assert_ne!(arms[0]["mean"], arms[4]["mean"]);
    assert!(fixture.text("targets/mine-seed1/run.toml").contains("0.25"));
    fixture.ok(&["report"]);
    assert!(fixture.text("report.html").contains("found_again"));
    assert!(fixture.ok(&["status"]).stdout.contains("5 of 5"));

    // Files that say nothing of use are refused before anything is trained.
    let bad = |file: &str, contents: &str| {
        fixture.write(file, contents);
        fixture.write(
            "study.toml",
            format!("{text}\n[check.others]\nbad = \"{file}\"\n"),
        );
        fixture.refused(&["target"])
    };
    bad("two.csv", "run,code,law,web\na,1,0,0\nb,0,1,0\n")
        .says("two.csv: 2 mixtures, none of them called `bad`");
    bad("wiki.csv", "run,code,law,wiki\nbad,0.5,0.25,0.25\n")
        .says("wiki.csv: unknown domain `wiki`");
    bad("note.json", "{\"text\": 1}").says("neither a mixture, a schedule nor a controller");
    bad("note.json", "{\n\"text\": ").says("note.json:2: not JSON");
    bad("schedule.json", "{\"segments\": 3}").says("schedule.json");
    fixture.write(
        "study.toml",
        format!("{text}\n[check.others]\nfound = \"mine.csv\"\n"),
    );
    fixture
        .refused(&["target"])
        .says("`check.others.found`")
        .says("none of found");
}

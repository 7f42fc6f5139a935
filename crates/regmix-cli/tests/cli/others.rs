//! Targets on mixtures, schedules and controllers from elsewhere.

use crate::fixture::{Fixture, assert_output};

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
    assert_output!(fixture.ok(&["status"]), @r#"
    $ regmix status
    exit code: 0
    ----- stdout -----
    study tiny in .
      corpus    3 domains, 10503 training tokens
      proxies   10 of 10 finished
      fit       done
      mixture   done
      schedule  not yet
      targets   5 of 5 finished
      report    done
    "#);

    // Files that say nothing of use are refused before anything is trained.
    let bad = |file: &str, contents: &str| {
        fixture.write(file, contents);
        fixture.write(
            "study.toml",
            format!("{text}\n[check.others]\nbad = \"{file}\"\n"),
        );
        fixture.refused(&["target"])
    };
    assert_output!(bad("two.csv", "run,code,law,web\na,1,0,0\nb,0,1,0\n"), @r#"
    $ regmix target
    exit code: 2
    ----- stderr -----
      × ./two.csv: 2 mixtures, none of them called `bad`: expected one row, or one of that name
    "#);
    assert_output!(bad("wiki.csv", "run,code,law,wiki\nbad,0.5,0.25,0.25\n"), @r#"
    $ regmix target
    exit code: 2
    ----- stderr -----
      × ./wiki.csv: unknown domain `wiki`: expected one of code, law, web
    "#);
    assert_output!(bad("note.json", "{\"text\": 1}"), @r"
    $ regmix target
    exit code: 2
    ----- stderr -----
      × ./note.json: unknown domain `text`: expected one of code, law, web
    ");
    assert_output!(bad("note.json", "{\n\"text\": "), @r#"
    $ regmix target
    exit code: 2
    ----- stderr -----
      × ./note.json:2: not JSON: EOF while parsing a value at line 2 column 8
       ╭─[./note.json:2:1]
     1 │ {
     2 │ "text": 
       · ───┬───
       ·    ╰── here
       ╰────
    "#);
    assert_output!(bad("schedule.json", "{\"segments\": 3}"), @r#"
    $ regmix target
    exit code: 2
    ----- stderr -----
      × ./schedule.json:1: not the expected JSON: missing field `version` at line 1 column 15
       ╭─[./schedule.json:1:1]
     1 │ {"segments": 3}
       · ───────┬───────
       ·        ╰── here
       ╰────
      help: make the schedule again, with `--redo`
    "#);
    fixture.write(
        "study.toml",
        format!("{text}\n[check.others]\nfound = \"mine.csv\"\n"),
    );
    assert_output!(fixture.refused(&["target"]), @r#"
    $ regmix target
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: `check.others.found`: `found`: expected letters, digits, _ and -, and none of
      │ found, natural, uniform, best_observed, offline, online, odm, ado, aioli
        ╭─[./study.toml:49:1]
     48 │ [check.others]
     49 │ found = "mine.csv"
        · ─────────┬────────
        ·          ╰── here
        ╰────
    "#);
}

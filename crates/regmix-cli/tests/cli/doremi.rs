//! `regmix doremi`: a mixture from a reference model and a proxy.

use crate::fixture::{Fixture, assert_output};

#[test]
fn a_mixture_is_found_kept_and_checked() {
    let fixture = Fixture::study_after("optimize");
    fixture.edit("study.toml", "seeds = 2", "seeds = 1");
    let text = fixture.text("study.toml");
    let add =
        "[check.others]\ndoremi = \"doremi/mixture.csv\"\n\n[doremi]\nrounds = 2\nbatch_size = 4\n";
    fixture.write("study.toml", format!("{text}\n{add}"));
    let found = fixture.ok(&["doremi", "--format", "json"]).json();
    let rounds = found["rounds"].as_array().unwrap();
    assert!(rounds.len() == 2, "{found}");
    assert_eq!(rounds[1]["reference"], rounds[0]["mixture"]);
    assert_eq!(found["mixture"], rounds[1]["mixture"]);
    // Two rounds of a reference and a proxy: 4 steps of 4 sequences of 16 tokens each.
    assert_eq!(found["tokens"], 4 * 4 * 4 * 16);
    let files = fixture.files("doremi");
    let again = fixture.ok(&["doremi", "--format", "json"]).json();
    assert_eq!(again, found);
    assert_eq!(fixture.files("doremi"), files, "nothing is trained again");

    // A run that fails is named with what to do.
    fixture.fail("doremi/proxy-2", "diverged at step 3: loss NaN");
    let status = fixture.ok(&["status"]).stdout;
    assert!(
        status.contains(
            "failed:\n  doremi/proxy-2: diverged at step 3: loss NaN\n  help: `regmix retry \
             proxy-2`, then `regmix doremi`\n"
        ),
        "{status}"
    );
    let status = fixture.ok(&["status", "--format", "json"]).json();
    let runs = status["runs"].as_array().unwrap().iter();
    let own: Vec<[&str; 2]> = runs
        .filter(|run| run["section"] == "doremi")
        .map(|run| ["run", "state"].map(|key| run[key].as_str().unwrap()))
        .collect();
    let expected = [
        ["proxy-1", "done"],
        ["proxy-2", "failed"],
        ["reference-1", "done"],
        ["reference-2", "done"],
    ];
    assert_eq!(own, expected);
    fixture
        .ok(&["retry", "--failed"])
        .says("next: regmix doremi");
    let again = fixture.ok(&["doremi", "--format", "json"]).json();
    assert_eq!(again, found);
    let listed = fixture.ok(&["status", "--runs"]).stdout;
    assert!(!listed.contains("old-1"), "{listed}");
    let leftovers = fixture.ok(&["clean"]).stdout;
    assert!(leftovers.contains("\ndoremi/proxy-2.old-1 "), "{leftovers}");

    let check = fixture.ok(&["target", "--format", "json"]).json();
    let arms = check["arms"].as_array().unwrap();
    assert!(arms.iter().any(|arm| arm["name"] == "doremi"), "{check}");

    // Another step size gives another proxy; the reference stays.
    fixture.edit("study.toml", "rounds = 2", "rounds = 1\nstep_size = 0.1");
    let stale = fixture.refused(&["doremi"]);
    assert!(stale.stderr.contains("weighed_by"), "{stale}");
    let changed = fixture.ok(&["doremi", "--redo", "--format", "json"]).json();
    assert_eq!(changed["rounds"][0]["reference"], rounds[0]["reference"]);
    assert_ne!(changed["mixture"], rounds[0]["mixture"]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let fixture = Fixture::study();
    let with = |line: &str| {
        let text = crate::fixture::STUDY;
        fixture.write("study.toml", format!("{text}\n[doremi]\n{line}\n"));
        fixture.refused(&["doremi"])
    };
    assert_output!(with("step_size = 0"), @r#"
    $ regmix doremi
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: `doremi.step_size`: 0, expected a number above 0
        ╭─[./study.toml:49:1]
     48 │ [doremi]
     49 │ step_size = 0
        · ──────┬──────
        ·       ╰── here
        ╰────
    "#);
    assert_output!(with("reference = \"web\""), @r#"
    $ regmix doremi
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: unknown mixture `web`: expected one of natural, uniform, temperature:POWER,
      │ unimax, utilimax, shannon_entropy, joint_entropy, conditional_entropy, von_neumann_entropy,
      │ pile:human, pile:doremi, pile:regmix
        ╭─[./study.toml:49:13]
     48 │ [doremi]
     49 │ reference = "web"
        ·             ──┬──
        ·               ╰── here
        ╰────
    "#);
    assert_output!(with("rounds = 0"), @r#"
    $ regmix doremi
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: `doremi.rounds`: 0, expected 1 to 20
        ╭─[./study.toml:49:1]
     48 │ [doremi]
     49 │ rounds = 0
        · ─────┬────
        ·      ╰── here
        ╰────
    "#);
}

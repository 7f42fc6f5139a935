//! `regmix design --pool`: which of given mixtures to run.

use crate::fixture::Fixture;

const POOL: &str = "run,web,code,law\n\
                    a,0.9,0.05,0.05\n\
                    b,0.88,0.06,0.06\n\
                    c,0.05,0.9,0.05\n\
                    d,0.05,0.05,0.9\n\
                    e,0.3,0.4,0.3\n";

fn with_pool() -> Fixture {
    let fixture = Fixture::empty();
    fixture.write("all.csv", POOL);
    fixture
}

#[test]
fn runs_are_chosen_from_a_pool_and_keep_their_names() {
    let fixture = with_pool();
    let choose = ["design", "--pool", "all.csv", "--runs", "3", "--out"];
    fixture.ok(&[&choose[..], &["first.csv"]].concat());
    let text = fixture.text("first.csv");
    let mut names: Vec<&str> = text.lines().map(|l| &l[..1]).skip(1).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "c", "d"], "{text}");
    assert!(text.contains("\nc,0.05,0.9,0.05\n"), "{text}");

    // Those that were run are not chosen again, and what is near them is last.
    let more = ["--have", "first.csv"];
    let more = fixture.ok(&[&choose[..4], &["1", "--out", "more.csv"], &more].concat());
    assert_eq!(
        fixture.text("more.csv").lines().nth(1),
        Some("e,0.3,0.4,0.3")
    );
    assert!(more.stdout.contains("nearest run"), "{}", more.stdout);
    let json = fixture
        .ok(&[&choose[..], &["first.csv", "--redo", "--format", "json"]].concat())
        .json();
    assert_eq!(json.as_array().unwrap().len(), 3);
    assert!(json[0]["distance"].is_null() && json[1]["distance"].as_f64().unwrap() > 0.8);
}

#[test]
fn what_a_pool_cannot_give_is_refused() {
    let fixture = with_pool();
    let refused =
        |args: &[&str]| fixture.refused(&[&["design", "--pool", "all.csv"], args].concat());
    refused(&["--runs", "6", "--out", "x.csv"]).says(
        "5 of 5 candidates differ from each other and from the 0 runs that are there: expected at \
         least the 6 that are wanted",
    );
    refused(&["--runs", "0", "--out", "x.csv"]).says("0 runs: expected at least 1");
    fixture.write("have.csv", "run,web,code,law\ne,0.2,0.5,0.3\n");
    refused(&["--runs", "2", "--have", "have.csv", "--out", "x.csv"]).says(
        "`e` has another mixture than the run of that name, which differs in 10.0% of the tokens: \
         expected a name for each",
    );
    refused(&["--runs", "2", "--out", "all.csv"]).says("all.csv");
}

#[test]
fn a_pool_adds_to_the_design_of_a_study() {
    let fixture = Fixture::study_after("design");
    fixture.write("all.csv", POOL);
    let before = fixture.text("design/mixtures.csv");
    let added = fixture.ok(&["design", "--pool", "all.csv", "--runs", "2"]);
    added.says("next: regmix train");
    let after = fixture.text("design/mixtures.csv");
    assert!(after.starts_with(&before));
    let names: Vec<&str> = (after[before.len()..].lines())
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(
        names.iter().all(|n| ["a", "b", "c", "d", "e"].contains(n)),
        "{names:?}"
    );
    // What is in the design is not chosen again.
    fixture.ok(&["design", "--pool", "all.csv", "--runs", "3"]);
    fixture
        .refused(&["design", "--pool", "all.csv", "--runs", "1"])
        .says("0 of 0 candidates differ");
    fixture
        .refused(&["design", "--pool", "all.csv", "--runs", "1", "--redo"])
        .says("`--pool` adds to the design, `--redo` draws it again: expected one of them");
}

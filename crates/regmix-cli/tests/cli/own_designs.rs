//! Mixtures that the user wrote: names of runs, layouts, and what is kept.

use crate::fixture::Fixture;

const HEADER: &str = "code;notes;run;web;law\n";

/// Ten runs in columns of another order, with another separator and a column of notes.
fn own_layout() -> String {
    let row = |i: usize| {
        let (code, web) = (5 + i * 4, 10 + (i * i) % 40);
        format!(
            "0.{code:02};{};mine {i};0.{web:02};{:.2}\n",
            ["first", "again"][i % 2],
            1.0 - (code + web) as f64 / 100.0
        )
    };
    (0..10).fold(HEADER.to_owned(), |text, i| text + &row(i))
}

/// A tokenized study with a design that the user wrote.
fn with_design(text: &str) -> Fixture {
    let fixture = Fixture::study();
    fixture.ok(&["tokenize"]);
    fixture.write("design/mixtures.csv", text);
    fixture
}

#[test]
fn no_run_is_trained_or_set_aside_in_a_folder_outside_of_the_study() {
    for name in ["../victim", "../../victim", "..", "lock", "a/b", "x.old-1"] {
        let text = format!("run,code,law,web\nfirst,0.2,0.3,0.5\n{name},0.5,0.3,0.2\n");
        let fixture = with_design(&text);
        fixture.write("victim/thesis.txt", "mine");
        for command in [
            &["design"][..],
            &["train"],
            &["train", "--redo"],
            &["fit"],
            &["status"],
            &["retry", "--failed"],
        ] {
            let output = fixture.run(command);
            output.is_one_error();
            output.says(&format!(
                "./design/mixtures.csv: the run `{name}` cannot be the name of a folder"
            ));
        }
        assert!(!fixture.path("runs").exists(), "{name}");
        assert_eq!(fixture.files("victim").len(), 1, "{name}");
    }
}

#[test]
fn no_run_of_a_pool_leaves_the_study() {
    let fixture = Fixture::study_after("design");
    fixture.write("pool.csv", "run,code,law,web\n../../victim,0.9,0.05,0.05\n");
    fixture
        .refused(&["design", "--pool", "pool.csv", "--runs", "1"])
        .says("pool.csv: the run `../../victim` cannot be the name of a folder");
}

#[test]
fn clean_keeps_runs_of_the_design_whatever_their_name() {
    let fixture = with_design("run,code,law,web\nx.old-1,0.2,0.3,0.5\ny,0.5,0.3,0.2\n");
    fixture.write("runs/x.old-1/DONE", "finished");
    fixture.write("runs/y.old-1/DONE", "finished");
    let listed = fixture.ok(&["clean", "--yes"]);
    assert!(listed.stdout.contains("runs/y.old-1"), "{listed}");
    assert!(!listed.stdout.contains("x.old-1"), "{listed}");
    assert!(fixture.path("runs/x.old-1/DONE").exists());
    assert!(!fixture.path("runs/y.old-1").exists());
}

#[test]
fn a_design_that_the_user_wrote_is_kept_when_another_is_drawn() {
    let fixture = with_design(&own_layout());
    let segments = "run,from,code,law,web\nmine 0,0.5,0.2,0.3,0.5\n";
    fixture.write("design/segments.csv", segments);
    fixture.write("runs/mine 0/notes.txt", "of the first design");
    let drawn = fixture.ok(&["design", "--redo"]);
    drawn.says("./design/mixtures.csv, which you wrote, is kept as ./design/mixtures.csv.old-1");
    assert_eq!(fixture.text("design/mixtures.csv.old-1"), own_layout());
    assert_eq!(fixture.text("design/segments.csv.old-1"), segments);
    assert!(fixture.text("design/mixtures.csv").contains("run-0009"));
    assert!(!fixture.path("design/segments.csv").exists());
    // What regmix drew is not kept.
    fixture.edit("study.toml", "runs = 10", "runs = 12");
    fixture.ok(&["design", "--redo"]);
    assert!(!fixture.path("design/mixtures.csv.old-2").exists());
}

#[test]
fn rows_are_added_in_the_layout_of_the_users_own_design() {
    let fixture = with_design(&own_layout());
    fixture.write("pool.csv", "run,web,code,law\nb,0.25,0.7,0.05\n");
    fixture.ok(&["design", "--pool", "pool.csv", "--runs", "1"]);
    let expected = own_layout() + "0.7;;b;0.25;0.05\n";
    assert_eq!(fixture.text("design/mixtures.csv"), expected);
    fixture.ok(&["design"]);
    fixture.ok(&["train"]);
    fixture.ok(&["fit"]);
    fixture.ok(&["design", "--next", "1"]);
    let text = fixture.text("design/mixtures.csv");
    let added = text.strip_prefix(&expected).unwrap();
    let fields: Vec<&str> = added.trim_end().split(';').collect();
    assert_eq!((fields.len(), fields[1], fields[2]), (5, "", "run-0011"));
    let weights = [0, 3, 4].map(|place| fields[place].parse::<f64>().unwrap());
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{added}");
    let drawn = fixture.ok(&["design"]);
    assert!(drawn.stdout.contains("12 mixtures"), "{drawn}");
}

//! Mixtures that the user wrote: names of runs, layouts, and what is kept.

use crate::fixture::Fixture;

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

//! Fits of tables and searches in them, without a study.

use crate::fixture::{FIT, Fixture};
use crate::table_report::{LINEAR, OPTIMIZE, losses};

/// The rows of a table in another order.
fn shuffle(fixture: &Fixture, name: &str, step: usize) {
    let text = fixture.text(name);
    let (header, rows) = text.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    let order = (0..rows.len()).map(|i| rows[i * step % rows.len()]);
    let shuffled: Vec<&str> = std::iter::once(header).chain(order).collect();
    fixture.write(name, shuffled.join("\n") + "\n");
}

#[test]
fn the_order_of_the_rows_decides_nothing() {
    let fixture = Fixture::empty();
    losses(&fixture);
    let regressors = ["--regressors", "linear,law1,gp,stacked"];
    let fit = [&FIT[..], &regressors, &["--redo", "--format", "json"]].concat();
    let optimize = [&OPTIMIZE[..], &["--redo", "--format", "json"]].concat();
    let results = || {
        fixture.ok(&fit);
        let found = fixture.ok(&optimize).stdout;
        let tables = ["fit.json", "predictions.csv", "mixtures.csv", "values.csv"];
        let tables = tables.map(|name| fixture.text(&format!("fit/{name}")));
        (tables, found)
    };
    let first = results();
    shuffle(&fixture, "m.csv", 7);
    shuffle(&fixture, "l.csv", 5);
    assert_eq!(results(), first);
}

#[test]
fn a_search_says_when_its_baseline_is_not_the_natural_mixture() {
    let fixture = Fixture::empty();
    losses(&fixture);
    fixture.write("natural.csv", "run,web,code,books\nnatural,0.6,0.3,0.1\n");
    fixture.ok(&[&FIT[..], &LINEAR].concat());
    let search = |more: &[&str]| fixture.ok(&[&OPTIMIZE[..], &["--redo"], more].concat());
    let unknown = "warning: the natural mixture is not known, so that losses are compared with \
                   those of the uniform mixture: give the natural one with `--prior`, or set \
                   relative_to = \"uniform\" in an objective file";
    search(&["--objective", "worst"]).says(unknown);
    let known = search(&["--objective", "worst", "--prior", "natural.csv"]);
    fixture.write("goal.toml", "loss = \"worst\"\nrelative_to = \"uniform\"\n");
    let uniform = search(&["--objective", "goal.toml"]);
    for silent in [known, uniform, search(&["--objective", "mean"])] {
        assert!(!silent.stderr.contains("is not known"), "{}", silent.stderr);
    }
}

#[test]
fn the_order_of_the_rows_decides_nothing_along_training() {
    let fixture = Fixture::empty();
    losses(&fixture);
    let mut rows = "run,step,tokens,web,code\n".to_owned();
    for line in fixture.text("l.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let ends = [1, 2].map(|place| fields[place].parse::<f64>().unwrap());
        for step in 1..=8 {
            let [web, code] = ends.map(|end| end + 1.0 / f64::from(step).sqrt());
            let tokens = 1_000_000 * step;
            rows += &format!("{},{step},{tokens},{web},{code}\n", fields[0]);
        }
    }
    fixture.write("t.csv", rows);
    let tables = ["--mixtures", "m.csv", "--trajectories", "t.csv", "--redo"];
    let fit = [&["fit", "--out", "scale"], &tables[..]].concat();
    let to = [
        "schedule", "--steps", "400", "--tokens", "4e8", "--out", "plan",
    ];
    let schedule = [&to[..], &tables[..], &["--format", "json"]].concat();
    let results = || {
        fixture.ok(&fit);
        let planned = fixture.ok(&schedule).json();
        (
            fixture.text("scale/scale.json"),
            planned["segments"].clone(),
        )
    };
    let first = results();
    assert!(first.1.is_array(), "{}", first.1);
    shuffle(&fixture, "m.csv", 7);
    shuffle(&fixture, "t.csv", 5);
    assert_eq!(results(), first);
}

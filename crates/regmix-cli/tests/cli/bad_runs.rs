//! Runs that hold less information than it seems: the command fits what can be
//! fitted, and warns about the rest.

use std::fmt::Write;

use crate::fixture::{FIT, Fixture, assert_output, transcript};

/// Twenty mixtures of `a`, `b`, `c`, `d`, none of them odd.
fn mixture(i: usize) -> [f64; 4] {
    let raw = [7, 11, 13, 17].map(|step| 1.0 + ((i * step) % 23) as f64);
    raw.map(|w| w / raw.iter().sum::<f64>())
}

/// Writes `m.csv` and `l.csv`, with the losses of `x` and `y` as text.
fn write(fixture: &Fixture, runs: usize, of: impl Fn(usize) -> ([f64; 4], [String; 2])) {
    let (mut mixtures, mut losses) = ("run,a,b,c,d\n".to_owned(), "run,x,y\n".to_owned());
    for i in 0..runs {
        let (w, [x, y]) = of(i);
        let _ = writeln!(mixtures, "r{i},{},{},{},{}", w[0], w[1], w[2], w[3]);
        let _ = writeln!(losses, "r{i},{x},{y}");
    }
    fixture.write("m.csv", mixtures);
    fixture.write("l.csv", losses);
}

fn losses(w: &[f64; 4]) -> [String; 2] {
    [w[0], w[1]].map(|w| format!("{:.6}", 3.0 - w))
}

/// Fits again, with more arguments.
fn refit<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&FIT[..], &["--redo"], more].concat()
}

/// Fits, and gives the lines below the league, whose figures differ a little
/// between processors.
#[track_caller]
fn notes_of_fit(fixture: &Fixture) -> String {
    let output = fixture.ok(&refit(&["--regressors", "linear,law1"]));
    let notes = |line: &&str| line.starts_with("left out:") || line.starts_with("warning:");
    let notes: Vec<&str> = output.stdout.lines().filter(notes).collect();
    notes.join("\n")
}

#[test]
fn odd_targets_and_missing_losses_are_named() {
    let fixture = Fixture::empty();
    write(&fixture, 20, |i| {
        let w = mixture(i);
        let [x, _] = losses(&w);
        let x = if i == 3 { "nan".to_owned() } else { x };
        let x = if i == 5 { "inf".to_owned() } else { x };
        let y = if i == 3 { "" } else { "2.5" };
        (w, [x, y.to_owned()])
    });
    assert_output!(notes_of_fit(&fixture), @r#"
    left out: run r3 for all targets: no measurement
    left out: run r5 for x: the value is inf, expected a finite number
    warning: `y` is 2.5 in every run: its model is a constant
    "#);
    write(&fixture, 20, |i| {
        let w = mixture(i);
        let [x, y] = losses(&w);
        (w, [if i > 6 { "nan".to_owned() } else { x }, y])
    });
    assert_output!(notes_of_fit(&fixture), @r#"
    warning: `x` is left out: 7 measured runs, expected at least 8
    "#);
    write(&fixture, 20, |i| {
        let value = if i > 6 {
            "-".to_owned()
        } else {
            format!("2.{i}")
        };
        (mixture(i), [value.clone(), value])
    });
    assert_output!(fixture.refused(&refit(&[])), @r#"
    $ regmix fit --mixtures m.csv --losses l.csv --out fit --redo
    exit code: 2
    ----- stderr -----
    fitting 20 runs, 2 targets
      × `x`: 7 measured runs, expected at least 8
      help: train more proxies, or leave the target out
    "#);
    write(&fixture, 20, |i| {
        (mixture(i), ["-0.5", "0.25"].map(|v| format!("{v}{i}")))
    });
    assert_output!(notes_of_fit(&fixture), @r#"
    warning: `x`: no regressor predicts much better than the mean; a mixture chosen for it is a guess
    warning: `y`: no regressor predicts much better than the mean; a mixture chosen for it is a guess
    warning: `law1` does not fit `x`: value -0.5: the power law describes losses, expected positive values
    "#);
}

#[test]
fn odd_mixtures_are_named() {
    let fixture = Fixture::empty();
    write(&fixture, 20, |i| {
        let w = mixture(i);
        // The third is half of the second in every run, the fourth never used.
        let w = [w[0], w[1], 0.5 * w[1], 0.0].map(|x| x / (w[0] + 1.5 * w[1]));
        (w, losses(&w))
    });
    assert_output!(notes_of_fit(&fixture), @r#"
    warning: domain `d` has no weight in any run: what it does is not known, and a mixture that uses it is a guess
    warning: domains `b` and `c` keep the same ratio in every run: their effects cannot be separated
    "#);
    // Ten mixtures, each run twice, 0.02 apart.
    write(&fixture, 20, |i| {
        let w = mixture(i / 2);
        let apart = 0.02 * (i % 2) as f64;
        (
            w,
            [3.0 - w[0] + apart, 3.0 - w[1]].map(|l| format!("{l:.6}")),
        )
    });
    assert_output!(notes_of_fit(&fixture), @r"
    warning: `x`: runs of the same mixture differ by 0.0141 (standard deviation); no prediction can be better than that
    warning: `y`: runs of the same mixture differ by 0.0000 (standard deviation); no prediction can be better than that
    warning: losses that are not what the other runs predict for the mixture, with the distance in standard deviations that a quarter of the targets exceeds: `r10` (5.7), `r11` (5.7); check these mixtures and runs
    ");
    write(&fixture, 20, |i| {
        (
            [0.25; 4],
            [i, 2 * i].map(|l| format!("{}", 2.0 + 0.01 * l as f64)),
        )
    });
    let notes = notes_of_fit(&fixture);
    assert!(!notes.contains("ratio"), "{notes}");
    assert_output!(notes, @r#"
    warning: `x`: runs of the same mixture differ by 0.0592 (standard deviation); no prediction can be better than that
    warning: `y`: runs of the same mixture differ by 0.1183 (standard deviation); no prediction can be better than that
    warning: `x`: every run has the same mixture, so nothing can be learnt from them
    warning: `y`: every run has the same mixture, so nothing can be learnt from them
    "#);
}

#[test]
fn fewer_runs_than_parameters_are_named() {
    let fixture = Fixture::empty();
    let names: Vec<String> = (0..12).map(|d| format!("d{d}")).collect();
    let mut mixtures = format!("run,{}\n", names.join(","));
    let mut losses = "run,d0\n".to_owned();
    for i in 0..9 {
        let raw: Vec<f64> = (0..12)
            .map(|d| 1.0 + ((i * (2 * d + 3) + d) % 13) as f64)
            .collect();
        let sum: f64 = raw.iter().sum();
        let row: Vec<String> = raw.iter().map(|w| (w / sum).to_string()).collect();
        let _ = writeln!(mixtures, "r{i},{}", row.join(","));
        let _ = writeln!(losses, "r{i},{}", 2.0 + (0.05 + raw[0] / sum).powf(-0.3));
    }
    fixture.write("m.csv", mixtures);
    fixture.write("l.csv", losses);
    assert_output!(notes_of_fit(&fixture), @r#"
    warning: 9 runs for 12 domains: fewer runs than a linear model has parameters; what is fitted rests on assumptions
    "#);
}

#[test]
fn limits_that_clash_and_penalties_out_of_range_are_named() {
    let fixture = Fixture::empty();
    write(&fixture, 20, |i| (mixture(i), losses(&mixture(i))));
    fixture.ok(&refit(&["--regressors", "linear,law1"]));
    let args = [
        "optimize",
        "--fit",
        "fit",
        "--objective",
        "goal.toml",
        "--out",
        "m.json",
    ];
    let refused = |goal| {
        fixture.write("goal.toml", goal);
        fixture.refused(&args)
    };
    let outputs = [
        "[constraints.floor]\na = 0.6\nb = 0.5\n",
        "[constraints.cap]\na = 0.2\nb = 0.2\nc = 0.2\nd = 0.2\n",
        "[constraints.floor]\na = 0.6\n[constraints.cap]\na = 0.2\n",
        "[constraints.cap]\na = 0.1\nb = 0.1\n\
         [constraints.group.text]\ndomains = ['a', 'b']\nfloor = 0.5\n",
        "[constraints]\ntarget_tokens = 1e12\n\
         [available]\na = 1e9\nb = 1e9\nc = 1e9\nd = 1e9\n",
        "caution = -1.0\n",
        "distance = -1.0\n",
    ]
    .map(refused);
    assert_output!(transcript(outputs), @r#"
    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml: `constraints.floor.b`: floors sum to 1.1, expected at most 1: `a` 0.6, `b` 0.5
      help: lower some of them

    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml: `constraints.cap.d`: caps sum to 0.8, expected at least 1: `a` 0.2, `b` 0.2, `c`
      │ 0.2, `d` 0.2
      help: raise some of them: allow more epochs, fewer target tokens, or add data

    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml: `constraints.floor.a`: floor 0.6 of `a` is above its cap 0.2: no mixture can keep
      │ to both
      help: lower the floor, raise the cap, or allow more epochs

    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml: `constraints.group.text`: group `text` needs at least 0.5 but the caps of its
      │ domains sum to 0.2: `a` 0.1, `b` 0.1
      help: lower the group's floor, raise some of the caps, allow more epochs, or add data

    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml: caps sum to 0.016, expected at least 1: `a` 0.004, `b` 0.004, `c` 0.004, `d` 0.004
      help: raise some of them: allow more epochs, fewer target tokens, or add data

    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml: `caution`: -1, expected a finite number that is not negative

    $ regmix optimize --fit fit --objective goal.toml --out m.json
    exit code: 2
    ----- stderr -----
      × goal.toml: `distance`: -1, expected a finite number that is not negative
    "#);
    fixture.write("goal.toml", "loss = 'x'\ndistance = 5.0\ncaution = 0.5\n");
    let shown = fixture.ok(&args).stdout;
    let line =
        "searched with 0.5 standard deviations and 5 per unit of distance beyond the proxies";
    assert!(shown.contains(line), "{shown}");
}

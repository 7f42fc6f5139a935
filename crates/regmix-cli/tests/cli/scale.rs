//! Laws of scale from tables, and the critical mixture ratio.

use std::fmt::Write;

use crate::fixture::{Fixture, Output};
use crate::published::shared;

const FIT: [&str; 9] = [
    "fit",
    "--mixtures",
    "m.csv",
    "--trajectories",
    "t.csv",
    "--sizes",
    "s.csv",
    "--out",
    "f",
];

/// Runs of three sizes on nine mixtures of two domains, under a known law.
fn tables(fixture: &Fixture) {
    let (mut m, mut t, mut s) = (
        "run,web,code\n".to_owned(),
        "run,step,tokens,web,code\n".to_owned(),
        "run,parameters\n".to_owned(),
    );
    for size in [5e7, 1e8, 2e8] {
        for i in 0..9 {
            let w = (f64::from(i) + 0.5) / 9.0;
            let run = format!("{}m-{i}", size / 1e6);
            writeln!(m, "{run},{w},{}", 1.0 - w).unwrap();
            writeln!(s, "{run},{size}").unwrap();
            for k in 1..=5_u32 {
                let tokens = 2e9 * f64::from(k);
                let loss = |own: f64| {
                    let scale = 0.5 * f64::powf(size / 1e8, -0.3)
                        + 0.6 * f64::powf(tokens / 1e10, -0.35)
                        + 0.7;
                    1.2 + (own.sqrt() + 0.3 * (1.0 - own).sqrt()).powf(-0.3) * scale
                };
                writeln!(t, "{run},{k},{tokens},{},{}", loss(w), loss(1.0 - w)).unwrap();
            }
        }
    }
    fixture.write("m.csv", m);
    fixture.write("t.csv", t);
    fixture.write("s.csv", s);
}

#[test]
fn laws_of_scale_predict_and_search_at_the_size_that_counts() {
    let fixture = Fixture::empty();
    tables(&fixture);
    let fitted = fixture
        .ok(&[&FIT[..], &["--format", "json"]].concat())
        .json();
    assert!(fitted["trust"].as_array().unwrap().len() >= 3, "{fitted}");
    fixture.write("c.csv", "run,web,code\nx,0.5,0.5\ny,0.9,0.1\n");
    let at = ["--parameters", "4e8", "--tokens", "2e10"];
    let predict = [
        "predict",
        "--fit",
        "f",
        "--mixtures",
        "c.csv",
        "--out",
        "p.csv",
    ];
    fixture.ok(&[&predict[..], &at].concat());
    let text = fixture.text("p.csv");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("run,web,web_sd,code,code_sd"));
    let row = lines.next().unwrap();
    let x: Vec<f64> = row.split(',').skip(1).map(|n| n.parse().unwrap()).collect();
    let scale = 0.5 * f64::powf(4.0, -0.3) + 0.6 * f64::powf(2.0, -0.35) + 0.7;
    let truth = 1.2 + (1.3 * 0.5f64.sqrt()).powf(-0.3) * scale;
    assert!((x[0] / truth - 1.0).abs() < 0.005, "{x:?} {truth}");
    assert!(x[1] > 0.0 && x[1] < 0.1, "{x:?}");

    let optimize = [
        "optimize",
        "--fit",
        "f",
        "--out",
        "best.json",
        "--format",
        "json",
    ];
    let best = fixture.ok(&[&optimize[..], &at].concat()).json();
    let web = best["mixture"]["web"].as_f64().unwrap();
    assert!((web - 0.5).abs() < 0.1, "{best}");

    let scale = fixture.ok(&["scale", "--fit", "f"]);
    let verdict = "Small models rank these mixtures as large ones do: from 5.000e7 to 2.000e8";
    assert!(scale.stdout.contains(verdict), "{}", scale.stdout);
}

#[test]
fn a_page_shows_laws_of_scale_and_what_was_found_with_them() {
    let fixture = Fixture::empty();
    tables(&fixture);
    fixture.ok(&FIT);
    fixture.ok(&["report", "--fit", "f"]);
    let page = fixture.text("f/report.html");
    for part in [
        "27 runs on mixtures of 2 domains.",
        "Small models rank these mixtures as large ones do",
        "How well laws predict",
        "Ranks of mixtures from one size to another",
        "regmix optimize --fit f --parameters 1.2e9 --tokens 46e9 --out at-size.json",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("How the best mixture moves with size"));

    let at = ["--parameters", "4e8", "--tokens", "2e10"];
    fixture.write("n.csv", "run,web,code\nn,0.8,0.2\n");
    let optimize = [
        "optimize",
        "--fit",
        "f",
        "--prior",
        "n.csv",
        "--out",
        "best.json",
    ];
    fixture.ok(&[&optimize[..], &at].concat());
    let report = ["report", "--fit", "f", "--mixture", "best.json", "--redo"];
    fixture.ok(&report);
    let page = fixture.text("f/report.html");
    for part in [
        "a model of 400M parameters after 20B tokens of this mixture is expected",
        "The natural mixture there",
        "How the best mixture moves with size",
        "Expected losses of the target",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("nats"), "no unit was given");

    fixture.ok(&[&FIT[..], &["--unit", "bits per byte", "--redo"]].concat());
    let found = fixture.ok(&[&optimize[..], &at, &["--redo"]].concat());
    let expected = found.stdout.lines().find(|l| l.starts_with("Expected at"));
    let expected = expected.unwrap();
    assert!(
        expected.contains(" bits per byte (90% interval "),
        "{expected}"
    );
    fixture.ok(&report);
    let page = fixture.text("f/report.html");
    for part in [
        "Mean and 90% interval, bits per byte.",
        " bits per byte (90% interval ",
        "Unit</th><td>bits per byte</td>",
    ] {
        assert!(page.contains(part), "{part}");
    }

    // Laws of other runs predict something else.
    fixture.edit("t.csv", ",1,2000000000,", ",1,2100000000,");
    fixture.ok(&[&FIT[..], &["--redo"]].concat());
    (fixture.refused(&report)).says("best.json: found with another fit: it predicts");
}

/// Joins the tables of several sizes, the size before every run's name, points up
/// to a step.
fn joined(fixture: &Fixture, folders: &[(String, f64)], last_step: u64) {
    let (mut m, mut t, mut s) = (String::new(), String::new(), "run,parameters\n".to_owned());
    for (folder, size) in folders {
        let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
        let (mixtures, points) = (read("mixtures.csv"), read("trajectories.csv"));
        for (out, text) in [(&mut m, &mixtures), (&mut t, &points)] {
            if out.is_empty() {
                writeln!(out, "{}", text.lines().next().unwrap()).unwrap();
            }
        }
        for line in mixtures.lines().skip(1) {
            let run = line.split(',').next().unwrap();
            writeln!(m, "{size}-{line}").unwrap();
            writeln!(s, "{size}-{run},{size}").unwrap();
        }
        for line in points.lines().skip(1) {
            let step: u64 = line.split(',').nth(1).unwrap().parse().unwrap();
            if step <= last_step {
                writeln!(t, "{size}-{line}").unwrap();
            }
        }
    }
    fixture.write("m.csv", m);
    fixture.write("t.csv", t);
    fixture.write("s.csv", s);
}

/// The columns of a table by name, by run.
fn columns(text: &str, keep: impl Fn(&[&str]) -> bool) -> Vec<(String, Vec<f64>)> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut out: Vec<(String, Vec<f64>)> = names
        .iter()
        .map(|n| ((*n).to_owned(), Vec::new()))
        .collect();
    for line in lines {
        let row: Vec<&str> = line.split(',').collect();
        if keep(&row) {
            for (column, value) in out.iter_mut().zip(&row) {
                column.1.push(value.parse().unwrap());
            }
        }
    }
    out
}

/// The runs of Data Mixing Laws up to step 20,000 at three sizes, and what was
/// measured at a fourth, longer.
#[test]
fn published_runs_are_predicted_larger_and_longer() {
    let Some([small, middle, large, judge]) = shared([
        "other-tables/dml-5mix-70m",
        "other-tables/dml-5mix-160m",
        "other-tables/dml-5mix-305m",
        "other-tables/dml-5mix-410m",
    ]) else {
        return;
    };
    let fixture = Fixture::empty();
    joined(
        &fixture,
        &[(small, 7e7), (middle, 1.6e8), (large, 3.05e8)],
        20_000,
    );
    fixture.ok(&[&["-q"][..], &FIT].concat());
    let candidates = format!("{judge}/mixtures.csv");
    let measured = std::fs::read_to_string(format!("{judge}/trajectories.csv")).unwrap();
    for (step, most) in [("10000", 0.0059), ("20000", 0.0068), ("30000", 0.0113)] {
        let tokens = (step.parse::<u64>().unwrap() * 1_048_576).to_string();
        let out = format!("p{step}.csv");
        let at = ["--parameters", "4.1e8", "--tokens", &tokens, "--out", &out];
        let predict = ["-q", "predict", "--fit", "f", "--mixtures", &candidates];
        fixture.ok(&[&predict[..], &at].concat());
        let predicted = columns(&fixture.text(&out), |_| true);
        let truth = columns(&measured, |row| row[1] == step);
        let of = |all: &[(String, Vec<f64>)], name: &str| {
            all.iter().find(|c| c.0 == name).unwrap().1.clone()
        };
        // Both tables have the runs in the same order.
        assert_eq!(of(&predicted, "run"), of(&truth, "run"));
        let (mut error, mut inside, mut n) = (0.0, 0.0, 0.0);
        for (name, values) in &truth[3..] {
            let (mean, sd) = (of(&predicted, name), of(&predicted, &format!("{name}_sd")));
            for ((value, mean), sd) in values.iter().zip(mean).zip(sd) {
                error += (mean / value - 1.0).abs();
                inside += f64::from(u8::from((value - mean).abs() <= 1.645 * sd));
                n += 1.0;
            }
        }
        assert!(error / n <= most, "step {step}: error {}", error / n);
        assert!(inside / n >= 0.8, "step {step}: {} inside", inside / n);
    }
}

#[test]
fn sizes_and_settings_without_sense_are_refused() {
    let fixture = Fixture::empty();
    tables(&fixture);
    let edited = |file: &str, from: &str, to: &str| -> Output {
        let before = fixture.text(file);
        fixture.edit(file, from, to);
        let output = fixture.refused(&FIT);
        fixture.write(file, before);
        output
    };
    let outputs = [
        edited("s.csv", "50m-3,50000000", "50m-3,12"),
        edited("s.csv", "50m-3,50000000\n", ""),
        edited("s.csv", "50m-3,50000000\n", "50m-3,5e7\n50m-3,1e8\n"),
        edited("m.csv", "50m-3,", "50m-x,"),
        edited("t.csv", "50m-3,2,4000000000,", "50m-3,2,,"),
        edited("t.csv", "50m-3,2,4000000000,", "50m-3,2,1,"),
        edited("t.csv", "step,tokens", "step,seen"),
    ];
    let expected = [
        "`parameters`: 12: expected a number of parameters, such as 1.2e9",
        "run `50m-3` has no row: expected its parameters",
        "run `50m-3` has a second row: expected every run once",
        "run `50m-3` has no row in m.csv",
        "`tokens`: an empty field: expected a whole number",
        "step 2 (1 tokens) follows step 1 (2000000000 tokens): expected both to increase",
        "header `run,step,seen,web,code`: expected `run,step,tokens,<domain>…`",
    ];
    for (output, text) in outputs.iter().zip(expected) {
        output.says(text);
    }
    for (more, text) in [
        (
            ["--per-token", "web=4,code=2,web=3"],
            "`--per-token`: `web` comes twice: expected one number",
        ),
        (
            ["--available", "web=1e9"],
            "`--available`: no number for `code`: expected one per domain",
        ),
        (
            ["--laws", "repetition"],
            "`--laws`: `repetition` is a law of epochs, and the tokens that there are of every \
             domain are not known",
        ),
    ] {
        fixture.refused(&[&FIT[..], &more].concat()).says(text);
    }
}

#[test]
fn runs_that_leave_something_open_say_so() {
    let fixture = Fixture::empty();
    tables(&fixture);
    let whole = ["m.csv", "t.csv", "s.csv"].map(|file| fixture.text(file));
    let some = |keep: &dyn Fn(&str, &str) -> bool| {
        for (file, text) in ["m.csv", "t.csv", "s.csv"].iter().zip(&whole) {
            let mut lines = text.lines();
            let mut kept = format!("{}\n", lines.next().unwrap());
            for line in lines.filter(|line| keep(file, line)) {
                writeln!(kept, "{line}").unwrap();
            }
            fixture.write(file, kept);
        }
        fixture.ok(&[&FIT[..], &["--redo"]].concat()).stdout
    };
    // One size.
    let text = some(&|_, line| line.starts_with("100m"));
    assert!(
        text.contains("1 size: how far the laws hold for larger models was not judged"),
        "{text}"
    );
    // Two mixtures at two sizes, once: fewer points than parameters.
    let text = some(&|file, line| {
        let run = line.split(',').next().unwrap();
        let last = file != "t.csv" || line.split(',').nth(1) == Some("5");
        ["50m-1", "50m-7", "100m-1", "100m-7"].contains(&run) && last
    });
    assert!(text.contains("has 4 measurements, and the law"), "{text}");
    // Every size has mixtures of its own.
    for (file, text) in ["m.csv", "t.csv", "s.csv"].iter().zip(&whole) {
        fixture.write(file, text);
    }
    let mixtures = fixture.text("m.csv");
    let moved: Vec<String> = (mixtures.lines().enumerate())
        .map(|(i, line)| match i {
            0 => line.to_owned(),
            _ => {
                let run = line.split(',').next().unwrap();
                let w = f64::from(u32::try_from(i).unwrap()) / 30.0;
                format!("{run},{w},{}", 1.0 - w)
            }
        })
        .collect();
    fixture.write("m.csv", moved.join("\n"));
    fixture
        .refused(&[&FIT[..], &["--redo"]].concat())
        .says("3 sizes, and no mixture was trained at two of them");
}

#[test]
fn settings_are_checked_against_what_was_fitted() {
    let fixture = Fixture::empty();
    tables(&fixture);
    fixture.ok(&[&["-q"][..], &FIT].concat());
    fixture.write("c.csv", "run,web,code\nx,0.5,0.5\n");
    let predict = |more: &[&str]| {
        let all = [&["predict", "--fit", "f", "--mixtures", "c.csv"][..], more].concat();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let refused = |more: &[&str]| {
        let args = predict(more);
        fixture.refused(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    refused(&[]).says("laws of scale: expected a fit of runs of one size");
    refused(&["--parameters", "12", "--tokens", "46e9"])
        .says("`--parameters`: 12: expected at least 5e7, the size of the smallest run")
        .says("parameters are counted one by one: 1.2e9, not 1.2");
    refused(&["--parameters", "1e300", "--tokens", "46e9"])
        .says("`--parameters`: 1e300: expected less than 1e18");
    refused(&["--parameters", "1e9", "--tokens", "46"])
        .says("`--tokens`: 46: expected at least 5e9, half of the length of the shortest run");
    let args = predict(&["--parameters", "4e9", "--tokens", "2e11"]);
    let far = fixture.ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    far.says("20.0 times the largest size of the runs, and validation judged up to 2.0 times")
        .says("20.0 times the greatest length of the runs, and validation judged up to 2.5 times");
}

#[test]
fn data_may_be_counted_in_bytes_and_baselines_judged() {
    let fixture = Fixture::empty();
    tables(&fixture);
    let more = [
        "--per-token",
        "web=4.5,code=2.2",
        "--nested",
        "--format",
        "json",
    ];
    let fitted = fixture.ok(&[&FIT[..], &more].concat()).json();
    let judged = fitted["judged"].as_array().unwrap();
    let nested = judged.iter().filter(|j| j["law"] == "dml_nested").count();
    assert_eq!(nested, 3, "{fitted}");
    assert!(!fitted["laws"].to_string().contains("nested"));
    // The bytes of a corpus: here every byte is a token.
    let study = Fixture::study_after("tokenize");
    tables(&study);
    let refused = study.refused(&[&FIT[..], &["--bytes-of", "corpus"]].concat());
    refused.says("`--per-token`: unknown domain `law`: expected web, code");
    let missing = [&FIT[..], &["--bytes-of", "nowhere"]].concat();
    fixture.refused(&missing).says("nowhere/manifest.json");
    // Tokens of the first domain repeat: the law of epochs takes part.
    let more = [
        "--available",
        "web=1e9,code=1e12",
        "--redo",
        "--format",
        "json",
    ];
    let fitted = fixture.ok(&[&FIT[..], &more].concat()).json();
    let judged = fitted["judged"].as_array().unwrap();
    assert!(judged.iter().any(|j| j["law"] == "repetition"), "{fitted}");
    fixture
        .run(&[&FIT[..], &["--last-points", "never"]].concat())
        .says("expected one of auto, same, decayed");
}

#[test]
fn the_critical_ratio_comes_with_an_interval() {
    let fixture = Fixture::empty();
    let (mut m, mut t) = (
        "run,web,code\n".to_owned(),
        "run,step,tokens,web,code\n".to_owned(),
    );
    for i in 1..=4 {
        let share = 0.2 * f64::from(i);
        writeln!(m, "r{i},{},{share}", 1.0 - share).unwrap();
        writeln!(t, "r{i},0,0,2.5,2.0").unwrap();
        for k in 1..=5_u32 {
            let web = 2.3 + 0.1 * (1.0 - share).powf(-0.8) - 0.001 * f64::from(k);
            let code = 2.0 - 0.2 * share * f64::from(k).powf(0.3);
            writeln!(t, "r{i},{k},{},{web},{code}", 1_000_000_000 * u64::from(k)).unwrap();
        }
    }
    fixture.write("m.csv", m);
    fixture.write("t.csv", t);
    let cmr = [
        "cmr",
        "--mixtures",
        "m.csv",
        "--trajectories",
        "t.csv",
        "--general",
        "web",
        "--special",
        "code",
    ];
    let found = fixture
        .ok(&[&cmr[..], &["--format", "json"]].concat())
        .json();
    let share = found["critical"]["special_share"].as_f64().unwrap();
    // 2.295 + 0.1 g^-0.8 = 2.55.
    let truth = 1.0 - 2.55f64.powf(-1.0 / 0.8);
    assert!((share - truth).abs() < 1e-3, "{share} {truth}");
    let both = [&cmr[..5], &["--general", "code,web", "--special", "code"]].concat();
    fixture
        .refused(&both)
        .says("`--general`: `code` stands for the special text: expected other targets");
    let ends = fixture.text("m.csv").replace("r1,0.8,0.2", "r1,1,0");
    fixture.write(
        "ends.csv",
        ends.replace("r4,0.19999999999999996,0.8", "r4,0,1"),
    );
    let at_ends = [&["cmr", "--mixtures", "ends.csv"][..], &cmr[3..]].concat();
    fixture
        .refused(&at_ends)
        .says("2 shares of special text between 0 and 1: expected at least three")
        .says("train at further shares, such as 0.25, 0.5 and 0.75");
    fixture.write(
        "ends.csv",
        fixture.text("m.csv").replace("r1,0.8,0.2", "r1,1,0"),
    );
    let three = fixture.ok(&at_ends);
    assert!(three.stdout.contains("(no interval)"), "{}", three.stdout);
    assert!(
        three.stdout.contains("left out r1: their share"),
        "{}",
        three.stdout
    );
    let unknown = [&cmr[..7], &["--special", "law"]].concat();
    fixture
        .refused(&unknown)
        .says("`--special`: unknown `law`: expected one of web, code");
    fixture
        .refused(&[&cmr[..], &["--epsilon", "-1"]].concat())
        .says("`--epsilon`: -1: expected nats per token, 0 or more");
}

//! Schedules of tables of one's own, and what is wrong with such tables.

use std::fmt::Write as _;

use polars::prelude::{Column, DataFrame, NamedFrom, ParquetWriter, Series};

use crate::fixture::{Fixture, answered, assert_output, transcript};

const STEPS: [u64; 6] = [20, 40, 60, 80, 100, 120];

/// Runs whose losses fall by how much of a domain they see; `scale` times
/// those of a proxy.
fn trajectories(runs: usize, scale: f64) -> String {
    let mut text = String::from("run,step,tokens,code,law,web\n");
    for run in 0..runs {
        for step in STEPS {
            let losses = weights(run).map(|w| {
                let seen = 1.0 + (0.2 + w) * step as f64;
                (scale * (1.0 + 5.0 / seen.sqrt())).to_string()
            });
            writeln!(text, "r{run},{step},{},{}", 100 * step, losses.join(",")).unwrap();
        }
    }
    text
}

fn weights(run: usize) -> [f64; 3] {
    let raw = [3, 5, 7].map(|k| 0.2 + ((run * k + k) % 11) as f64);
    raw.map(|w| w / raw.iter().sum::<f64>())
}

fn mixtures(runs: usize) -> String {
    let mut text = String::from("run,code,law,web\n");
    for run in 0..runs {
        let weights = weights(run).map(|w| w.to_string());
        writeln!(text, "r{run},{}", weights.join(",")).unwrap();
    }
    text
}

/// With tables of 24 runs and settings for two stages.
pub(crate) fn tables() -> Fixture {
    let fixture = Fixture::empty();
    fixture.write("t.csv", trajectories(24, 1.0));
    fixture.write("m.csv", mixtures(24));
    fixture.write("two.toml", "stages = 2\nbootstrap = 4\n");
    fixture
}

/// The arguments of a plan of `t` into `out`, and some more.
pub(crate) fn plan<'a>(t: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["schedule", "--trajectories", t, "--mixtures", "m.csv"];
    args.extend(["--steps", "25000", "--tokens", "26e9", "--out", out]);
    if !more.contains(&"--settings") {
        args.extend(["--settings", "two.toml"]);
    }
    args.extend(more);
    args
}

fn schedule(fixture: &Fixture, folder: &str) -> serde_json::Value {
    serde_json::from_str(&fixture.text(&format!("{folder}/schedule.json"))).unwrap()
}

#[test]
fn parquet_is_read_as_csv_is() {
    let fixture = tables();
    let text = fixture.text("t.csv");
    let column = |place: usize| -> Vec<&str> {
        (text.lines().skip(1))
            .map(|line| line.split(',').nth(place).unwrap())
            .collect()
    };
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let columns = header.iter().enumerate().map(|(i, name)| {
        let name = (*name).into();
        let numbers = || column(i).into_iter().map(|v| v.parse::<f64>().unwrap());
        Column::from(match i {
            0 => Series::new(name, column(0)),
            1 | 2 => Series::new(name, numbers().map(|v| v as i64).collect::<Vec<_>>()),
            _ => Series::new(name, numbers().collect::<Vec<_>>()),
        })
    });
    let mut frame = DataFrame::new(24 * STEPS.len(), columns.collect()).unwrap();
    let file = std::fs::File::create(fixture.path("t.parquet")).unwrap();
    ParquetWriter::new(file).finish(&mut frame).unwrap();

    let shown = fixture.ok(&plan("t.csv", "from-csv", &[])).stdout;
    fixture.ok(&plan("t.parquet", "from-parquet", &[]));
    let (csv, parquet) = (
        schedule(&fixture, "from-csv"),
        schedule(&fixture, "from-parquet"),
    );
    assert_eq!(csv, parquet);
    // One row per stage and loss, and one line per stage.
    assert_eq!(csv["accuracy"].as_array().unwrap().len(), 2 * 3);
    assert!(csv["accuracy"][0]["mae"].as_f64().unwrap() < 0.2);
    assert!(
        shown.contains("The stage model on held-out runs, mean over 3 losses"),
        "{shown}"
    );
    fixture.write("cut.parquet", &fixture.read("t.parquet")[..100]);
    fixture
        .refused(&plan("cut.parquet", "cut", &[]))
        .says("cut.parquet: not readable as parquet");
}

#[test]
fn a_second_size_gives_the_size_correction() {
    let fixture = tables();
    let factor = 16f64.powf(-0.05);
    fixture.write("second.csv", trajectories(6, factor));
    let second = [
        "--second-trajectories",
        "second.csv",
        "--second-ratio",
        "16",
        "--target-ratio",
        "256",
    ];
    let shown = fixture.ok(&plan("t.csv", "law", &second)).stdout;
    assert!(
        shown.contains("6 runs of a second size: power law with exponent 0.0500"),
        "{shown}"
    );
    let law = schedule(&fixture, "law");
    let size = &law["config"]["size"]["power_law"];
    assert_eq!(size["ratio"], 256.0);
    assert!((size["beta"].as_f64().unwrap() - 0.05).abs() < 1e-9);
    let of = |name: &str| law[name]["mean"].as_f64().unwrap();
    let expected = of("predicted") / 256f64.powf(0.05);
    assert!((of("predicted_target") - expected).abs() < 1e-9);
    // The controller corrects losses in the same way.
    let controller: serde_json::Value =
        serde_json::from_str(&fixture.text("law/controller.json")).unwrap();
    assert_eq!(controller["config"]["size"], law["config"]["size"]);

    let affine = [&second[..4], &["--second-law", "affine"]].concat();
    fixture.ok(&plan("t.csv", "line", &affine));
    let line = schedule(&fixture, "line");
    let slope = &line["config"]["size"]["affine"]["slope"];
    assert!((slope[0].as_f64().unwrap() - 1.0 / factor).abs() < 1e-6);

    fixture
        .refused(&plan("t.csv", "no", &second[..2]))
        .says("--second-ratio");
    let small = [&second[..3], &["0.5"]].concat();
    fixture
        .refused(&plan("t.csv", "no", &small))
        .says("second.csv: `size.ratio`: ratios 0.5 and 0.5: expected above 1");
    fixture.write("second.csv", trajectories(2, factor));
    fixture
        .refused(&plan("t.csv", "no", &second))
        .says("2 runs are in both sizes: expected at least 3");
}

#[test]
fn stages_that_cannot_be_are_refused() {
    let fixture = tables();
    let refused = |settings| {
        fixture.write("bad.toml", settings);
        fixture.refused(&plan("t.csv", "no", &["--settings", "bad.toml"]))
    };
    let outputs = [
        "points = [1.0]",
        "points = [0.5, 0.2, 1.0]",
        "stages = 0",
        "stages = 5\nresample = \"exact\"\npoints = [0.3, 1.0]",
        "bootstrap = 0",
        "stages = 40",
    ]
    .map(refused);
    assert_output!(transcript(outputs), @r#"
    $ regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out no --settings bad.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × bad.toml: `points`: stage points [1.0]: expected at least 2 that ascend, above 0 and up to 1
      help: points are fractions of training; the last one is its end, 1

    $ regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out no --settings bad.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × bad.toml: `points`: stage points [0.5, 0.2, 1.0]: expected at least 2 that ascend, above 0 and
      │ up to 1
      help: points are fractions of training; the last one is its end, 1

    $ regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out no --settings bad.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × bad.toml: `stages`: 0 stages, expected 1 to 1000

    $ regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out no --settings bad.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × t.csv: `r0`: no evaluation at step 36: expected all runs on one grid
      help: let losses be interpolated (`resample = "interpolate"`), or give `points` that were
            evaluated

    $ regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out no --settings bad.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × bad.toml: `bootstrap`: 0 refits are too few to measure the gain of a schedule, which must be 2
      │ standard deviations: expected at least 4
      help: or set `static_unless = 0`: the schedule then stands unchecked

    $ regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out no --settings bad.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × t.csv: no run has losses at two stage points in a row: expected evaluations along training
      help: evaluate proxies at least once per stage, or plan fewer stages
    "#);
    let args: Vec<&str> = (plan("t.csv", "no", &[]).into_iter())
        .map(|a| if a == "25000" { "2" } else { a })
        .collect();
    assert_output!(fixture.refused(&args), @r#"
    $ regmix schedule --trajectories t.csv --mixtures m.csv --steps 2 --tokens 26e9 --out no --settings two.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × `steps`: 2 steps for 3 stage points: expected at least one step between them
      help: plan fewer stages, or a longer run
    "#);
}

#[test]
fn trajectories_that_cannot_be_are_refused() {
    let fixture = tables();
    let good = trajectories(24, 1.0);
    let line = |n: usize| good.lines().nth(n).unwrap().to_owned();
    let refused = |text: String| {
        fixture.write("bad.csv", text);
        fixture.refused(&plan("bad.csv", "no", &[]))
    };
    let replaced = |from: &str, to: &str| good.replacen(from, to, 1);
    let first = line(1);
    let loss = first.rsplit(',').next().unwrap();
    let outputs = [
        replaced(loss, "inf"),
        replaced(loss, "0"),
        replaced(loss, "much"),
    ]
    .map(refused);
    assert_output!(transcript(outputs), @r#"
    $ regmix schedule --trajectories bad.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out no --settings two.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × bad.csv:2: `web`: loss inf: expected a finite positive number
       ╭─[bad.csv:2:1]
     1 │ run,step,tokens,code,law,web
     2 │ r0,20,2000,2.657250395456111,2.4638501094227996,inf
       · ─────────────────────────┬─────────────────────────
       ·                          ╰── here
     3 │ r0,40,4000,2.205427368852944,2.058018423787898,1.9541300465126668
       ╰────
      help: leave the field empty where no loss was measured

    $ regmix schedule --trajectories bad.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out no --settings two.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × bad.csv:2: `web`: loss 0: expected a finite positive number
       ╭─[bad.csv:2:1]
     1 │ run,step,tokens,code,law,web
     2 │ r0,20,2000,2.657250395456111,2.4638501094227996,0
       · ────────────────────────┬────────────────────────
       ·                         ╰── here
     3 │ r0,40,4000,2.205427368852944,2.058018423787898,1.9541300465126668
       ╰────
      help: leave the field empty where no loss was measured

    $ regmix schedule --trajectories bad.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out no --settings two.toml
    exit code: 2
    ----- stderr -----
    planning a schedule
      × bad.csv:2: `web`: `much` is not a number
       ╭─[bad.csv:2:1]
     1 │ run,step,tokens,code,law,web
     2 │ r0,20,2000,2.657250395456111,2.4638501094227996,much
       · ──────────────────────────┬─────────────────────────
       ·                           ╰── here
     3 │ r0,40,4000,2.205427368852944,2.058018423787898,1.9541300465126668
       ╰────
      help: leave the field empty where a value is missing; remove the column if it is neither a
            domain nor a target
    "#);
}

#[test]
fn runs_on_other_grids_are_joined_and_named() {
    let fixture = tables();
    // Other steps, other lengths, and one that stopped.
    let mut text = trajectories(23, 1.0);
    for step in [25u64, 50, 75, 105, 118] {
        let loss = 1.0 + 5.0 / (1.0 + 0.5 * step as f64).sqrt();
        writeln!(text, "r23,{step},{},{loss},{loss},{loss}", 100 * step).unwrap();
    }
    let cut: Vec<&str> = (text.lines())
        .filter(|l| !(l.starts_with("r4,") && (l.contains(",100,") || l.contains(",120,"))))
        .collect();
    fixture.write("t.csv", cut.join("\n"));
    let shown = fixture.ok(&plan("t.csv", "plan", &[])).stdout;
    assert!(
        shown.contains("run `r4` stopped at step 80 of 120: used up to there"),
        "{shown}"
    );
    assert!(
        shown.contains("stages left out: a loss is missing"),
        "{shown}"
    );
    fixture.write("exact.toml", "stages = 2\nresample = \"exact\"\n");
    fixture
        .refused(&plan("t.csv", "no", &["--settings", "exact.toml"]))
        .says("r23")
        .says("step 40");
    fixture
        .refused(&plan("t.csv", "no", &["--proxy-steps", "500"]))
        .says("0 of 24 runs reach step 500");
}

/// What `online` answers to lines, with the folder's controller.
fn answers(fixture: &Fixture, folder: &str, lines: &[&str]) -> Vec<serde_json::Value> {
    let controller = format!("{folder}/controller.json");
    let args = ["online", "--controller", &controller, "--state", "run.json"];
    let lines = lines.join("\n") + "\n";
    answered(fixture.regmix(&args), &lines)
}

#[test]
fn observations_that_cannot_be_change_nothing() {
    let fixture = tables();
    fixture.ok(&plan("t.csv", "plan", &[]));
    let good = r#"{"step":8333,"losses":{"code":1.5,"law":1.6,"web":1.7}}"#;
    let bad = [
        (
            r#"{"step":9000,"losses":{"code":1e308}}"#,
            "cannot be: about",
        ),
        (
            r#"{"step":100,"losses":{"code":1.5,"law":1.6,"web":1.7}}"#,
            "comes after step 8333",
        ),
        (
            r#"{"step":25001,"losses":{"code":1.5}}"#,
            "after the end of the run, 25000",
        ),
        (r#"{"step":9000,"losses":{"code":NaN}}"#, "not a request"),
        (
            r#"{"step":9000,"losses":{"code":null}}"#,
            "loss NaN: expected a finite positive",
        ),
        (r#"{"step":9000,"losses":{"code":1e999}}"#, "not a request"),
        (
            r#"{"step":9000,"losses":{"code":-1}}"#,
            "loss -1: expected a finite positive",
        ),
        (
            r#"{"step":9000,"losses":{"wiki":2.0}}"#,
            "unknown loss `wiki`: expected one of code",
        ),
        (
            r#"{"step":16667,"losses":{"code":1.5}}"#,
            "losses are missing: law, web",
        ),
        (r#"{"losses":{"code":1.5}}"#, "without `step` or `losses`"),
    ];
    let lines: Vec<&str> = [good].into_iter().chain(bad.map(|b| b.0)).collect();
    let given = answers(&fixture, "plan", &lines);
    assert_eq!(given[0]["ok"], true);
    for ((line, expected), answer) in bad.iter().zip(&given[1..]) {
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "{line}: {answer}");
        assert_eq!(answer["mixture"], given[0]["mixture"], "{line}");
        assert_eq!(
            (&answer["switch"], &answer["last_step"]),
            (&false.into(), &8333.into())
        );
    }
    // The same again is no error; what was refused is due again.
    let late = r#"{"step":17000,"losses":{"code":1.4,"law":1.5,"web":1.6}}"#;
    let given = answers(&fixture, "plan", &[good, late, r#"{"op":"state"}"#]);
    assert_eq!(
        (&given[0]["ok"], &given[0]["switch"]),
        (&true.into(), &false.into())
    );
    let decisions = given[2]["state"]["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 2);
    let reason = decisions[1]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("333 steps after the stage point: "),
        "{reason}"
    );
}

#[test]
fn the_files_of_another_run_are_refused() {
    let fixture = tables();
    fixture.ok(&plan("t.csv", "plan", &[]));
    fixture.write("t.csv", trajectories(24, 1.1));
    fixture.ok(&plan("t.csv", "other", &[]));
    let good = r#"{"step":8333,"losses":{"code":1.5,"law":1.6,"web":1.7}}"#;
    assert_eq!(answers(&fixture, "plan", &[good]).len(), 1);
    let with = |controller: &str| {
        fixture.refused(&["online", "--controller", controller, "--state", "run.json"])
    };
    with("other/controller.json")
        .says("run.json: the state of another study")
        .says("move it away to start again");
    let state = fixture.text("run.json");
    fixture.write("run.json", &state[..state.len() / 2]);
    with("plan/controller.json").says("run.json");
    fixture.write("cut.json", &fixture.read("plan/controller.json")[..200]);
    with("cut.json").says("cut.json");
}

/// With a controller for two stages in `plan`.
pub(crate) fn controller() -> Fixture {
    let fixture = tables();
    fixture.ok(&plan("t.csv", "plan", &[]));
    fixture
}

#[test]
fn rows_of_a_resumed_run_are_sorted_and_the_later_ones_count() {
    let fixture = tables();
    fixture.ok(&plan("t.csv", "clean", &[]));
    let text = fixture.text("t.csv");
    let (header, rows) = text.split_once('\n').unwrap();
    // The first run was continued from step 40: two rows come again, with other
    // losses before; the rows of another run stand in the opposite order.
    let of = |run: &'static str| {
        rows.lines()
            .filter(move |l| l.starts_with(&format!("{run},")))
    };
    let mut mixed: Vec<String> = vec![header.to_owned()];
    mixed.extend(
        of("r0").map(|l| match l.contains(",60,") || l.contains(",80,") {
            true => l.rsplit_once(',').unwrap().0.to_owned() + ",2.9",
            false => l.to_owned(),
        }),
    );
    mixed.extend(
        of("r0")
            .filter(|l| l.contains(",60,") || l.contains(",80,"))
            .map(str::to_owned),
    );
    mixed.extend(of("r1").map(str::to_owned).rev());
    mixed.extend(
        rows.lines()
            .filter(|l| !l.starts_with("r0,") && !l.starts_with("r1,"))
            .map(str::to_owned),
    );
    fixture.write("mixed.csv", mixed.join("\n") + "\n");
    let shown = fixture.ok(&plan("mixed.csv", "mixed", &[])).stdout;
    let notes: Vec<&str> = shown.lines().filter(|l| l.contains("step")).collect();
    let said = notes.join("\n");
    assert!(
        said.contains("rows of 2 runs were not in the order of their steps"),
        "{shown}"
    );
    assert!(
        said.contains("2 steps come twice in a run: the later row counts"),
        "{shown}"
    );
    let (clean, mixed) = (schedule(&fixture, "clean"), schedule(&fixture, "mixed"));
    assert_eq!(clean["segments"], mixed["segments"]);

    let mut wrong = text.replace("r3,60,6000,", "r3,60,3000,");
    wrong.push('\n');
    fixture.write("wrong.csv", wrong);
    fixture
        .refused(&plan("wrong.csv", "wrong", &[]))
        .says("wrong.csv:22: `tokens`: run `r3`: step 60 (3000 tokens) follows step 40");
}

#[test]
fn the_steps_that_a_refusal_names_give_a_schedule() {
    let fixture = tables();
    // Most runs are half as long as the longest ones.
    let long = |line: &str| {
        let run: usize = line[1..line.find(',').unwrap()].parse().unwrap();
        let step: u64 = line.split(',').nth(1).unwrap().parse().unwrap();
        run < 5 || step <= 60
    };
    let text = fixture.text("t.csv");
    let (header, rows) = text.split_once('\n').unwrap();
    let kept: Vec<&str> = rows.lines().filter(|line| long(line)).collect();
    fixture.write("t.csv", format!("{header}\n{}\n", kept.join("\n")));
    fixture
        .refused(&plan("t.csv", "plan", &[]))
        .says("5 of 24 runs reach step 120: expected at least half of them")
        .says("`--proxy-steps 60`");
    fixture.ok(&plan("t.csv", "plan", &["--proxy-steps", "60"]));
}

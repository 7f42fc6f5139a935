//! A whole study by its commands.

use crate::fixture::{DOMAINS, Fixture, assert_output, document};

const STEPS: [&str; 7] = [
    "tokenize", "design", "train", "fit", "optimize", "target", "report",
];

#[test]
fn init_begins_a_study_that_can_be_tokenized() {
    let fixture = Fixture::empty();
    for (d, domain) in DOMAINS.iter().enumerate() {
        let lines: String = (0..60).map(|i| document(d, i)).collect();
        fixture.write(&format!("text/train/{domain}-0.jsonl"), lines);
    }
    let output = fixture.ok(&["-C", "mine", "init", "--corpus", "text", "--name", "first"]);
    assert_output!(output, @r#"
    $ regmix -C mine init --corpus text --name first
    exit code: 0
    ----- stdout -----
    mine/study.toml
    ----- stderr -----
    check and edit it, then: regmix -C mine tokenize
    "#);
    let study = fixture.text("mine/study.toml");
    assert!(study.contains("name = \"first\""), "{study}");
    // The folder of the corpus holds whatever the folder of the study is.
    fixture.edit("mine/study.toml", "kind = \"bpe\"", "kind = \"bytes\"");
    fixture.ok(&["-C", "mine", "tokenize"]);
    let status = fixture
        .ok(&["-C", "mine", "--format", "json", "status"])
        .json();
    assert_eq!(status["domains"], 3);
    assert_eq!(status["next"], "regmix design");
}

#[test]
fn every_step_names_the_next_and_writes_its_files() {
    let fixture = Fixture::study();
    let made: [&[&str]; 7] = [
        &[
            "corpus/manifest.json",
            "corpus/train/web-00000.tok",
            "corpus/valid/web-00000.tok",
        ],
        &["design/mixtures.csv"],
        &[
            "trajectories.csv",
            "runs/run-0009/run.toml",
            "runs/run-0009/metrics.jsonl",
            "runs/run-0009/DONE",
        ],
        &["fit/fit.json", "fit/league.csv"],
        &["mixture.json"],
        &["check.json", "targets/found-seed2/DONE"],
        &["report.html"],
    ];
    for (i, (step, files)) in STEPS.iter().zip(made).enumerate() {
        for file in files {
            assert!(!fixture.path(file).exists(), "{file} before {step}");
        }
        let output = fixture.ok(&[step]);
        assert_ne!(output.stdout, "", "{step}");
        for file in files {
            assert!(fixture.path(file).exists(), "{file} after {step}");
        }
        if let Some(next) = STEPS.get(i + 1).filter(|_| *step != "target") {
            output.says(&format!("next: regmix {next}"));
        }
    }
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
      targets   6 of 6 finished
      report    done
    "#);
    assert!(
        fixture
            .text("design/mixtures.csv")
            .starts_with("run,code,law,web\n")
    );
    assert!(
        fixture
            .text("trajectories.csv")
            .starts_with("run,step,tokens,code,law,web\n")
    );
    // Ten runs, evaluated at the middle and at the end.
    assert_eq!(fixture.text("trajectories.csv").lines().count(), 1 + 10 * 2);
    let page = fixture.text("report.html");
    assert!(page.contains("tiny") && !page.contains("http://") && !page.contains("<script src"));
}

#[test]
fn every_step_again_changes_no_byte() {
    let fixture = Fixture::study();
    for step in STEPS {
        fixture.ok(&[step]);
    }
    let before = fixture.files("");
    for step in STEPS {
        fixture.ok(&[step]);
        assert_eq!(fixture.files(""), before, "{step}");
    }
    for step in ["tokenize", "design", "train", "fit", "optimize", "target"] {
        // There is nothing to redo either.
        fixture.ok(&[step, "--redo"]);
        assert_eq!(fixture.files(""), before, "{step} --redo");
    }
}

#[test]
fn the_same_file_and_seed_give_the_same_result() {
    let (first, second) = (Fixture::study_after("optimize"), Fixture::study());
    for step in ["tokenize", "design"] {
        second.ok(&[step]);
    }
    // How many run at once is no part of the result.
    second.ok(&["train", "--parallel", "1"]);
    second.ok(&["fit"]);
    second.ok(&["optimize"]);
    for file in [
        "corpus/manifest.json",
        "design/mixtures.csv",
        "trajectories.csv",
        "mixture.json",
    ] {
        assert_eq!(first.text(file), second.text(file), "{file}");
    }
    let other = Fixture::study();
    other.edit("study.toml", "seed = 7", "seed = 8");
    other.ok(&["tokenize"]);
    other.ok(&["design"]);
    assert_ne!(
        first.text("design/mixtures.csv"),
        other.text("design/mixtures.csv")
    );
}

#[test]
fn results_for_programs_are_json_and_quiet_is_quiet() {
    let fixture = Fixture::empty();
    let inner = Fixture::study();
    let corpus = inner.path("text");
    let corpus = corpus.to_str().unwrap();
    let begun = fixture.ok(&["-q", "--format", "json", "init", "--corpus", corpus]);
    assert_eq!(begun.json(), "./study.toml");
    assert_eq!(begun.stderr, "");
    // The first time the step is made, the second time its result is read.
    for step in STEPS
        .into_iter()
        .flat_map(|step| [step, step])
        .chain(["status"])
    {
        let output = inner.ok(&["--quiet", "--format", "json", step]);
        assert_eq!(output.stderr, "", "{step}");
        let value = output.json();
        match step {
            "tokenize" => assert_eq!(value["domains"][0]["name"], "code"),
            "design" => assert_eq!(value.as_array().unwrap().len(), 10),
            "train" => assert_eq!(value["done"], 10),
            "fit" => assert!(
                value
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|e| e["chosen"] == true)
            ),
            "optimize" => {
                let weights = value["weights"].as_array().unwrap();
                let sum: f64 = weights.iter().map(|w| w["weight"].as_f64().unwrap()).sum();
                assert!((sum - 1.0).abs() < 1e-6, "{sum}");
            }
            "target" => assert_eq!(value["runs"].as_array().unwrap().len(), 6),
            "report" => assert_eq!(value, "./report.html"),
            _ => assert!(value["next"].is_null()),
        }
    }
}

#[test]
fn predictions_have_a_mean_and_a_deviation_per_target() {
    let fixture = Fixture::study_after("fit");
    fixture.write("m.csv", "run,web,code,law\na,0.2,0.3,0.5\n");
    let args = ["-q", "predict", "--mixtures", "m.csv"];
    let printed = fixture.ok(&args);
    assert!(
        printed
            .stdout
            .starts_with("run,code,code_sd,law,law_sd,web,web_sd\na,")
    );
    assert_eq!(printed.stderr, "");
    let json = fixture
        .ok(&[&args[..], &["--format", "json"]].concat())
        .json();
    assert_eq!(json[0]["run"], "a");
    assert!(json[0]["web_sd"].as_f64().unwrap() > 0.0);
    assert_eq!(json[0]["extrapolation"], false);
    fixture.ok(&[&args[..], &["--out", "p.csv"]].concat());
    assert_eq!(fixture.text("p.csv"), printed.stdout);
    // Columns are joined by name.
    fixture.write("m.csv", "run,code,law,web\na,0.3,0.5,0.2\n");
    assert_eq!(fixture.ok(&args).stdout, printed.stdout);
}

#[test]
fn predictions_unlike_the_runs_are_named() {
    let fixture = Fixture::empty();
    let (mut mixtures, mut losses) = ("run,web,code,law\n".to_owned(), "run,web\n".to_owned());
    for run in 0..20 {
        let [web, code] = [run % 5, run * 7 % 20].map(|k| 0.25 + 0.01 * f64::from(k));
        let law = 1.0 - web - code;
        mixtures.push_str(&format!("r{run},{web},{code},{law}\n"));
        losses.push_str(&format!("r{run},{}\n", 3.0 - web + 0.1 * code));
    }
    fixture.write("runs.csv", mixtures);
    fixture.write("losses.csv", losses);
    let tables = ["--mixtures", "runs.csv", "--losses", "losses.csv"];
    let fit = ["fit", "--regressors", "linear", "--out", "fit"];
    fixture.ok(&[&fit[..], &tables].concat());
    fixture.write(
        "m.csv",
        "run,web,code,law\nmiddle,0.27,0.35,0.38\ncorner,0,1,0\n",
    );
    let said = "warning: 1 of 2 mixtures are unlike those that were tried (corner): 95% of the \
                runs are within the limit that these exceed, and their predictions are \
                extrapolations";
    let printed = fixture.ok(&["predict", "--fit", "fit", "--mixtures", "m.csv"]);
    assert!(printed.stderr.contains(said), "{}", printed.stderr);
    let written = fixture.ok(&[
        "predict",
        "--fit",
        "fit",
        "--mixtures",
        "m.csv",
        "--out",
        "p.csv",
    ]);
    assert!(written.stderr.contains(said), "{}", written.stderr);
    let json = fixture
        .ok(&[
            "-q",
            "predict",
            "--fit",
            "fit",
            "--mixtures",
            "m.csv",
            "--format",
            "json",
        ])
        .json();
    assert_eq!(json[0]["extrapolation"], false);
    assert_eq!(json[1]["extrapolation"], true);
}

#[test]
fn the_gate_fails_where_the_found_mixture_is_not_clearly_better() {
    let fixture = Fixture::study_after("optimize");
    // One seed shows nothing.
    fixture.edit("study.toml", "seeds = 2", "seeds = 1");
    assert_eq!(fixture.run(&["target", "--gate"]).code, 1);
    assert_eq!(fixture.run(&["target"]).code, 0);
}

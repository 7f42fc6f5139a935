//! Results that do not belong to the present configuration.

use crate::fixture::{DOMAINS, Fixture};

/// A part of `[target]`, and the same with another learning rate.
const TARGET: &str = "steps = 6\nbatch_size = 2\nlr = 4e-3";
const OTHER_TARGET: &str = "steps = 6\nbatch_size = 2\nlr = 3e-3";

/// A study with targets and compared methods, whose mixture was searched again within
/// other limits.
fn study_of_another_mixture() -> Fixture {
    let fixture = Fixture::study_after("optimize");
    let text = fixture.text("study.toml");
    let more = "\n[compare]\nmethods = [\"regmix\"]\nseeds = 2\n\n[constraints.cap]\nlaw = 0.9\n";
    fixture.write("study.toml", text + more);
    fixture.ok(&["optimize", "--redo"]);
    fixture.ok(&["target"]);
    fixture.ok(&["compare"]);
    fixture.ok(&["report"]);
    fixture.edit("study.toml", "law = 0.9", "law = 0.3");
    fixture.ok(&["optimize", "--redo"]);
    fixture
}

#[test]
fn verdicts_on_an_earlier_mixture_are_not_shown_as_verdicts_on_the_new_one() {
    let fixture = study_of_another_mixture();
    let why = "its targets were trained on an earlier mixture";
    let report = fixture.ok(&["report"]);
    report
        .says(&format!("check.json is out of date ({why})"))
        .says("run `regmix target --redo`")
        .says(&format!("compare.json is out of date ({why})"))
        .says("run `regmix compare --redo`");
    let page = fixture.text("report.html");
    assert!(page.contains(&format!("The check is left out: {why}.")));
    assert!(page.contains(&format!("The comparison is left out: {why}.")));
    assert!(page.contains("only for an earlier mixture or objective"));
    assert!(!page.contains("Targets per mixture") && !page.contains("Methods on targets"));
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"]["check"], why);
    assert_eq!(status["stale"]["compare"], why);
    assert_eq!(status["next"], "regmix target --redo");
    let shown = fixture.ok(&["status"]).stdout;
    assert!(shown.contains(&format!("out of date ({why})")), "{shown}");

    fixture.ok(&["target", "--redo"]);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["next"], "regmix compare --redo");
    fixture.ok(&["compare", "--redo"]);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"], serde_json::json!({}));
    let report = fixture.ok(&["report"]);
    assert!(!report.stderr.contains("out of date"), "{report}");
    let page = fixture.text("report.html");
    assert!(page.contains("Targets per mixture") && page.contains("Methods on targets"));
}

#[test]
fn a_verdict_by_an_earlier_objective_is_left_out() {
    let fixture = Fixture::study_after("optimize");
    fixture.ok(&["target"]);
    // The same mixture, judged by something else.
    let mixture = fixture.text("check.json");
    let changed = mixture.replacen(
        "\"objective\": \"mean\"",
        "\"objective\": { \"target\": \"law\" }",
        1,
    );
    assert_ne!(mixture, changed);
    fixture.write("check.json", changed);
    let why = "its targets were judged by an earlier objective, law";
    fixture.ok(&["report"]).says(why);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["stale"]["check"], why);
    fixture.ok(&["target"]);
    assert_eq!(fixture.text("check.json"), mixture);
}

#[test]
fn runs_of_another_configuration_are_not_fitted_as_if_they_were_of_this_one() {
    let fixture = Fixture::study_after("optimize");
    let fit = fixture.read("fit/fit.json");
    fixture.ok(&["report"]);
    fixture.edit("study.toml", "steps = 4", "steps = 40");
    let changed = "train.steps: 4 is now 40";
    for step in [
        &["fit"][..],
        &["fit", "--redo"],
        &["optimize"],
        &["target"],
        &["schedule"],
    ] {
        (fixture.refused(step))
            .says("run `run-0000` was made with another configuration (")
            .says(changed)
            .says("`regmix train --redo`, which keeps the old ones; or put the configuration back");
    }
    let report = fixture.ok(&["report"]);
    report.says("the configuration of the runs is out of date (runs/run-0000: ");
    let page = fixture.text("report.html");
    assert!(page.contains("not as trained"));
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["proxies"]["done"], 0);
    assert_eq!(status["proxies"]["outdated"], 10);
    assert_eq!(status["next"], "regmix train --redo");
    let runs = status["stale"]["runs"].as_str().unwrap();
    assert!(runs.starts_with("runs/run-0000: ") && runs.contains(changed));
    assert_eq!(status["runs"][0]["state"], "outdated");
    let shown = fixture.ok(&["status"]).stdout;
    assert!(
        shown.contains("0 of 10 finished, 10 of another configuration"),
        "{shown}"
    );

    fixture.edit("study.toml", "steps = 40", "steps = 4");
    fixture.ok(&["fit"]);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["proxies"]["done"], 10);
    assert_eq!(status["stale"], serde_json::json!({}));
    assert_eq!(fixture.read("fit/fit.json"), fit);

    // What does not belong to the proxies may change.
    fixture.edit("study.toml", TARGET, OTHER_TARGET);
    fixture.ok(&["fit"]);
    fixture.ok(&["optimize"]);
}

#[test]
fn a_design_of_ones_own_on_another_corpus_does_not_keep_its_runs() {
    let fixture = Fixture::study_after("design");
    std::fs::remove_file(fixture.path("design/inputs.json")).unwrap();
    fixture.ok(&["train"]);
    fixture.ok(&["fit"]);
    fixture.edit(
        "study.toml",
        "kind = \"bytes\"",
        "kind = \"bpe\"\nvocab_size = 300",
    );
    fixture.ok(&["tokenize", "--redo"]);
    (fixture.refused(&["fit", "--redo"]))
        .says("run `run-0000` was made with another configuration (corpus: ");
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["next"], "regmix train --redo");
    fixture.ok(&["train", "--redo"]);
    fixture.ok(&["fit", "--redo"]);
}

#[test]
fn targets_of_another_configuration_do_not_count_as_finished() {
    let fixture = Fixture::study_after("optimize");
    fixture.ok(&["target"]);
    fixture.edit("study.toml", TARGET, OTHER_TARGET);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["targets"]["outdated"], 6);
    assert_eq!(status["next"], "regmix target --redo");
    fixture.ok(&["target", "--redo"]);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["targets"]["done"], 6);
    assert_eq!(status["next"], "regmix report");
    // Those on the found mixture alone are of an earlier one.
    let text = fixture.text("study.toml") + "\n[constraints.cap]\nlaw = 0.3\n";
    fixture.write("study.toml", text);
    fixture.ok(&["optimize", "--redo"]);
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["targets"]["outdated"], 2);
    assert_eq!(status["targets"]["done"], 4);
}

#[test]
fn another_order_of_columns_is_no_other_configuration() {
    let fixture = Fixture::study_after("tokenize");
    // Sums that differ in the last digit by the order of their terms.
    let rows: Vec<[f64; 3]> = (0..12)
        .map(|i| {
            let a = 0.1 + 0.013 * f64::from(i * 5 % 12);
            let b = 0.2 + 0.017 * f64::from(i * 7 % 12);
            [a, b, 1.003 - a - b]
        })
        .collect();
    let sums = |order: [usize; 3]| {
        rows.iter()
            .map(move |w| w[order[0]] + w[order[1]] + w[order[2]])
    };
    assert!(sums([0, 1, 2]).zip(sums([2, 1, 0])).any(|(a, b)| a != b));
    let table = |order: [usize; 3]| {
        let names = order.map(|d| DOMAINS[d]).join(",");
        let rows = rows.iter().enumerate().map(|(i, weights)| {
            let weights = order.map(|d| weights[d].to_string()).join(",");
            format!("run-{i:04},{weights}\n")
        });
        format!("run,{names}\n{}", rows.collect::<String>())
    };
    fixture.write("design/mixtures.csv", table([0, 1, 2]));
    fixture.ok(&["train"]);
    let runs = fixture.files("runs");
    fixture.write("design/mixtures.csv", table([2, 1, 0]));
    fixture.ok(&["train"]);
    fixture.ok(&["train", "--redo"]);
    assert!(fixture.files("runs") == runs, "runs were trained again");
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["proxies"]["done"], 12);
    fixture.ok(&["fit"]);
}

#[test]
fn where_all_proxies_failed_the_failures_are_named() {
    let fixture = Fixture::study_after("design");
    for run in 0..10 {
        let file = format!("runs/run-{run:04}/FAILED");
        fixture.write(&file, "diverged at step 3\n");
    }
    for step in ["train", "fit"] {
        let output = fixture.run(&[step]);
        assert_eq!(output.code, 1, "{output}");
        output
            .says("no proxy is finished, and 10 of 10 failed (run-0000: diverged at step 3; ")
            .says("and 7 more)")
            .says("`regmix retry --failed`");
        assert!(
            !output.stderr.contains("run `regmix train` first"),
            "{output}"
        );
    }
    let status = fixture.ok(&["status", "--format", "json"]).json();
    assert_eq!(status["next"], "regmix retry --failed");
    fixture.ok(&["retry", "--failed"]);
    fixture.ok(&["train"]);
    fixture.ok(&["fit"]);
}

#[test]
fn errors_about_experts_name_the_step_that_makes_them() {
    let fixture = Fixture::study_after("optimize");
    fixture.edit("study.toml", "[fit]\n", "[fit]\nexperts = true\n");
    fixture.ok(&["train"]);
    fixture.write("experts/expert-1/DONE", "{");
    for step in [&["train"][..], &["fit", "--redo"], &["status"]] {
        let output = fixture.run(step);
        assert_eq!(output.code, 2, "{output}");
        output.says("make it again with `regmix train --redo`");
    }
    fixture.ok(&["train", "--redo"]);

    let fixture = Fixture::study_after("optimize");
    let methods = "[compare]\nmethods = [\"mixmin\"]\n\n[fit]\n";
    fixture.edit("study.toml", "[fit]\n", methods);
    fixture.ok(&["compare"]);
    fixture.write("experts/expert-1/DONE", "{");
    let output = fixture.run(&["compare"]);
    assert_eq!(output.code, 2, "{output}");
    output.says("make it again with `regmix compare --redo`");
    fixture.ok(&["compare", "--redo"]);
}

#[test]
fn the_page_marks_a_mixture_that_is_older_than_its_fit() {
    let fixture = Fixture::study_after("optimize");
    fixture.ok(&["report"]);
    assert!(!fixture.text("report.html").contains("Out of date"));
    fixture.edit("study.toml", "folds = 3", "folds = 4");
    fixture.ok(&["fit", "--redo"]);
    fixture.ok(&["report"]).says("the mixture is out of date");
    let page = fixture.text("report.html");
    assert!(page.contains("Out of date: the mixture was found from other inputs (fit was "));
    assert!(page.contains("<code>regmix optimize --redo</code>"));
}

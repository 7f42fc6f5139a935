//! CSV of Weights & Biases: histories of runs, panels, and the table of runs.

use super::{Folder, names, select};
use regmix_data::Silent;
use regmix_data::exchange::{Imported, RunNames, Selection, find_logs, read_logs};

/// What `run.history().to_csv()` writes: rows of training and of evaluation.
const HISTORY: &str = "\
,_step,_timestamp,train/loss,train/tokens,eval/web/loss,eval/code/loss,lr,system
0,10,1.7e9,5.0,1000,,,0.1,a
1,20,1.7e9,4.5,2000,4.25,3.5,0.1,b
2,30,1.7e9,4.2,3000,,,0.1,c
3,40,1.7e9,4.0,4000,4.0,3.25,0.1,d
";

fn evals() -> Selection {
    Selection {
        tokens: Some("train/tokens".to_owned()),
        ..select(&["eval/*/loss"], &[])
    }
}

#[test]
fn histories_give_last_values_and_trajectories() {
    let folder = Folder::new()
        .with("a/history.csv", HISTORY)
        .with("b/history.csv", HISTORY.replace("4.0,3.25", "3.5,NaN"));
    let out = folder.import(&evals()).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web,code\na,4,3.25\nb,3.5,NaN\n");
    assert_eq!(
        out.skipped,
        names(&["_timestamp", "lr", "system", "train/loss"])
    );
    let (run, points) = &out.trajectories[0];
    let steps: Vec<_> = points.iter().map(|p| (p.step, p.tokens)).collect();
    assert_eq!(
        (run.as_str(), steps),
        ("a", vec![(20, Some(2000)), (40, Some(4000))])
    );
    assert!(out.mixtures.is_none());
    assert_eq!(
        out.notes,
        [
            "values that are NaN or infinite: they count as missing, in b (1)",
            "target `code` is missing in 1 of 2 runs: b",
        ]
    );
    // The mean of the last two.
    let last = Selection { last: 2, ..evals() };
    assert_eq!(
        folder.import(&last).unwrap().losses.rows()[0],
        [4.125, 3.375]
    );
}

#[test]
fn nan_is_a_missing_value_where_no_field_is_empty() {
    let folder = Folder::new()
        .with("a.csv", "_step,loss/web\n10,5\n15,nan\n20,4\n25,nan\n")
        .with("b.csv", "_step,loss/web\n10,6\n15,nan\n20,5\n25,nan\n");
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,4\nb,5\n");
    assert!(out.notes.is_empty(), "{:?}", out.notes);
}

#[test]
fn a_panel_holds_many_runs() {
    let text = "\
\"Step\",\"run a - eval/web/loss\",\"run a - eval/web/loss__MIN\",\"run a - eval/web/loss__MAX\",\
\"b - 2 - eval/web/loss\",\"b - 2 - eval/web/loss__MIN\"
10,4.5,4.5,4.5,5.5,5.5
20,4.0,4.0,4.0,,
";
    let folder = Folder::new().with("panel.csv", text);
    let out = folder.import(&select(&["eval/*/loss"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\nrun a,4\nb - 2,5.5\n");
    assert_eq!(out.trajectories[0].1.len(), 2);
    assert_eq!(out.skipped.len(), 3, "{:?}", out.skipped);
}

#[test]
fn the_table_of_runs_has_weights_and_summaries() {
    let text = "\
Name,State,Created,mixture.web,mixture.code,model/params,eval/web/loss,eval/code/loss
a,finished,2026-01-01,0.75,0.25,1e6,4.0,3.0
b,finished,2026-01-02,0.5,0.5,1e6,4.5,2.5
c,crashed,2026-01-03,0.25,0.75,1e6,,
";
    let folder = Folder::new().with("runs.csv", text);
    let selection = Selection {
        parameters: Some("model/params".to_owned()),
        ..select(&["eval/*/loss"], &["mixture.*"])
    };
    let out = folder.import(&selection).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web,code\na,4,3\nb,4.5,2.5\n");
    assert_eq!(
        out.mixtures.unwrap().to_csv(),
        "run,code,web\na,0.25,0.75\nb,0.5,0.5\n"
    );
    assert_eq!(out.sizes, [("a".to_owned(), 1e6), ("b".to_owned(), 1e6)]);
    assert_eq!(
        out.notes,
        ["runs that did not finish are left out (1): c (crashed)"]
    );
    assert!(out.trajectories.is_empty());
}

#[test]
fn values_of_runs_that_did_not_finish_do_not_count() {
    let text = "\
Name,State,loss/web
a,finished,4
b,Crashed,4.5
c,failed,5
d,killed,5.5
e,running,6
";
    let folder = Folder::new().with("runs.csv", text);
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,4\n");
    assert_eq!(
        out.notes,
        [
            "runs that did not finish are left out (4): b (Crashed), c (failed), d (killed), e (running)"
        ]
    );
    let folder = Folder::new()
        .with("runs.csv", "Name,State\nh,running\n")
        .with("h.csv", "_step,loss/web\n1,4\n");
    let error = folder.import(&select(&["loss/*"], &[])).unwrap_err();
    assert_eq!(
        error.help_text(),
        Some(
            "runs that did not finish do not count: h (running); change their state in the file to \
             use them"
        )
    );
}

#[test]
fn settings_and_histories_of_a_run_join() {
    let folder = Folder::new()
        .with("runs.csv", "run,w/web,w/code\na,0.5,0.5\nb,0.25,0.75\n")
        .with(
            "history.csv",
            "run,_step,loss/web\na,1,3\nb,1,4\na,2,2\nb,2,3.5\n",
        );
    let out = folder.import(&select(&["loss/*"], &["w/*"])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,2\nb,3.5\n");
    assert_eq!(
        out.mixtures.unwrap().get("b").unwrap().weights(),
        [0.75, 0.25]
    );
}

#[test]
fn steps_that_go_back_are_said_and_the_later_ones_count() {
    let text = "_step,loss/web\n10,5\n20,4\n30,3\n20,4.5\n30,3.5\n";
    let folder = Folder::new().with("a.csv", text);
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    let values: Vec<f64> = out.trajectories[0].1.iter().map(|p| p.values[0]).collect();
    assert_eq!(values, [5.0, 4.5, 3.5]);
    assert_eq!(
        out.notes,
        [
            "steps go back, as in the log of a run that was continued from an earlier step: they \
             are put in order, in a",
            "values that come twice at a step: the later ones count, in a (2)",
        ]
    );
}

#[test]
fn targets_of_some_runs_are_said() {
    let folder = Folder::new()
        .with("a.csv", "_step,loss/web,loss/code\n1,3,4\n")
        .with("b.csv", "_step,loss/web\n1,3\n");
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web,code\na,3,4\nb,3,NaN\n");
    assert_eq!(out.notes, ["target `code` is missing in 1 of 2 runs: b"]);
}

#[test]
fn what_cannot_be_right_is_refused() {
    let history = || Folder::new().with("a.csv", HISTORY);
    assert_eq!(
        history().refused(&select(&["evla/*/loss"], &[])),
        "`--target`: `evla/*/loss` matches nothing: the nearest of those left are \
         eval/web/loss, eval/code/loss, train/loss, train/tokens, lr"
    );
    assert_eq!(
        history().refused(&Selection::default()),
        "`--target`: nothing says which metrics are losses: there are _timestamp, eval/code/loss, \
         eval/web/loss, lr, system, train/loss, train/tokens"
    );
    assert_eq!(
        history().refused(&select(&["eval/*/loss", "train/*"], &["w/*"])),
        "`--weights`: `w/*` matches nothing: the nearest of those left are lr, system, _timestamp"
    );
    assert_eq!(
        history().refused(&select(&["eval/web/*", "eval/code/*"], &[])),
        "a.csv:1: the columns `eval/web/loss` and `eval/code/loss` both give target `loss`: \
         expected one"
    );
    let twice = Folder::new().with("a.csv", "_step,loss/web,loss/web\n1,3,4\n");
    assert_eq!(
        twice.refused(&select(&["loss/*"], &[])),
        "a.csv:1: two columns are called `loss/web`: expected one"
    );
    let no_step = Folder::new().with("a.csv", "loss/web,lr\n3,0.1\n4,0.1\n");
    assert_eq!(
        no_step.refused(&select(&["loss/*"], &[])),
        "a.csv: 2 rows of run `a` and no column of steps: expected one row, or steps"
    );
    let changing = Folder::new().with("a.csv", "_step,loss/web,w/web\n1,3,0.5\n2,3,0.75\n");
    assert_eq!(
        changing.refused(&select(&["loss/*"], &["w/*"])),
        "a.csv:3: the weight of `web` in run `a` changes from 0.5 to 0.75: expected runs on one \
         mixture each"
    );
    let part = Folder::new().with("a.csv", "_step,loss/web,w/web\n1,3,0.5\n");
    assert_eq!(
        part.refused(&select(&["loss/*"], &["w/*"])),
        "a.csv: weights of run `a` sum to 0.5000, expected 1 (within 0.05)"
    );
    let text = Folder::new().with("a.csv", "_step,loss/web\n1,3\n2,three\n");
    assert_eq!(
        text.refused(&select(&["loss/*"], &[])),
        "a.csv:3: `loss/web`: `three` is not a number"
    );
    let odd = Folder::new().with("a.csv", "_step,loss/web\n1.5,3\n");
    assert_eq!(
        odd.refused(&select(&["loss/*"], &[])),
        "a.csv: step 1.5 of run `a`: expected a whole number that is not negative"
    );
}

#[test]
fn runs_that_end_early_are_said_and_values_of_one_step_compare() {
    let folder = Folder::new()
        .with("a.csv", "_step,loss/web\n10,5\n20,4\n30,3\n")
        .with("b.csv", "_step,loss/web\n10,5.5\n20,4.5\n")
        .with("c.csv", "_step,loss/web\n10,6\n30,3.5\n");
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(
        out.notes,
        [
            "runs that end before step 30, the last of all: b (20). Values of different steps do not \
          compare: leave these runs out, or take the values of one step with `--at-step`"
        ]
    );
    let at = |step| Selection {
        at_step: Some(step),
        ..select(&["loss/*"], &[])
    };
    let out = folder.import(&at(20)).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,4\nb,4.5\nc,NaN\n");
    assert_eq!(out.notes, ["target `web` is missing in 1 of 3 runs: c"]);
    assert_eq!(
        folder.refused(&at(25)),
        "`--at-step`: no run has a value at step 25: expected some"
    );
}

#[test]
fn tables_of_data_frames_name_runs_in_their_index() {
    let folder = Folder::new().with("t.csv", ",loss/web,lr\na,3,0.1\nb,4,0.1\n");
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,3\nb,4\n");
    // Where runs have names, the numbers of rows are none.
    let folder = Folder::new().with("t.csv", ",name,loss/web\n0,a,3\n1,b,4\n");
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,3\nb,4\n");
}

#[test]
fn runs_are_called_by_a_part_of_their_names() {
    let folder = Folder::new().with("t.csv", "run,loss/web\nproxy-1,3\nproxy-2,4\n");
    let files = find_logs(&[folder.path("t.csv")]).unwrap();
    let selection = select(&["loss/*"], &[]);
    let names = RunNames::Pattern("proxy-*".parse().unwrap());
    let logs = read_logs(&files, &names, &selection, &Silent).unwrap();
    let out = Imported::of(logs, &selection).unwrap();
    assert_eq!(out.losses.runs(), ["1", "2"]);
}

#[test]
fn domains_that_a_run_does_not_name_have_no_weight() {
    let folder = Folder::new()
        .with(
            "a.jsonl",
            "{\"step\": 1, \"mix\": {\"web\": 0.5, \"code\": 0.5}, \"loss\": 3}\n",
        )
        .with(
            "b.jsonl",
            "{\"step\": 1, \"mix\": {\"web\": 1.0}, \"loss\": 4}\n",
        );
    let out = folder.import(&select(&["loss"], &["mix/*"])).unwrap();
    assert_eq!(
        out.mixtures.unwrap().to_csv(),
        "run,code,web\na,0.5,0.5\nb,0,1\n"
    );
    assert_eq!(
        out.notes,
        ["domains that some runs do not name, which count as weight 0 there: code (1)"]
    );
}

#[test]
fn tokens_between_logged_ones_are_in_proportion() {
    let text = "_step,tokens,loss/web\n10,1000,\n15,,5\n20,2000,\n30,,4\n";
    let folder = Folder::new().with("a.csv", text);
    let selection = Selection {
        tokens: Some("tokens".to_owned()),
        ..select(&["loss/*"], &[])
    };
    let out = folder.import(&selection).unwrap();
    let tokens: Vec<_> = out.trajectories[0].1.iter().map(|p| p.tokens).collect();
    assert_eq!(tokens, [Some(1500), Some(3000)]);
}

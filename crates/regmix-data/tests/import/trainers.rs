//! Histories of trainers: of Hugging Face's Trainer, lists, compressed files, and files whose
//! writer was stopped.

use std::io::Write;

use super::{Folder, names, select};

/// A history as the Trainer writes it: an entry for every dataset of an evaluation.
fn state(web: &[f64]) -> String {
    let entries = web.iter().enumerate().map(|(i, web)| {
        let step = 10 * (i + 1);
        format!(
            r#"{{"epoch": 0.1, "step": {step}, "loss": 4.5, "num_input_tokens_seen": {}}},
               {{"epoch": 0.1, "step": {step}, "eval_web_loss": {web}, "eval_web_runtime": 1.5}},
               {{"epoch": 0.1, "step": {step}, "eval_code_loss": 2.5}}"#,
            step * 1000
        )
    });
    let entries: Vec<String> = entries.collect();
    format!(
        r#"{{"best_metric": NaN, "global_step": 20, "log_history": [{}], "stateful_callbacks":
           {{"TrainerControl": {{"args": {{"loss": 7}}}}}}, "trial_name": null}}"#,
        entries.join(",\n")
    )
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn histories_of_the_trainer_are_runs_named_by_their_folders() {
    let folder = Folder::new()
        .with("a/trainer_state.json", state(&[4.0, 3.5]))
        .with("a/config.json", "{\"eval_web_loss\": 9}")
        .with("b/checkpoint-10/trainer_state.json", state(&[5.0]))
        .with("b/checkpoint-20/trainer_state.json", state(&[5.0, 4.5]))
        .with("b/checkpoint-20/vocab.json", "[\"eval_web_loss\", 1]");
    let mut selection = select(&["eval_*_loss"], &[]);
    selection.tokens = Some("num_input_tokens_seen".to_owned());
    let out = folder.import(&selection).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web,code\na,3.5,2.5\nb,4.5,2.5\n");
    let (run, points) = &out.trajectories[1];
    let points: Vec<_> = points.iter().map(|p| (p.step, p.tokens)).collect();
    assert_eq!(run, "b");
    assert_eq!(points, [(10, Some(10_000)), (20, Some(20_000))]);
    assert_eq!(out.skipped, names(&["epoch", "eval_web_runtime", "loss"]));
    assert!(out.notes.is_empty(), "{:?}", out.notes);
}

#[test]
fn entries_of_a_list_are_as_lines() {
    let list = r#"[ {"step": 1, "loss": {"web": 4}},
        {"step": 2, "loss": {"web": 3.5}} ]"#;
    let folder = Folder::new()
        .with("a.json", list)
        .with("words.json", "[1, 2]");
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,3.5\n");
    let refused = |list: &str| {
        let folder = Folder::new().with("a.json", list);
        folder.refused(&select(&["loss/*"], &[]))
    };
    assert_eq!(
        refused(r#"[{"step": 1, "loss": {"web": 4}}, 5]"#),
        "a.json: entry 2: expected an object of names and numbers"
    );
    assert_eq!(
        refused(r#"[{"step": 1, "loss": {"web": "3,5"}}]"#),
        "a.json: `loss/web`: entry 1: \"3,5\" is not a number"
    );
    assert_eq!(
        refused("[{\"step\": 1, \"loss\": {\"web\": 4}},\n{\"step\": 2"),
        "a.json:2: not JSON: EOF while parsing an object at line 2 column 10"
    );
    assert_eq!(
        refused(r#"[{"run": "x", "step": 1, "loss/web": 4}, {"step": 1, "loss/web": 4}]"#),
        "a.json: entry 2: measurements without the name of a run, which entry 1 has: expected it \
         in every entry"
    );
}

#[test]
fn logs_may_be_compressed_by_gzip() {
    let lines = "{\"step\": 1, \"loss\": {\"web\": 4}}\n{\"step\": 2, \"loss\": {\"web\": 3.5}}\n";
    let folder = Folder::new()
        .with("a.jsonl.gz", gzip(lines))
        .with("b.csv.gz", gzip("step,loss/web\n1,5\n"))
        .with("c.json.gz", gzip("[{\"step\": 1, \"loss/web\": 6}]"))
        .with(
            "d/trainer_state.json.gz",
            gzip("{\"log_history\": [{\"loss/web\": 7}]}"),
        );
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,3.5\nb,5\nc,6\nd,7\n");
    let mut short = gzip(lines);
    short.truncate(short.len() - 9);
    let refused = |bytes: &[u8]| {
        let folder = Folder::new().with("a.jsonl.gz", bytes);
        folder.refused(&select(&["loss/*"], &[]))
    };
    assert_eq!(
        refused(&short),
        "a.jsonl.gz: the gzip data ends too early: expected a whole file"
    );
    let mut changed = gzip(lines);
    changed[12] ^= 0xff;
    assert!(
        refused(&changed).contains("the gzip data is damaged"),
        "{}",
        refused(&changed)
    );
}

#[test]
fn a_last_line_that_was_cut_off_is_left_out_and_named() {
    let whole = "{\"step\": 1, \"loss\": {\"web\": 4.0, \"caf\u{e9}\": 2}}\n";
    let last = "{\"step\": 2, \"loss\": {\"web\": -1.5e3, \"caf\u{e9}\": NaN, \"x\": true}}";
    let note = "a.jsonl:2: the last line is cut off, as in a run that was killed or still writes: \
                it is left out";
    for end in 1..last.len() {
        let bytes = [whole.as_bytes(), &last.as_bytes()[..end]].concat();
        let folder = Folder::new().with("a.jsonl", bytes);
        let out = folder.import(&select(&["loss/*"], &[])).unwrap();
        assert_eq!(out.losses.to_csv(), "run,web,caf\u{e9}\na,4,2\n", "{end}");
        let noted = (out.notes.iter()).any(|found| found.replace('\\', "/").ends_with(note));
        assert!(noted, "{end}: {:?}", out.notes);
    }
    let folder = Folder::new().with("a.jsonl", format!("{whole}{last}"));
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert!(
        !out.notes.iter().any(|note| note.contains("cut off")),
        "{:?}",
        out.notes
    );
}

#[test]
fn a_line_that_was_cut_off_elsewhere_is_refused() {
    let refused = |text: &str| {
        let folder = Folder::new().with("a.jsonl", text);
        folder.refused(&select(&["loss/*"], &[]))
    };
    let cut = "{\"step\": 1, \"loss\": {\"we";
    let whole = "{\"step\": 2, \"loss\": {\"web\": 4}}\n";
    let eof = "not a line of JSON: EOF while parsing a string at line 1 column 24";
    assert_eq!(
        refused(&format!("{cut}\n{whole}")),
        format!("a.jsonl:1: {eof}")
    );
    // Ended by its writer, or all there is.
    assert_eq!(
        refused(&format!("{whole}{cut}\n")),
        format!("a.jsonl:2: {eof}")
    );
    assert_eq!(refused(cut), format!("a.jsonl:1: {eof}"));
    let wrong = "{\"step\": 2, \"loss\": {\"web\": four}}";
    assert!(refused(&format!("{whole}{wrong}")).contains("a.jsonl:2: not a line of JSON"));
}

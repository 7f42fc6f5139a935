use std::collections::BTreeMap;

use super::*;
use regmix_data::exchange::tfevents::{SessionLog, Summary, Value, records};

fn line(step: u64, seconds: f64) -> Line {
    Line {
        step,
        tokens: 10 * step,
        loss: BTreeMap::from([("web".to_owned(), 3.5), ("law".to_owned(), 0.0)]),
        bits_per_byte: BTreeMap::from([("web".to_owned(), 1.25)]),
        train_loss: 2.0,
        gradient_norm: 0.5,
        lr: 0.25,
        seconds,
        train_seconds: seconds,
        eval_seconds: 0.0,
        eval_share: 0.0,
    }
}

/// The events of a file; its lengths and checksums must be right.
fn read(bytes: &[u8]) -> Vec<Event> {
    let event = |record: Result<(usize, &[u8])>| Event::read(record.unwrap().1).unwrap();
    let mut records = records(bytes);
    let events = records.by_ref().map(event).collect();
    assert_eq!(records.unfinished(), None);
    events
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_bytes_of_a_file_are_those_of_tensorboard() {
    // Written by `RecordWriter` of tensorboard 2.21.0 from the same messages.
    let head = "1800000000000000a37f4b22090000000000408f401a0d627261696e2e4576656e743a3273ae6b56\
                0d000000000000003c37b834090000000000408f403a02080127c9a265";
    let value = "290000000000000037ff5f00090000000000448f4010072a1c0a0f0a086c6f73732f776562150000\
                 60400a090a026c721500000000d8774e27";
    assert_eq!(hex(&history(&[], 1000.0)), head);
    let event = Event {
        wall_time: 1000.5,
        step: 7,
        what: Some(What::Summary(Summary {
            value: vec![
                Value {
                    tag: "loss/web".to_owned(),
                    simple_value: Some(3.5),
                    ..Value::default()
                },
                Value {
                    tag: "lr".to_owned(),
                    simple_value: Some(0.0),
                    ..Value::default()
                },
            ],
        })),
    };
    assert_eq!(hex(&framed(&event)), value);
}

#[test]
fn a_line_has_its_values_and_a_zero_too() {
    let events = read(&history(&[line(3, 1.5)], 100.0));
    assert_eq!(
        events[1].what,
        Some(What::SessionLog(SessionLog { status: 1 }))
    );
    let Some(What::Summary(summary)) = &events[2].what else {
        panic!("no summary")
    };
    let values: Vec<(&str, Option<f32>)> = (summary.value.iter())
        .map(|v| (v.tag.as_str(), v.simple_value))
        .collect();
    let expected = [
        ("loss/law", Some(0.0)),
        ("loss/web", Some(3.5)),
        ("bits_per_byte/web", Some(1.25)),
        ("train_loss", Some(2.0)),
        ("gradient_norm", Some(0.5)),
        ("lr", Some(0.25)),
    ];
    assert_eq!(values, expected);
    assert_eq!((events[2].step, events[2].wall_time), (3, 100.0));
}

#[test]
fn times_go_on_over_attempts() {
    let lines = [line(1, 2.0), line(2, 4.0), line(3, 1.0), line(4, 3.0)];
    assert_eq!(elapsed(&lines), [2.0, 4.0, 5.0, 7.0]);
    let times: Vec<f64> = read(&history(&lines, 107.0))
        .iter()
        .map(|e| e.wall_time)
        .collect();
    assert_eq!(times, [100.0, 100.0, 102.0, 104.0, 105.0, 107.0]);
}

#[test]
fn a_resumed_run_has_no_step_twice() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = dir.path().join(METRICS);
    let kept = |steps: &[u64]| {
        let lines = steps.iter().map(|&step| line(step, step as f64));
        let text: String = lines
            .map(|l| serde_json::to_string(&l).unwrap() + "\n")
            .collect();
        std::fs::write(&metrics, text).unwrap();
    };
    let add = |file: &mut EventFile, step| {
        let line = line(step, step as f64);
        file.append(&evaluation(&line)).unwrap();
    };
    let mut first = EventFile::begin(dir.path()).unwrap();
    for step in 1..=4 {
        add(&mut first, step);
    }
    // Killed; the last checkpoint is of step 2.
    kept(&[1, 2]);
    EventFile::begin(dir.path()).unwrap();
    let mut third = EventFile::begin(dir.path()).unwrap();
    add(&mut third, 3);
    let files = numbered(dir.path()).unwrap();
    assert_eq!(files.iter().map(|f| f.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(std::fs::read(&files[0].1).unwrap(), b"");
    let steps: Vec<i64> = read(&std::fs::read(&files[1].1).unwrap())
        .iter()
        .map(|e| e.step)
        .collect();
    assert_eq!(steps, [0, 0, 1, 2, 3]);
}

#[test]
fn finished_runs_without_a_file_get_one() {
    let dir = tempfile::tempdir().unwrap();
    for (run, done) in [("a", true), ("b", false), ("c.old-1", true)] {
        let run = dir.path().join(run);
        std::fs::create_dir(&run).unwrap();
        let text = serde_json::to_string(&line(1, 1.0)).unwrap();
        std::fs::write(run.join(METRICS), text + "\n").unwrap();
        if done {
            std::fs::write(run.join("DONE"), "{}").unwrap();
        }
    }
    complete(dir.path()).unwrap();
    complete(dir.path()).unwrap();
    let files = ["a", "b", "c.old-1"].map(|run| numbered(&dir.path().join(run)).unwrap().len());
    assert_eq!(files, [1, 0, 0]);
    complete(&dir.path().join("none")).unwrap();
}

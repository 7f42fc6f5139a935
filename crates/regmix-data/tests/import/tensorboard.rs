//! Event files, as PyTorch and TensorFlow write them.

use prost::Message;
use regmix_data::exchange::tfevents::{Event, Summary, Tensor, Value, What, framed};

use super::{Folder, select};

fn event(step: i64, values: Vec<Value>) -> Vec<u8> {
    framed(&Event {
        wall_time: 1.7e9 + step as f64,
        step,
        what: Some(What::Summary(Summary { value: values })),
    })
}

fn simple(tag: &str, value: f32) -> Value {
    Value {
        tag: tag.to_owned(),
        simple_value: Some(value),
        ..Value::default()
    }
}

/// A number as later versions write it: in the bytes of a tensor.
fn tensor(tag: &str, value: f32) -> Value {
    Value {
        tag: tag.to_owned(),
        tensor: Some(Tensor {
            dtype: 1,
            tensor_content: value.to_le_bytes().to_vec(),
            ..Tensor::default()
        }),
        ..Value::default()
    }
}

fn file(events: &[Vec<u8>]) -> Vec<u8> {
    let head = framed(&Event {
        wall_time: 1.7e9,
        step: 0,
        what: Some(What::version()),
    });
    [&[head], events].concat().concat()
}

const NAME: &str = "events.out.tfevents.1700000000.host.1.0";

#[test]
fn numbers_of_all_versions_are_read_and_files_of_a_run_join() {
    let first = file(&[
        event(0, vec![simple("mix/web", 0.75), simple("mix/code", 0.25)]),
        event(10, vec![simple("loss/web", 3.1), simple("lr", 0.1)]),
        event(10, vec![tensor("loss/code", 2.5)]),
        event(20, vec![simple("loss/web", 3.0)]),
    ]);
    // The run was continued from step 10.
    let second = file(&[event(
        20,
        vec![simple("loss/web", 2.9), simple("loss/code", 2.25)],
    )]);
    let other = file(&[
        event(0, vec![simple("mix/web", 0.5), simple("mix/code", 0.5)]),
        event(20, vec![simple("loss/web", 4.0)]),
    ]);
    let folder = Folder::new()
        .with(&format!("a/{NAME}"), first)
        .with("a/events.out.tfevents.1700009999.host.1.0", second)
        .with(&format!("b/{NAME}"), other);
    let out = folder.import(&select(&["loss/*"], &["mix/*"])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web,code\na,2.9,2.25\nb,4,NaN\n");
    assert_eq!(
        out.mixtures.unwrap().get("a").unwrap().weights(),
        [0.25, 0.75]
    );
    let points = &out.trajectories[0].1;
    assert_eq!(
        (points[0].step, &points[0].values[..]),
        (10, &[3.1, 2.5][..])
    );
    assert_eq!(out.skipped, ["lr"]);
    assert_eq!(
        out.notes,
        [
            "values that come twice at a step: the later ones count, in a (1)",
            "target `code` is missing in 1 of 2 runs: b",
        ]
    );
}

#[test]
fn a_file_of_a_killed_run_is_read_up_to_its_last_whole_record() {
    let whole = file(&[
        event(10, vec![simple("loss/web", 3.0)]),
        event(20, vec![simple("loss/web", 2.0)]),
    ]);
    let folder = Folder::new().with(&format!("a/{NAME}"), &whole[..whole.len() - 5]);
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.rows()[0], [3.0]);
    assert!(out.notes[0].ends_with("bytes are no whole record, as after a run that was killed"));
}

#[test]
fn damage_is_refused() {
    let mut bytes = file(&[event(10, vec![simple("loss/web", 3.0)])]);
    let last = bytes.len() - 10;
    bytes[last] ^= 4;
    let folder = Folder::new().with(&format!("a/{NAME}"), bytes);
    assert_eq!(
        folder.refused(&select(&["loss/*"], &[])),
        format!(
            "a/{NAME}: the record at byte 40 is damaged: the checksum of its contents does not match"
        )
    );
    // A whole record that is no event.
    let folder = Folder::new().with(&format!("a/{NAME}"), framed(&"text".to_owned()));
    let refused = folder.refused(&select(&["loss/*"], &[]));
    assert!(
        refused.contains("is no event of TensorBoard: "),
        "{refused}"
    );
    assert!("text".to_owned().encode_to_vec().len() == 6);
    let folder = Folder::new().with(
        &format!("a/{NAME}"),
        file(&[event(1, vec![simple("x/web", 1.0), simple("y/web", 2.0)])]),
    );
    assert_eq!(
        folder.refused(&select(&["x/*", "y/*"], &[])),
        format!("a/{NAME}: the tags `x/web` and `y/web` both give target `web`: expected one")
    );
}

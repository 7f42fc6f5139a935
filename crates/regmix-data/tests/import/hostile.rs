//! Bytes that no program wrote: errors, never a panic, and nothing that is larger than
//! the file.

use proptest::prelude::*;
use regmix_data::exchange::Selection;
use regmix_data::exchange::tfevents::framed;

use super::{Folder, select};

const SEEDS: [(&str, &str); 6] = [
    ("a.csv", "_step,loss/web,w/web\n1,3,1\n2,2.5,1\n"),
    ("p.csv", "Step,a - loss/web,b - loss/web\n1,3,4\n"),
    (
        "a.jsonl",
        "{\"step\": 1, \"loss\": {\"web\": 1}}\n{\"step\": 2, \"loss\": {\"web\": 0.5}}\n",
    ),
    (
        "results_1.json",
        "{\"results\": {\"t\": {\"acc,none\": 0.5, \"acc_stderr,none\": 0.1}}, \"versions\": {}}",
    ),
    (
        "trainer_state.json",
        "{\"log_history\": [{\"step\": 1, \"loss/web\": 2}, {\"step\": 2, \"loss/web\": 1}]}",
    ),
    (
        "a.json",
        "[{\"step\": 1, \"loss/web\": 2}, {\"step\": 2, \"w/web\": 1}]",
    ),
];

proptest! {
    #[test]
    fn changed_bytes_give_tables_or_errors(
        seed in 0usize..SEEDS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (name, text) = SEEDS[seed];
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let folder = Folder::new().with(name, bytes);
        let _ = folder.import(&select(&["loss/*", "t/*"], &["w/*"]));
        let _ = folder.import(&select(&[], &[]));
    }

    #[test]
    fn any_bytes_are_no_events(bytes in prop::collection::vec(any::<u8>(), 0..200), whole: bool) {
        let record = match whole {
            true => framed(&bytes.clone()),
            false => bytes,
        };
        let folder = Folder::new().with("a/events.out.tfevents.1", record);
        prop_assert!(folder.import(&select(&["loss/*"], &[])).is_err());
    }
}

#[test]
fn a_record_that_claims_to_be_huge_is_not_read() {
    // A valid checksum of a length of 2^60.
    let length = (1u64 << 60).to_le_bytes();
    let crc = crc32c::crc32c(&length);
    let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let folder = Folder::new().with("a/events.out.tfevents.1", [&length[..], &masked].concat());
    assert_eq!(
        folder.refused(&select(&["loss/*"], &[])),
        "`--target`: `loss/*` matches nothing: there is nothing else in the logs"
    );
}

#[test]
fn deep_json_is_refused() {
    let deep = format!(
        "{{\"step\": 1, \"loss\": {}1{}}}\n",
        "{\"a\": ".repeat(500),
        "}".repeat(500)
    );
    let refused = Folder::new()
        .with("a.jsonl", deep)
        .refused(&select(&["loss/*"], &[]));
    assert!(refused.contains("recursion limit"), "{refused}");
}

#[test]
fn a_small_log_makes_no_large_table() {
    // Every line has a step and a target of its own: 20,000 x 20,000 numbers.
    let line = |i: usize| format!("{{\"step\": {i}, \"loss\": {{\"t{i}\": 1.5}}}}\n");
    let log: String = (0..20_000).map(line).collect();
    let refused = Folder::new()
        .with("a.jsonl", log)
        .refused(&select(&["loss/*"], &[]));
    assert_eq!(
        refused,
        "400000000 values of 20000 targets at all steps, expected at most 268435456"
    );
    let line = |i: usize| format!("{{\"run\": {i}, \"w\": {{\"d{i}\": 1.0}}, \"loss\": 1.5}}\n");
    let log: String = (0..20_000).map(line).collect();
    let selection = Selection {
        run: Some("run".to_owned()),
        ..select(&["loss"], &["w/*"])
    };
    assert_eq!(
        Folder::new().with("a.jsonl", log).refused(&selection),
        "400000000 weights of 20000 runs, expected at most 268435456"
    );
}

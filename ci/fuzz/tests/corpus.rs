//! The corpora that fuzzing left, and mutations of them.

use std::path::Path;

use rand::RngExt;
use regmix_data::random;
use regmix_fuzz::TARGETS;

/// Mutations of each file.
const MUTATIONS: usize = 40;

#[test]
fn readers_survive_the_corpora_and_mutations_of_them() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let entries = std::fs::read_dir(&folder).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(
            files.len() >= 3,
            "{}: {} files",
            folder.display(),
            files.len()
        );
        let mut rng = random::stream(1, name, "mutations");
        let all: Vec<Vec<u8>> = files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect();
        for bytes in &all {
            target(bytes);
            for _ in 0..MUTATIONS {
                let mut bytes = bytes.clone();
                for _ in 0..rng.random_range(1..4) {
                    mutate(&mut bytes, &all, &mut rng);
                }
                target(&bytes);
            }
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, all: &[Vec<u8>], rng: &mut random::Stream) {
    if bytes.is_empty() {
        bytes.push(0);
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..4) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes.truncate(at),
        2 => bytes.insert(at, rng.random_range(0..=255)),
        // The front of one and the back of another.
        _ => {
            let other = &all[rng.random_range(0..all.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[other.len().min(at)..]);
        }
    }
}

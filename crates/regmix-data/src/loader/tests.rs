use proptest::prelude::*;

use super::*;
use crate::domain::DomainSet;
use crate::manifest::TokenizerEntry;
use crate::token_corpus::CorpusWriter;

/// A corpus whose token `p` of domain `d` is `1000 d + p`.
fn corpus(sizes: &[u32]) -> (tempfile::TempDir, TokenCorpus) {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..sizes.len()).map(|d| format!("d{d}")).collect();
    let tokenizer = TokenizerEntry {
        kind: "none".into(),
        hash: "none".into(),
        vocab_size: 100_000,
        separator: 99_999,
    };
    let domains = DomainSet::from_names(names).unwrap();
    let mut writer = CorpusWriter::create(dir.path(), domains, tokenizer).unwrap();
    for (d, &size) in sizes.iter().enumerate() {
        let tokens: Vec<u32> = (0..size).map(|p| 1000 * d as u32 + p).collect();
        for split in Split::ALL {
            for document in tokens.chunks(7) {
                writer.push(d, split, document, 10).unwrap();
            }
        }
    }
    writer.finish().unwrap();
    let corpus = TokenCorpus::open(dir.path()).unwrap();
    (dir, corpus)
}

fn mixture(corpus: &TokenCorpus, weights: &[f64]) -> Mixture {
    Mixture::normalized(corpus.domains().clone(), weights.to_vec()).unwrap()
}

fn loader(corpus: &TokenCorpus, weights: &[f64], block: u32) -> Loader {
    let config = LoaderConfig::new(8, 42, "run-0000").with_block(block);
    Loader::new(corpus.clone(), mixture(corpus, weights), config).unwrap()
}

/// Studies depend on these places: they must never change.
#[test]
fn golden_order() {
    let (_dir, corpus) = corpus(&[90, 50]);
    let mut loader = loader(&corpus, &[0.7, 0.3], 10);
    let places: Vec<(usize, u64, u64)> = (0..16)
        .map(|i| loader.place(i))
        .map(|p| (p.domain, p.epoch, p.sequence))
        .collect();
    assert_eq!(
        places,
        [
            (0, 0, 1),
            (0, 0, 10),
            (0, 0, 5),
            (0, 0, 3),
            (1, 0, 3),
            (1, 0, 5),
            (0, 0, 4),
            (0, 0, 9),
            (0, 0, 8),
            (1, 0, 0),
            (0, 0, 6),
            (0, 0, 7),
            (1, 0, 4),
            (0, 0, 0),
            (0, 0, 2),
            (1, 0, 2)
        ]
    );
}

#[test]
fn a_sequence_is_a_window_of_its_domain() {
    let (_dir, corpus) = corpus(&[90, 50]);
    let mut loader = loader(&corpus, &[0.7, 0.3], 10);
    let mut tokens = [0; 9];
    for i in 0..40 {
        let place = loader.copy_sequence(i, &mut tokens).unwrap();
        let first = 1000 * place.domain as u32 + 8 * place.sequence as u32;
        assert_eq!(tokens, std::array::from_fn(|p| first + p as u32));
    }
    let err = loader.copy_sequence(0, &mut [0; 8]).unwrap_err();
    assert_eq!(err.problem(), "a buffer of 8 tokens, expected 9");
    let mut batch = [0; 4 * 9];
    loader.fill_batch(6, &mut batch).unwrap();
    for (i, sequence) in (6..).zip(batch.chunks(9)) {
        loader.copy_sequence(i, &mut tokens).unwrap();
        assert_eq!(sequence, tokens);
    }
    let err = loader.fill_batch(0, &mut [0; 28]).unwrap_err();
    assert_eq!(err.problem(), "a buffer of 28 tokens, expected 36");
}

#[test]
fn each_sequence_comes_once_an_epoch_in_a_new_order() {
    let (_dir, corpus) = corpus(&[300, 50]);
    let mut loader = loader(&corpus, &[0.8, 0.2], 16);
    assert_eq!(loader.sequences_per_epoch(), [37, 6]);
    let mut by_domain = [Vec::new(), Vec::new()];
    for i in 0..500 {
        let p = loader.place(i);
        assert_eq!(
            p.epoch,
            (by_domain[p.domain].len() as u64) / [37, 6][p.domain]
        );
        by_domain[p.domain].push(p.sequence);
    }
    for (seen, n) in by_domain.iter().zip([37, 6]) {
        let epochs: Vec<&[u64]> = seen.chunks_exact(n).collect();
        assert!(epochs.len() > 5);
        for epoch in &epochs {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n as u64).collect::<Vec<_>>());
        }
        assert!(epochs.windows(2).any(|w| w[0] != w[1]));
    }
}

#[test]
fn seeds_and_runs_have_their_own_order() {
    let (_dir, corpus) = corpus(&[900, 500]);
    let order = |seed, run: &str| -> Vec<Place> {
        let config = LoaderConfig::new(8, seed, run).with_block(64);
        let mut l = Loader::new(corpus.clone(), mixture(&corpus, &[0.5, 0.5]), config).unwrap();
        (0..64).map(|i| l.place(i)).collect()
    };
    assert_eq!(order(1, "a"), order(1, "a"));
    assert_ne!(order(1, "a"), order(2, "a"));
    assert_ne!(order(1, "a"), order(1, "b"));
}

#[test]
fn all_runs_of_a_seed_read_the_same_part_of_every_domain() {
    let (_dir, corpus) = corpus(&[801, 81]);
    let read = |run: &str, seed: u64, share: f64| -> Vec<(usize, u64)> {
        let config = LoaderConfig::new(8, seed, run)
            .with_block(10)
            .with_text_share(share);
        let mut loader =
            Loader::new(corpus.clone(), mixture(&corpus, &[0.8, 0.2]), config).unwrap();
        (0..100)
            .map(|i| loader.place(i))
            .map(|p| (p.domain, p.sequence))
            .collect()
    };
    let distinct = |mut all: Vec<(usize, u64)>| {
        all.sort_unstable();
        all.dedup();
        all
    };
    let first = read("a", 42, 0.2);
    let part = distinct(first.clone());
    // 100 and 10 sequences; a fifth of them is read. 80 and 20 reads are four
    // epochs of one and ten of the other.
    assert_eq!(part.iter().filter(|p| p.0 == 0).count(), 20);
    assert_eq!(part.iter().filter(|p| p.0 == 1).count(), 2);
    let mut loader = {
        let config = LoaderConfig::new(8, 42, "a")
            .with_block(10)
            .with_text_share(0.2);
        Loader::new(corpus.clone(), mixture(&corpus, &[0.8, 0.2]), config).unwrap()
    };
    assert_eq!(loader.implied_epochs(100), [4.0, 10.0]);
    assert_eq!(loader.sequences_per_epoch(), [20, 2]);
    // Another run reads it in another order, another seed reads another part.
    assert_ne!(read("b", 42, 0.2), first);
    assert_eq!(distinct(read("b", 42, 0.2)), part);
    assert_ne!(distinct(read("a", 43, 0.2)), part);
    // It is spread over the domain.
    assert!(part.iter().any(|p| *p < (0, 30)) && part.iter().any(|p| (0, 70) < *p && p.0 == 0));
    // A whole domain is read as without a share; one sequence is always left.
    assert_eq!(read("a", 42, 1.0), {
        let mut loader = loader_of(&corpus, "a");
        let places = (0..100).map(|i| loader.place(i));
        places.map(|p| (p.domain, p.sequence)).collect::<Vec<_>>()
    });
    assert_eq!(distinct(read("a", 42, 1e-9)).len(), 2);
    for share in [0.0, -1.0, 1.5, f64::NAN] {
        let config = LoaderConfig::new(8, 42, "a").with_text_share(share);
        let err = Loader::new(corpus.clone(), mixture(&corpus, &[0.8, 0.2]), config).unwrap_err();
        assert_eq!(
            err.to_string(),
            format!(
                "`text_share`: a share of {share} of the sequences, expected one above 0 and at most 1"
            )
        );
    }
}

fn loader_of(corpus: &TokenCorpus, run: &str) -> Loader {
    let config = LoaderConfig::new(8, 42, run).with_block(10);
    Loader::new(corpus.clone(), mixture(corpus, &[0.8, 0.2]), config).unwrap()
}

#[test]
fn only_a_domain_without_weight_may_be_empty() {
    let (_dir, corpus) = corpus(&[300, 8]);
    let mut fine = loader(&corpus, &[1.0, 0.0], 16);
    assert!((0..100).all(|i| fine.place(i).domain == 0));
    assert_eq!(fine.implied_epochs(74), [2.0, 0.0]);
    let config = LoaderConfig::new(8, 1, "r");
    let err = Loader::new(corpus.clone(), mixture(&corpus, &[0.9, 0.1]), config).unwrap_err();
    assert_eq!(
        err.to_string(),
        "`d1`: 8 training tokens, but one sequence takes 9"
    );
    let err = fine
        .change_mixture(5, mixture(&corpus, &[0.5, 0.5]))
        .unwrap_err();
    assert_eq!(err.field_name(), Some("d1"));
    let err = ValidationSet::new(corpus, 8, 4).unwrap_err();
    assert!(
        err.to_string()
            .starts_with("`d1`: validation smaller than one sequence"),
        "{err}"
    );
}

#[test]
fn a_new_segment_does_not_change_earlier_sequences() {
    let (_dir, corpus) = corpus(&[300, 200]);
    let mut plain = loader(&corpus, &[0.9, 0.1], 16);
    let mut segmented = plain.clone();
    let mut late = plain.clone();
    segmented
        .change_mixture(40, mixture(&corpus, &[0.0, 1.0]))
        .unwrap();
    // One that had already passed the start of the segment.
    for i in 0..60 {
        late.place(i);
    }
    late.change_mixture(40, mixture(&corpus, &[0.0, 1.0]))
        .unwrap();
    let mut seen = [0u64; 2];
    for i in 0..100 {
        let p = segmented.place(i);
        assert_eq!(late.place(i), p);
        if i < 40 {
            assert_eq!(plain.place(i), p);
        } else {
            assert_eq!(p.domain, 1);
            // Epochs go on across the change.
            assert_eq!(p.epoch, seen[1] / 24);
        }
        seen[p.domain] += 1;
        assert_eq!(segmented.counts(i + 1), seen);
    }
    assert_eq!(segmented.mixture_at(39).weights(), [0.9, 0.1]);
    assert_eq!(segmented.mixture_at(40).weights(), [0.0, 1.0]);
    let err = segmented
        .change_mixture(40, mixture(&corpus, &[0.5, 0.5]))
        .unwrap_err();
    assert!(err.problem().contains("the last one begins at 40"), "{err}");
}

#[test]
fn validation_is_spread_evenly_and_fixed() {
    let (_dir, corpus) = corpus(&[300, 20]);
    let set = ValidationSet::new(corpus, 8, 4).unwrap();
    assert_eq!((set.sequences(0), set.sequences(1)), (4, 2));
    let mut tokens = [u32::MAX; 3 * 9];
    assert_eq!(set.fill_batch(0, 2, &mut tokens).unwrap(), 2);
    // 37 windows; the third of four starts at window 18, the last at 27.
    assert_eq!((tokens[0], tokens[9]), (18 * 8, 27 * 8));
    assert_eq!(tokens[18], u32::MAX);
    let err = set.fill_batch(0, 0, &mut [0; 10]).unwrap_err();
    assert_eq!(err.problem(), "a buffer of 10 tokens, expected 18");
    assert_eq!(set.fill_batch(1, 5, &mut tokens).unwrap(), 0);
    // 43 documents of 10 bytes, 300 tokens.
    assert!((set.bytes_per_token(0) - 430.0 / 300.0).abs() < 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn shares_are_met_and_order_of_reading_is_irrelevant(
        raw in prop::collection::vec(0.0f64..1.0, 3),
        block in 1u32..70,
        split in 1u64..300,
        jumps in prop::collection::vec(0u64..300, 30),
    ) {
        prop_assume!(raw.iter().sum::<f64>() > 0.1);
        let (_dir, corpus) = corpus(&[300, 90, 20]);
        let mut forward = loader(&corpus, &raw, block);
        forward.change_mixture(split, mixture(&corpus, &[0.2, 0.3, 0.5])).unwrap();
        let mut random = forward.clone();
        let places: Vec<Place> = (0..300).map(|i| forward.place(i)).collect();
        for i in jumps {
            prop_assert_eq!(random.place(i), places[i as usize]);
        }
        // At every block's end each domain is within one sequence of its share.
        let weights = forward.mixture_at(0).weights().to_vec();
        let mut at = u64::from(block);
        while at < split {
            for (d, w) in weights.iter().enumerate() {
                let got = places[..at as usize].iter().filter(|p| p.domain == d).count();
                prop_assert!((got as f64 - w * at as f64).abs() < 1.0 + 1e-6);
            }
            at += u64::from(block);
        }
    }
}

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::count::{Counted, count, count_as};
use super::*;
use crate::manifest::TokenizerEntry;
use crate::monitor::Silent;
use crate::token_corpus::CorpusWriter;

const VOCAB: u32 = 50_000;

/// A corpus of one domain per list of tokens, in shards of 4 KB.
fn corpus(folder: &std::path::Path, domains: &[&[u32]]) -> TokenCorpus {
    let tokenizer = TokenizerEntry {
        kind: "file".into(),
        hash: "abc".into(),
        vocab_size: VOCAB,
        separator: 0,
    };
    let names = DomainSet::from_names((0..domains.len()).map(|i| format!("d{i}"))).unwrap();
    let mut writer = CorpusWriter::create(folder, names, tokenizer)
        .unwrap()
        .with_shard_bytes(4 << 10);
    for (i, tokens) in domains.iter().enumerate() {
        for document in tokens.chunks(100) {
            writer.push(i, Split::Train, document, 1).unwrap();
        }
        writer.push(i, Split::Valid, &[1, 0], 1).unwrap();
    }
    writer.finish().unwrap();
    TokenCorpus::open(folder).unwrap()
}

fn measured(domains: &[&[u32]], options: &EntropyOptions) -> Vec<DomainEntropy> {
    let folder = tempfile::tempdir().unwrap();
    measure(&corpus(folder.path(), domains), options, &Silent).unwrap()
}

fn sequences_of(sequence: usize) -> EntropyOptions {
    EntropyOptions {
        sequence,
        ..EntropyOptions::default()
    }
}

#[track_caller]
fn assert_close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a}, expected {b}");
}

/// Numbers that are frequent where they are small, from a generator that is easily
/// written again elsewhere.
fn frequent_and_rare(n: usize, range: f64) -> Vec<u32> {
    let mut state = 12_345_u64;
    let mut tokens = Vec::with_capacity(n);
    for _ in 0..n {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let uniform = (state >> 33) as f64 / 2_f64.powi(31);
        tokens.push((uniform * uniform * uniform * range) as u32);
    }
    tokens
}

#[test]
fn small_texts_have_the_entropies_of_a_calculation_by_hand() {
    // 1 2 1 2 | 1 1 1 3: six of eight tokens are 1, 2 and 3 come twice and once.
    // Wait for the pairs: 12 21 12 | 11 11 13, of which 12 and 11 come twice.
    let found = &measured(&[&[1, 2, 1, 2, 1, 1, 1, 3]], &sequences_of(4))[0];
    let entropy = |p: &[f64]| -> f64 { p.iter().map(|p| -p * p.ln()).sum() };
    assert_eq!(found.tokens, 8);
    assert_close(found.shannon, entropy(&[5.0 / 8.0, 2.0 / 8.0, 1.0 / 8.0]));
    let pairs = [2.0 / 6.0, 1.0 / 6.0, 2.0 / 6.0, 1.0 / 6.0];
    assert_close(found.joint, entropy(&pairs));
    // After 1: 2, 1 (twice each) and 3; after 2 always 1.
    let after_1 = entropy(&[2.0 / 5.0, 2.0 / 5.0, 1.0 / 5.0]);
    assert_close(found.conditional, 5.0 / 6.0 * after_1);
    // Two sequences with the cosine c: the eigenvalues are (1 + c) / 2 and (1 - c) / 2.
    // By their tokens, c is sqrt(2/4 * 3/4); random signs are near that.
    let c: f64 = (2.0_f64 / 4.0 * 3.0 / 4.0).sqrt();
    let expected = entropy(&[(1.0 + c) / 2.0, (1.0 - c) / 2.0]);
    assert!((found.von_neumann - expected).abs() < 0.05, "{found:?}");
}

#[test]
fn tokens_without_surprise_have_none() {
    let found = measured(&[&[7; 5000], &[7], &[]], &EntropyOptions::default());
    for domain in &found {
        let all = [domain.shannon, domain.joint, domain.conditional];
        assert_eq!(all, [0.0; 3], "{domain:?}");
        assert!(domain.von_neumann < 1e-12, "{domain:?}");
    }
    assert_eq!(found[2].tokens, 0);
    let mixture = entropy_mixture(&found, EntropyKind::Joint, 2.0).unwrap();
    assert_eq!(mixture.weights(), [0.5, 0.5, 0.0]);
}

#[test]
fn sequences_that_share_no_token_are_all_different() {
    // The cosines of eight sequences are those of random signs, around 0.06.
    let tokens: Vec<u32> = (0..8 * 64).collect();
    let found = &measured(&[&tokens], &sequences_of(64))[0];
    assert!((found.von_neumann - 8_f64.ln()).abs() < 0.02, "{found:?}");
    assert_close(found.shannon, 512_f64.ln());
    assert_close(found.joint, (8.0 * 63.0_f64).ln());
    assert_eq!(found.conditional, 0.0);
}

/// The numbers are those of numpy 2:
///
/// ```python
/// import numpy as np
/// state, tokens = 12345, []
/// for _ in range(300_000):
///     state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
///     u = (state >> 33) / 2**31
///     tokens.append(int(u * u * u * 50_000))
/// windows = [np.array(tokens[i:i + 1024]) for i in range(0, 300_000, 1024)]
/// first = np.concatenate([w[:-1] for w in windows])
/// pair = first * 50_000 + np.concatenate([w[1:] for w in windows])
/// def entropy(x):
///     p = np.unique(x, return_counts=True)[1] / len(x)
///     return -(p * np.log(p)).sum()
/// print(repr(entropy(tokens)), repr(entropy(pair)), repr(entropy(pair) - entropy(first)))
/// ```
#[test]
fn a_long_text_has_the_entropies_that_numpy_finds() {
    let tokens = frequent_and_rare(300_000, f64::from(VOCAB));
    let found = &measured(&[&tokens], &EntropyOptions::default())[0];
    assert_close(found.shannon, NUMPY[0]);
    assert_close(found.joint, NUMPY[1]);
    assert_close(found.conditional, NUMPY[2]);
}

const NUMPY: [f64; 3] = [
    9.854_204_857_586_062,
    12.573_671_798_423_199,
    2.719_708_800_615_677_5,
];

#[test]
fn threads_memory_and_widths_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = frequent_and_rare(200_000, f64::from(VOCAB));
    let corpus = corpus(folder.path(), &[&tokens]);
    let windows = Windows::new(corpus.stream(0, Split::Train), 1024, None);
    let first = measure(&corpus, &EntropyOptions::default(), &Silent).unwrap();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let again = (pool.build().unwrap())
            .install(|| measure(&corpus, &EntropyOptions::default(), &Silent).unwrap());
        assert_eq!(again, first, "{threads} threads");
    }
    let expected = Counted {
        shannon: first[0].shannon,
        joint: first[0].joint,
        conditional: first[0].conditional,
    };
    // Of 200,000 pairs nearly all are different. In a twentieth of their memory they
    // are counted in many passes, and without any in one per table.
    for memory in [200_000, 0] {
        let counted = count(&windows, VOCAB, memory, &Silent).unwrap();
        assert_eq!(counted, expected, "{memory} bytes");
    }
    let wide = count_as::<u64>(&windows, VOCAB, 1 << 30, &Silent).unwrap();
    assert_eq!(wide, expected);
}

#[test]
fn a_part_of_the_tokens_is_spread_over_all() {
    let folder = tempfile::tempdir().unwrap();
    let tokens: Vec<u32> = (0..1000).map(|i| i / 10).collect();
    let corpus = corpus(folder.path(), &[&tokens]);
    let stream = corpus.stream(0, Split::Train);
    let windows = Windows::new(stream, 10, Some(95));
    let mut buffer = Vec::new();
    let found: Vec<u32> = (0..windows.len())
        .map(|i| windows.read(i, &mut buffer).unwrap()[0])
        .collect();
    assert_eq!(found, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
    assert_eq!(windows.tokens(), 100);
    // All of them, of which the last is short.
    let windows = Windows::new(stream, 300, Some(5000));
    let lengths: Vec<usize> = (0..windows.len())
        .map(|i| windows.read(i, &mut buffer).unwrap().len())
        .collect();
    assert_eq!(lengths, [300, 300, 300, 100]);
    assert_eq!(windows.tokens(), 1000);
}

#[test]
fn the_base_makes_a_mixture_more_or_less_even() {
    let two: Vec<u32> = (0..64).map(|i| i % 4).collect();
    let found = measured(&[&two, &[5; 64]], &sequences_of(64));
    for (base, expected) in [(std::f64::consts::E, 0.8), (2.0, 0.880_796_9), (1e300, 0.5)] {
        let mixture = entropy_mixture(&found, EntropyKind::Shannon, base).unwrap();
        let weight = mixture.weights()[0];
        assert!((weight - expected).abs() < 0.001, "{base}: {weight}");
    }
    // However large the exponents.
    let mixture = entropy_mixture(&found, EntropyKind::Shannon, 1.000_001).unwrap();
    assert_eq!(mixture.weights(), [1.0, 0.0]);
    for base in [1.0, 0.5, -2.0, f64::NAN, f64::INFINITY] {
        let err = entropy_mixture(&found, EntropyKind::Shannon, base).unwrap_err();
        assert_eq!(
            err.problem(),
            format!("a logarithm to the base {base}: expected a number above 1")
        );
    }
    let err = entropy_mixture(
        &measured(&[&[]], &sequences_of(2))[..],
        EntropyKind::Joint,
        2.0,
    )
    .unwrap_err();
    assert_eq!(
        err.problem(),
        "no domain has a token: expected training text in at least one"
    );
}

#[test]
fn wrong_options_and_stops_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &[&[1, 2, 3]]);
    let refused = |options| measure(&corpus, &options, &Silent).unwrap_err();
    assert_eq!(
        refused(sequences_of(1)).problem(),
        "sequences of 1 tokens have no pairs: expected at least 2"
    );
    let none = EntropyOptions {
        tokens: Some(0),
        ..EntropyOptions::default()
    };
    assert_eq!(refused(none).problem(), "0 tokens, expected at least 1");
    let stop = AtomicBool::new(true);
    let stopped = measure(&corpus, &EntropyOptions::default(), &stop).unwrap_err();
    assert!(stopped.is_interrupted());
}

/// The same by the formulas, with maps.
fn plain(tokens: &[u32], sequence: usize) -> [f64; 3] {
    use std::collections::BTreeMap;
    let (mut ones, mut pairs, mut firsts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for window in tokens.chunks(sequence) {
        window
            .iter()
            .for_each(|t| *ones.entry(*t).or_insert(0.0) += 1.0);
        for pair in window.windows(2) {
            *pairs.entry((pair[0], pair[1])).or_insert(0.0) += 1.0;
            *firsts.entry(pair[0]).or_insert(0.0) += 1.0;
        }
    }
    let entropy = |counts: Vec<f64>| -> f64 {
        let all: f64 = counts.iter().sum();
        counts.iter().map(|c| -c / all * (c / all).ln()).sum()
    };
    let all: f64 = pairs.values().sum();
    let conditional =
        (pairs.iter()).map(|((first, _), count)| -count / all * (count / firsts[first]).ln());
    let conditional = conditional.sum();
    [
        entropy(ones.into_values().collect()),
        entropy(pairs.clone().into_values().collect()),
        conditional,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn entropies_are_those_of_the_formulas(
        tokens in prop::collection::vec(0_u32..12, 2..600),
        sequence in 2_usize..70,
    ) {
        let found = &measured(&[&tokens], &sequences_of(sequence))[0];
        let found = [found.shannon, found.joint, found.conditional];
        for (a, b) in found.iter().zip(plain(&tokens, sequence)) {
            prop_assert!((a - b).abs() < 1e-10, "{found:?}");
        }
    }
}

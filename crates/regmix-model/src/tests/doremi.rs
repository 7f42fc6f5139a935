//! DoReMi proxies, and weights of sequences.

use std::path::Path;
use std::sync::Arc;

use rand_distr::Distribution;
use regmix_data::manifest::TokenizerEntry;
use regmix_data::shard::Split;
use regmix_data::{
    CorpusWriter, DomainSet, ErrorKind, Monitor, Result, Silent, TokenCorpus, random,
};

use super::correctness::{difference, tokens};
use super::runs::{losses, spec, stop_after};
use super::{cpu, tiny, trainer};
use crate::TrainedModel;
use crate::device::Device;
use crate::doremi::{Doremi, DoremiOptions, DoremiResult};
use crate::engine::{Engine, Parts};
use crate::fleet::train_all;
use crate::graph::Graph;
use crate::host::Host;
use crate::lease::Sharing;
use crate::parameters;
use crate::precision::Precision;
use crate::run::{Job, RunSpec, RunStatus, train};

#[test]
fn weights_of_sequences_are_those_of_their_losses() {
    for config in [
        tiny(),
        crate::ModelConfig {
            tied: true,
            ..tiny()
        },
    ] {
        let values = parameters::init(&config, &mut random::stream(2, "test", "weighted")).unwrap();
        let host = || Host::new(&config, values.clone(), Precision::F32);
        let mut graph = Graph::new(
            &config,
            values.clone(),
            Precision::F32,
            &burn::tensor::Device::default(),
        );
        let batch = tokens(&config, 4);
        let row = config.context + 1;
        let weights = [0.5f32, 0.0, 0.2, 0.3];
        let mut weighted = host();
        let sum = weighted.accumulate_by(&batch, &mut |_| weights.to_vec());
        let on_graph = graph.accumulate_by(&batch, &mut |losses| {
            assert_eq!(losses.len(), 4 * config.context);
            weights.to_vec()
        });
        assert!((sum - on_graph).abs() < 1e-5, "{sum} {on_graph}");
        // One sequence after the other, each with its share.
        let mut parts = host();
        let mut expected = 0.0;
        for (sequence, weight) in batch.chunks(row).zip(weights).filter(|(_, w)| *w > 0.0) {
            expected += f64::from(weight) * parts.accumulate(sequence, f64::from(weight));
        }
        assert!((sum - expected).abs() < 1e-6);
        let names = parameters::list(&config);
        let (a, b, c) = (weighted.gradients(), parts.gradients(), graph.gradients());
        for (((a, b), c), parameter) in a.iter().zip(&b).zip(&c).zip(&names) {
            assert!(difference(a, b) < 1e-5, "{}", parameter.name);
            assert!(difference(c, b) < 1e-4, "{}", parameter.name);
        }
        let by_token = host().token_losses(&batch);
        for (a, b) in by_token.iter().zip(graph.token_losses(&batch)) {
            assert!((a - b).abs() < 1e-4);
        }
        let means = host().losses(&batch);
        let first = &by_token[..config.context];
        let mean = first.iter().map(|l| f64::from(*l)).sum::<f64>() / first.len() as f64;
        assert_eq!(means[0], mean);
    }
    let mut trainer = trainer(&tiny(), 1);
    // In one forward pass and in two the steps are the same, but for rounding.
    let batch = tokens(&tiny(), 4);
    let mut pieces = super::trainer(&tiny(), 1);
    let weigh = |losses: &[f32]| Ok(vec![losses[0] / 9.0, 0.1, 0.2, 0.0]);
    for _ in 0..3 {
        let whole = trainer.step_weighted(&batch, weigh, 4, 0.01).unwrap();
        let parts = pieces.step_weighted(&batch, weigh, 3, 0.01).unwrap();
        assert!(
            (whole.loss - parts.loss).abs() < 1e-4,
            "{whole:?} {parts:?}"
        );
    }
    let before = trainer.evaluate(&batch, 4).unwrap();
    for micro_batch in [1, 4] {
        let bad = trainer.step_weighted(&batch, |_| Ok(vec![1.0]), micro_batch, 0.1);
        let problem = "1 weights for 4 sequences: expected one each";
        assert_eq!(bad.unwrap_err().problem(), problem);
        assert_eq!(
            trainer.evaluate(&batch, 4).unwrap(),
            before,
            "nothing was updated"
        );
    }
}

/// Of three domains one can be learnt, `count`, and two are noise.
fn corpus(folder: &Path) -> TokenCorpus {
    let tokenizer = TokenizerEntry {
        kind: "none".into(),
        hash: "none".into(),
        vocab_size: 13,
        separator: 12,
    };
    let domains = DomainSet::from_names(["count", "noise", "more"]).unwrap();
    let mut writer = CorpusWriter::create(folder, domains, tokenizer).unwrap();
    let mut rng = random::stream(1, "test", "doremi");
    let token = rand_distr::Uniform::new(0, 12).unwrap();
    for domain in 0..3 {
        for split in [Split::Train, Split::Valid] {
            for _ in 0..20 {
                let first: u32 = token.sample(&mut rng);
                let document: Vec<u32> = (0..40)
                    .map(|i| match domain {
                        0 => (first + i) % 12,
                        _ => token.sample(&mut rng),
                    })
                    .collect();
                writer.push(domain, split, &document, 80).unwrap();
            }
        }
    }
    writer.finish().unwrap();
    TokenCorpus::open(folder).unwrap()
}

/// A run on the uniform mixture.
fn uniform(corpus: &TokenCorpus, run: &str, steps: u64) -> RunSpec {
    let two = super::runs::corpus(&tempfile::tempdir().unwrap().path().join("corpus"));
    let mut spec = spec(&two, run, 0.5);
    spec.corpus = corpus.fingerprint().to_owned();
    spec.mixture = regmix_data::Mixture::uniform(corpus.domains().clone());
    spec.train.steps = steps;
    spec.train.batch_size = 6;
    spec.train.eval_every = 5;
    spec
}

fn proxy(
    corpus: &TokenCorpus,
    folder: &Path,
    device: &Device,
    monitor: &dyn Monitor,
) -> Result<RunStatus> {
    let mut spec = uniform(corpus, "proxy", 20);
    spec.weighed_by = Some("doremi".into());
    let reference = folder.parent().unwrap().join("reference");
    // With the paper's step size, these easy domains collapse within 20 steps.
    let options = DoremiOptions {
        step_size: 0.1,
        ..DoremiOptions::default()
    };
    let job = Job {
        spec,
        folder: folder.to_owned(),
        steer: None,
        weigh: Some(Arc::new(Doremi::new(reference, options)?)),
        start: None,
    };
    let mut statuses = train_all(&[job], corpus, device, 1, Sharing::default(), monitor)?;
    Ok(statuses.remove(0))
}

#[test]
fn domains_that_can_be_learnt_gain_weight_and_a_resumed_proxy_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let folder = |name: &str| dir.path().join(name);
    // Before there is a reference.
    let err = proxy(&corpus, &folder("early"), &cpu(), &Silent).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Input);
    assert!(
        err.to_string()
            .contains("the run of the reference model is not finished"),
        "{err}"
    );
    let mut reference = uniform(&corpus, "reference", 60);
    train(&reference, &corpus, &folder("bare"), &cpu(), &Silent).unwrap();
    let bare = TrainedModel::of_run(&folder("bare")).unwrap_err();
    assert!(
        bare.to_string()
            .contains("the weights of the run were not kept"),
        "{bare}"
    );
    reference.train.keep_weights = true;
    train(&reference, &corpus, &folder("reference"), &cpu(), &Silent).unwrap();

    let status = proxy(&corpus, &folder("whole"), &cpu(), &Silent).unwrap();
    assert!(matches!(status, RunStatus::Done(_)), "{status:?}");
    let found = DoremiResult::read(&folder("whole"), corpus.domains()).unwrap();
    assert_eq!(found.steps, 20);
    let [count, noise, more] = ["count", "noise", "more"].map(|d| found.mixture.get(d).unwrap());
    assert!(count > 0.4 && noise < 0.35 && more < 0.35, "{found:?}");
    assert_eq!(found.collapsed(), None);

    for stop_at in [1, 4, 9, 13] {
        let parts = folder(&format!("parts-{stop_at}"));
        let stop = stop_after(|step| step == stop_at);
        let err = proxy(&corpus, &parts, &cpu(), &stop).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Interrupted);
        // As after a kill: losses of the reference and weights are cut off.
        for name in std::fs::read_dir(&parts).unwrap() {
            let path = name.unwrap().path();
            if path.extension().is_some_and(|e| e == "f32") {
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(&path, &bytes[..bytes.len() / 2 + 3]).unwrap();
            }
        }
        let record = parts.join("doremi.jsonl");
        let half = std::fs::read_to_string(&record).unwrap() + "{\"step\":";
        std::fs::write(&record, half).unwrap();
        proxy(&corpus, &parts, &cpu(), &Silent).unwrap();
        assert_eq!(
            losses(&parts),
            losses(&folder("whole")),
            "stopped at {stop_at}"
        );
        assert_eq!(DoremiResult::read(&parts, corpus.domains()).unwrap(), found);
    }
}

#[test]
fn damaged_weights_of_a_proxy_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let domains = DomainSet::from_names(["a", "b"]).unwrap();
    let read = |text: &str| {
        std::fs::write(dir.path().join("doremi.jsonl"), text).unwrap();
        DoremiResult::read(dir.path(), &domains)
    };
    let good = "{\"step\":1,\"weights\":[0.02,0.98],\"excess\":[0.1,0.2]}\n";
    let found = read(good).unwrap();
    assert_eq!(found.collapsed(), Some("b"));
    for (text, problem) in [
        ("", "no step: expected one line for each"),
        ("{}\n", "not a step of this run: missing field `step`"),
        (
            &good.replace("\"step\":1", "\"step\":2"),
            "step 2, expected 1",
        ),
        (
            &good.replace("[0.1,", "[-0.1,"),
            "expected 2 weights and excess losses, none below 0",
        ),
        (
            &good.replace("[0.1,", "[0.1,0.1,"),
            "expected 2 weights and excess losses, none below 0",
        ),
    ] {
        let err = read(text).unwrap_err();
        assert!(err.problem().starts_with(problem), "{err}");
    }
}

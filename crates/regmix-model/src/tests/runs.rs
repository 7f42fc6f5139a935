//! Whole runs: resuming, failing, refusing.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand_distr::Distribution;
use regmix_data::manifest::TokenizerEntry;
use regmix_data::shard::Split;
use regmix_data::{
    CorpusWriter, DomainSet, ErrorKind, Mixture, Monitor, Silent, TokenCorpus, random,
};

use super::{cpu, tiny};
use crate::fleet::train_all;
use crate::lease::Sharing;
use crate::metrics;
use crate::optimizer::{AdamWConfig, LearningRateSchedule};
use crate::precision::Precision;
use crate::run::{FinishedRun, Job, RunSpec, RunStatus, TrainConfig, train};

/// Two domains with different statistics.
pub(super) fn corpus(folder: &Path) -> TokenCorpus {
    let tokenizer = TokenizerEntry {
        kind: "none".into(),
        hash: "none".into(),
        vocab_size: 13,
        separator: 12,
    };
    let domains = DomainSet::from_names(["low", "high"]).unwrap();
    let mut writer = CorpusWriter::create(folder, domains, tokenizer).unwrap();
    let mut rng = random::stream(1, "test", "corpus");
    for (domain, from) in [(0, 0), (1, 6)] {
        let tokens = rand_distr::Uniform::new(from, from + 6).unwrap();
        for split in [Split::Train, Split::Valid] {
            for _ in 0..20 {
                let document: Vec<u32> = (0..40).map(|_| tokens.sample(&mut rng)).collect();
                writer.push(domain, split, &document, 80).unwrap();
            }
        }
    }
    writer.finish().unwrap();
    TokenCorpus::open(folder).unwrap()
}

pub(super) fn spec(corpus: &TokenCorpus, run: &str, low: f64) -> RunSpec {
    RunSpec {
        run: run.into(),
        seed: 11,
        corpus: corpus.fingerprint().to_owned(),
        train: TrainConfig {
            steps: 12,
            batch_size: 4,
            micro_batch: 4,
            lr: 1e-2,
            min_lr: 0.0,
            warmup: 2,
            schedule: LearningRateSchedule::Cosine,
            optimizer: AdamWConfig::default(),
            eval_every: 4,
            eval_sequences: 8,
            checkpoint_every: 3,
            keep_weights: false,
            precision: Precision::F32,
        },
        model: tiny(),
        mixture: Mixture::new(corpus.domains().clone(), vec![low, 1.0 - low]).unwrap(),
        later_segments: Vec::new(),
        starts_from: None,
        steered_by: None,
        weighed_by: None,
        data_order: None,
        text_share: None,
    }
}

/// Requests a stop after the first step for which the function is true. Steps
/// are counted from 1.
pub(super) struct StopAfter<F> {
    steps: AtomicU64,
    stop: AtomicBool,
    last: F,
    /// So many questions are answered with no although it should stop.
    patience: AtomicU64,
}

pub(super) fn stop_after<F: Fn(u64) -> bool + Sync>(last: F) -> StopAfter<F> {
    StopAfter {
        steps: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        last,
        patience: AtomicU64::new(0),
    }
}

impl<F: Fn(u64) -> bool + Sync> Monitor for StopAfter<F> {
    fn advance(&self, _: u64) {
        let step = 1 + self.steps.fetch_add(1, Ordering::Relaxed);
        self.stop.fetch_or((self.last)(step), Ordering::Relaxed);
    }

    fn stop_requested(&self) -> bool {
        let one_less = |left: u64| left.checked_sub(1);
        let order = Ordering::Relaxed;
        self.stop.load(order) && self.patience.fetch_update(order, order, one_less).is_err()
    }
}

pub(super) fn losses(folder: &Path) -> Vec<(u64, Vec<u64>)> {
    let lines = metrics::read(folder.join("metrics.jsonl")).unwrap();
    (lines.iter())
        .map(|l| (l.step, l.loss.values().map(|v| v.to_bits()).collect()))
        .collect()
}

#[test]
fn a_resumed_run_is_the_run_that_never_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let spec = spec(&corpus, "run", 0.5);
    let whole = dir.path().join("whole");
    let status = train(&spec, &corpus, &whole, &cpu(), &Silent).unwrap();
    let RunStatus::Done(summary) = status else {
        panic!("{status:?}")
    };
    assert_eq!(summary.tokens, 12 * 4 * 6);
    // Two uniform distributions over six tokens each: nothing to learn within
    // a domain beyond ln 6, so a trained model is near it.
    assert!(summary.loss["low"] < 2.6, "{:?}", summary.loss);
    assert!(!whole.join("checkpoint").exists());

    // Stopped at every step in turn, also between checkpoints.
    for stop_at in 1..12 {
        let parts = dir.path().join(format!("parts-{stop_at}"));
        let stop = stop_after(|step| step == stop_at);
        let err = train(&spec, &corpus, &parts, &cpu(), &stop).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Interrupted);
        assert_eq!(RunStatus::read(&parts).unwrap(), RunStatus::Started);
        train(&spec, &corpus, &parts, &cpu(), &Silent).unwrap();
        assert_eq!(losses(&parts), losses(&whole), "stopped at {stop_at}");
    }

    // Killed: the last checkpoint is older than the last line of metrics.
    let killed = dir.path().join("killed");
    let state = killed.join("checkpoint/state.safetensors");
    let saved = Mutex::new(Vec::new());
    let stop = stop_after(|step| {
        if step == 4 {
            // Taken while the checkpoint of step 3 is the newest.
            *saved.lock().unwrap() = std::fs::read(&state).unwrap();
        }
        step == 9
    });
    train(&spec, &corpus, &killed, &cpu(), &stop).unwrap_err();
    std::fs::write(&state, saved.lock().unwrap().as_slice()).unwrap();
    train(&spec, &corpus, &killed, &cpu(), &Silent).unwrap();
    assert_eq!(losses(&killed), losses(&whole));

    // Done: nothing more is trained.
    let monitor = stop_after(|_| false);
    train(&spec, &corpus, &whole, &cpu(), &monitor).unwrap();
    assert_eq!(monitor.steps.load(Ordering::Relaxed), 0);
}

#[test]
fn a_model_is_better_on_the_domain_it_was_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let jobs: Vec<Job> = [0.9, 0.1]
        .iter()
        .enumerate()
        .map(|(i, &low)| Job {
            spec: spec(&corpus, &format!("run-{i}"), low),
            folder: dir.path().join(format!("run-{i}")),
            steer: None,
            weigh: None,
            start: None,
        })
        .collect();
    let statuses = train_all(&jobs, &corpus, &cpu(), 2, Sharing::default(), &Silent).unwrap();
    let loss = |i: usize, domain: &str| match &statuses[i] {
        RunStatus::Done(s) => s.loss[domain],
        other => panic!("{other:?}"),
    };
    assert!(loss(0, "low") < loss(1, "low"));
    assert!(loss(1, "high") < loss(0, "high"));
    // One at a time, the bits are the same.
    let alone = dir.path().join("alone");
    train(&jobs[0].spec, &corpus, &alone, &cpu(), &Silent).unwrap();
    assert_eq!(losses(&alone), losses(&jobs[0].folder));
}

#[test]
fn divergence_ends_the_run_and_not_the_fleet() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let mut wild = spec(&corpus, "wild", 0.5);
    wild.train.lr = 1e18;
    wild.train.min_lr = 1e18;
    let jobs = [("wild", wild), ("tame", spec(&corpus, "tame", 0.5))].map(|(name, spec)| Job {
        spec,
        folder: dir.path().join(name),
        steer: None,
        weigh: None,
        start: None,
    });
    let statuses = train_all(&jobs, &corpus, &cpu(), 1, Sharing::default(), &Silent).unwrap();
    let RunStatus::Failed(reason) = &statuses[0] else {
        panic!("{:?}", statuses[0])
    };
    assert!(reason.contains("diverged at step"), "{reason}");
    assert!(matches!(statuses[1], RunStatus::Done(_)));
    // It stays failed; its folder says why.
    let again = train(&jobs[0].spec, &corpus, &jobs[0].folder, &cpu(), &Silent).unwrap();
    assert_eq!(again, RunStatus::Failed(reason.clone()));
}

#[test]
fn a_run_of_another_configuration_is_noticed_before_any_training() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let jobs = ["first", "last"].map(|name| Job {
        spec: spec(&corpus, name, 0.5),
        folder: dir.path().join(name),
        steer: None,
        weigh: None,
        start: None,
    });
    train_all(&jobs[1..], &corpus, &cpu(), 1, Sharing::default(), &Silent).unwrap();
    let [first, mut last] = jobs;
    last.spec.train.lr *= 2.0;
    let err = train_all(
        &[first, last],
        &corpus,
        &cpu(),
        1,
        Sharing::default(),
        &Silent,
    )
    .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Stale);
    assert!(err.to_string().contains("train.lr"), "{err}");
    assert!(!dir.path().join("first").exists());
}

#[test]
fn runs_that_do_not_fit_corpus_or_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let folder = dir.path().join("run");
    let attempt = |spec: &RunSpec| train(spec, &corpus, &folder, &cpu(), &Silent);

    let mut small = spec(&corpus, "run", 0.5);
    small.model.vocab_size = 12;
    let err = attempt(&small).unwrap_err();
    assert!(
        err.to_string()
            .contains("tokenizer knows 13 tokens, the model 12"),
        "{err}"
    );

    let mut other = spec(&corpus, "run", 0.5);
    other.corpus = "another".into();
    assert_eq!(attempt(&other).unwrap_err().kind(), ErrorKind::Stale);

    let mut long = spec(&corpus, "run", 0.5);
    long.model.context = 4000;
    let err = attempt(&long).unwrap_err();
    assert!(err.is_input(), "{err}");
    std::fs::remove_dir_all(&folder).unwrap();

    attempt(&spec(&corpus, "run", 0.5)).unwrap();
    let mut changed = spec(&corpus, "run", 0.5);
    changed.train.lr = 2e-2;
    let err = attempt(&changed).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Stale);
    assert!(
        err.to_string().contains("train.lr: 0.01 is now 0.02"),
        "{err}"
    );
}

/// A run that was stopped after step 8, with checkpoints of the steps 6 and 8.
fn stopped_run(dir: &Path) -> (TokenCorpus, RunSpec, PathBuf) {
    let corpus = corpus(&dir.join("corpus"));
    let spec = spec(&corpus, "run", 0.5);
    let folder = dir.join("run");
    let mut stop = stop_after(|step| step == 8);
    // Once before each batch of the measurement, which is therefore made.
    stop.patience = AtomicU64::new(2 * 8 / 4);
    train(&spec, &corpus, &folder, &cpu(), &stop).unwrap_err();
    assert_eq!(losses(&folder).len(), 2);
    (corpus, spec, folder)
}

/// Keeps messages.
#[derive(Default)]
struct Messages(Mutex<Vec<String>>);

impl Monitor for Messages {
    fn message(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let (corpus, spec, folder) = stopped_run(dir.path());
    let whole = dir.path().join("whole");
    train(&spec, &corpus, &whole, &cpu(), &Silent).unwrap();
    let newest = folder.join("checkpoint/state.safetensors");
    let previous = folder.join("checkpoint/state.previous.safetensors");
    let [good, before] = [&newest, &previous].map(|path| std::fs::read(path).unwrap());
    let lines = std::fs::read(folder.join("metrics.jsonl")).unwrap();
    // Continues the run from these files, and returns what was reported.
    let resume = |newest_bytes: &[u8], previous_bytes: &[u8]| {
        std::fs::create_dir_all(newest.parent().unwrap()).unwrap();
        std::fs::write(&newest, newest_bytes).unwrap();
        std::fs::write(&previous, previous_bytes).unwrap();
        std::fs::write(folder.join("metrics.jsonl"), &lines).unwrap();
        std::fs::remove_file(folder.join("DONE")).ok();
        let messages = Messages::default();
        train(&spec, &corpus, &folder, &cpu(), &messages).unwrap();
        assert_eq!(losses(&folder), losses(&whole));
        messages.0.into_inner().unwrap().join("\n")
    };
    assert_eq!(resume(&good, &before), "");
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    // One bit of a weight, of the step, of the checksum, of the header's length;
    // a header that claims 2^60 bytes; a cut file; another file.
    let find = |text: &str| {
        let mut at = good.windows(text.len());
        at.position(|window| window == text.as_bytes()).unwrap() + text.len()
    };
    let mut lies = good.clone();
    lies[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    for damaged in [
        flipped(good.len() - 100),
        flipped(find("\"regmix.step\":\"")),
        flipped(find("\"regmix.blake3\":\"")),
        flipped(find("\"regmix.bl") - 1),
        flipped(0),
        lies,
        good[..good.len() / 2].to_vec(),
        b"not this".to_vec(),
        Vec::new(),
    ] {
        let report = resume(&damaged, &before);
        assert!(
            report.contains("run run: it continues from the checkpoint of step 6, because of"),
            "{report}"
        );
    }
    let report = resume(&flipped(good.len() - 1), &before[1..]);
    assert!(
        report.contains("it starts again from the first step"),
        "{report}"
    );
}

#[test]
fn a_checkpoint_without_its_losses_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let (corpus, spec, folder) = stopped_run(dir.path());
    let path = folder.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    // The line of step 8 is lost: the checkpoint of step 6 needs only step 4.
    let first = text.lines().next().unwrap();
    std::fs::write(&path, format!("{first}\n")).unwrap();
    let messages = Messages::default();
    train(&spec, &corpus, &folder, &cpu(), &messages).unwrap();
    let steps: Vec<u64> = losses(&folder).iter().map(|line| line.0).collect();
    assert_eq!(steps, [4, 8, 12]);
    let report = messages.0.into_inner().unwrap().join("\n");
    assert!(
        report.contains("the losses of step 8 are missing"),
        "{report}"
    );
}

#[test]
fn a_finished_run_with_files_lost_or_of_another_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let [one, two] = ["one", "two"].map(|name| {
        let folder = dir.path().join(name);
        train(&spec(&corpus, name, 0.5), &corpus, &folder, &cpu(), &Silent).unwrap();
        folder
    });
    let finished = FinishedRun::read(&one).unwrap().unwrap();
    assert_eq!(finished.lines.len(), 3);
    // A process may be killed after `DONE`, before it removes its checkpoints.
    let checkpoint = one.join("checkpoint");
    std::fs::create_dir(&checkpoint).unwrap();
    std::fs::write(checkpoint.join("state.safetensors"), "left").unwrap();
    train(&spec(&corpus, "one", 0.5), &corpus, &one, &cpu(), &Silent).unwrap();
    assert!(!checkpoint.exists());
    let metrics = one.join("metrics.jsonl");
    let text = std::fs::read_to_string(&metrics).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let other = std::fs::read_to_string(two.join("metrics.jsonl")).unwrap();
    for (content, expected) in [
        (lines[..2].join("\n"), "the losses of step 12 are missing"),
        (lines[1..].join("\n"), "the losses of step 4 are missing"),
        (text.clone() + lines[2], "repeated or out of order"),
        (other, "not those that `DONE` records"),
        (text.replacen('{', "(", 1), "not a line of metrics"),
        (String::new(), "the losses of step 4 are missing"),
    ] {
        std::fs::write(&metrics, content).unwrap();
        let err = FinishedRun::read(&one).unwrap_err();
        assert!(err.problem().contains(expected), "{err}");
        let err = train(&spec(&corpus, "one", 0.5), &corpus, &one, &cpu(), &Silent).unwrap_err();
        assert_eq!(err.path(), Some(metrics.as_path()));
    }
    std::fs::write(&metrics, text).unwrap();
    std::fs::copy(two.join("DONE"), one.join("DONE")).unwrap();
    let err = FinishedRun::read(&one).unwrap_err();
    assert_eq!(err.problem(), "the results of another run (`two`)");
}

//! Runs on devices that fail on purpose.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use regmix_data::{ErrorKind, Monitor, Silent};

use super::runs::{corpus, losses, spec};
use super::{cpu, tiny};
use crate::device::{Device, DeviceSpec};
use crate::engine::{Engine, Parts, State, WeightsOf};
use crate::fleet::train_all;
use crate::lease::Sharing;
use crate::optimizer::AdamWConfig;
use crate::parallel::{ParallelTrial, default_parallel};
use crate::precision::Precision;
use crate::run::{Job, RunStatus, train};
use crate::trainer::Trainer;

/// How a device fails.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It panics with this message at the n-th update of all its engines
    /// together, and at every later one.
    Panics(u64, &'static str, Arc<AtomicU64>),
    /// It panics with this message when it computes more sequences than this at
    /// once.
    Narrow(usize, &'static str),
    /// It panics with this message when it holds more engines than this.
    Crowded(u64, &'static str, Arc<AtomicU64>),
    /// In bf16, this is added to the loss of an engine's n-th update.
    Spikes(u64, f64),
}

impl Device {
    pub(crate) fn with(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    pub(crate) fn faulty(
        &self,
        engine: Box<dyn Engine>,
        precision: Precision,
        context: usize,
    ) -> Box<dyn Engine> {
        match self.fault.clone() {
            None => engine,
            Some(fault) => {
                if let Fault::Crowded(_, _, engines) = &fault {
                    engines.fetch_add(1, Ordering::SeqCst);
                }
                Box::new(Faulty {
                    engine,
                    fault,
                    precision,
                    updates: 0,
                    sequence: context + 1,
                })
            }
        }
    }
}

#[derive(Debug)]
struct Faulty {
    engine: Box<dyn Engine>,
    fault: Fault,
    precision: Precision,
    updates: u64,
    /// Tokens of a sequence with the one after it.
    sequence: usize,
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if let Fault::Crowded(_, _, engines) = &self.fault {
            engines.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Faulty {
    /// Fails as this update would.
    fn before_update(&mut self) {
        self.updates += 1;
        match &self.fault {
            Fault::Panics(at, says, updates) => {
                let made = updates.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(made < *at, "{says}");
            }
            Fault::Crowded(most, says, engines) => {
                assert!(engines.load(Ordering::SeqCst) <= *most, "{says}");
            }
            Fault::Narrow(..) | Fault::Spikes(..) => {}
        }
    }

    fn check(&self, tokens: &[u32]) {
        if let Fault::Narrow(most, says) = self.fault {
            assert!(tokens.len() <= most * self.sequence, "{says}");
        }
    }

    fn inner(&mut self) -> &mut dyn Parts {
        self.engine.parts().expect("it is not in a stack")
    }
}

impl Parts for Faulty {
    fn accumulate(&mut self, tokens: &[u32], share: f64) -> f64 {
        self.check(tokens);
        self.inner().accumulate(tokens, share)
    }

    fn update(&mut self, config: &AdamWConfig, lr: f64) -> f64 {
        self.before_update();
        self.inner().update(config, lr)
    }

    fn accumulate_weighted(&mut self, tokens: &[u32], weights: &[f32]) -> f64 {
        self.inner().accumulate_weighted(tokens, weights)
    }

    fn accumulate_by(&mut self, tokens: &[u32], weigh: &mut WeightsOf<'_>) -> f64 {
        self.inner().accumulate_by(tokens, weigh)
    }
}

impl Engine for Faulty {
    fn step(&mut self, parts: &[(&[u32], f64)], config: &AdamWConfig, lr: f64) -> (f64, f64) {
        parts.iter().for_each(|(tokens, _)| self.check(tokens));
        self.before_update();
        let (loss, norm) = self.engine.step(parts, config, lr);
        match self.fault {
            Fault::Spikes(at, by) if self.updates == at && self.precision == Precision::Bf16 => {
                (loss + by, norm)
            }
            _ => (loss, norm),
        }
    }

    fn parts(&mut self) -> Option<&mut dyn Parts> {
        Some(self)
    }

    fn token_losses(&mut self, tokens: &[u32]) -> Vec<f32> {
        self.engine.token_losses(tokens)
    }

    fn logits(&mut self, tokens: &[u32]) -> Vec<f32> {
        self.engine.logits(tokens)
    }

    fn state(&self) -> Cow<'_, State> {
        self.engine.state()
    }

    fn restore(&mut self, state: State) {
        self.engine.restore(state);
    }
}

/// burn's back-end for processors under the name of a GPU's.
fn flex() -> Device {
    cpu().disguised(DeviceSpec::Wgpu(99))
}

#[test]
fn a_device_that_fails_is_an_error_and_the_run_continues_on_another() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let spec = spec(&corpus, "run", 0.5);
    let whole = dir.path().join("whole");
    train(&spec, &corpus, &whole, &cpu(), &Silent).unwrap();
    let expected = losses(&whole);

    for (words, problem, help) in [
        (
            "wgpu error: Parent device is lost",
            "device `wgpu:99` was lost: wgpu error: Parent device is lost",
            "--device cpu",
        ),
        (
            "An IO error happened\nCaused by:\n  out of device memory allocating 12 bytes",
            "the memory of device `wgpu:99` is out",
            "--parallel 1",
        ),
        (
            "index out of bounds",
            "the back-end of device `wgpu:99` failed: index out of bounds",
            "continues from the last checkpoints",
        ),
    ] {
        let folder = dir.path().join(words.len().to_string());
        // Three updates are in the checkpoint, one more is lost.
        let device = flex().with(Fault::Panics(5, words, Arc::default()));
        let err = train(&spec, &corpus, &folder, &device, &Silent).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Failed);
        assert!(err.to_string().contains(problem), "{err}");
        assert!(err.help_text().unwrap().contains(help), "{err:?}");
        assert_eq!(RunStatus::read(&folder).unwrap(), RunStatus::Started);
        let status = train(&spec, &corpus, &folder, &cpu(), &Silent).unwrap();
        assert!(matches!(status, RunStatus::Done(_)));
        let found = losses(&folder);
        for (a, b) in found.iter().zip(&expected) {
            assert_eq!(a.0, b.0);
            for (x, y) in a.1.iter().zip(&b.1) {
                assert!((f64::from_bits(*x) - f64::from_bits(*y)).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn a_fleet_stops_when_its_device_fails() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let jobs: Vec<Job> = (0..4)
        .map(|i| Job {
            spec: spec(&corpus, &format!("run-{i}"), 0.5),
            folder: dir.path().join(format!("run-{i}")),
            steer: None,
            weigh: None,
            start: None,
        })
        .collect();
    // The first run and a half are made before it fails.
    let device = flex().with(Fault::Panics(18, "device lost", Arc::default()));
    let err = train_all(&jobs, &corpus, &device, 1, Sharing::default(), &Silent).unwrap_err();
    assert!(
        err.to_string().contains("device `wgpu:99` was lost"),
        "{err}"
    );
    let status = |i: usize| RunStatus::read(&jobs[i].folder).unwrap();
    assert!(matches!(status(0), RunStatus::Done(_)));
    assert_eq!(status(1), RunStatus::Started);
    assert_eq!(status(2), RunStatus::New);
    let statuses = train_all(&jobs, &corpus, &flex(), 2, Sharing::default(), &Silent).unwrap();
    assert!(statuses.iter().all(|s| matches!(s, RunStatus::Done(_))));
}

#[test]
fn a_trainer_whose_device_failed_cannot_be_used_again() {
    let device = flex().with(Fault::Panics(1, "gone", Arc::default()));
    let mut trainer = Trainer::new(&tiny(), AdamWConfig::default(), 1, &device).unwrap();
    let batch = [1; 7];
    assert!(
        trainer
            .step(&batch, 1, 1e-3)
            .unwrap_err()
            .to_string()
            .contains("gone")
    );
    let err = trainer.step(&batch, 1, 1e-3).unwrap_err();
    assert!(
        err.to_string().contains("failed in an earlier step"),
        "{err}"
    );
}

#[test]
fn a_run_continues_with_fewer_sequences_at_once_when_memory_runs_out() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let spec = spec(&corpus, "run", 0.5);
    let whole = dir.path().join("whole");
    train(&spec, &corpus, &whole, &cpu(), &Silent).unwrap();
    let folder = dir.path().join("narrow");
    let device = flex().with(Fault::Narrow(1, "out of memory"));
    let monitor = Messages::default();
    let status = train(&spec, &corpus, &folder, &device, &monitor).unwrap();
    assert!(matches!(status, RunStatus::Done(_)));
    // Four sequences, two, one.
    assert_eq!(
        *monitor.0.lock().unwrap(),
        [2, 1].map(|n| format!(
            "run run: the memory of device `wgpu:99` is out: out of memory; it continues with {n} \
             sequences at once"
        ))
    );
    for (a, b) in losses(&folder).iter().zip(&losses(&whole)) {
        assert_eq!(a.0, b.0);
        for (x, y) in a.1.iter().zip(&b.1) {
            assert!((f64::from_bits(*x) - f64::from_bits(*y)).abs() < 1e-4);
        }
    }
    // With one sequence there is nothing left to give up.
    let device = flex().with(Fault::Narrow(0, "out of memory"));
    let folder = dir.path().join("none");
    let err = train(&spec, &corpus, &folder, &device, &Silent).unwrap_err();
    assert!(err.to_string().contains("the memory of device"), "{err}");
}

#[test]
fn models_are_spread_over_all_cards() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let card = |i| cpu().disguised(DeviceSpec::Cuda(i));
    let device = card(0).with_others(DeviceSpec::CudaAll, vec![card(1), card(2)]);
    assert_eq!(
        (device.cards(), device.spec().to_string()),
        (3, "cuda:all".to_owned())
    );
    let numbers: Vec<DeviceSpec> = (0..4).map(|k| device.card(k).spec()).collect();
    assert_eq!(numbers, [0, 1, 2, 0].map(DeviceSpec::Cuda));
    let jobs: Vec<Job> = (0..6)
        .map(|i| Job {
            spec: spec(&corpus, &format!("run-{i}"), 0.5),
            folder: dir.path().join(format!("run-{i}")),
            steer: None,
            weigh: None,
            start: None,
        })
        .collect();
    assert_eq!(default_parallel(&device, &jobs), 3);
    let statuses = train_all(&jobs, &corpus, &device, 3, Sharing::default(), &Silent).unwrap();
    for status in statuses {
        let RunStatus::Done(summary) = status else {
            panic!("{status:?}")
        };
        // The card that trained it, not the name of all.
        let card: DeviceSpec = summary.device.parse().unwrap();
        assert!(matches!(card, DeviceSpec::Cuda(0..3)), "{card}");
    }
}

/// Keeps messages.
#[derive(Default)]
struct Messages(Mutex<Vec<String>>);

impl Monitor for Messages {
    fn message(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

#[test]
fn a_parallel_trial_stops_when_memory_runs_out() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let jobs = [Job {
        spec: spec(&corpus, "run", 0.5),
        folder: dir.path().join("run"),
        steer: None,
        weigh: None,
        start: None,
    }];
    let device = flex().with(Fault::Crowded(1, "out of memory", Arc::default()));
    let found = ParallelTrial::measure(&device, &jobs, 8, &Silent).unwrap();
    assert_eq!((found.best(), found.speeds.len()), (1, 1));
    assert!(found.refused.unwrap().contains("out of memory"));
    let device = flex().with(Fault::Crowded(0, "out of memory", Arc::default()));
    let err = ParallelTrial::measure(&device, &jobs, 8, &Silent).unwrap_err();
    assert!(err.to_string().contains("memory of device"), "{err}");
    // It writes nothing.
    assert!(!jobs[0].folder.exists());
    let stop = AtomicBool::new(true);
    let err = ParallelTrial::measure(&flex(), &jobs, 8, &stop).unwrap_err();
    assert!(err.is_interrupted());
}

#[test]
fn bf16_trains_as_f32_within_its_rounding() {
    let corpus_folder = tempfile::tempdir().unwrap();
    let corpus = corpus(&corpus_folder.path().join("corpus"));
    let run = |precision: Precision| {
        let mut spec = spec(&corpus, "run", 0.5);
        spec.train.precision = precision;
        let folder = corpus_folder.path().join(precision.to_string());
        let status = train(&spec, &corpus, &folder, &flex(), &Silent).unwrap();
        let RunStatus::Done(summary) = status else {
            panic!("{status:?}")
        };
        assert_eq!(summary.fallback, None);
        (spec.fingerprint(), losses(&folder))
    };
    let [(plain, exact), (mixed, rounded)] = [Precision::F32, Precision::Bf16].map(run);
    assert_ne!(plain, mixed);
    assert_ne!(exact, rounded, "nothing was rounded");
    for (a, b) in exact.iter().zip(&rounded) {
        for (x, y) in a.1.iter().zip(&b.1) {
            let gap = (f64::from_bits(*x) - f64::from_bits(*y)).abs();
            assert!(gap < 0.02, "step {}: {gap}", a.0);
        }
    }
}

#[test]
fn a_run_in_bf16_falls_back_to_f32_when_its_loss_is_not_a_number() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let mut spec = spec(&corpus, "run", 0.5);
    spec.train.precision = Precision::Bf16;
    let finished = |at: u64, by: f64| {
        let folder = dir.path().join(format!("{at}"));
        let device = flex().with(Fault::Spikes(at, by));
        let status = train(&spec, &corpus, &folder, &device, &Silent).unwrap();
        let RunStatus::Done(summary) = status else {
            panic!("{status:?}")
        };
        let steps: Vec<u64> = losses(&folder).iter().map(|l| l.0).collect();
        assert_eq!(steps, [4, 8, 12]);
        assert!(summary.loss.values().all(|l| *l < 2.6), "{summary:?}");
        summary.fallback
    };
    let fallback = finished(8, f64::NAN).unwrap();
    // Checkpoints are made every third step.
    assert_eq!(fallback.step, 6);
    assert!(
        fallback.reason.contains("step 8 in bf16: loss NaN"),
        "{fallback:?}"
    );
    assert_eq!(finished(2, f64::NAN).unwrap().step, 0);
    assert_eq!(finished(99, f64::NAN), None);
}

/// By whatever this processor has; stopped and continued, to the bit.
#[test]
fn a_processor_trains_in_bf16() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let finished = |name: &str, precision: Precision| {
        let mut spec = spec(&corpus, "run", 0.5);
        spec.train.precision = precision;
        let folder = dir.path().join(name);
        let status = train(&spec, &corpus, &folder, &cpu(), &Silent).unwrap();
        let RunStatus::Done(summary) = status else {
            panic!("{status:?}")
        };
        assert_eq!(summary.fallback, None);
        (losses(&folder), summary.loss)
    };
    let (exact, f32_loss) = finished("f32", Precision::F32);
    let (rounded, bf16_loss) = finished("bf16", Precision::Bf16);
    assert_ne!(exact, rounded, "nothing was rounded");
    assert_eq!(rounded, finished("again", Precision::Bf16).0);
    for (domain, loss) in &f32_loss {
        let gap = (loss - bf16_loss[domain]).abs();
        assert!(gap < 0.02, "{domain}: {gap}");
    }
}

//! Mixtures that change during a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use regmix_data::{DomainSet, Mixture, Result, Silent};

use super::cpu;
use super::runs::{corpus, losses, spec, stop_after};
use crate::fleet::train_all;
use crate::lease::Sharing;
use crate::run::{Job, RunSegment, RunSpec, Steer, train, training_losses};

/// Changes to the second domain after five steps.
#[derive(Debug)]
struct Threshold {
    domains: DomainSet,
    observed: Mutex<Vec<u64>>,
}

impl Steer for Threshold {
    fn steps(&self) -> &[u64] {
        &[5]
    }

    fn reset(&self) {
        self.observed.lock().unwrap().clear();
    }

    fn observe(&self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>> {
        let mut observed = self.observed.lock().unwrap();
        let first = !observed.contains(&5);
        observed.push(step);
        assert_eq!(losses.len(), 2);
        Ok((step == 5 && first)
            .then(|| Mixture::new(self.domains.clone(), vec![0.0, 1.0]).unwrap()))
    }
}

#[test]
fn mixtures_can_change_during_a_run_planned_or_steered() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let low = spec(&corpus, "run", 1.0);
    let high = Mixture::new(corpus.domains().clone(), vec![0.0, 1.0]).unwrap();
    let mut planned = low.clone();
    planned.later_segments = vec![RunSegment {
        step: 5,
        mixture: high,
    }];
    assert_ne!(planned.fingerprint(), low.fingerprint());
    let finished = |spec: &RunSpec, name: &str| {
        let folder = dir.path().join(name);
        train(spec, &corpus, &folder, &cpu(), &Silent).unwrap();
        losses(&folder)
    };
    let [stayed, changed] = [finished(&low, "low"), finished(&planned, "planned")];
    let last = |runs: &[(u64, Vec<u64>)]| -> Vec<f64> {
        let bits = &runs.last().unwrap().1;
        bits.iter().map(|b| f64::from_bits(*b)).collect()
    };
    // Domains are in order of name: high, low.
    let [stayed_at, changed_at] = [last(&stayed)[0], last(&changed)[0]];
    assert!(changed_at < stayed_at - 0.1, "{changed_at} and {stayed_at}");
    assert_eq!(stayed[0].1.len(), 2);

    // Steered to the same mixture at the same step, and measured there too.
    let steered = |stop_at: Option<u64>, name: &str| {
        let mut spec = low.clone();
        spec.steered_by = Some("threshold".into());
        let job = |_| Job {
            spec: spec.clone(),
            folder: dir.path().join(name),
            steer: Some(Arc::new(Threshold {
                domains: corpus.domains().clone(),
                observed: Mutex::default(),
            })),
            weigh: None,
            start: None,
        };
        if let Some(stop_at) = stop_at {
            let stop = stop_after(|step| step == stop_at);
            train_all(&[job(())], &corpus, &cpu(), 1, Sharing::default(), &stop).unwrap_err();
        }
        train_all(&[job(())], &corpus, &cpu(), 1, Sharing::default(), &Silent).unwrap();
        losses(&dir.path().join(name))
    };
    let whole = steered(None, "steered");
    assert_eq!(
        whole.iter().map(|line| line.0).collect::<Vec<_>>(),
        [4, 5, 8, 12]
    );
    assert_eq!(last(&whole), last(&changed));
    for stop_at in [3, 5, 7, 9] {
        let name = format!("steered-{stop_at}");
        assert_eq!(steered(Some(stop_at), &name), whole, "stopped at {stop_at}");
    }

    // Segments out of order, and a name of a steering without one.
    let mut wrong = planned.clone();
    wrong.later_segments[0].step = 12;
    let folder = dir.path().join("wrong");
    let err = train(&wrong, &corpus, &folder, &cpu(), &Silent).unwrap_err();
    assert!(err.to_string().contains("below 12"), "{err}");
    wrong.later_segments.clear();
    wrong.steered_by = Some("nobody".into());
    let err = train(&wrong, &corpus, &folder, &cpu(), &Silent).unwrap_err();
    assert_eq!(err.field_name(), Some("steered_by"));
}

/// Draws the domain with the higher training loss at the last step with three quarters.
#[derive(Debug)]
struct ByStep {
    domains: DomainSet,
    seen: Mutex<Vec<u64>>,
}

impl Steer for ByStep {
    fn steps(&self) -> &[u64] {
        &[]
    }

    fn reset(&self) {
        self.seen.lock().unwrap().clear();
    }

    fn observe(&self, _: u64, _: &BTreeMap<String, f64>) -> Result<Option<Mixture>> {
        Ok(None)
    }

    fn takes_steps(&self) -> bool {
        true
    }

    fn after_step(&self, step: u64, losses: &[Option<f64>]) -> Result<Option<Mixture>> {
        let mut seen = self.seen.lock().unwrap();
        assert_eq!(seen.last().copied().unwrap_or(0) + 1, step);
        seen.push(step);
        let [high, low] = losses else { panic!() };
        let more = high.unwrap_or(0.0) > low.unwrap_or(0.0);
        let weights = if more {
            vec![0.75, 0.25]
        } else {
            vec![0.25, 0.75]
        };
        Mixture::new(self.domains.clone(), weights).map(Some)
    }
}

#[test]
fn a_run_steered_by_every_step_goes_on_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    let plain = spec(&corpus, "run", 0.5);
    let steered = |stop_at: Option<u64>, micro_batch: usize, name: &str| {
        let mut spec = plain.clone();
        spec.steered_by = Some("by step".into());
        spec.train.micro_batch = micro_batch;
        let job = Job {
            steer: Some(Arc::new(ByStep {
                domains: corpus.domains().clone(),
                seen: Mutex::default(),
            })),
            ..Job::new(spec, dir.path().join(name), None)
        };
        let jobs = [job];
        if let Some(stop_at) = stop_at {
            let stop = stop_after(|step| step == stop_at);
            train_all(&jobs, &corpus, &cpu(), 1, Sharing::default(), &stop).unwrap_err();
        }
        train_all(&jobs, &corpus, &cpu(), 1, Sharing::default(), &Silent).unwrap();
        losses(&dir.path().join(name))
    };
    let whole = steered(None, 4, "whole");
    let steps = training_losses(&dir.path().join("whole"), corpus.domains()).unwrap();
    assert_eq!(steps.len(), 12);
    assert!(
        steps
            .iter()
            .all(|s| s.len() == 2 && s.iter().any(Option::is_some))
    );
    for stop_at in [1, 3, 5, 9, 11] {
        let name = format!("stopped-{stop_at}");
        assert_eq!(
            steered(Some(stop_at), 4, &name),
            whole,
            "stopped at {stop_at}"
        );
        assert_eq!(
            training_losses(&dir.path().join(name), corpus.domains()).unwrap(),
            steps
        );
    }
    // Fewer sequences at once: the same but for rounding.
    let parts = steered(None, 1, "parts");
    for (a, b) in whole.iter().zip(&parts) {
        for (a, b) in a.1.iter().zip(&b.1) {
            let [a, b] = [a, b].map(|bits| f64::from_bits(*bits));
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }
    // The first batch's losses are those of the model before any update.
    let known = steps[0]
        .iter()
        .flatten()
        .all(|loss| (loss - 3.5).abs() < 1.0);
    assert!(known, "{:?}", steps[0]);
    let path = dir.path().join("whole/steps.jsonl");
    std::fs::write(&path, "{\"step\":2,\"losses\":[1.0,2.0]}\n").unwrap();
    let e = training_losses(&dir.path().join("whole"), corpus.domains()).unwrap_err();
    assert!(e.to_string().contains("step 2, expected 1"), "{e}");
}

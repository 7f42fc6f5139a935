//! A run in progress.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use regmix_data::{Error, Loader, LoaderConfig, Monitor, Place, Result, TokenCorpus, artefact};

use super::checkpoints::Checkpoints;
use super::finished::{BEFORE, WEIGHTS};
use super::job::Job;
use super::log::RunLog;
use super::spec::RunSpec;
use super::status::{Fallback, RunStatus, RunSummary};
use super::steer::{Steer, apply_steering};
use super::step_losses::StepLosses;
use super::validation::{SharedValidation, Validation};
use super::weigh::{Batch, Opened, Weigh};
use crate::checkpoint;
use crate::device::Device;
use crate::lease::Lease;
use crate::metrics::{self, Metrics};
use crate::optimizer::learning_rate;
use crate::parameters;
use crate::precision::{Precision, SpikeWatch};
use crate::trainer::{StepOutcome, Trainer};

const FALLBACK: &str = "fallback.json";

/// How a run in progress ended.
pub(super) enum Ended {
    /// The run is finished, or failed.
    Finally(RunStatus),
    /// Its reduced precision does not suffice. This is recorded, and the run can
    /// be opened again.
    Unsound,
    /// The device has no memory for so many sequences at once.
    Crowded(Error),
}

/// Where the time of a session goes, in seconds.
struct Clock {
    started: Instant,
    train_seconds: f64,
    eval_seconds: f64,
}

impl Clock {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            train_seconds: 0.0,
            eval_seconds: 0.0,
        }
    }
}

/// A run's share of its device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Models on the device at a time.
    pub(super) models: usize,
    /// Sequences that this one computes at once.
    pub(super) micro_batch: usize,
}

/// A run in progress.
pub(super) struct Session<'a> {
    spec: &'a RunSpec,
    folder: &'a Path,
    steering: Option<&'a dyn Steer>,
    weighing: Option<&'a dyn Weigh>,
    /// The training losses of every step, where the steering takes them.
    steps: Option<StepLosses>,
    lease: &'a Lease,
    checkpoints: Checkpoints,
    trainer: Trainer,
    loader: Loader,
    validation: Arc<Validation>,
    metrics: Metrics,
    device: &'a Device,
    /// Sequences that the model computes at once: the configuration's, or fewer
    /// where the device has no memory for them.
    micro_batch: usize,
    /// The step of the checkpoint that it was opened with or saved last.
    saved: u64,
    step: u64,
    /// What the last step gave, if the losses after it are still to be measured.
    unmeasured: Option<StepOutcome>,
    fallback: Option<Fallback>,
    /// In reduced precision only.
    spikes: Option<SpikeWatch>,
    log: &'a RunLog<'a>,
}

impl<'a> Session<'a> {
    pub(super) fn open(
        job: &'a Job,
        corpus: &TokenCorpus,
        device: &'a Device,
        validation: &SharedValidation,
        Share {
            models,
            micro_batch,
        }: Share,
        lease: &'a Lease,
        log: &'a RunLog<'a>,
    ) -> Result<Self> {
        let Job { spec, folder, .. } = job;
        let steering = job.steer.as_deref();
        let weighing = job.weigh.as_deref();
        let mut loader = sequences(spec, corpus)?;
        let validation = validation.get(corpus, spec.model.context, spec.train.eval_sequences)?;
        let (fallback, precision) = fallback(spec, folder)?;
        // Others have nothing in common with it: steps of its own kind, or the precision.
        let alone = weighing.is_some() || steering.is_some_and(|s| s.takes_steps());
        let models = if alone || fallback.is_some() {
            1
        } else {
            models
        };
        let mut trainer = new_trainer(spec, device, precision, models)?;
        let checkpoints = Checkpoints::of(folder);
        let path = folder.join("metrics.jsonl");
        let lines = metrics::read_interrupted(&path)?;
        let evaluated = |step| is_evaluated(spec, steering, step);
        let start = checkpoints.resume(spec, lines, evaluated, log.monitor)?;
        if let Some(state) = start.state {
            trainer.restore(state)?;
        } else if let Some(model) = &job.start {
            trainer.restore(model.state())?;
        }
        let metrics = Metrics::resume(path, &start.lines)?;
        if let Some(steering) = steering {
            steering.reset();
            apply_steering(steering, &start.lines, spec, &mut loader)?;
        }
        let step = start.step;
        let steps = (steering.filter(|s| s.takes_steps()))
            .map(|steering| StepLosses::resume(folder, step, steering, spec, &mut loader))
            .transpose()?;
        if let Some(weighing) = weighing {
            weighing.open(Opened {
                spec,
                folder,
                step,
                loader: &mut loader,
                device,
                micro_batch,
                monitor: log.monitor,
            })?;
        }
        log.started(folder, step);
        Ok(Self {
            log,
            saved: step,
            unmeasured: start.outcome,
            lease,
            fallback,
            spikes: (precision != Precision::F32).then(SpikeWatch::default),
            metrics,
            steering,
            weighing,
            steps,
            checkpoints,
            spec,
            folder,
            trainer,
            loader,
            validation,
            device,
            micro_batch,
            step,
        })
    }

    pub(super) fn run(mut self, monitor: &dyn Monitor) -> Result<Ended> {
        let t = &self.spec.train;
        let mut tokens = vec![0; t.batch_size * (self.spec.model.context + 1)];
        let mut clock = Clock::start();
        match self.measure_before(monitor) {
            Err(e) if self.is_crowded() => return Ok(Ended::Crowded(e)),
            done => done?,
        }
        if let Some(outcome) = self.unmeasured.take()
            && let Some(ended) = self.record(outcome, &mut clock, monitor)?
        {
            return Ok(ended);
        }
        while self.step < t.steps {
            if let Err(stop) = monitor.check() {
                self.save(None)?;
                return Err(stop);
            }
            if self.lease.is_lost() {
                self.lease.check()?;
            }
            let begun = Instant::now();
            let outcome = match self.train_step(&mut tokens) {
                Err(e) if self.is_crowded() => return Ok(Ended::Crowded(e)),
                outcome => outcome?,
            };
            if let Some(ended) = self.check_step(outcome)? {
                return Ok(ended);
            }
            self.step += 1;
            clock.train_seconds += begun.elapsed().as_secs_f64();
            self.log.step(self.step);
            if is_evaluated(self.spec, self.steering, self.step)
                && let Some(ended) = self.record(outcome, &mut clock, monitor)?
            {
                return Ok(ended);
            }
            let due = t.checkpoint_every > 0 && self.step.is_multiple_of(t.checkpoint_every);
            if due && self.step < t.steps {
                self.save(None)?;
            }
        }
        let line = self.metrics.last().ok_or_else(|| {
            Error::failed("the run ended without an evaluation").in_file(self.folder)
        })?;
        self.finish(line)
    }

    /// Measures the losses of the model that the run starts from, once.
    fn measure_before(&mut self, monitor: &dyn Monitor) -> Result<()> {
        let path = self.folder.join(BEFORE);
        if self.spec.starts_from.is_none() || self.step > 0 || path.exists() {
            return Ok(());
        }
        let [loss, _] = self.evaluate(monitor)?;
        self.lease.check()?;
        artefact::write_json(path, &loss)
    }

    /// One step; `tokens` has room for a batch.
    fn train_step(&mut self, tokens: &mut [u32]) -> Result<StepOutcome> {
        let first = self.step * self.spec.train.batch_size as u64;
        self.loader.fill_batch(first, tokens)?;
        let lr = self.learning_rate(self.step);
        if self.weighing.is_none() && self.steps.is_none() {
            return self.trainer.step(tokens, self.micro_batch, lr);
        }
        let places: Vec<Place> = (first..first + self.spec.train.batch_size as u64)
            .map(|i| self.loader.place(i))
            .collect();
        let Some(weighing) = self.weighing else {
            let mut losses = Vec::new();
            let observe = |own: &[f32]| losses.extend_from_slice(own);
            let outcome = self
                .trainer
                .step_observed(tokens, observe, self.micro_batch, lr)?;
            if let (Some(steps), Some(steering)) = (&mut self.steps, self.steering)
                && outcome.is_finite()
            {
                let losses = steps.by_domain(&losses, &places);
                steps.add(self.step + 1, losses, steering, self.spec, &mut self.loader)?;
            }
            return Ok(outcome);
        };
        let batch = Batch {
            step: self.step,
            tokens,
            places: &places,
            micro_batch: self.micro_batch,
            lr,
        };
        weighing.step(&mut self.trainer, batch)
    }

    /// Measures the losses after the last step and writes them down. A request to
    /// stop is followed before all of them are measured: the checkpoint holds what
    /// the step gave.
    fn record(
        &mut self,
        outcome: StepOutcome,
        clock: &mut Clock,
        monitor: &dyn Monitor,
    ) -> Result<Option<Ended>> {
        let line = match self.measure(outcome, clock, monitor) {
            Err(e) if self.is_crowded() => return Ok(Some(Ended::Crowded(e))),
            Err(e) if e.is_interrupted() => {
                self.save(Some(outcome))?;
                return Err(e);
            }
            line => line?,
        };
        if let Some(ended) = self.check_losses(&line)? {
            return Ok(Some(ended));
        }
        self.lease.check()?;
        self.metrics.append(&line)?;
        self.log.evaluated(&line);
        if let Some(steering) = self.steering {
            let line = std::slice::from_ref(&line);
            apply_steering(steering, line, self.spec, &mut self.loader)?;
        }
        Ok(None)
    }

    /// The learning rate of a step, counted from 0.
    fn learning_rate(&self, step: u64) -> f64 {
        let t = &self.spec.train;
        learning_rate(step, t.steps, t.warmup, t.lr, t.min_lr, t.schedule)
    }

    /// Whether the device failed for want of memory, and fewer sequences at once
    /// would need less.
    fn is_crowded(&self) -> bool {
        self.micro_batch > 1 && self.trainer.is_out_of_memory()
    }

    /// Ends the run if a step went wrong.
    fn check_step(&mut self, outcome: StepOutcome) -> Result<Option<Ended>> {
        let step = self.step + 1;
        if let Some(why) = (self.spikes.as_mut())
            .and_then(|watch| watch.observe(outcome.loss, outcome.gradient_norm))
        {
            return self.fall_back(step, &why).map(Some);
        }
        if outcome.is_finite() {
            return Ok(None);
        }
        let reason = format!(
            "diverged at step {step}: loss {}, gradient norm {}; lower `lr` or lengthen `warmup`",
            outcome.loss, outcome.gradient_norm
        );
        self.fail(&reason).map(Some)
    }

    /// Ends the run if a validation loss is not a number.
    fn check_losses(&self, line: &metrics::Line) -> Result<Option<Ended>> {
        let Some((domain, loss)) = line.loss.iter().find(|(_, l)| !l.is_finite()) else {
            return Ok(None);
        };
        let why = format!("validation loss of `{domain}` is {loss}");
        match self.spikes {
            Some(_) => self.fall_back(self.step, &why),
            None => self.fail(&format!("diverged at step {}: {why}", self.step)),
        }
        .map(Some)
    }

    /// Measures the losses after a step.
    fn measure(
        &mut self,
        outcome: StepOutcome,
        clock: &mut Clock,
        monitor: &dyn Monitor,
    ) -> Result<metrics::Line> {
        let begun = Instant::now();
        let [loss, bits_per_byte] = self.evaluate(monitor)?;
        clock.eval_seconds += begun.elapsed().as_secs_f64();
        Ok(metrics::Line {
            step: self.step,
            tokens: self.step * self.spec.tokens_per_step(),
            loss,
            bits_per_byte,
            train_loss: outcome.loss,
            gradient_norm: outcome.gradient_norm,
            lr: self.learning_rate(self.step - 1),
            seconds: clock.started.elapsed().as_secs_f64(),
            train_seconds: clock.train_seconds,
            eval_seconds: clock.eval_seconds,
            // A run may continue with a measurement.
            eval_share: match clock.train_seconds {
                0.0 => 0.0,
                train => clock.eval_seconds / train,
            },
        })
    }

    /// Mean loss per domain, in nats per token and in bits per byte.
    fn evaluate(&mut self, monitor: &dyn Monitor) -> Result<[BTreeMap<String, f64>; 2]> {
        let batch = self.micro_batch * (self.spec.model.context + 1);
        let mut losses = Vec::new();
        for tokens in self.validation.tokens.chunks(batch) {
            monitor.check()?;
            losses.extend(self.trainer.evaluate(tokens, self.micro_batch)?);
        }
        let mut rest = losses.as_slice();
        let mut found = [BTreeMap::new(), BTreeMap::new()];
        for domain in &self.validation.domains {
            let (own, others) = rest.split_at(domain.sequences);
            rest = others;
            let nats = own.iter().sum::<f64>() / own.len() as f64;
            let bits = nats / std::f64::consts::LN_2 / domain.bytes_per_token;
            for (table, value) in found.iter_mut().zip([nats, bits]) {
                table.insert(domain.name.clone(), value);
            }
        }
        Ok(found)
    }

    fn save(&mut self, outcome: Option<StepOutcome>) -> Result<()> {
        self.lease.check()?;
        if self.step == 0 {
            return Ok(()); // Nothing to keep, and AdamW has no moments yet.
        }
        // A checkpoint without the losses before it is not used.
        self.metrics.sync()?;
        if let Some(weighing) = self.weighing {
            weighing.sync()?;
        }
        if let Some(steps) = &mut self.steps {
            steps.sync()?;
        }
        let state = self.trainer.state()?;
        self.checkpoints
            .save(self.spec, &state, self.step, outcome)?;
        self.saved = self.step;
        self.log.saved(self.step);
        Ok(())
    }

    fn fail(&self, reason: &str) -> Result<Ended> {
        self.lease.check()?;
        artefact::write_atomic(self.folder.join("FAILED"), format!("{reason}\n").as_bytes())?;
        Ok(Ended::Finally(RunStatus::Failed(reason.to_owned())))
    }

    /// Records that the run continues in f32.
    fn fall_back(&self, step: u64, why: &str) -> Result<Ended> {
        self.lease.check()?;
        let note = Fallback {
            step: self.saved,
            reason: format!("step {step} in {}: {why}", self.spec.train.precision),
        };
        artefact::write_json(self.folder.join(FALLBACK), &note)?;
        self.log.fell_back(note.step, &note.reason);
        Ok(Ended::Unsound)
    }

    fn finish(mut self, line: metrics::Line) -> Result<Ended> {
        self.lease.check()?;
        if self.spec.train.keep_weights {
            let path = self.folder.join(WEIGHTS);
            let parameters = parameters::list(&self.spec.model);
            checkpoint::save_weights(&path, &parameters, &self.trainer.state()?.weights)?;
        }
        let summary = RunSummary {
            run: self.spec.run.clone(),
            fingerprint: self.spec.fingerprint(),
            steps: self.step,
            tokens: line.tokens,
            loss: line.loss,
            bits_per_byte: line.bits_per_byte,
            device: self.device.spec().to_string(),
            fallback: self.fallback,
        };
        self.metrics.sync()?;
        artefact::write_json(self.folder.join("DONE"), &summary)?;
        self.checkpoints.remove()?;
        Ok(Ended::Finally(RunStatus::Done(summary)))
    }
}

/// The change to f32 of a run that needed it, and the precision in which it continues.
fn fallback(spec: &RunSpec, folder: &Path) -> Result<(Option<Fallback>, Precision)> {
    let path = folder.join(FALLBACK);
    Ok(match path.exists() {
        true => (Some(artefact::read_json(path)?), Precision::F32),
        false => (None, spec.train.precision),
    })
}

/// The model of a run, one of so many on its device.
fn new_trainer(
    spec: &RunSpec,
    device: &Device,
    precision: Precision,
    models: usize,
) -> Result<Trainer> {
    let optimizer = spec.train.optimizer.clone();
    Trainer::beside_others(&spec.model, optimizer, spec.seed, device, precision, models)
}

/// The sequences that a run is trained on.
fn sequences(spec: &RunSpec, corpus: &TokenCorpus) -> Result<Loader> {
    let mixture = spec.mixture.reordered(corpus.domains())?;
    let total = spec.train.steps * spec.train.batch_size as u64;
    let order = spec.data_order.as_deref().unwrap_or(&spec.run);
    let config = LoaderConfig::new(spec.model.context, spec.seed, order);
    let config = config.with_text_share(spec.text_share.unwrap_or(1.0));
    let block = u32::try_from(total).map_or(config.block, |total| total.min(config.block));
    let mut loader = Loader::new(corpus.clone(), mixture, config.with_block(block))?;
    spec.add_segments(&mut loader)?;
    Ok(loader)
}

/// Whether losses are measured after a step.
fn is_evaluated(spec: &RunSpec, steering: Option<&dyn Steer>, step: u64) -> bool {
    let due = |s: &dyn Steer| s.steps().contains(&step);
    spec.train.is_evaluated(step) || steering.is_some_and(due)
}

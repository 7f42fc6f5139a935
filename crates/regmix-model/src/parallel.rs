//! How many models are trained at once when the user does not say.

use std::sync::Barrier;
use std::time::Instant;

use regmix_data::{Error, Monitor, Result};

use crate::config::ModelConfig;
use crate::device::Device;
use crate::memory::{available_memory, fitting_micro_batch, training_memory};
use crate::run::{Job, TrainConfig};
use crate::trainer::Trainer;

/// Bytes that the largest of these runs needs on a CPU: [`training_memory`].
pub fn memory_per_run(jobs: &[Job]) -> u64 {
    (jobs.iter())
        .map(|j| training_memory(&j.spec.model, j.spec.train.micro_batch))
        .max()
        .unwrap_or(0)
}

/// Checks that each run that is not finished fits into memory by itself, before
/// any of it is asked for. Where the system does not say how much is free, and on other
/// devices than a CPU, everything passes.
///
/// # Errors
/// Names the run, what it needs and what is free.
pub(crate) fn check_memory(device: &Device, jobs: &[Job]) -> Result<()> {
    let Some(free) = available_memory().filter(|_| device.is_host()) else {
        return Ok(());
    };
    for Job { spec, folder, .. } in jobs {
        if folder.join("DONE").exists() {
            continue;
        }
        let train = &spec.train;
        let batch = train.batch_size as u64 * (spec.model.context as u64 + 1) * 4;
        let need = training_memory(&spec.model, train.micro_batch).saturating_add(batch);
        if need > free {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            return Err(Error::input(format!(
                "run `{}` needs {} MiB of memory ({}, {} sequences of {} tokens at a time), and {} \
                 MiB are free",
                spec.run,
                mib(need),
                spec.model.parameters(),
                train.micro_batch,
                spec.model.context,
                mib(free),
            ))
            .help("choose a smaller `preset`, `micro_batch` or `context`"));
        }
    }
    Ok(())
}

/// How many runs are trained at once on a processor: one per core, or fewer
/// where free memory does not suffice for as many of the largest. On other
/// devices one per card; [`ParallelTrial::measure`] finds how many are faster.
pub fn default_parallel(device: &Device, jobs: &[Job]) -> usize {
    if !device.is_cpu() {
        return device.cards();
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match (available_memory(), memory_per_run(jobs)) {
        (Some(free), need @ 1..) => cores.min((free / need).max(1) as usize),
        _ => cores,
    }
}

/// How fast a device trains several models at once.
///
/// A small model does not fill a GPU: the time of its step is that of starting kernels.
/// Small models of one configuration are computed together, by the same kernels; larger
/// ones each on its own thread and stream, until the device is full or has no memory left.
#[derive(Debug, Clone, PartialEq)]
pub struct ParallelTrial {
    /// Models at once on one card, and the tokens per second of all of them together.
    pub speeds: Vec<(usize, f64)>,
    /// Why more were not tried, if the device refused them.
    pub refused: Option<String>,
}

impl ParallelTrial {
    /// The greatest number of models that is tried.
    const MOST: usize = 32;
    /// The speed-up that twice as many models must reach.
    const GAIN: f64 = 1.1;
    /// How long each number of models is measured: so many seconds, and at least
    /// so many steps.
    const SECONDS: f64 = if cfg!(test) { 0.05 } else { 1.0 };
    const STEPS: u32 = 2;

    /// Trains 1, 2, 4, ... copies of the largest of some models at once, each
    /// on a micro-batch of simulated tokens, up to `most` and until twice as many
    /// bring less than 10 % more tokens per second, or the device fails. Takes a
    /// second or two for each number; the first takes longer, since kernels are
    /// compiled then. Nothing is written.
    ///
    /// # Errors
    /// When not even one model can be trained, or `monitor` requests a stop.
    pub fn measure(
        device: &Device,
        jobs: &[Job],
        most: usize,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let mut found = Self {
            speeds: Vec::new(),
            refused: None,
        };
        // All cards are taken to be as fast as the first.
        let device = device.card(0);
        let largest = jobs
            .iter()
            .max_by_key(|j| j.spec.model.parameters().total() + j.spec.train.micro_batch);
        let Some(job) = largest else {
            return Ok(found);
        };
        let (model, train) = (&job.spec.model, &job.spec.train);
        let mut models = 1;
        loop {
            match speed_of(&TRAINING, models, device, (model, train), None, monitor) {
                Ok(speed) => found.speeds.push((models, speed)),
                Err(e) if models > 1 && !e.is_interrupted() => {
                    found.refused = Some(e.problem().to_owned());
                    break;
                }
                Err(e) => return Err(e),
            }
            models *= 2;
            let gained = match found.speeds.as_slice() {
                [.., (_, before), (_, now)] => *now >= Self::GAIN * before,
                _ => true,
            };
            if !gained || models > most.min(Self::MOST) {
                break;
            }
        }
        Ok(found)
    }

    /// The largest number whose throughput exceeds that of the number before by
    /// 10 %.
    pub fn best(&self) -> usize {
        let mut best = (1, 0.0);
        for &(models, speed) in &self.speeds {
            if speed >= Self::GAIN * best.1 {
                best = (models, speed);
            }
        }
        best.0
    }
}

/// How fast a device is with several models of one kind at once: tokens per second of all
/// of them together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Of training steps.
    pub training: f64,
    /// Of evaluations, which have no backward pass.
    pub evaluation: f64,
}

impl Speed {
    /// How long a step should take that is measured, in seconds.
    const STEP: f64 = if cfg!(test) { 0.01 } else { 0.25 };

    /// Measures `models` copies of a model, trained as in runs of this configuration: on
    /// simulated tokens, a second or two for training and as long for evaluation (longer
    /// where a single sequence takes longer). Nothing is written.
    ///
    /// ```
    /// use regmix_data::Silent;
    /// use regmix_model::{
    ///     AdamWConfig, Device, DeviceSpec, LearningRateSchedule, ModelConfig, Precision, Speed,
    ///     TrainConfig,
    /// };
    ///
    /// let model = ModelConfig { context: 16, ..ModelConfig::preset("nano", 64)? };
    /// let train = TrainConfig {
    ///     steps: 200,
    ///     batch_size: 16,
    ///     micro_batch: 16,
    ///     lr: 4e-3,
    ///     min_lr: 0.0,
    ///     warmup: 20,
    ///     schedule: LearningRateSchedule::Cosine,
    ///     optimizer: AdamWConfig::default(),
    ///     eval_every: 100,
    ///     eval_sequences: 32,
    ///     checkpoint_every: 0,
    ///     keep_weights: false,
    ///     precision: Precision::F32,
    /// };
    /// let device = Device::open(DeviceSpec::Cpu)?;
    /// let speed = Speed::measure(&device, &model, &train, 2, &Silent)?;
    /// // Two runs side by side, each at half of the speed.
    /// let tokens = train.steps as f64 * 16.0 * 16.0;
    /// let seconds = tokens / (speed.training / 2.0);
    /// assert!(seconds.is_finite() && seconds > 0.0);
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the configuration is out of range, the device lacks the precision or fails, or
    /// `monitor` requests a stop.
    pub fn measure(
        device: &Device,
        model: &ModelConfig,
        train: &TrainConfig,
        models: usize,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        train.check()?;
        let models = models.max(1);
        let on_card = models.div_ceil(device.cards());
        // All cards are taken to be as fast as the first.
        let device = device.card(0);
        let sequences = Self::sequences(device, (model, train), monitor)?;
        device.release_unused();
        let of = |work: &Work| -> Result<f64> {
            let speed = speed_of(
                work,
                on_card,
                device,
                (model, train),
                Some(sequences),
                monitor,
            )?;
            Ok(speed * models as f64 / on_card as f64)
        };
        Ok(Self {
            training: of(&TRAINING)?,
            evaluation: of(&EVALUATION)?,
        })
    }

    /// The sequences of a step that takes at most about [`Self::STEP`] seconds, and no more
    /// than those of a batch: a whole batch of a large model takes minutes on a CPU.
    fn sequences(
        device: &Device,
        (model, train): (&ModelConfig, &TrainConfig),
        monitor: &dyn Monitor,
    ) -> Result<usize> {
        let free = device.free_memory();
        let micro_batch = fitting_micro_batch(model, train.micro_batch, train.precision, free);
        let (optimizer, precision) = (train.optimizer.clone(), train.precision);
        let mut trainer = Trainer::with_precision(model, optimizer, SEED, device, precision)?;
        let mut sequences = if device.is_cpu() { 1 } else { micro_batch };
        loop {
            let tokens = simulated(model, sequences);
            let mut least = f64::INFINITY;
            // A first step compiles kernels, and other work may delay one of them.
            for _ in 0..2 {
                monitor.check()?;
                let clock = Instant::now();
                TRAINING(&mut trainer, &tokens, micro_batch)?;
                least = least.min(clock.elapsed().as_secs_f64());
            }
            if sequences >= train.batch_size || 2.0 * least > Self::STEP {
                return Ok(sequences);
            }
            sequences = (2 * sequences).min(train.batch_size);
        }
    }
}

/// What is measured: it is given tokens, and how many sequences are computed at once.
type Work = dyn Fn(&mut Trainer, &[u32], usize) -> Result<()> + Sync;

const TRAINING: fn(&mut Trainer, &[u32], usize) -> Result<()> =
    |trainer, tokens, micro_batch| trainer.step(tokens, micro_batch, 1e-4).map(|_| ());
const EVALUATION: fn(&mut Trainer, &[u32], usize) -> Result<()> =
    |trainer, tokens, micro_batch| trainer.evaluate(tokens, micro_batch).map(|_| ());

/// That of the weights, which do not matter here.
const SEED: u64 = 0;

/// Tokens for so many sequences.
fn simulated(model: &ModelConfig, sequences: usize) -> Vec<u32> {
    let vocab = model.vocab_size as u32;
    (0..(sequences * (model.context + 1)) as u32)
        .map(|i| i.wrapping_mul(2_654_435_761) % vocab)
        .collect()
}

/// Tokens per second of several copies of a model, each in a thread, on so many sequences
/// a call: if not given, as many as are computed at once.
fn speed_of(
    work: &Work,
    models: usize,
    device: &Device,
    (model, train): (&ModelConfig, &TrainConfig),
    sequences: Option<usize>,
    monitor: &dyn Monitor,
) -> Result<f64> {
    let [all_there, all_warm] = [Barrier::new(models), Barrier::new(models)];
    let free = device.free_memory().map(|free| free / models as u64);
    // As in training.
    let micro_batch = fitting_micro_batch(model, train.micro_batch, train.precision, free);
    let sequences = sequences.unwrap_or(micro_batch);
    let tokens = simulated(model, sequences);
    let one = || -> Result<f64> {
        let (optimizer, precision) = (train.optimizer.clone(), train.precision);
        let trainer = Trainer::beside_others(model, optimizer, SEED, device, precision, models);
        // Also a thread that failed comes to each: the others wait for all.
        all_there.wait();
        let warm = trainer.and_then(|mut trainer| {
            for _ in 0..2 {
                work(&mut trainer, &tokens, micro_batch)?;
            }
            Ok(trainer)
        });
        all_warm.wait();
        let mut trainer = warm?;
        let clock = Instant::now();
        let mut steps = 0;
        while steps < ParallelTrial::STEPS || clock.elapsed().as_secs_f64() < ParallelTrial::SECONDS
        {
            monitor.check()?;
            work(&mut trainer, &tokens, micro_batch)?;
            steps += 1;
        }
        let per_step = sequences * model.context;
        Ok(f64::from(steps) * per_step as f64 / clock.elapsed().as_secs_f64())
    };
    let on_thread = || {
        let speed = one();
        device.release_unused();
        speed
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..models).map(|_| scope.spawn(on_thread)).collect();
        let mut total = Ok(0.0);
        for thread in threads {
            let speed = (thread.join())
                .unwrap_or_else(|_| Err(Error::failed("a thread of the measurement failed")));
            total = match (total, speed) {
                (Ok(sum), Ok(speed)) => Ok(sum + speed),
                (Err(e), _) | (_, Err(e)) => Err(e),
            };
        }
        total
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use regmix_data::Silent;

    use super::*;
    use crate::device::DeviceSpec;
    use crate::optimizer::{AdamWConfig, LearningRateSchedule};
    use crate::precision::Precision;

    #[test]
    fn more_models_are_chosen_while_they_are_a_tenth_faster() {
        let best = |speeds: &[(usize, f64)]| {
            let speeds = speeds.to_vec();
            ParallelTrial {
                speeds,
                refused: None,
            }
            .best()
        };
        assert_eq!(best(&[(1, 100.0), (2, 190.0), (4, 195.0)]), 2);
        assert_eq!(best(&[(1, 100.0), (2, 105.0)]), 1);
        assert_eq!(best(&[(1, 100.0), (2, 200.0), (4, 390.0)]), 4);
        assert_eq!(best(&[]), 1);
    }

    /// A model of this width and a configuration for it.
    fn kind(d_model: usize, micro_batch: usize) -> (ModelConfig, TrainConfig) {
        let model = ModelConfig {
            d_model,
            d_ff: 4 * d_model,
            context: 8,
            ..ModelConfig::preset("nano", 64).unwrap()
        };
        let train = TrainConfig {
            steps: 10,
            batch_size: 4,
            micro_batch,
            lr: 1e-3,
            min_lr: 0.0,
            warmup: 0,
            schedule: LearningRateSchedule::Constant,
            optimizer: AdamWConfig::default(),
            eval_every: 5,
            eval_sequences: 4,
            checkpoint_every: 0,
            keep_weights: false,
            precision: Precision::F32,
        };
        (model, train)
    }

    #[test]
    fn a_much_larger_model_is_slower() {
        let device = Device::open(DeviceSpec::Cpu).unwrap();
        let speed = |d_model, micro_batch| {
            let (model, train) = kind(d_model, micro_batch);
            Speed::measure(&device, &model, &train, 2, &Silent).unwrap()
        };
        let [small, large] = [speed(8, 4), speed(256, 1)];
        assert!(small.training > large.training, "{small:?} {large:?}");
        assert!(small.evaluation > large.evaluation, "{small:?} {large:?}");
        assert!(large.training > 0.0 && large.evaluation > 0.0, "{large:?}");
    }

    #[test]
    fn a_measurement_can_be_stopped_and_names_what_is_out_of_range() {
        let device = Device::open(DeviceSpec::Cpu).unwrap();
        let (model, mut train) = kind(8, 4);
        let stop = AtomicBool::new(true);
        let stopped = Speed::measure(&device, &model, &train, 2, &stop).unwrap_err();
        assert!(stopped.is_interrupted(), "{stopped}");
        train.micro_batch = 5;
        let wrong = Speed::measure(&device, &model, &train, 2, &Silent).unwrap_err();
        assert_eq!(wrong.field_name(), Some("micro_batch"), "{wrong}");
    }
}

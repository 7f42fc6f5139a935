//! How many models are trained at once when the user does not say.

use std::sync::Barrier;
use std::time::Instant;

use regmix_data::{Error, Monitor, Result};

use crate::device::Device;
use crate::memory::{available_memory, fitting_micro_batch, training_memory};
use crate::run::Job;
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
        let mut models = 1;
        loop {
            match speed_of(models, device, job, monitor) {
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

/// Tokens per second of several copies of a job's model, each in a thread.
fn speed_of(models: usize, device: &Device, job: &Job, monitor: &dyn Monitor) -> Result<f64> {
    let [all_there, all_warm] = [Barrier::new(models), Barrier::new(models)];
    let (model, train) = (&job.spec.model, &job.spec.train);
    let free = device.free_memory().map(|free| free / models as u64);
    // As in training.
    let micro_batch = fitting_micro_batch(model, train.micro_batch, train.precision, free);
    let vocab = model.vocab_size as u32;
    let tokens: Vec<u32> = (0..(micro_batch * (model.context + 1)) as u32)
        .map(|i| i.wrapping_mul(2_654_435_761) % vocab)
        .collect();
    let one = || -> Result<f64> {
        let (optimizer, seed) = (train.optimizer.clone(), job.spec.seed);
        let trainer =
            Trainer::beside_others(model, optimizer, seed, device, train.precision, models);
        // Also a thread that failed comes to each: the others wait for all.
        all_there.wait();
        let warm = trainer.and_then(|mut trainer| {
            for _ in 0..2 {
                trainer.step(&tokens, micro_batch, 1e-4)?;
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
            trainer.step(&tokens, micro_batch, 1e-4)?;
            steps += 1;
        }
        let per_step = micro_batch * model.context;
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
    use super::*;

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
}

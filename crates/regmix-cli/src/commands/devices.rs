//! `regmix devices`: what this binary can run on.

use std::time::Instant;

use regmix_data::{Monitor, Result};
use regmix_model::{AdamWConfig, Device, DeviceSpec, DeviceStatus, ModelConfig, Trainer};

use crate::args::DevicesArgs;
use crate::session::Session;
use crate::show::{self, DeviceRow};

pub(super) fn run(session: &Session<'_>, args: &DevicesArgs) -> Result<()> {
    let measure = !args.no_measure;
    let mut rows = Vec::new();
    for status in Device::survey() {
        session.display.check()?;
        let mut row = row_of(&status);
        if measure && status.present {
            session.message(&format!("measuring {} ...", row.device));
            match training_speed(session, status.spec) {
                Ok(speed) => row.tokens_per_second = Some(speed),
                Err(e) if e.is_interrupted() => return Err(e),
                Err(e) => row.note = e.to_string(),
            }
        }
        rows.push(row);
    }
    session.print_result(&rows, || show::devices(&rows, measure))
}

fn row_of(status: &DeviceStatus) -> DeviceRow {
    let note = match status.software {
        true => "software renderer: not chosen by `auto`".to_owned(),
        false => status.note.clone(),
    };
    DeviceRow {
        device: status.spec.to_string(),
        compiled: status.compiled,
        present: status.present,
        software: status.software,
        name: status.name.clone(),
        memory_bytes: status.memory,
        tokens_per_second: None,
        note,
    }
}

/// Tokens per second of training steps of the nano preset, over about a
/// second after the first two steps, in which kernels are compiled.
fn training_speed(session: &Session<'_>, spec: DeviceSpec) -> Result<f64> {
    let device = Device::open(spec)?;
    let config = ModelConfig::preset("nano", 1024)?;
    let mut trainer = Trainer::new(&config, AdamWConfig::default(), 1, &device)?;
    let batch: Vec<u32> = (0..8 * (config.context as u32 + 1))
        .map(|i| i * 31 % 1024)
        .collect();
    for _ in 0..2 {
        session.display.check()?;
        trainer.step(&batch, 8, 1e-3)?;
    }
    let begun = Instant::now();
    let mut steps = 0;
    while begun.elapsed().as_secs_f64() < 1.0 {
        session.display.check()?;
        trainer.step(&batch, 8, 1e-3)?;
        steps += 1;
    }
    Ok(f64::from(steps * 8) * config.context as f64 / begun.elapsed().as_secs_f64())
}

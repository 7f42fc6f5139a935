//! What this binary can run on.

use std::process::ExitCode;
use std::time::Instant;

use regmix_data::Result;
use regmix_model::{AdamWConfig, Device, DeviceSpec, ModelConfig, Trainer};
use serde::Serialize;

use super::Session;
use crate::output::table::table;

#[derive(Serialize)]
struct Row {
    device: String,
    compiled: bool,
    present: bool,
    tokens_per_second: Option<f64>,
    note: String,
}

pub(super) fn devices(session: &Session<'_>) -> Result<ExitCode> {
    let mut rows = Vec::new();
    for status in Device::survey() {
        let mut row = Row {
            device: status.spec.to_string(),
            compiled: status.compiled,
            present: status.present,
            tokens_per_second: None,
            note: status.note,
        };
        if status.present {
            match speed(status.spec) {
                Ok(speed) => row.tokens_per_second = Some(speed),
                Err(e) => row.note = e.to_string(),
            }
        }
        rows.push(row);
    }
    session.result(&rows, || {
        let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
        table(
            &["device", "compiled in", "present", "nano tokens/s", "note"],
            rows.iter().map(|r| {
                let speed = r
                    .tokens_per_second
                    .map_or_else(String::new, |s| format!("{s:.0}"));
                vec![
                    r.device.clone(),
                    yes(r.compiled),
                    yes(r.present),
                    speed,
                    r.note.clone(),
                ]
            }),
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Tokens per second of training steps of the nano preset, over about a
/// second after the first step.
fn speed(spec: DeviceSpec) -> Result<f64> {
    let device = Device::open(spec)?;
    let config = ModelConfig::preset("nano", 1024)?;
    let mut trainer = Trainer::new(&config, AdamWConfig::default(), 1, &device)?;
    let batch: Vec<u32> = (0..8 * (config.context as u32 + 1))
        .map(|i| i * 31 % 1024)
        .collect();
    trainer.step(&batch, 8, 1e-3)?;
    let begun = Instant::now();
    let mut steps = 0;
    while begun.elapsed().as_secs_f64() < 1.0 {
        trainer.step(&batch, 8, 1e-3)?;
        steps += 1;
    }
    Ok(f64::from(steps * 8) * config.context as f64 / begun.elapsed().as_secs_f64())
}

//! What this binary can run on.

use std::process::ExitCode;
use std::time::Instant;

use regmix_data::Result;
use regmix_model::{AdamWConfig, Device, DeviceSpec, DeviceStatus, ModelConfig, Trainer};
use serde::Serialize;

use super::Session;
use crate::output::table::table;

#[derive(Serialize)]
struct Row {
    device: String,
    compiled: bool,
    present: bool,
    software: bool,
    name: Option<String>,
    memory_bytes: Option<u64>,
    tokens_per_second: Option<f64>,
    note: String,
}

pub(super) fn devices(session: &Session<'_>, measure: bool) -> Result<ExitCode> {
    let mut rows = Vec::new();
    for status in Device::survey() {
        let mut row = Row::of(&status);
        if measure && status.present {
            session.tell(&format!("measuring {} ...", row.device));
            match speed(status.spec) {
                Ok(speed) => row.tokens_per_second = Some(speed),
                Err(e) => row.note = e.to_string(),
            }
        }
        rows.push(row);
    }
    session.result(&rows, || text(&rows, measure))?;
    Ok(ExitCode::SUCCESS)
}

impl Row {
    fn of(status: &DeviceStatus) -> Self {
        let note = match status.software {
            true => "a program in place of a GPU: not chosen by `auto`".to_owned(),
            false => status.note.clone(),
        };
        Self {
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
}

/// A table of numbers, and below it what is too long for one.
fn text(rows: &[Row], measured: bool) -> String {
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    let mut header = vec!["device", "compiled in", "present", "memory"];
    if measured {
        header.push("nano tokens/s");
    }
    let mut text = table(
        &header,
        rows.iter().map(|r| {
            let gib = |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
            let mut cells = vec![
                r.device.clone(),
                yes(r.compiled),
                yes(r.present),
                r.memory_bytes.map_or_else(String::new, gib),
            ];
            if measured {
                let speed = r.tokens_per_second.map(|s| format!("{s:.0}"));
                cells.push(speed.unwrap_or_default());
            }
            cells
        }),
    );
    text.push('\n');
    for row in rows {
        let parts = [row.name.as_deref().unwrap_or_default(), &row.note];
        let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        text.push_str(&format!("{}: {}\n", row.device, parts.join("; ")));
    }
    text
}

/// Tokens per second of training steps of the nano preset, over about a
/// second after the first two steps, in which kernels are compiled.
fn speed(spec: DeviceSpec) -> Result<f64> {
    let device = Device::open(spec)?;
    let config = ModelConfig::preset("nano", 1024)?;
    let mut trainer = Trainer::new(&config, AdamWConfig::default(), 1, &device)?;
    let batch: Vec<u32> = (0..8 * (config.context as u32 + 1))
        .map(|i| i * 31 % 1024)
        .collect();
    for _ in 0..2 {
        trainer.step(&batch, 8, 1e-3)?;
    }
    let begun = Instant::now();
    let mut steps = 0;
    while begun.elapsed().as_secs_f64() < 1.0 {
        trainer.step(&batch, 8, 1e-3)?;
        steps += 1;
    }
    Ok(f64::from(steps * 8) * config.context as f64 / begun.elapsed().as_secs_f64())
}

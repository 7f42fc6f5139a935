//! Devices and their speed.

use serde::Serialize;

use crate::output::table::table;

/// What is known of a device.
#[derive(Serialize)]
pub(crate) struct DeviceRow {
    pub(crate) device: String,
    pub(crate) compiled: bool,
    pub(crate) present: bool,
    pub(crate) software: bool,
    pub(crate) name: Option<String>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) tokens_per_second: Option<f64>,
    pub(crate) note: String,
}

/// A table of numbers, and below it names and notes, which are too long for a table.
pub(crate) fn devices(rows: &[DeviceRow], measured: bool) -> String {
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

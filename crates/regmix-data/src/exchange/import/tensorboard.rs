//! Event files of TensorBoard.

use std::collections::BTreeMap;
use std::path::Path;

use super::log::{Logs, Measured, Places, RunLog, Sources};
use super::selection::{Role, Selection};
use crate::error::{Error, Result};
use crate::exchange::tfevents::{Event, What, records};

/// Reads a file of events; `name` is that of the run.
pub(super) fn read(bytes: &[u8], path: &Path, name: &str, selection: &Selection) -> Result<Logs> {
    let mut log = RunLog::new(name, path);
    let mut targets = Places::default();
    let mut logs = Logs::default();
    let mut roles: BTreeMap<String, Option<Role>> = BTreeMap::new();
    let mut records = records(bytes);
    for record in records.by_ref() {
        let (at, record) = record.map_err(|e| e.in_file(path))?;
        let event = Event::read(record).map_err(|e| {
            Error::input(format!(
                "the record at byte {at} is no event of TensorBoard: {e}"
            ))
            .in_file(path)
        })?;
        let step = event.step as f64;
        let Some(What::Summary(summary)) = event.what else {
            continue;
        };
        for value in summary.value {
            let Some(number) = value.number() else {
                continue;
            };
            let role = roles
                .entry(value.tag)
                .or_insert_with_key(|tag| selection.role(tag));
            match role {
                Some(Role::Weight(domain)) => log.set_weight(domain, number)?,
                Some(Role::Parameters) => log.set_parameters(number)?,
                Some(Role::Tokens) => log.tokens.push((step, number)),
                Some(Role::Target(target)) => log.values.push(Measured {
                    step,
                    target: targets.of(target),
                    value: number,
                }),
                _ => {}
            }
        }
    }
    if let Some(rest) = records.unfinished() {
        logs.notes.push(format!(
            "{}: the last {rest} bytes are no whole record, as after a run that was killed",
            path.display()
        ));
    }
    let mut sources = Sources::default();
    for (tag, role) in roles {
        if let Some(Role::Target(target)) = &role {
            (sources.add(target, &tag, "tags")).map_err(|e| e.in_file(path))?;
        }
        match role {
            Some(_) => logs.counted.insert(tag),
            None => logs.skipped.insert(tag),
        };
    }
    log.targets = targets.into_names();
    logs.runs.push(log);
    Ok(logs)
}

//! Naming a process in a file, so that others can find out whether it has ended.

use std::fmt;
use std::fs;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A process, named so that no later one is mistaken for it. As text it is
/// `<world>_<id>_<started>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Process {
    /// Names the machine since it was started, and what its processes see of
    /// each other.
    world: String,
    id: u32,
    /// When it was started, in ticks.
    started: u64,
}

impl Process {
    /// This process; `None` where the system does not say.
    pub fn this() -> Option<Self> {
        let id = std::process::id();
        Some(Self {
            world: world()?,
            id,
            started: started(id)?,
        })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether it has ended; `None` where that cannot be known, for example of a
    /// process of another machine or container.
    pub fn has_ended(&self) -> Option<bool> {
        (self.world == world()?).then(|| started(self.id) != Some(self.started))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.world, self.id, self.started)
    }
}

impl FromStr for Process {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('_');
        let parsed = (|| {
            Some(Self {
                world: parts.next()?.to_owned(),
                id: parts.next()?.parse().ok()?,
                started: parts.next()?.parse().ok()?,
            })
        })();
        parsed.ok_or_else(|| Error::input(format!("`{text}` names no process")))
    }
}

impl From<Process> for String {
    fn from(process: Process) -> Self {
        process.to_string()
    }
}

impl TryFrom<String> for Process {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// The name of this host, as far as the system tells.
pub fn host_name() -> String {
    let read = |path| fs::read_to_string(path).ok();
    let named = ["HOSTNAME", "COMPUTERNAME"];
    (read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname")))
        .or_else(|| named.iter().find_map(|name| std::env::var(name).ok()))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "an unnamed host".to_owned())
}

fn world() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    let space = space.to_string_lossy();
    let space: String = space.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}{space}", boot.get(..8)?))
}

/// When a process was started: field 22 of its line, counted behind the name,
/// which may hold anything. `None` where there is no such process, or only the
/// exit code of one that nobody has asked for.
fn started(id: u32) -> Option<u64> {
    let line = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = line.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then_some(())?;
    fields.nth(18)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_is_known_as_such_even_before_it_is_waited_for() {
        let own = Process::this().unwrap();
        assert_eq!(own.has_ended(), Some(false));
        assert_eq!(own.to_string().parse::<Process>().unwrap(), own);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = child.id();
        let began = std::time::Instant::now();
        let of_child = |started| Process {
            world: own.world.clone(),
            id,
            started,
        };
        let as_it_was = started(id).map(of_child);
        while started(id).is_some() && began.elapsed().as_secs() < 10 {
            std::thread::yield_now();
        }
        assert_eq!(
            as_it_was.unwrap_or_else(|| of_child(1)).has_ended(),
            Some(true)
        );
        child.wait().unwrap();
        let elsewhere = Process {
            world: "other".to_owned(),
            ..own
        };
        assert_eq!(elsewhere.has_ended(), None);
        assert!("12_x_3".parse::<Process>().is_err());
    }
}

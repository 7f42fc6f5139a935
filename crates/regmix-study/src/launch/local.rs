//! Workers on this machine: separate processes, so that the crash of one does
//! not end the others.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use regmix_data::{Error, Monitor, Result, Unit};

use super::request::{Request, Worker};
use crate::campaign;
use crate::files;
use crate::steps::current::{Reads, require_current};
use crate::study::Study;

/// How often a worker is started again.
const RESTARTS: u32 = 5;

/// How often workers are looked at, and every how many of these looks their runs.
const LOOK: Duration = Duration::from_millis(200);
const COUNT_EVERY: u32 = 10;

/// The exit code that asks to try again.
const AGAIN: i32 = 75;

/// Trains the proxies with several processes of `request.program`, each with a
/// log in `launch/logs`. A worker that a signal ends is started again, some times.
///
/// # Errors
/// When the design is missing or out of date, a process cannot be started, a
/// worker fails, or `monitor` requests a stop: the workers save what they have.
pub fn run(study: &Study, request: &Request, monitor: &dyn Monitor) -> Result<()> {
    require_current(study, Reads::Design, monitor)?;
    let nonce = campaign::begin(study)?;
    let worker = Worker {
        program: vec![request.program.clone()],
        study: study.root().to_string_lossy().into_owned(),
        nonce: Some(&nonce),
        wait: true,
        arguments: &request.arguments,
    };
    let command = worker.shared("train");
    let counts = study.proxy_counts()?;
    let mut workers = Vec::new();
    for number in 1..=request.workers.unwrap_or(1) {
        let mut worker = Local::new(study, number);
        if let Err(e) = worker.start(&command) {
            // Those that run already would go on alone.
            stop(&mut workers);
            return Err(e);
        }
        workers.push(worker);
    }
    monitor.begin("train proxies", counts.planned as u64, Unit::Items);
    if let Err(e) = watch(study, &mut workers, &command, monitor) {
        // They would go on alone.
        stop(&mut workers);
        return Err(e);
    }
    monitor.end();
    monitor.check()?;
    ends(&workers)
}

/// Waits for the end of all workers, starts those again that a signal ended, and shows
/// how many runs are finished.
fn watch(
    study: &Study,
    workers: &mut [Local],
    command: &[String],
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut looks = 0;
    let mut stopping = false;
    while workers.iter().any(Local::is_running) {
        if monitor.stop_requested() && !stopping {
            stopping = true;
            workers.iter().for_each(Local::ask_to_stop);
        }
        for worker in &mut *workers {
            worker.look(command, stopping, monitor)?;
        }
        if looks % COUNT_EVERY == 0 {
            let counts = study.proxy_counts()?;
            monitor.at((counts.done + counts.failed) as u64);
            let running = workers.iter().filter(|w| w.is_running()).count();
            monitor.note(&format!("{running} workers"));
        }
        looks += 1;
        std::thread::sleep(LOOK);
    }
    let counts = study.proxy_counts()?;
    monitor.at((counts.done + counts.failed) as u64);
    Ok(())
}

/// What became of all workers.
fn ends(workers: &[Local]) -> Result<()> {
    let failed: Vec<String> = workers
        .iter()
        .filter_map(|worker| {
            let end = worker.end.filter(|end| !end.success())?;
            Some(format!("worker {} ({})", worker.number, in_words(end)))
        })
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Error::failed(format!(
            "{} of {} workers failed: {}",
            failed.len(),
            workers.len(),
            failed.join(", ")
        ))
        .help(format!(
            "their logs say why: {}/logs/local-*.log",
            files::LAUNCH_FOLDER
        ))),
    }
}

fn in_words(end: ExitStatus) -> String {
    match end.code() {
        Some(code) => format!("exit code {code}"),
        None => end.to_string(),
    }
}

fn stop(workers: &mut [Local]) {
    workers.iter().for_each(Local::ask_to_stop);
    for worker in workers {
        if let Some(child) = &mut worker.child {
            child.wait().ok();
        }
    }
}

/// A worker on this machine.
struct Local {
    number: u32,
    log: std::path::PathBuf,
    child: Option<Child>,
    restarts: u32,
    end: Option<ExitStatus>,
}

impl Local {
    fn new(study: &Study, number: u32) -> Self {
        let logs = study.path(files::LAUNCH_FOLDER).join("logs");
        Self {
            number,
            log: logs.join(format!("local-{number}.log")),
            child: None,
            restarts: 0,
            end: None,
        }
    }

    fn is_running(&self) -> bool {
        self.child.is_some()
    }

    fn start(&mut self, command: &[String]) -> Result<()> {
        let io = |e| Error::io(&self.log, e);
        if let Some(folder) = self.log.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.map_err(io)?;
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| Error::failed("there is no command to start a worker with"))?;
        let mut process = Command::new(program);
        process
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(io)?)
            .stderr(log);
        // Ctrl-C in a terminal goes to the whole group: workers are asked to stop
        // by this process alone, once.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut process, 0);
        let child = process.spawn();
        let child = child.map_err(|e| Error::io(program, e))?;
        self.child = Some(child);
        Ok(())
    }

    fn ask_to_stop(&self) {
        let Some(child) = &self.child else { return };
        #[cfg(unix)]
        if let Ok(id) = i32::try_from(child.id()) {
            use nix::sys::signal::{Signal, kill};
            // It may have ended by now.
            kill(nix::unistd::Pid::from_raw(id), Signal::SIGTERM).ok();
        }
        #[cfg(not(unix))]
        let _ = child;
    }

    /// Notices the end of the process, and starts it again where that helps.
    fn look(&mut self, command: &[String], stopping: bool, monitor: &dyn Monitor) -> Result<()> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        let Some(end) = child.try_wait().map_err(|e| Error::io(&self.log, e))? else {
            return Ok(());
        };
        self.child = None;
        let lost = end.code().is_none_or(|code| code == AGAIN);
        if !lost || stopping || self.restarts == RESTARTS {
            self.end = Some(end);
            return Ok(());
        }
        self.restarts += 1;
        monitor.message(&format!(
            "worker {} ended ({}) and is started again",
            self.number,
            in_words(end)
        ));
        self.start(command)
    }
}

//! Schedules of mixtures, and the controller that changes them online.

use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use regmix_data::{Error, Result, artefact};
use regmix_dynamic::http::Server;
use regmix_dynamic::protocol::{MAX_LINE, answer};
use regmix_dynamic::{Controller, ExportOptions, Schedule, Trainer};
use regmix_study::{Plan, plan};

use super::{Session, show_schedule};
use crate::interrupt;
use crate::output::print;

/// What a schedule of one's own tables is made of.
pub(super) struct Tables<'a> {
    pub(super) trajectories: &'a Path,
    pub(super) mixtures: &'a Path,
    pub(super) out: &'a Path,
    pub(super) plan: Plan<'a>,
    pub(super) redo: bool,
}

/// The schedule of the study.
pub(super) fn of_study(session: &Session<'_>, redo: bool) -> Result<ExitCode> {
    let study = session.study()?;
    let schedule = study.schedule(session.context(redo))?;
    session.result(&schedule, || show_schedule::text(&schedule))?;
    session.tell(&format!(
        "next: {}",
        super::command(study.root(), "target --schedule offline --schedule online")
    ));
    Ok(ExitCode::SUCCESS)
}

/// A schedule of trajectories from anywhere.
pub(super) fn of_tables(session: &Session<'_>, request: &Tables<'_>) -> Result<ExitCode> {
    let path = request.out.join("schedule.json");
    super::regress::unclaimed(&path, request.redo)?;
    session.tell("planning a schedule");
    let (schedule, controller) = plan(
        request.trajectories,
        request.mixtures,
        &request.plan,
        &session.display,
    )?;
    std::fs::create_dir_all(request.out).map_err(|e| Error::io(request.out, e))?;
    controller.save(request.out.join("controller.json"))?;
    schedule.save(&path)?;
    session.result(&schedule, || show_schedule::text(&schedule))?;
    Ok(ExitCode::SUCCESS)
}

/// A finished schedule, as a trainer takes it.
pub(super) fn export(
    session: &Session<'_>,
    trainer: Trainer,
    out: Option<&Path>,
    redo: bool,
) -> Result<ExitCode> {
    let schedule = session.study()?.load_schedule()?;
    let text = exported(&schedule, trainer)?;
    match out {
        None => print(&text),
        Some(path) => {
            super::regress::unclaimed(path, redo)?;
            artefact::write_atomic(path, text.as_bytes())?;
            session.result(&path, || format!("{}\n", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn exported(schedule: &Schedule, trainer: Trainer) -> Result<String> {
    schedule.export(trainer, &ExportOptions::default())
}

/// Where a controller is, and how it is asked.
pub(super) struct Asked<'a> {
    pub(super) controller: Option<&'a Path>,
    pub(super) state: Option<&'a Path>,
    pub(super) listen: Option<&'a str>,
    pub(super) token_file: Option<&'a Path>,
}

/// Answers a trainer, over HTTP or line by line.
pub(super) fn online(session: &Session<'_>, asked: &Asked<'_>) -> Result<ExitCode> {
    let folder = session.args.study.as_path();
    let own = |given: Option<&Path>, name: &str| -> PathBuf {
        given.map_or_else(|| folder.join(name), Path::to_path_buf)
    };
    let path = own(asked.controller, "controller.json");
    if !path.exists() {
        return Err(Error::input("there is no controller")
            .in_file(&path)
            .help("run `regmix schedule` first, or give `--controller FILE`"));
    }
    let controller = Controller::load(&path)?;
    let state = own(asked.state, "online.json");
    match asked.listen {
        None => lines(session, controller, &state),
        Some(address) => {
            let token = match asked.token_file {
                None => None,
                Some(path) => {
                    let token = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
                    Some(token.trim().to_owned())
                }
            };
            let due = due(&controller);
            let server = Server::bind(controller, address, token, &state)?;
            session.tell(&format!(
                "listening on port {}; {due}; the state is kept in {}",
                server.port()?,
                state.display()
            ));
            server.serve(&session.display)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// When decisions are due, and what they need.
fn due(controller: &Controller) -> String {
    let steps: Vec<String> = (controller.decision_steps().iter())
        .map(u64::to_string)
        .collect();
    format!(
        "decisions are due at steps {}, from the losses of all {} domains",
        steps.join(", "),
        controller.losses().len()
    )
}

/// One request per line of stdin, one answer per line of stdout; ends with
/// stdin, or when the user stops it.
fn lines(session: &Session<'_>, mut controller: Controller, state: &Path) -> Result<ExitCode> {
    controller.load_state(state)?;
    controller.prepare()?;
    session.tell(&format!(
        "one observation per line, {{\"step\":{},\"losses\":{{\"{}\":3.1,...}}}}; {}; the state is \
         kept in {}",
        controller.decision_steps().first().copied().unwrap_or(1),
        controller.losses().first().map_or("web", String::as_str),
        due(&controller),
        state.display()
    ));
    if let Some(step) = controller.state().last_step() {
        session.tell(&format!("goes on after step {step}"));
    }
    // A thread of its own waits for lines, so that Ctrl-C is heard meanwhile.
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = (&mut input)
                .take(MAX_LINE as u64 + 2)
                .read_until(b'\n', &mut line);
            let over = match &read {
                Ok(0) | Err(_) => true,
                Ok(_) => line.len() > MAX_LINE && line.last() != Some(&b'\n'),
            };
            let item = match read {
                Ok(0) => break,
                Ok(_) => Ok(String::from_utf8_lossy(&line).trim().to_owned()),
                Err(e) => Err(e),
            };
            if sender.send(item).is_err() || over {
                break;
            }
        }
    });
    loop {
        let line = match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => line.map_err(|e| Error::io("stdin", e))?,
            Err(RecvTimeoutError::Timeout) => match interrupt::requested() {
                true => return Ok(ExitCode::from(130)),
                false => continue,
            },
            Err(RecvTimeoutError::Disconnected) => return Ok(ExitCode::SUCCESS),
        };
        if line.is_empty() {
            continue;
        }
        let (text, changed) = answer(&mut controller, &line);
        if changed {
            // Before the answer: what a trainer acts on is never forgotten.
            controller.save_state(state)?;
        }
        print(&format!("{text}\n"));
        std::io::stdout().flush().ok();
        controller.prepare()?;
    }
}

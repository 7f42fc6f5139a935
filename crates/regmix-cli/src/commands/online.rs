//! `regmix online`: a controller that answers a trainer, over HTTP or line by
//! line.

use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use regmix_data::{Error, ErrorKind, Monitor, Result};
use regmix_dynamic::http::Server;
use regmix_dynamic::protocol::{MAX_LINE, answer};
use regmix_dynamic::{Controller, StateLock, Steering};
use regmix_study::config::ScheduleMode;
use regmix_study::tables::peer;

use crate::args::OnlineArgs;
use crate::output::print;
use crate::session::Session;

pub(super) fn run(session: &Session<'_>, args: &OnlineArgs) -> Result<()> {
    let in_study = |given: &Option<PathBuf>, name: &str| -> PathBuf {
        (given.clone()).unwrap_or_else(|| session.folder.join(name))
    };
    if let Some(method) = args.method {
        let mode = ScheduleMode::from(method);
        let peer = match (&args.prior, args.steps) {
            (Some(prior), Some(steps)) => peer(mode, prior, steps, session.display)?,
            _ => session.open_study()?.peer(mode)?,
        };
        let state = in_study(&args.state, &format!("online-{}.json", mode.name()));
        return steer(session, peer, &state, args);
    }
    let path = in_study(&args.controller, "controller.json");
    if !path.exists() {
        return Err(Error::input("there is no controller")
            .in_file(&path)
            .help("run `regmix schedule` first, or give `--controller FILE`"));
    }
    let controller = Controller::load(&path)?;
    steer(
        session,
        controller,
        &in_study(&args.state, "online.json"),
        args,
    )
}

/// Answers with one user of the state at a time.
fn steer<S: Steering>(
    session: &Session<'_>,
    controller: S,
    state: &Path,
    args: &OnlineArgs,
) -> Result<()> {
    let _lock = StateLock::take(state)?;
    match &args.listen {
        None => answer_lines(session, controller, state),
        Some(address) => {
            let token = (args.token_file.as_deref()).map(read_token).transpose()?;
            serve(session, controller, state, address, token)
        }
    }
}

fn read_token(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    match text.trim() {
        "" => Err(Error::input("the file is empty: expected a token")
            .in_file(path)
            .help("write a token into it, or leave `--token-file` out on this machine alone")),
        token => Ok(token.to_owned()),
    }
}

/// Answers over HTTP until a signal stops it.
fn serve<S: Steering>(
    session: &Session<'_>,
    controller: S,
    state: &Path,
    address: &str,
    token: Option<String>,
) -> Result<()> {
    let decisions = decisions_in_words(&controller);
    let server = Server::bind(controller, address, token, state)?;
    session.message(&format!(
        "listening on port {}; {decisions}; the state is kept in {}",
        server.port()?,
        state.display()
    ));
    server.serve(session.display)?;
    Err(stopped(state))
}

/// When decisions are due, and what they need.
fn decisions_in_words(controller: &impl Steering) -> String {
    let domains = controller.losses().len();
    let Some(steps) = controller.decision_steps() else {
        return format!(
            "every step is a decision, from the training losses of those of the {domains} domains \
             that the batch held"
        );
    };
    /// More are named by their number.
    const SHOWN: usize = 12;
    let mut words: Vec<String> = steps.iter().take(SHOWN).map(u64::to_string).collect();
    if steps.len() > SHOWN {
        words.push(format!("... ({} in all)", steps.len()));
    }
    format!(
        "decisions are due at steps {}, from the losses of all {domains} domains",
        words.join(", ")
    )
}

fn stopped(state: &Path) -> Error {
    Error::new(ErrorKind::Interrupted, "interrupted").help(format!(
        "the state is kept in {}; continue with",
        state.display()
    ))
}

/// One request per line of stdin, one answer per line of stdout; ends with
/// stdin, or when a signal stops it.
fn answer_lines<S: Steering>(session: &Session<'_>, mut controller: S, state: &Path) -> Result<()> {
    controller.load_state(state)?;
    controller.prepare()?;
    session.message(&format!(
        "one observation per line, {{\"step\":{},\"losses\":{{\"{}\":3.1,...}}}}; {}; the state is \
         kept in {}",
        (controller.decision_steps())
            .and_then(|steps| steps.first())
            .unwrap_or(&1),
        controller.losses().first().unwrap_or(&"web"),
        decisions_in_words(&controller),
        state.display()
    ));
    if let Some(step) = controller.last_step() {
        session.message(&format!("continues after step {step}"));
    }
    let lines = lines_of_stdin();
    loop {
        let line = match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => line.map_err(|e| Error::io("stdin", e))?,
            Err(RecvTimeoutError::Timeout) if session.display.stop_requested() => {
                return Err(stopped(state));
            }
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
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

/// Reads lines in a thread of its own, so that signals are noticed while no
/// line comes. The end of a line that is too long is dropped.
fn lines_of_stdin() -> Receiver<std::io::Result<String>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = (&mut input)
                .take(MAX_LINE as u64 + 2)
                .read_until(b'\n', &mut line);
            let item = match read {
                Ok(0) => break,
                Ok(_) => {
                    let cut = line.len() > MAX_LINE && line.last() != Some(&b'\n');
                    let text = String::from_utf8_lossy(&line);
                    match cut {
                        // Longer than what is answered: it is refused.
                        true => input.skip_until(b'\n').map(|_| text.into_owned()),
                        false => Ok(text.trim().to_owned()),
                    }
                }
                Err(e) => Err(e),
            };
            let failed = item.is_err();
            if sender.send(item).is_err() || failed {
                break;
            }
        }
    });
    receiver
}

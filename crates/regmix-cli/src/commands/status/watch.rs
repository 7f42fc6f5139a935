//! `regmix status --watch`: a live table in a terminal, blocks of lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use regmix_data::{Error, Monitor, Result};
use regmix_study::Study;

use crate::args::Format;
use crate::output::print;
use crate::session::Session;
use crate::show::{self, View};

/// How often signals are looked for.
const POLL: Duration = Duration::from_millis(100);

/// Shows the status again and again, until q or a signal.
pub(super) fn watch(
    session: &Session<'_>,
    study: &Study,
    every: Duration,
    all: bool,
) -> Result<()> {
    let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if session.format == Format::Table && terminal {
        let screen = |e| Error::io("the terminal", e);
        // Also sets a hook that restores the terminal before a panic is shown.
        let mut terminal = ratatui::try_init().map_err(screen)?;
        let result = live(session, study, every, &mut terminal);
        ratatui::try_restore().map_err(screen)?;
        return result;
    }
    blocks(session, study, every, all)
}

/// A block for each interval: text, or a JSON object on a line.
fn blocks(session: &Session<'_>, study: &Study, every: Duration, all: bool) -> Result<()> {
    loop {
        let status = study.status(session.display)?;
        match session.format {
            Format::Json => {
                let line = serde_json::to_string(&status)
                    .map_err(|e| Error::failed(format!("cannot be written as JSON: {e}")))?;
                print(&format!("{line}\n"));
            }
            Format::Table => print(&format!("{}\n", show::status(study, &status, all))),
        }
        if std::io::stdout().flush().is_err() {
            return Ok(()); // Nobody reads it any more.
        }
        let until = Instant::now() + every;
        while Instant::now() < until {
            if session.display.stop_requested() {
                return Ok(());
            }
            std::thread::sleep(POLL.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

/// The live table.
fn live(
    session: &Session<'_>,
    study: &Study,
    every: Duration,
    terminal: &mut DefaultTerminal,
) -> Result<()> {
    let screen = |e| Error::io("the terminal", e);
    let mut view = View::new(study, study.status(session.display)?);
    let mut next = Instant::now() + every;
    loop {
        (terminal.draw(|frame| show::watch(frame, &mut view))).map_err(screen)?;
        let wait = next.saturating_duration_since(Instant::now()).min(POLL);
        if event::poll(wait).map_err(screen)?
            && let Event::Key(key) = event::read().map_err(screen)?
            && key.kind == KeyEventKind::Press
            && is_end(&mut view, key)
        {
            return Ok(());
        }
        if session.display.stop_requested() {
            return Ok(());
        }
        if Instant::now() >= next {
            view.update(study.status(session.display));
            next = Instant::now() + every;
        }
    }
}

/// Moves in the table; whether the key ends the watch.
fn is_end(view: &mut View, key: KeyEvent) -> bool {
    const PAGE: isize = 10;
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => return true,
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Down | KeyCode::Char('j') => view.scroll(1),
        KeyCode::Up | KeyCode::Char('k') => view.scroll(-1),
        KeyCode::PageDown => view.scroll(PAGE),
        KeyCode::PageUp => view.scroll(-PAGE),
        KeyCode::Home => view.scroll(isize::MIN),
        _ => {}
    }
    false
}

//! The status of a study on a whole terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Axis, Block, Borders, Chart, Dataset, GraphType, Paragraph, Row, Table, TableState,
};
use regmix_data::Result;
use regmix_study::{RunCounts, RunRow, RunState, Status, Study};

use super::runs::{figures, place, state};
use super::status::counts;
use crate::output::progress::duration;

/// From this width on, curves stand beside the table.
const WIDE: u16 = 120;
/// The columns of the table that are not as wide as there is place.
const COLUMNS: [u16; 5] = [8, 12, 8, 9, 7];
/// Curves at a time, each in a colour.
const COLOURS: [Color; 6] = [
    Color::Cyan,
    Color::Yellow,
    Color::Green,
    Color::Magenta,
    Color::Blue,
    Color::Red,
];

/// What is shown, and where in the table.
pub(crate) struct View {
    title: String,
    status: Status,
    /// Why the last look at the study failed.
    error: Option<String>,
    table: TableState,
}

impl View {
    pub(crate) fn new(study: &Study, status: Status) -> Self {
        let name = &study.config().study.name;
        Self::titled(
            format!("study {name} in {}", study.root().display()),
            status,
        )
    }

    fn titled(title: String, mut status: Status) -> Self {
        sort(&mut status.runs);
        Self {
            title,
            status,
            error: None,
            table: TableState::default(),
        }
    }

    /// Takes a new status. What went wrong is shown, and the old one stays.
    pub(crate) fn update(&mut self, status: Result<Status>) {
        match status {
            Ok(mut status) => {
                sort(&mut status.runs);
                self.status = status;
                self.error = None;
            }
            Err(e) => self.error = Some(e.to_string()),
        }
    }

    /// Moves the table by so many rows.
    pub(crate) fn scroll(&mut self, by: isize) {
        let last = self.status.runs.len().saturating_sub(1);
        let at = self.table.offset().saturating_add_signed(by).min(last);
        *self.table.offset_mut() = at;
    }
}

/// What changes comes first.
fn sort(runs: &mut [RunRow]) {
    runs.sort_by_key(|row| match row.state {
        RunState::Running => 0,
        RunState::Stale => 1,
        RunState::Failed => 2,
        RunState::Stopped => 3,
        RunState::Waiting => 4,
        RunState::Outdated => 5,
        RunState::Done => 6,
    });
}

/// Draws all of it.
pub(crate) fn watch(frame: &mut Frame<'_>, view: &mut View) {
    let sections = sections(&view.status);
    let head = sections.len() as u16 + 1;
    let rows = [
        Constraint::Length(head),
        Constraint::Fill(1),
        Constraint::Length(1),
    ];
    let [top, middle, bottom] = Layout::vertical(rows).areas(frame.area());
    let mut lines = vec![Line::from(view.title.clone()).style(Modifier::BOLD)];
    lines.extend((sections.iter()).map(|(section, counts)| bar(section, counts, &view.status)));
    frame.render_widget(Paragraph::new(lines), top);
    let fill = |left, right| [Constraint::Fill(left), Constraint::Fill(right)];
    let [left, right] = match middle.width >= WIDE {
        true => Layout::horizontal(fill(3, 2)).areas(middle),
        false => Layout::vertical(fill(1, 1)).areas(middle),
    };
    table(frame, left, view);
    curves(frame, right, &view.status.runs);
    let foot = match (&view.error, &view.status.next) {
        (Some(error), _) => Line::from(error.clone()).style(Color::Red),
        (None, next) => {
            let next = next.as_ref().map(|next| format!("next: {next}   "));
            let keys = "q: end   up, down: move in the table";
            Line::from(format!("{}{keys}", next.unwrap_or_default())).style(Modifier::DIM)
        }
    };
    frame.render_widget(foot, bottom);
}

/// The sections that have runs.
fn sections(status: &Status) -> Vec<(&'static str, RunCounts)> {
    [
        ("proxies", status.proxies),
        ("sizes", status.of_sizes()),
        (
            "experts",
            status.experts.map(|e| e.runs).unwrap_or_default(),
        ),
        ("targets", status.targets),
    ]
    .into_iter()
    .filter(|(_, counts)| counts.planned > 0)
    .collect()
}

/// A bar of what is done of a section, and its counts.
fn bar(section: &str, runs: &RunCounts, status: &Status) -> Line<'static> {
    const WIDTH: usize = 10;
    let share = |n: usize| n * WIDTH / runs.planned.max(1);
    let (done, failed) = (share(runs.done), share(runs.failed));
    let pace = status.pace.get(section).map(|pace| {
        format!(
            "  {:.0} tokens/s  ETA {}",
            pace.tokens_per_second,
            duration(pace.eta_seconds)
        )
    });
    Line::from(vec![
        Span::raw(format!("{section:<9}")),
        Span::styled("━".repeat(done), Color::Green),
        Span::styled("━".repeat(failed), Color::Red),
        Span::styled("─".repeat(WIDTH - done - failed), Modifier::DIM),
        Span::raw(format!("  {}", counts(runs))),
        Span::raw(pace.unwrap_or_default()),
    ])
}

fn table(frame: &mut Frame<'_>, area: Rect, view: &mut View) {
    let header = ["run", "state", "step", "loss", "tokens/s", "ETA", "where"];
    let rows = view.status.runs.iter().map(|row| {
        let [step, loss, speed, eta] = figures(row);
        let note = match (&row.reason, row.state) {
            (Some(reason), RunState::Failed) => reason.clone(),
            _ => place(row),
        };
        let folder = row.folder.display().to_string();
        let cells = [
            folder,
            state(row.state).to_owned(),
            step,
            loss,
            speed,
            eta,
            note,
        ];
        Row::new(cells).style(style(row.state))
    });
    let longest = view.status.runs.iter();
    let longest = longest.map(|row| row.folder.as_os_str().len()).max();
    let run = u16::try_from(longest.unwrap_or(3))
        .unwrap_or(u16::MAX)
        .min(28);
    let widths =
        ([run].into_iter().chain(COLUMNS).map(Constraint::Length)).chain([Constraint::Fill(1)]);
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(Modifier::BOLD))
        .block(Block::default().borders(Borders::TOP));
    frame.render_stateful_widget(table, area, &mut view.table);
}

fn style(state: RunState) -> Style {
    match state {
        RunState::Running => Style::new().fg(Color::Cyan),
        RunState::Stale | RunState::Outdated => Style::new().fg(Color::Yellow),
        RunState::Failed => Style::new().fg(Color::Red),
        RunState::Done => Style::new().fg(Color::Green),
        RunState::Stopped | RunState::Waiting => Style::new(),
    }
}

/// The curves of the first runs that have one.
fn curves(frame: &mut Frame<'_>, area: Rect, runs: &[RunRow]) {
    let block = Block::default()
        .borders(Borders::TOP)
        .title("mean loss by step");
    let shown: Vec<&RunRow> = (runs.iter())
        .filter(|row| row.curve.len() > 1)
        .take(COLOURS.len())
        .collect();
    let points = || shown.iter().flat_map(|row| row.curve.iter());
    let steps = points().map(|point| point.0).max();
    let Some(steps) = steps else {
        let nothing = "no run is in progress that has two evaluations";
        frame.render_widget(Paragraph::new(nothing).block(block), area);
        return;
    };
    let low = points().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = points().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let data: Vec<Vec<(f64, f64)>> = (shown.iter())
        .map(|row| row.curve.iter().map(|&(x, y)| (x as f64, y)).collect())
        .collect();
    let datasets = (shown.iter().zip(&data).zip(COLOURS))
        .map(|((row, points), colour)| {
            Dataset::default()
                .name(row.run.clone())
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(colour)
                .data(points)
        })
        .collect();
    let chart = Chart::new(datasets)
        .block(block)
        .hidden_legend_constraints((Constraint::Ratio(1, 2), Constraint::Ratio(9, 10)))
        .legend_position(Some(ratatui::widgets::LegendPosition::TopRight))
        .x_axis(
            Axis::default()
                .bounds([0.0, steps as f64])
                .labels(["0".to_owned(), steps.to_string()]),
        )
        .y_axis(
            Axis::default()
                .bounds([low, high])
                .labels([format!("{low:.2}"), format!("{high:.2}")]),
        );
    frame.render_widget(chart, area);
}

#[cfg(test)]
mod tests;

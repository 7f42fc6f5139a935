use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use regmix_study::Pace;

use super::*;

fn row(run: usize, state: RunState) -> RunRow {
    let started = !matches!(state, RunState::Waiting);
    let run = format!("run-{run:04}");
    let curve = (1..=30).map(|i| (10 * i, 3.0 + 4.0 / (i as f64).sqrt()));
    RunRow {
        section: "proxies",
        made_by: "train",
        folder: std::path::Path::new("runs").join(&run),
        run,
        state,
        step: 120,
        steps: started.then_some(300),
        tokens_per_step: started.then_some(1024),
        loss: started.then_some(3.25),
        tokens_per_second: started.then_some(12345.6),
        eta_seconds: (state == RunState::Running).then_some(75.2),
        owner: None,
        device: (state == RunState::Done).then(|| "cpu".to_owned()),
        reason: (state == RunState::Failed).then(|| "diverged at step 7".to_owned()),
        remedy: None,
        curve: match state {
            RunState::Running => curve.collect(),
            _ => Vec::new(),
        },
    }
}

fn view(rows: Vec<RunRow>) -> View {
    let of = |state| rows.iter().filter(|row| row.state == state).count();
    let status = Status {
        domains: Some(3),
        tokens: Some(1000),
        proxies: RunCounts {
            planned: rows.len(),
            done: of(RunState::Done),
            started: of(RunState::Running),
            running: of(RunState::Running),
            stale: 0,
            failed: of(RunState::Failed),
            outdated: of(RunState::Outdated),
        },
        asked: None,
        text_share: None,
        experts: None,
        sizes: Vec::new(),
        scale_fitted: false,
        fitted: false,
        optimized: false,
        scheduled: false,
        wants_schedule: false,
        targets: RunCounts::default(),
        checked: false,
        reported: false,
        stale: BTreeMap::new(),
        next: Some("regmix train".to_owned()),
        pace: BTreeMap::from([(
            "proxies",
            Pace {
                tokens_per_second: 24691.2,
                eta_seconds: 3700.0,
            },
        )]),
        runs: rows,
    };
    View::titled("study many in .".to_owned(), status)
}

/// The lines of a terminal of this size, without what is blank at their ends.
fn drawn(view: &mut View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| watch(frame, view)).unwrap();
    let buffer = terminal.backend().buffer();
    (0..height)
        .map(|y| {
            let cells = (0..width).map(|x| buffer[(x, y)].symbol());
            cells.collect::<String>().trim_end().to_owned()
        })
        .collect()
}

#[test]
fn what_changes_is_shown_first_and_the_rest_by_scrolling() {
    let states = [
        RunState::Done,
        RunState::Waiting,
        RunState::Failed,
        RunState::Running,
    ];
    let rows = (0..40).map(|i| row(i, states[i / 10])).collect();
    let mut view = view(rows);
    let lines = drawn(&mut view, 80, 24);
    assert_eq!(lines[0], "study many in .");
    assert_eq!(
        lines[1],
        "proxies  ━━━━──────  10 of 40 finished, 10 running, 10 failed  24691 tokens/s  E"
    );
    assert!(lines[3].starts_with("run"), "{lines:#?}");
    assert!(
        lines[4].starts_with("runs/run-0030 running  120/300      3.2500   12346     1m15s"),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.contains("mean loss by step")));
    // The curves have points, and their axes numbers.
    let braille = |line: &&String| line.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
    assert!(lines.iter().filter(braille).count() >= 4, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("7.00")), "{lines:#?}");
    assert_eq!(
        lines[23],
        "next: regmix train   q: end   up, down: move in the table"
    );

    view.scroll(12);
    let lines = drawn(&mut view, 80, 24);
    assert!(lines[4].contains("run-0022 failed"), "{lines:#?}");
    assert!(lines[4].ends_with("diverged at step"), "{lines:#?}");
    view.scroll(isize::MIN);
    view.update(Err(regmix_data::Error::input("no such thing")));
    let lines = drawn(&mut view, 140, 40);
    // Beside each other.
    assert!(lines[2].contains("mean loss by step"), "{lines:#?}");
    assert_eq!(lines[39], "no such thing");
    assert!(lines[4].contains("run-0030"));
}

#[test]
fn a_terminal_of_any_size_is_drawn_on() {
    for state in [RunState::Running, RunState::Waiting] {
        let mut view = view((0..3).map(|i| row(i, state)).collect());
        for (width, height) in [(1, 1), (10, 3), (40, 8), (300, 100)] {
            assert_eq!(drawn(&mut view, width, height).len(), usize::from(height));
        }
    }
    let lines = drawn(&mut view(vec![row(0, RunState::Waiting)]), 80, 24);
    let nothing = "no run is in progress that has two evaluations";
    assert!(lines.iter().any(|line| line == nothing), "{lines:#?}");
}

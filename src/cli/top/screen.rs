//! The live view in a terminal.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::plain::{name, numbers};
use super::state::State;
use super::{TopArgs, source};

const KEYS: &str = "q quit  space pause  s sort  r reverse  / filter  ↑↓ PgUp PgDn move";
/// Between two looks at the keyboard and at new scrapes.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs until the user quits.
pub fn run(args: &TopArgs) -> Result<ExitCode> {
    let rounds = source::rounds(&args.urls, &args.view.by, args.interval)?;
    let mut state = State::new(&args.view);
    let mut terminal = ratatui::init();
    let outcome = loop {
        for round in rounds.try_iter() {
            state.add(round);
        }
        if let Err(error) = terminal.draw(|frame| draw(frame, &state)) {
            break Err(error.into());
        }
        match next_key() {
            Ok(Some(key)) if !react(&mut state, key) => break Ok(ExitCode::SUCCESS),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    ratatui::restore();
    outcome
}

fn next_key() -> Result<Option<KeyEvent>> {
    if !event::poll(PAUSE)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(key),
        _ => None,
    })
}

/// What a key does; `false` ends the view.
pub fn react(state: &mut State, key: KeyEvent) -> bool {
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return false;
    }
    if state.typing {
        match key.code {
            KeyCode::Enter => state.typing = false,
            KeyCode::Esc => {
                state.typing = false;
                state.filter.clear();
            }
            KeyCode::Backspace => {
                state.filter.pop();
            }
            KeyCode::Char(c) => state.filter.push(c),
            _ => {}
        }
        state.refresh();
        return true;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char(' ' | 'p') => {
            state.paused = !state.paused;
            if !state.paused {
                state.refresh();
            }
        }
        KeyCode::Char('s') => state.next_sort(),
        KeyCode::Char('r') => {
            state.reversed = !state.reversed;
            state.refresh();
        }
        KeyCode::Char('/') => state.typing = true,
        KeyCode::Down | KeyCode::Char('j') => state.scroll(1),
        KeyCode::Up | KeyCode::Char('k') => state.scroll(-1),
        KeyCode::PageDown => state.scroll(20),
        KeyCode::PageUp => state.scroll(-20),
        KeyCode::Home => state.top = 0,
        KeyCode::End => state.scroll(isize::MAX),
        _ => {}
    }
    true
}

/// Draws everything. Only rows that fit are made, however many there are.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(header(state)), head);
    rows(frame, body, state);
    let foot_text = match (state.typing, state.filter.as_str()) {
        (true, filter) => format!("filter: {filter}_   Enter keeps it, Esc clears it"),
        (false, "") => KEYS.to_owned(),
        (false, filter) => format!("filter: {filter}   {KEYS}"),
    };
    frame.render_widget(Paragraph::new(foot_text.dim()), foot);
}

fn header(state: &State) -> Text<'static> {
    let order = if state.reversed { "ascending" } else { "descending" };
    let sort = format!("{:?}", state.sort).to_lowercase();
    let paused = if state.paused { "   PAUSED" } else { "" };
    let first = format!(
        "{} {}   {} series   scrape {} ms   {} operations   by {sort}, {order}{paused}",
        state.proxies,
        if state.proxies == 1 { "proxy" } else { "proxies" },
        crate::table::count(state.samples),
        state.took,
        crate::table::count(state.rows.len() as u64),
    );
    let second = match (state.failed.as_slice(), state.rounds) {
        ([], 0 | 1) => Line::from("waiting for the second scrape".dim()),
        ([], _) => Line::default(),
        (failed, _) => Line::from(failed.join("; ").red()),
    };
    Text::from(vec![Line::from(first.bold()), second])
}

fn rows(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let names = state.by.iter().map(|label| Cell::from(label.clone()));
    let titles = ["req/s", "errors", "p50 ms", "p90 ms", "p99 ms"];
    let titles = titles.map(|title| Cell::from(Text::from(title).alignment(Alignment::Right)));
    let header = Row::new(names.chain(titles).chain([Cell::from("trend")])).underlined();
    let fits = usize::from(area.height.saturating_sub(1));
    let shown = state.rows.iter().skip(state.top).take(fits).map(|row| {
        let mut cells: Vec<Cell<'static>> =
            row.key.iter().map(|value| Cell::from(name(value))).collect();
        let mut numbers = numbers(row);
        let trend = numbers.pop().unwrap_or_default();
        for (column, number) in numbers.into_iter().enumerate() {
            let bad = column == 1 && row.errors.is_some_and(|share| share > 0.0);
            let style = if bad { Style::new().fg(Color::Red) } else { Style::new() };
            cells.push(Cell::from(Text::from(number).alignment(Alignment::Right)).style(style));
        }
        cells.push(Cell::from(trend).style(Style::new().fg(Color::Cyan)));
        Row::new(cells)
    });
    let mut widths = vec![Constraint::Fill(2)];
    widths.extend(state.by.iter().skip(1).map(|_| Constraint::Fill(1)));
    widths.extend([Constraint::Length(9), Constraint::Length(8)]);
    widths.extend([Constraint::Length(9); 3]);
    widths.push(Constraint::Length(30));
    frame.render_widget(Table::new(shown, widths).header(header), area);
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;

//! The view on a terminal of memory: what it shows, what keys do, and how many rows it bears.

use std::fmt::Write;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{State, draw, react};
use crate::top::source::Round;
use crate::top::totals::Totals;
use crate::top::{Sort, ViewArgs};

fn view() -> ViewArgs {
    ViewArgs { by: vec!["op".to_owned()], sort: Sort::Requests, filter: String::new() }
}

/// A scrape: operation, requests, errors among them; half of the durations up to 10 ms, half up to 100 ms.
fn scrape(rows: &[(&str, u32, u32)]) -> String {
    let mut text = String::new();
    for (op, requests, errors) in rows {
        let fine = requests - errors;
        for (code, count) in [("200", fine), ("503", *errors)] {
            writeln!(text, "istio_requests_total{{op=\"{op}\",response_code=\"{code}\"}} {count}")
                .unwrap();
        }
        for (bound, count) in [("10", requests / 2), ("100", *requests), ("+Inf", *requests)] {
            writeln!(
                text,
                "istio_request_duration_milliseconds_bucket{{op=\"{op}\",le=\"{bound}\"}} {count}"
            )
            .unwrap();
        }
    }
    text
}

fn round(text: &str) -> Round {
    let mut totals = Totals::default();
    totals.add(text, &view().by);
    Round { totals, elapsed: Duration::from_secs(1), took: Duration::from_millis(12) }
}

fn screen(state: &State) -> String {
    let mut terminal = Terminal::new(TestBackend::new(100, 6)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |y| {
        let cells = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..buffer.area.height).map(line).collect::<Vec<_>>().join("\n")
}

fn press(state: &mut State, code: KeyCode) -> bool {
    react(state, KeyEvent::new(code, KeyModifiers::NONE))
}

fn two_operations() -> State {
    let mut state = State::new(&view());
    state.add(round(&scrape(&[("get", 0, 0), ("put", 0, 0)])));
    state.add(round(&scrape(&[("get", 40, 0), ("put", 20, 5)])));
    state
}

#[test]
fn the_view_shows_rates_errors_and_quantiles() {
    let expected = "\
1 proxy   10 series   scrape 12 ms   2 operations   by requests, descending

op                       req/s   errors    p50 ms    p90 ms    p99 ms trend
get                       40.0    0.0 %      10.0      82.0      98.2 █
put                       20.0   25.0 %      10.0      82.0      98.2 █
q quit  space pause  s sort  r reverse  / filter  ↑↓ PgUp PgDn move";
    assert_eq!(screen(&two_operations()), expected);
}

#[test]
fn keys_sort_filter_and_pause() {
    let mut state = two_operations();
    let first = |state: &State| state.rows.first().map(|row| row.key[0].clone());
    assert_eq!(first(&state).as_deref(), Some("get"));
    press(&mut state, KeyCode::Char('s'));
    assert_eq!((state.sort, first(&state).as_deref()), (Sort::Errors, Some("put")));
    press(&mut state, KeyCode::Char('r'));
    assert_eq!(first(&state).as_deref(), Some("get"));
    for c in "/pu".chars() {
        press(&mut state, KeyCode::Char(c));
    }
    assert_eq!((state.rows.len(), first(&state).as_deref()), (1, Some("put")));
    assert!(screen(&state).ends_with("filter: pu_   Enter keeps it, Esc clears it"));
    press(&mut state, KeyCode::Esc);
    assert_eq!(state.rows.len(), 2);
    press(&mut state, KeyCode::Char(' '));
    state.add(round(&scrape(&[("get", 40, 0), ("put", 20, 5), ("new", 1, 0)])));
    assert_eq!(state.rows.len(), 2, "paused");
    press(&mut state, KeyCode::Char(' '));
    assert_eq!(state.rows.len(), 3);
    assert!(!press(&mut state, KeyCode::Char('q')));
}

#[test]
fn a_proxy_that_does_not_answer_is_told() {
    let mut state = two_operations();
    let totals = Totals { failed: vec!["no answer from x".to_owned()], ..Totals::default() };
    state.add(Round { totals, elapsed: Duration::from_secs(1), took: Duration::ZERO });
    assert!(screen(&state).contains("no answer from x"));
    assert_eq!(state.rows.len(), 2, "what was known stays");
}

/// What this thread has worked so far: a machine busy with other things does not count.
#[cfg(unix)]
fn busy() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

#[cfg(not(unix))]
fn busy() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

/// Takes two scrapes in and draws the last rows; how long both took.
fn worked(operations: usize) -> (State, [Duration; 2]) {
    let names: Vec<String> = (0..operations).map(|i| format!("operation_{i:05}")).collect();
    let rows = |n: u32| names.iter().map(|name| (name.as_str(), n, 0)).collect::<Vec<_>>();
    let (first, second) = (scrape(&rows(1)), scrape(&rows(3)));
    let start = busy();
    let mut state = State::new(&view());
    state.add(round(&first));
    state.add(round(&second));
    let scraped = busy() - start;
    let start = busy();
    press(&mut state, KeyCode::End);
    assert!(screen(&state).contains(names.last().unwrap()), "{}", screen(&state));
    (state, [scraped, busy() - start])
}

/// 12,000 operations are 60,000 series here. Absolute times say more about the machine than about the view: ten times the rows
/// may take some more than ten times as long to read, and a frame shows no more of them.
#[test]
fn many_thousand_series_are_no_burden() {
    let (_, [few, few_drawn]) = worked(1_200);
    let (state, [many, many_drawn]) = worked(12_000);
    assert_eq!((state.samples, state.rows.len()), (60_000, 12_000));
    let slack = Duration::from_millis(100);
    assert!(many < few * 40 + slack, "{few:?} and {many:?}");
    assert!(many_drawn < few_drawn * 10 + slack, "{few_drawn:?} and {many_drawn:?}");
}

//! Tables as text.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::history::{Shown, quantiles, share};
use super::state::{State, holds, sort};
use super::totals::Totals;
use super::{TopArgs, ViewArgs, source};
use crate::finding::Format;
use crate::table;

/// Prints a table per round, `count` times.
pub fn run(args: &TopArgs) -> Result<ExitCode> {
    let rounds = source::rounds(&args.urls, &args.view.by, args.interval)?;
    let mut state = State::new(&args.view);
    let mut printed = 0;
    while printed < args.count {
        state.add(rounds.recv()?);
        if state.proxies == 0 {
            bail!("{}", state.failed.join("; "));
        }
        // The first round has no rates.
        if state.rounds > 1 {
            anstream::println!("{}\n", rates(&state));
            printed += 1;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The rates as a table.
pub fn rates(state: &State) -> String {
    let mut header: Vec<&str> = state.by.iter().map(String::as_str).collect();
    header.extend(["req/s", "errors", "p50 ms", "p90 ms", "p99 ms", "trend"]);
    let mut rows = table::new(&header);
    for row in &state.rows {
        let mut cells: Vec<String> = row.key.iter().map(|value| name(value)).collect();
        cells.extend(numbers(row));
        rows.add_row(cells);
    }
    table::align_right(&mut rows, state.by.len());
    rows.trim_fmt()
}

/// Cells behind the names.
pub fn numbers(row: &Shown) -> Vec<String> {
    let mut cells = vec![format!("{:.1}", row.rate), percent(row.errors)];
    cells.extend(row.quantiles.map(milliseconds));
    cells.push(sparkline(&row.trend));
    cells
}

/// Prints the sums of one scrape.
pub fn print_totals(totals: &Totals, view: &ViewArgs, format: Format) -> Result<()> {
    let mut rows: Vec<_> = totals
        .rows
        .iter()
        .filter(|(key, _)| holds(key, &view.filter))
        .map(|(key, row)| (key.clone(), row.clone(), quantiles(&totals.bounds, row)))
        .collect();
    sort(&mut rows, view.sort, false, |(key, row, quantiles)| {
        (row.requests, share(row), *quantiles, key)
    });
    if format == Format::Json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(key, row, quantiles)| {
                let labels: serde_json::Map<_, _> =
                    view.by.iter().cloned().zip(key.iter().map(|v| json!(v))).collect();
                json!({
                    "labels": labels, "requests": row.requests, "errors": row.errors,
                    "p50": quantiles[0], "p90": quantiles[1], "p99": quantiles[2],
                })
            })
            .collect();
        let all = json!({"operations": rows, "samples": totals.samples, "failed": totals.failed});
        anstream::println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let mut header: Vec<&str> = view.by.iter().map(String::as_str).collect();
    header.extend(["requests", "errors", "p50 ms", "p90 ms", "p99 ms"]);
    let mut shown = table::new(&header);
    for (key, row, quantiles) in &rows {
        let mut cells: Vec<String> = key.iter().map(|value| name(value)).collect();
        cells.extend([row.requests.to_string(), percent(share(row))]);
        cells.extend(quantiles.map(milliseconds));
        shown.add_row(cells);
    }
    table::align_right(&mut shown, view.by.len());
    anstream::println!("{}", shown.trim_fmt());
    for problem in &totals.failed {
        anstream::eprintln!("opmeter: {problem}");
    }
    Ok(())
}

/// A value for a person: what is not there is a dash.
pub fn name(value: &str) -> String {
    if value.is_empty() { "-".to_owned() } else { value.to_owned() }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn milliseconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

/// Rates as bars of eight heights, the highest rate full.
pub fn sparkline(rates: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = rates.iter().copied().fold(0.0, f64::max);
    let bar = |rate: &f64| match most > 0.0 {
        true => BARS[((rate / most * 7.0).round() as usize).min(7)],
        false => BARS[0],
    };
    rates.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::sparkline;

    #[test]
    fn a_sparkline_is_relative_to_its_highest_rate() {
        assert_eq!(sparkline(&[0.0, 3.5, 7.0]), "▁▅█");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
        assert_eq!(sparkline(&[]), "");
    }
}

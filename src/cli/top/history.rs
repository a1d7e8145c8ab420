//! From sums to rates: what happened between scrapes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::totals::{Key, Row, Totals};
use crate::run::quantile::quantile;

/// Scrapes that the sparkline shows, and that quantiles look back.
pub const WINDOW: usize = 30;

/// Rows over time.
#[derive(Debug, Default)]
pub struct History {
    rows: HashMap<Key, Track>,
    bounds: Vec<f64>,
    before: Option<Totals>,
}

#[derive(Debug, Default)]
struct Track {
    /// Per scrape, the latest last.
    rates: VecDeque<f64>,
    deltas: VecDeque<Row>,
}

/// A row as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Values of its labels.
    pub key: Key,
    /// Requests per second between the last two scrapes.
    pub rate: f64,
    /// Share of errors within the window, 0 to 1; `None` without requests.
    pub errors: Option<f64>,
    /// p50, p90, p99 in milliseconds within the window.
    pub quantiles: [Option<f64>; 3],
    /// Rates, the latest last.
    pub trend: Vec<f64>,
}

const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

// === impl History ===

impl History {
    /// Adds a round of scrapes that came `elapsed` after the one before.
    pub fn add(&mut self, totals: Totals, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64().max(0.001);
        if self.bounds != totals.bounds {
            // Other buckets cannot be compared: begin again.
            self.rows.values_mut().for_each(|track| track.deltas.clear());
            self.bounds.clone_from(&totals.bounds);
        }
        if let Some(before) = &self.before {
            for (key, row) in &totals.rows {
                let delta = delta(before.rows.get(key), row);
                let track = self.rows.entry(key.clone()).or_default();
                push(&mut track.rates, delta.requests / seconds);
                push(&mut track.deltas, delta);
            }
            for (key, track) in &mut self.rows {
                if !totals.rows.contains_key(key) {
                    push(&mut track.rates, 0.0);
                    push(&mut track.deltas, Row::default());
                }
            }
        }
        self.before = Some(totals);
    }

    /// All rows.
    pub fn shown(&self) -> Vec<Shown> {
        self.rows.iter().map(|(key, track)| self.of(key, track)).collect()
    }

    fn of(&self, key: &Key, track: &Track) -> Shown {
        let mut sum = Row::default();
        for delta in &track.deltas {
            sum.requests += delta.requests;
            sum.errors += delta.errors;
            sum.buckets.resize(sum.buckets.len().max(delta.buckets.len()), 0.0);
            sum.buckets.iter_mut().zip(&delta.buckets).for_each(|(sum, more)| *sum += more);
        }
        Shown {
            key: key.clone(),
            rate: track.rates.back().copied().unwrap_or_default(),
            errors: share(&sum),
            quantiles: quantiles(&self.bounds, &sum),
            trend: track.rates.iter().copied().collect(),
        }
    }
}

/// p50, p90, p99 of a row.
pub fn quantiles(bounds: &[f64], row: &Row) -> [Option<f64>; 3] {
    let buckets: Vec<(f64, f64)> =
        bounds.iter().copied().zip(row.buckets.iter().copied()).collect();
    QUANTILES.map(|q| quantile(q, &buckets))
}

/// Share of errors; `None` without requests.
pub fn share(row: &Row) -> Option<f64> {
    (row.requests > 0.0).then(|| row.errors / row.requests)
}

fn push<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() == WINDOW {
        queue.pop_front();
    }
    queue.push_back(value);
}

/// What was added; a counter that is less than before has begun again.
fn delta(before: Option<&Row>, now: &Row) -> Row {
    let Some(before) = before.filter(|before| before.requests <= now.requests) else {
        return now.clone();
    };
    let same = before.buckets.len() == now.buckets.len();
    let grown = |(now, before): (&f64, &f64)| (now - before).max(0.0);
    Row {
        requests: now.requests - before.requests,
        errors: (now.errors - before.errors).max(0.0),
        buckets: match same {
            true => now.buckets.iter().zip(&before.buckets).map(grown).collect(),
            false => now.buckets.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{History, WINDOW};
    use crate::top::totals::{Row, Totals};

    fn totals(requests: f64, errors: f64, buckets: [f64; 2]) -> Totals {
        let mut totals = Totals { bounds: vec![10.0, f64::INFINITY], ..Totals::default() };
        let row = Row { requests, errors, buckets: buckets.to_vec() };
        totals.rows.insert(vec!["a".to_owned()], row);
        totals
    }

    #[test]
    fn rates_are_what_was_added_per_second() {
        let mut history = History::default();
        let two = Duration::from_secs(2);
        history.add(totals(100.0, 50.0, [100.0, 100.0]), two);
        assert!(history.shown().is_empty(), "one scrape has no rate");
        history.add(totals(110.0, 51.0, [110.0, 110.0]), two);
        history.add(totals(130.0, 52.0, [130.0, 130.0]), two);
        let shown = history.shown().remove(0);
        assert_eq!((shown.rate, &shown.trend[..]), (10.0, &[5.0, 10.0][..]));
        // Two errors among thirty requests, all of them within 10 ms.
        assert_eq!(shown.errors, Some(2.0 / 30.0));
        assert_eq!(shown.quantiles, [Some(5.0), Some(9.0), Some(9.9)]);
    }

    #[test]
    fn a_proxy_that_started_again_counts_from_nothing() {
        let mut history = History::default();
        let one = Duration::from_secs(1);
        history.add(totals(100.0, 0.0, [100.0, 100.0]), one);
        history.add(totals(3.0, 0.0, [3.0, 3.0]), one);
        assert_eq!(history.shown()[0].rate, 3.0);
        history.add(Totals { bounds: vec![10.0, f64::INFINITY], ..Totals::default() }, one);
        assert_eq!(history.shown()[0].rate, 0.0);
    }

    #[test]
    fn only_the_window_is_kept() {
        let mut history = History::default();
        for i in 0..100 {
            history.add(totals(f64::from(i), 0.0, [0.0, 0.0]), Duration::from_secs(1));
        }
        assert_eq!(history.shown()[0].trend.len(), WINDOW);
    }
}

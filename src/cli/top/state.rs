//! What the view shows: which rows, in which order, and what the keys change.

use super::history::{History, Shown};
use super::source::Round;
use super::{Sort, ViewArgs};

/// The view.
#[derive(Debug)]
pub struct State {
    history: History,
    /// Labels that make a row.
    pub by: Vec<String>,
    /// Column to sort by.
    pub sort: Sort,
    /// Whether the order is turned round.
    pub reversed: bool,
    /// Only rows that hold this.
    pub filter: String,
    /// Whether the filter is being typed.
    pub typing: bool,
    /// Whether new scrapes are left aside.
    pub paused: bool,
    /// First row shown.
    pub top: usize,
    /// Rows in order.
    pub rows: Vec<Shown>,
    /// Samples of the last round.
    pub samples: u64,
    /// Milliseconds of the last round.
    pub took: u128,
    /// Proxies that answered.
    pub proxies: usize,
    /// What did not work in the last round.
    pub failed: Vec<String>,
    /// Rounds so far.
    pub rounds: u32,
}

const ORDER: [Sort; 6] =
    [Sort::Requests, Sort::Errors, Sort::P50, Sort::P90, Sort::P99, Sort::Name];

// === impl State ===

impl State {
    /// Nothing yet.
    pub fn new(view: &ViewArgs) -> Self {
        Self {
            history: History::default(),
            by: view.by.clone(),
            sort: view.sort,
            reversed: false,
            filter: view.filter.clone(),
            typing: false,
            paused: false,
            top: 0,
            rows: Vec::new(),
            samples: 0,
            took: 0,
            proxies: 0,
            failed: Vec::new(),
            rounds: 0,
        }
    }

    /// Takes a round of scrapes in.
    pub fn add(&mut self, round: Round) {
        self.rounds += 1;
        self.samples = round.totals.samples;
        self.proxies = round.totals.proxies;
        self.failed.clone_from(&round.totals.failed);
        self.took = round.took.as_millis();
        if round.totals.proxies == 0 {
            return;
        }
        self.history.add(round.totals, round.elapsed);
        if !self.paused {
            self.refresh();
        }
    }

    /// Chooses and sorts the rows again.
    pub fn refresh(&mut self) {
        let mut rows = self.history.shown();
        rows.retain(|row| holds(&row.key, &self.filter));
        sort(&mut rows, self.sort, self.reversed, |row| {
            (row.rate, row.errors, row.quantiles, &row.key)
        });
        self.top = self.top.min(rows.len().saturating_sub(1));
        self.rows = rows;
    }

    /// Sorts by the next column.
    pub fn next_sort(&mut self) {
        let at = ORDER.iter().position(|sort| *sort == self.sort).unwrap_or_default();
        self.sort = ORDER[(at + 1) % ORDER.len()];
        self.refresh();
    }

    /// Moves by rows.
    pub fn scroll(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.top = self.top.saturating_add_signed(by).min(last);
    }
}

/// Whether a row holds a text, in whatever case.
pub fn holds(key: &[String], filter: &str) -> bool {
    let filter = filter.to_lowercase();
    filter.is_empty() || key.iter().any(|value| value.to_lowercase().contains(&filter))
}

/// Numbers of a row: requests, share of errors, quantiles, key.
type Columns<'r> = (f64, Option<f64>, [Option<f64>; 3], &'r Vec<String>);

/// Sorts: largest first, names ascending; equal rows by name.
pub fn sort<R>(
    rows: &mut [R],
    by: Sort,
    reversed: bool,
    columns: impl for<'r> Fn(&'r R) -> Columns<'r>,
) {
    rows.sort_by(|a, b| {
        let (a, b) = (columns(a), columns(b));
        let number = |of: fn(&Columns<'_>) -> f64| of(&b).total_cmp(&of(&a));
        let order = match by {
            Sort::Requests => number(|c| c.0),
            Sort::Errors => number(|c| c.1.unwrap_or(-1.0)),
            Sort::P50 => number(|c| c.2[0].unwrap_or(-1.0)),
            Sort::P90 => number(|c| c.2[1].unwrap_or(-1.0)),
            Sort::P99 => number(|c| c.2[2].unwrap_or(-1.0)),
            Sort::Name => std::cmp::Ordering::Equal,
        };
        let order = order.then_with(|| a.3.cmp(b.3));
        if reversed { order.reverse() } else { order }
    });
}

//! Dashboards: what they ask and how it is shown. [`Dashboard::to_grafana`] writes them as Grafana reads them.

mod grafana;
mod operations;
mod proxies;
mod service_map;

use std::fmt;

/// A dashboard.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// Part of its address in Grafana, and its file's name.
    pub uid: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it answers.
    pub description: &'static str,
    /// Drop-downs at the top, in order: a later one may depend on an earlier one.
    pub variables: Vec<Variable>,
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// A drop-down.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Name in expressions, without `$`.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Where its values come from.
    pub values: Values,
}

/// Where the values of a drop-down come from.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// Those of a label, with an entry for all of them.
    Label {
        /// The label.
        label: &'static str,
        /// Series that carry it.
        of: &'static str,
    },
    /// Those of a label that both ends of a call have, `source_` and `destination_`, with an entry for all of them; then
    /// a selector in which `SIDE` stands for the end.
    Ends(&'static str, &'static str),
    /// These; the first is the one chosen at first.
    Fixed(&'static [&'static str]),
}

/// A line of panels under a title.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its title.
    pub title: &'static str,
    /// A drop-down for each of whose values the row is repeated.
    pub repeat: Option<&'static str>,
    /// From left to right, wrapped.
    pub panels: Vec<Panel>,
}

/// A picture and what it shows.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Its title.
    pub title: &'static str,
    /// How to read it.
    pub description: &'static str,
    /// How it is drawn.
    pub kind: Kind,
    /// What its numbers are.
    pub unit: Unit,
    /// Of the 24 columns of a row.
    pub width: u8,
    /// Labels in the order in which a table has them; by name without.
    pub columns: &'static [&'static str],
    /// What it shows.
    pub queries: Vec<Query>,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A line for each series over time.
    Lines,
    /// Areas on top of each other over time.
    Stacked,
    /// Buckets over time, coloured by how many fall in each.
    Heatmap,
    /// One big number for each series, as of now.
    Stat,
    /// A row for each series, as of now; a column for each query.
    Table,
}

/// What a number is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// A count.
    Number,
    /// Requests per second.
    Rate,
    /// A share of one.
    Share,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    ByteRate,
}

/// One expression of a panel.
#[derive(Clone, Debug)]
pub struct Query {
    /// PromQL, with Grafana's variables.
    pub expr: String,
    /// What a series is called: `{{label}}`s and text.
    pub legend: &'static str,
}

/// All dashboards.
pub fn all() -> Vec<Dashboard> {
    vec![operations::dashboard(), service_map::dashboard(), proxies::dashboard()]
}

// === impl Dashboard ===

impl Dashboard {
    /// Every panel, with its row's title.
    pub fn panels(&self) -> impl Iterator<Item = (&'static str, &Panel)> {
        self.rows.iter().flat_map(|row| row.panels.iter().map(|panel| (row.title, panel)))
    }

    /// The panel of a title.
    pub fn panel(&self, title: &str) -> Option<&Panel> {
        self.panels().map(|(_, panel)| panel).find(|panel| panel.title == title)
    }
}

// === impl Values ===

impl Values {
    /// What asks for the values: series that carry them, and in which label. `None` when nothing is asked.
    pub fn series(self) -> Option<(String, &'static str)> {
        match self {
            Self::Label { label, of } => Some((of.to_owned(), label)),
            Self::Ends(label, selector) => {
                let end = |side: &str| {
                    let selector = selector.replace("SIDE", side);
                    let series = format!("istio_requests_total{selector}");
                    format!(
                        r#"count by (value) (label_replace({series}, "value", "$1", "{side}_{label}", "(.+)"))"#
                    )
                };
                Some((format!("{} or {}", end("source"), end("destination")), "value"))
            }
            Self::Fixed(_) => None,
        }
    }
}

// === impl Panel ===

impl Panel {
    fn new(
        kind: Kind,
        unit: Unit,
        width: u8,
        title: &'static str,
        description: &'static str,
    ) -> Self {
        Self { title, description, kind, unit, width, columns: &[], queries: Vec::new() }
    }

    fn columns(mut self, columns: &'static [&'static str]) -> Self {
        self.columns = columns;
        self
    }

    fn ask(mut self, legend: &'static str, expr: impl Into<String>) -> Self {
        self.queries.push(Query { expr: expr.into(), legend });
        self
    }
}

// === impl Kind ===

impl Kind {
    /// Whether it shows one moment and not a span of time.
    pub fn is_instant(self) -> bool {
        matches!(self, Self::Stat | Self::Table)
    }
}

// === impl Unit ===

impl Unit {
    /// A number as people read it, with its unit.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Number => short(value),
            Self::Rate => format!("{}/s", short(value)),
            Self::Share => format!("{}%", short(value * 100.0)),
            Self::Milliseconds if value >= 1000.0 => format!("{} s", short(value / 1000.0)),
            Self::Milliseconds => format!("{} ms", short(value)),
            Self::Seconds if value.abs() < 1.0 => format!("{} ms", short(value * 1000.0)),
            Self::Seconds => format!("{} s", short(value)),
            Self::Bytes => bytes(value),
            Self::ByteRate => format!("{}/s", bytes(value)),
        }
    }

    fn grafana(self) -> &'static str {
        match self {
            Self::Number => "short",
            Self::Rate => "reqps",
            Self::Share => "percentunit",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::ByteRate => "Bps",
        }
    }
}

fn bytes(value: f64) -> String {
    const STEPS: [(f64, &str); 3] =
        [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB")];
    match STEPS.iter().find(|(size, _)| value.abs() >= *size) {
        Some((size, name)) => format!("{} {name}", short(value / size)),
        None => format!("{} B", short(value)),
    }
}

/// Three significant digits, without trailing zeros.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { "-".to_owned() };
    }
    let magnitude = value.abs().log10().floor();
    // Between 0 and 6 by the clamp.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let decimals = (2.0 - magnitude).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl fmt::Display for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title)
    }
}

#[cfg(test)]
mod tests {
    use super::{Unit, all};
    use std::collections::BTreeSet;

    #[test]
    fn numbers_are_short_and_carry_their_unit() {
        for (unit, value, text) in [
            (Unit::Number, 0.0, "0"),
            (Unit::Number, 1234.5, "1234"),
            (Unit::Rate, 8.333, "8.33/s"),
            (Unit::Share, 0.1, "10%"),
            (Unit::Share, 0.000_123, "0.0123%"),
            (Unit::Milliseconds, 2.5, "2.5 ms"),
            (Unit::Milliseconds, 1500.0, "1.5 s"),
            (Unit::Seconds, 0.012, "12 ms"),
            (Unit::Bytes, 1536.0, "1.5 KiB"),
            (Unit::ByteRate, 10.0, "10 B/s"),
            (Unit::Number, f64::NAN, "-"),
        ] {
            assert_eq!(unit.show(value), text);
        }
    }

    #[test]
    fn panels_and_dashboards_have_names_of_their_own() {
        let mut uids = BTreeSet::new();
        for dashboard in all() {
            assert!(uids.insert(dashboard.uid), "{}", dashboard.uid);
            let mut titles = BTreeSet::new();
            for (_, panel) in dashboard.panels() {
                assert!(titles.insert(panel.title), "{} of {dashboard}", panel.title);
                assert!(!panel.queries.is_empty() && !panel.description.is_empty());
                assert!((1..=24).contains(&panel.width), "{}", panel.title);
            }
        }
    }
}

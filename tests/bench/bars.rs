//! What must not be exceeded.

use crate::report::Report;
use crate::sample::{Spread, median};

/// A bar and what was found.
#[derive(Debug)]
pub struct Bar {
    /// What must be at most the limit.
    pub what: String,
    pub limit: f64,
    pub found: f64,
    /// The middle half of the rounds, for ratios.
    pub spread: Option<Spread>,
    pub unit: &'static str,
}

const MEGABYTE: f64 = 1e6;
const NATIVE: &str = "native stats access logger";

// === impl Bar ===

impl Bar {
    /// Whether it holds; not when nothing was found.
    pub fn holds(&self) -> bool {
        self.found <= self.limit
    }

    fn ratio(what: impl Into<String>, limit: f64, found: Option<(f64, Spread)>) -> Option<Self> {
        let (found, spread) = found?;
        Some(Self { what: what.into(), limit, found, spread: Some(spread), unit: "x" })
    }

    fn amount(what: impl Into<String>, limit: f64, found: f64, unit: &'static str) -> Self {
        Self { what: what.into(), limit, found, spread: None, unit }
    }
}

/// All bars that the measured parts tell of.
pub fn judge(report: &Report) -> Vec<Bar> {
    let mut bars = of_mounts(report);
    for pair in report.pairs.iter().flatten() {
        let what = format!("{} over {}, in one Envoy", pair.name, pair.to);
        bars.extend(Bar::ratio(what, 1.05, Some(pair.ratio())));
    }
    if let Some(sets) = &report.series {
        for curve in sets.curves.iter().filter(|curve| curve.name.starts_with("opmeter")) {
            let what = format!("{} label sets over 10: {}", last(curve), curve.name);
            bars.extend(Bar::ratio(what, 1.1, curve.growth()));
        }
    }
    if let Some(configuring) = &report.configuring {
        let what = |of: &str| format!("10,000 operations over 3: {of} of each VM");
        bars.push(Bar::amount(what("CPU to configure"), 0.3, configuring.seconds_per_vm, "s"));
        let memory = configuring.bytes_per_vm / MEGABYTE;
        bars.push(Bar::amount(what("memory"), 8.0, memory, "MB"));
    }
    bars
}

fn last(curve: &crate::compare::Series) -> usize {
    curve.points.last().map_or(0, |point| point.count)
}

fn of_mounts(report: &Report) -> Vec<Bar> {
    let Some(mounts) = &report.mounts else { return Vec::new() };
    let mut bars = Vec::new();
    for (name, to, limit) in [
        ("access logger", NATIVE, 0.9),
        ("filter, exchange", NATIVE, 1.2),
        ("access logger, 10,000 operations", "access logger, 3 operations", 1.05),
        ("filter, 10,000 operations", "filter, 3 operations", 1.05),
    ] {
        let what = format!("{name} over {to}");
        bars.extend(Bar::ratio(what, limit, mounts.ratio(name, to)));
    }
    let Some(none) = mounts.row("none") else { return bars };
    for name in ["access logger", "filter", "filter, exchange"] {
        let Some(row) = mounts.row(name) else { continue };
        let middle = |samples: &[f64]| median(samples.iter().copied());
        let memory = (middle(&row.memory) - middle(&none.memory)) / MEGABYTE;
        bars.push(Bar::amount(format!("{name}: memory, one worker"), 25.0, memory, "MB"));
        if let (Some(ours), Some(none)) = (row.second_worker(), none.second_worker()) {
            let memory = (ours - none) / MEGABYTE;
            bars.push(Bar::amount(format!("{name}: memory, second worker"), 8.0, memory, "MB"));
        }
        let start = middle(&row.first_answer) - middle(&none.first_answer);
        bars.push(Bar::amount(format!("{name}: first answer"), 0.3, start, "s"));
    }
    bars
}

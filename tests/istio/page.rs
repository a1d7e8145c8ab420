//! The metrics of a pod's proxy.

use anyhow::Result;
use std::collections::BTreeMap;
use support::series::{Series, parse_scrape};

/// Labels of a series that must have these values.
pub type Labels<'a> = [(&'a str, &'a str)];

/// One scrape, or what was counted between two.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// All series.
    pub series: Vec<Series>,
}

// === impl Page ===

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// When it is not in Prometheus' text format.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { series: parse_scrape(text)? })
    }

    /// What has grown since another scrape of the same proxy.
    pub fn since(&self, before: &Self) -> Self {
        let key = |series: &Series| (series.name.clone(), series.labels.clone());
        let old: BTreeMap<_, f64> = before.series.iter().map(|s| (key(s), s.value)).collect();
        let grown = |series: &Series| {
            let value = series.value - old.get(&key(series)).copied().unwrap_or(0.0);
            (value != 0.0).then(|| Series { value, ..series.clone() })
        };
        Self { series: self.series.iter().filter_map(grown).collect() }
    }

    /// The series of a metric with these labels.
    pub fn all(&self, metric: &str, labels: &Labels<'_>) -> Vec<&Series> {
        let has = |series: &Series, (name, value): &(&str, &str)| {
            series.labels.get(*name).is_some_and(|found| found == value)
        };
        let fits = |series: &&Series| {
            series.name == metric && labels.iter().all(|label| has(series, label))
        };
        self.series.iter().filter(fits).collect()
    }

    /// Their sum.
    pub fn total(&self, metric: &str, labels: &Labels<'_>) -> f64 {
        self.all(metric, labels).iter().map(|series| series.value).sum()
    }

    /// The requests of one side, `source` or `destination`, with these labels.
    pub fn requests(&self, reporter: &str, labels: &Labels<'_>) -> f64 {
        let labels: Vec<_> = labels.iter().copied().chain([("reporter", reporter)]).collect();
        self.total("istio_requests_total", &labels)
    }

    /// The requests as text, for an error.
    pub fn shown(&self) -> String {
        let of_requests = |series: &&Series| {
            series.name == "istio_requests_total" || series.name.starts_with("opmeter_")
        };
        let lines: Vec<String> =
            self.series.iter().filter(of_requests).map(ToString::to_string).collect();
        lines.join("\n")
    }
}

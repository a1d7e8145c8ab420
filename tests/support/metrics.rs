//! The statistics of a proxy, as far as a module can see and change them.

use crate::series::Series;
use crate::stat;
use opmeter_core::port::MetricKind;
use std::collections::BTreeMap;

/// Istio's default bounds of histogram buckets.
const BOUNDS: [f64; 19] = [
    0.5, 1., 5., 10., 25., 50., 100., 250., 500., 1_000., 2_500., 5_000., 10_000., 30_000.,
    60_000., 300_000., 600_000., 1_800_000., 3_600_000.,
];

/// All metrics that were defined.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Stat name of each id, in the order they were defined. Defining a name again gives a new id, as in Envoy.
    names: Vec<String>,
    values: BTreeMap<String, Metric>,
}

#[derive(Clone, Debug, PartialEq)]
enum Metric {
    Counter(u64),
    Gauge(u64),
    Histogram(Vec<u64>),
}

// === impl Metrics ===

impl Metrics {
    /// Defines a metric and gives its id.
    pub fn define(&mut self, kind: MetricKind, name: &str) -> u32 {
        let metric = match kind {
            MetricKind::Counter => Metric::Counter(0),
            MetricKind::Gauge => Metric::Gauge(0),
            MetricKind::Histogram => Metric::Histogram(Vec::new()),
        };
        self.values.entry(name.to_owned()).or_insert(metric);
        self.names.push(name.to_owned());
        u32::try_from(self.names.len()).expect("few metrics")
    }

    /// Adds to a counter or gauge; `false` for an unknown id or a histogram, or when a counter would shrink.
    pub fn increment(&mut self, id: u32, delta: i64) -> bool {
        match self.get_mut(id) {
            Some(Metric::Counter(value)) if delta >= 0 => *value += delta.unsigned_abs(),
            Some(Metric::Gauge(value)) => *value = value.saturating_add_signed(delta),
            _ => return false,
        }
        true
    }

    /// The value of a counter or gauge.
    pub fn value(&self, id: u32) -> Option<u64> {
        let name = self.names.get(usize::try_from(id).ok()?.checked_sub(1)?)?;
        match self.values.get(name)? {
            Metric::Counter(value) | Metric::Gauge(value) => Some(*value),
            Metric::Histogram(_) => None,
        }
    }

    /// Sets a gauge, adds to a histogram, or to a counter as Envoy does; `false` for an unknown id.
    pub fn record(&mut self, id: u32, amount: u64) -> bool {
        match self.get_mut(id) {
            Some(Metric::Gauge(value)) => *value = amount,
            Some(Metric::Histogram(values)) => values.push(amount),
            Some(Metric::Counter(value)) => *value += amount,
            None => return false,
        }
        true
    }

    /// Stat names in the order they were defined, repeated when defined again.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Everything as a scrape would show it.
    pub fn series(&self) -> Vec<Series> {
        self.values.iter().flat_map(|(stat, metric)| samples(stat, metric)).collect()
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Metric> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.values.get_mut(self.names.get(index)?)
    }
}

#[allow(clippy::cast_precision_loss, reason = "numbers of test cases are small")]
fn samples(stat: &str, metric: &Metric) -> Vec<Series> {
    let (name, labels) = stat::parse(stat);
    let plain = |suffix: &str, value: f64| Series {
        name: format!("{name}{suffix}"),
        labels: labels.clone(),
        value,
    };
    let values = match metric {
        Metric::Counter(value) | Metric::Gauge(value) => return vec![plain("", *value as f64)],
        Metric::Histogram(values) => values,
    };
    let sum = values.iter().map(|v| *v as f64).sum();
    let mut out = vec![plain("_sum", sum), plain("_count", values.len() as f64)];
    for bound in BOUNDS.into_iter().chain([f64::INFINITY]) {
        let below = values.iter().filter(|v| **v as f64 <= bound).count();
        let mut bucket = plain("_bucket", below as f64);
        let le = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
        bucket.labels.insert("le".to_owned(), le);
        out.push(bucket);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_cumulative() {
        let mut metrics = Metrics::default();
        let id = metrics.define(MetricKind::Histogram, "a=.=1;.;h");
        for value in [1, 7, 4_000_000] {
            assert!(metrics.record(id, value));
        }
        let lines: Vec<String> = metrics.series().iter().map(ToString::to_string).collect();
        assert!(lines.contains(&"h_count{a=\"1\"} 3".to_owned()));
        assert!(lines.contains(&"h_sum{a=\"1\"} 4000008".to_owned()));
        assert!(lines.contains(&"h_bucket{a=\"1\",le=\"0.5\"} 0".to_owned()));
        assert!(lines.contains(&"h_bucket{a=\"1\",le=\"1\"} 1".to_owned()));
        assert!(lines.contains(&"h_bucket{a=\"1\",le=\"10\"} 2".to_owned()));
        assert!(lines.contains(&"h_bucket{a=\"1\",le=\"+Inf\"} 3".to_owned()));
    }

    #[test]
    fn a_name_defined_twice_is_one_metric_with_two_ids() {
        let mut metrics = Metrics::default();
        let first = metrics.define(MetricKind::Counter, "c");
        let second = metrics.define(MetricKind::Counter, "c");
        assert_ne!(first, second);
        assert!(metrics.increment(first, 1) && metrics.increment(second, 2));
        assert!(
            !metrics.increment(first, -1) && metrics.record(first, 0) && !metrics.increment(9, 1)
        );
        assert_eq!(metrics.series()[0].value, 3.0);
    }
}

//! From labels and the size of the mesh to series and bytes.

use std::collections::BTreeMap;

use opmeter_core::Plan;
use opmeter_core::config::{Config, Dimension};
use opmeter_core::metric::standard::{HTTP_LABELS, Occasion};
use opmeter_core::plan::Family;
use opmeter_core::port::MetricKind;
use serde::Serialize;

use super::ScaleArgs;
use super::values::of_dimension;

/// Istio's default bounds.
pub const ISTIO_BOUNDS: u64 = 19;
/// Values taken for a label that nothing bounds, unless `--values` says better.
pub const GUESS: u64 = 100;

/// Bytes of Envoy's heap per counter or gauge, names and labels included: 2,000 label sets of Istio's 25 labels and one
/// more on Envoy 1.40 with one worker took 689 each.
const COUNTER_BYTES: u64 = 700;
/// The same per histogram with 19 bounds: (12,269 - 689) / 3 in the same run.
const HISTOGRAM_BYTES: u64 = 3_900;
/// Bytes of one line of a scrape with Istio's labels, from the same run.
const LINE_BYTES: u64 = 820;
/// Memory of Prometheus per active series: its head block's 2 to 4 KiB with some 25 labels.
const HEAD_BYTES: u64 = 4 * 1024;
/// Disk of Prometheus per sample (Prometheus documentation, "Storage": 1 to 2 bytes).
const SAMPLE_BYTES: f64 = 1.5;

/// What a configuration emits, as far as numbers go.
#[derive(Clone, Debug)]
pub struct Shape {
    families: Vec<FamilyShape>,
    unbounded: Vec<String>,
    /// `limits.max_series`.
    max_series: u64,
}

#[derive(Clone, Debug)]
struct FamilyShape {
    name: String,
    group: usize,
    kind: MetricKind,
    /// Whether response codes multiply.
    by_code: bool,
    /// Values of its own labels.
    custom: u64,
}

/// How large the mesh is.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    peers: u64,
    codes: u64,
    bounds: u64,
    proxies: u64,
    interval: u64,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// By metric.
    pub metrics: Vec<MetricEstimate>,
    /// Labels whose number of values is a guess.
    pub guessed: Vec<String>,
    /// Label sets that one proxy could have, each counted once for all metrics with the same labels.
    pub label_sets: u64,
    /// How many of them it may have: `limits.max_series`.
    pub max_series: u64,
    /// Series that Prometheus sees of one proxy, within that limit.
    pub series: u64,
    /// Bytes of Envoy's heap for them, with one worker.
    pub proxy_bytes: u64,
    /// Bytes of one scrape of one proxy, before compression.
    pub scrape_bytes: u64,
    /// What Prometheus holds.
    pub prometheus: Prometheus,
}

/// What Prometheus holds of all proxies.
#[derive(Clone, Debug, Serialize)]
pub struct Prometheus {
    /// How many proxies.
    pub proxies: u64,
    /// Active series.
    pub series: u64,
    /// Samples per second.
    pub samples_per_second: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of disk per day.
    pub disk_bytes_per_day: u64,
}

/// One metric of the result.
#[derive(Clone, Debug, Serialize)]
pub struct MetricEstimate {
    /// Name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Different label sets.
    pub label_sets: u64,
    /// Series, buckets counted one by one.
    pub series: u64,
}

// === impl Shape ===

impl Shape {
    /// Of a configuration; `given` are numbers of values that are known better.
    pub fn new(config: &Config, plan: &Plan, given: &[(String, u64)]) -> Self {
        let mut unbounded = Vec::new();
        let families = plan
            .families()
            .map(|family| FamilyShape {
                name: family.name.to_owned(),
                group: family.group,
                kind: family.kind,
                by_code: family.occasion == Occasion::Request
                    && family.labels.contains(&"response_code"),
                custom: custom(&family, config, given, &mut unbounded),
            })
            .collect();
        let max_series = u64::try_from(config.limits.max_series).unwrap_or(u64::MAX);
        Self { families, unbounded, max_series }
    }
}

fn custom(
    family: &Family<'_>,
    config: &Config,
    given: &[(String, u64)],
    unbounded: &mut Vec<String>,
) -> u64 {
    let mut by_source: BTreeMap<String, u64> = BTreeMap::new();
    for label in &family.labels {
        let entries = config.metrics.iter().rev();
        let text =
            entries.flat_map(|entry| &entry.dimensions).find(|dimension| dimension.label == *label);
        let given = given.iter().find(|(name, _)| name == label).map(|(_, values)| *values);
        let standard = HTTP_LABELS.iter().any(|standard| standard.name() == *label);
        let (source, values) = match (given, text) {
            (Some(values), _) => ((*label).to_owned(), values),
            (None, Some(Dimension { value: text, .. })) => {
                let values = of_dimension(text, config);
                if values.most.is_none() && !unbounded.iter().any(|known| known == label) {
                    unbounded.push((*label).to_owned());
                }
                // Connections have no operations: such a label is `unknown` there.
                let derived = config.attributes.iter().any(|a| a.name == values.of);
                match derived && family.occasion == Occasion::Connection {
                    true => (values.of, 1),
                    false => (values.of, values.most.unwrap_or(GUESS)),
                }
            }
            (None, None) if standard => continue,
            (None, None) => ((*label).to_owned(), 1),
        };
        let known = by_source.entry(source).or_insert(1);
        *known = (*known).max(values);
    }
    by_source.values().fold(1, |all, values| all.saturating_mul(*values))
}

// === impl Scale ===

impl Scale {
    /// From the command line; `bounds` are the finite bounds of histograms.
    pub fn new(args: &ScaleArgs, bounds: u64) -> Self {
        Self {
            peers: args.peers,
            codes: args.codes,
            bounds,
            proxies: args.proxies,
            interval: args.interval,
        }
    }

    fn label_sets(&self, family: &FamilyShape) -> u64 {
        let codes = if family.by_code { self.codes } else { 1 };
        self.peers.saturating_mul(codes).saturating_mul(family.custom)
    }

    /// Series of one label set.
    fn series_each(&self, kind: MetricKind) -> u64 {
        match kind {
            MetricKind::Counter | MetricKind::Gauge => 1,
            // One per finite bound, one for +Inf, _sum and _count.
            MetricKind::Histogram => self.bounds + 3,
        }
    }
}

/// The cost when every operation is called by every peer with every code.
pub fn estimate(shape: &Shape, scale: &Scale) -> Estimate {
    let metrics: Vec<MetricEstimate> =
        shape.families.iter().map(|family| of_family(family, scale)).collect();
    let groups = groups(shape, scale);
    let label_sets = groups.iter().fold(0u64, |all, group| all.saturating_add(group.label_sets));
    let (series, proxy_bytes) = within(shape.max_series, groups);
    let all = series.saturating_mul(scale.proxies);
    let per_day = all as f64 * SAMPLE_BYTES * 86_400.0 / scale.interval as f64;
    Estimate {
        guessed: shape.unbounded.clone(),
        label_sets,
        max_series: shape.max_series,
        series,
        proxy_bytes,
        scrape_bytes: series.saturating_mul(LINE_BYTES),
        prometheus: Prometheus {
            proxies: scale.proxies,
            series: all,
            samples_per_second: all / scale.interval,
            memory_bytes: all.saturating_mul(HEAD_BYTES),
            disk_bytes_per_day: per_day as u64,
        },
        metrics,
    }
}

/// Metrics that share their label sets.
#[derive(Clone, Copy, Default)]
struct Group {
    label_sets: u64,
    /// Series of one label set.
    series: u64,
    /// Bytes of one label set.
    bytes: u64,
}

fn groups(shape: &Shape, scale: &Scale) -> Vec<Group> {
    let mut groups = BTreeMap::<usize, Group>::new();
    for family in &shape.families {
        let group = groups.entry(family.group).or_default();
        group.label_sets = scale.label_sets(family);
        group.series += scale.series_each(family.kind);
        group.bytes += match family.kind {
            MetricKind::Histogram => HISTOGRAM_BYTES,
            MetricKind::Counter | MetricKind::Gauge => COUNTER_BYTES,
        };
    }
    groups.into_values().collect()
}

/// The most series and bytes that so many label sets can come to: those that cost the most may be there first.
fn within(max_series: u64, mut groups: Vec<Group>) -> (u64, u64) {
    groups.sort_by_key(|group| std::cmp::Reverse(group.bytes));
    let (mut room, mut series, mut bytes) = (max_series, 0u64, 0u64);
    for group in groups {
        let sets = group.label_sets.min(room);
        room -= sets;
        series = series.saturating_add(sets.saturating_mul(group.series));
        bytes = bytes.saturating_add(sets.saturating_mul(group.bytes));
    }
    (series, bytes)
}

fn of_family(family: &FamilyShape, scale: &Scale) -> MetricEstimate {
    let label_sets = scale.label_sets(family);
    let kind = match family.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    let series = label_sets.saturating_mul(scale.series_each(family.kind));
    MetricEstimate { name: family.name.clone(), kind, label_sets, series }
}

#[cfg(test)]
mod tests {
    use opmeter_core::{config, configure};

    use super::{ISTIO_BOUNDS, Scale, Shape, estimate};
    use crate::offline::Offline;

    #[test]
    fn series_are_peers_times_codes_times_operations() {
        let text = br#"{"attributes": [{"output_attribute": "op", "operations": [{"path": "/a"}, {"path": "/b"}]}],
            "metrics": [{"dimensions": {"request_operation": "op", "upstream_operation": "op"}}]}"#;
        let (config, _) = config::parse(text).unwrap();
        let plan = configure(text, &mut Offline::default()).unwrap().plan;
        let shape = Shape::new(&config, &plan, &[]);
        let scale = Scale { peers: 4, codes: 2, bounds: ISTIO_BOUNDS, proxies: 10, interval: 15 };
        let result = estimate(&shape, &scale);
        let of = |name: &str| result.metrics.iter().find(|m| m.name == name).unwrap();
        // 4 peers, 2 codes, /a, /b and unknown; the two labels have one source.
        assert_eq!(of("istio_requests_total").series, 24);
        assert_eq!(of("istio_request_bytes").series, 24 * 22);
        assert_eq!(of("istio_request_messages_total").series, 12);
        // One label set for all metrics of requests, one for those of messages, one for those of connections.
        // Connections have no operations, so only peers count.
        assert_eq!(result.label_sets, 24 + 12 + 4);
        assert_eq!(result.series, 24 + 3 * 24 * 22 + 2 * 12 + 4 * 4);
        assert_eq!(result.prometheus.series, result.series * 10);
    }

    #[test]
    fn no_more_than_the_limit_is_there() {
        let text = br#"{"limits": {"max_series": 30},
            "attributes": [{"output_attribute": "op", "operations": [{"path": "/a"}, {"path": "/b"}]}],
            "metrics": [{"dimensions": {"request_operation": "op"}}]}"#;
        let (config, _) = config::parse(text).unwrap();
        let plan = configure(text, &mut Offline::default()).unwrap().plan;
        let scale = Scale { peers: 4, codes: 2, bounds: ISTIO_BOUNDS, proxies: 10, interval: 15 };
        let result = estimate(&Shape::new(&config, &plan, &[]), &scale);
        // All of requests, which cost the most, then of connections, then two of messages.
        assert_eq!((result.label_sets, result.max_series), (24 + 12 + 4, 30));
        assert_eq!(result.series, 24 * (1 + 3 * 22) + 4 * 4 + 2 * 2);
        assert_eq!(result.proxy_bytes, 24 * (700 + 3 * 3_900) + 4 * 4 * 700 + 2 * 2 * 700);
    }

    #[test]
    fn labels_without_bound_are_guessed_or_given() {
        let text = br#"{"metrics": [{"name": "requests_total", "dimensions": {"user": "request.headers['x']"}}]}"#;
        let (config, _) = config::parse(text).unwrap();
        let plan = configure(text, &mut Offline::default()).unwrap().plan;
        let scale = Scale { peers: 1, codes: 1, bounds: ISTIO_BOUNDS, proxies: 1, interval: 15 };
        let count = |given: &[(String, u64)]| {
            let result = estimate(&Shape::new(&config, &plan, given), &scale);
            let requests = result.metrics.iter().find(|m| m.name == "istio_requests_total");
            (requests.unwrap().series, result.guessed)
        };
        assert_eq!(count(&[]), (100, vec!["user".to_owned()]));
        assert_eq!(count(&[("user".to_owned(), 7)]), (7, vec![]));
    }
}
